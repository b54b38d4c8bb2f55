// The sentences about a cluster's node that is full while its siblings have room.
#include "policy/cluster_nodes.hpp"
#include "policy/diagnose_phrases.hpp"
#include "policy/diagnose_words.hpp"
#include "policy/wording.hpp"

#include <algorithm>

namespace spillway::policy::words {
namespace {

constexpr std::size_t named_max = 3;

[[nodiscard]] std::string siblings_named(const Figures& f) {
    std::string text;
    for (const SiblingNode& node : f.in.siblings.first(std::min(f.in.siblings.size(), named_max))) {
        text += (text.empty() ? "" : ", ") + plain(node.address, 48) + " " +
                percent_text(fullness_of(node, f.ceiling));
    }
    return text + (f.in.siblings.size() > named_max ? ", ..." : "");
}

// Keys that share a hash tag are all on one node, whatever their number.
[[nodiscard]] const KeyGroup* tagged_group(const Figures& f) {
    if (f.in.sample == nullptr) {
        return nullptr;
    }
    for (const KeyGroup& group : f.in.sample->groups) {
        if (group.share.value >= .2 && group.pattern.find('{') != std::string::npos) {
            return &group;
        }
    }
    return nullptr;
}

}  // namespace

void cluster_skew(const Figures& f, Story& story) {
    const std::size_t count = f.in.siblings.size();
    story.evidence.push_back(
        "this node is at " + percent_text(f.fullness()) + " of its limit, while the other " +
        (count == 1 ? "primary uses "
                    : count_text(static_cast<std::int64_t>(count)) + " primaries use ") +
        percent_text(*f.siblings_fullness) + (count == 1 ? "" : " on average") + ": " +
        siblings_named(f)
    );
    int slots = f.in.own_slots;
    for (const SiblingNode& node : f.in.siblings) {
        slots += node.slots;
    }
    const double even = static_cast<double>(slots) / static_cast<double>(count + 1);
    const bool too_many = f.in.own_slots > 1.25 * even;
    if (f.in.own_slots > 0) {
        story.evidence.push_back(
            "it serves " + count_text(f.in.own_slots) + " of " + count_text(cluster_slots) +
            " slots, " + (too_many ? "more than its share" : "no more than its share")
        );
    }
    tell_data(f, story);
    tell_keys(f, story);
    if (const KeyGroup* tagged = tagged_group(f)) {
        story.advice.push_back(
            "spread the hash tag of " + plain(display_pattern(tagged->pattern, f.in.keys), 48) +
            ": keys with the same text in braces all go to one node; add a part that varies"
        );
    } else if (too_many) {
        story.advice.emplace_back(
            "move slots to the others: redis-cli --cluster rebalance HOST:PORT"
        );
    } else {
        story.advice.emplace_back(
            "look for what binds keys to this node: one large key, or a hash tag (text in braces) "
            "that many keys share"
        );
    }
    story.advice.emplace_back(
        "until then only this node refuses: moving its fullest slots (redis-cli --cluster reshard) "
        "gives room without new memory"
    );
    advise_growth(f, story);
    advise_sampled_growth(f, story);
}

}  // namespace spillway::policy::words
