// The sentences of the diagnosis that rest on a sample of the keys: the culprits by name.
#include "policy/diagnose_phrases.hpp"
#include "policy/diagnose_words.hpp"
#include "policy/wording.hpp"

#include <algorithm>

namespace spillway::policy::words {
namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::int64_t sampled_min = 20;  // fewer are no sample

[[nodiscard]] std::string key_name(const Figures& f, const SampledKey& key) {
    const std::string shown = plain(display_key(key.key, f.in.keys), name_bytes_max);
    return shown.empty() ? "one key" : shown;
}

[[nodiscard]] std::string_view elements_of(KeyType type) noexcept {
    switch (type) {
        case KeyType::hash:
            return "fields";
        case KeyType::stream:
            return "entries";
        case KeyType::set:
        case KeyType::zset:
            return "members";
        case KeyType::list:
            return "elements";
        case KeyType::string:
        case KeyType::other:
            break;
    }
    return {};
}

// "hash sessions (3,000,000 fields, no TTL)"
[[nodiscard]] std::string described(const Figures& f, const SampledKey& key) {
    std::string text = std::string(name_of(key.type)) + " " + key_name(f, key) + " (";
    const std::string_view elements = elements_of(key.type);
    if (key.length >= 0 && !elements.empty()) {
        text += count_text(key.length) + " " + std::string(elements) + ", ";
    }
    text +=
        key.ttl_ms < 0 ? "no TTL" : "TTL " + duration_text(static_cast<double>(key.ttl_ms) / 1000);
    return text + ")";
}

[[nodiscard]] std::string percent_range(const Estimate& share) {
    std::string text = percent_text(share.value);
    if (share.high - share.low > .02) {
        text += " (between " + percent_text(share.low) + " and " + percent_text(share.high) + ")";
    }
    return text;
}

[[nodiscard]] std::string half(std::int64_t length) {
    return std::to_string(std::max<std::int64_t>(length / 2, 1));
}

// The command that makes the key grow, as far as anybody saw one; else empty.
[[nodiscard]] std::string_view grown_by(const Figures& f, const SampledKey& key) {
    PatternBuffer buffer;
    const std::string_view pattern = key_pattern(key.key, buffer);
    for (const GrowthRow& row : f.in.growth) {
        if (row.pattern == pattern) {
            return row.command;
        }
    }
    const OomEvent* event = f.event();
    return event != nullptr && event->key == key.key ? std::string_view(event->command)
                                                     : std::string_view();
}

// Its newest half: what was pushed last stands at the side that is pushed to. Nothing is named that
// is not known, since whoever follows the advice loses the rest.
void advise_list(const Figures& f, const SampledKey& key, const std::string& name, Story& story) {
    std::string text = "find out why nobody consumes " + name + ", and bound it";
    const std::string_view command = grown_by(f, key);
    const bool left = command.starts_with("LPUSH");
    const bool right = command.starts_with("RPUSH");
    if (key.length > 1 && (left || right)) {
        const std::int64_t kept = key.length / 2;
        text += ": LTRIM " + name +
                (left ? " 0 " + std::to_string(kept - 1) : " -" + std::to_string(kept) + " -1") +
                " after each push, if the older half may go";
    } else {
        text += ", if its oldest elements may go: after LPUSH by LTRIM " + name +
                " 0 N, after RPUSH by LTRIM " + name + " -N -1";
    }
    story.advice.push_back(std::move(text));
}

void advise_stream(const SampledKey& key, const std::string& name, Story& story) {
    if (key.length > 1) {
        story.advice.push_back(
            "bound the stream: XTRIM " + name + " MAXLEN " + half(key.length) +
            " frees about half (~ would stop after 100 nodes); from then on XADD ... MAXLEN ~"
        );
    } else {
        story.advice.push_back(
            "bound the stream " + name +
            " to what its readers need: XADD ... MAXLEN ~ N, and XTRIM for what is there"
        );
    }
}

void advise_zset(const SampledKey& key, const std::string& name, Story& story) {
    if (key.length > 1) {
        story.advice.push_back(
            "bound it when you add to it: ZREMRANGEBYRANK " + name + " 0 -" +
            std::to_string(key.length / 2 + 1) + " keeps the upper half, in portions"
        );
    } else {
        story.advice.push_back(
            "bound " + name + " when you add to it: ZREMRANGEBYRANK or ZREMRANGEBYSCORE"
        );
    }
}

// "42 MiB", or where not every element was looked at "about 42 MiB (between 40 and 45 MiB)".
[[nodiscard]] std::string held_by(const Figures& f, const SampledKey& key) {
    const double held = static_cast<double>(key.bytes);
    const double error = error_of(key);
    if (error <= .02 * held) {
        return size(held);
    }
    if (error > .5 * held) {
        return "about " + size(held);  // bounds so far apart say no more
    }
    return "about " + size(held) + " (between " + size(held - error) + " and " +
           size(std::max(held, std::min(held + error, f.data))) + ")";
}

// By the sample, as the table of keys has it: what INFO calls data, less an estimate, may be
// anything.
void tell_others(const Figures& f, Story& story) {
    const std::int64_t others = f.sample().keys - 1;
    const KeySummary& keys = *f.in.sample;
    const auto held = static_cast<double>(f.biggest->bytes);
    const bool seen = keys.complete || keys.sampled >= sampled_min;
    const double bytes = (seen ? keys.bytes.value + keys.unexplained : f.data) - held;
    if (others < 1 || bytes < 1) {
        return;
    }
    story.evidence.push_back(
        "the other " + count_text(others) + (others == 1 ? " key takes " : " keys together take ") +
        (keys.complete ? "" : "about ") + size(bytes)
    );
}

}  // namespace

void big_key(const Figures& f, Story& story) {
    const SampledKey& key = *f.biggest;
    story.evidence.push_back(
        "the " + described(f, key) + " holds " + held_by(f, key) + ", " +
        percent_text(f.biggest_share) + " of the dataset"
    );
    tell_others(f, story);
    const std::string name = key_name(f, key);
    switch (key.type) {
        case KeyType::hash:
            story.advice.push_back(
                "split " + name + " over many hashes, by a hash of the field (" + name +
                ":0 to :255), or delete fields that are done with (HSCAN, HDEL)"
            );
            break;
        case KeyType::set:
            story.advice.push_back(
                "split " + name +
                " over many sets, by a hash of the member, or remove members (SSCAN, SREM)"
            );
            break;
        case KeyType::zset:
            advise_zset(key, name, story);
            break;
        case KeyType::list:
            advise_list(f, key, name, story);
            break;
        case KeyType::stream:
            advise_stream(key, name, story);
            break;
        case KeyType::string:
        case KeyType::other:
            story.advice.push_back("split " + name + " into parts, or store it outside Redis");
            break;
    }
    story.advice.push_back(
        "if " + name + " is no longer needed: UNLINK frees it without blocking the server"
    );
    advise_growth(f, story);
    advise_raise(f, story);
}

void tell_one_eviction(const Figures& f, Story& story) {
    const bool worth = f.biggest != nullptr && f.biggest_share > .5 &&
                       static_cast<double>(f.biggest->bytes) > .25 * f.ceiling;
    if (!worth) {
        return;
    }
    story.evidence.push_back(
        "the " + described(f, *f.biggest) + " holds " + held_by(f, *f.biggest) + ", " +
        percent_text(f.biggest_share) + " of the dataset: one eviction would lose all of it"
    );
    story.advice.push_back(
        "split " + key_name(f, *f.biggest) +
        " into smaller keys, so that an eviction takes a part and not most of the cache"
    );
}

// Keys that outlive the time in which memory fills are as good as without a TTL.
void tell_long_ttl(const Figures& f, Story& story) {
    const MemorySample& s = f.sample();
    const double left = s.ttl_ms / 1000;
    const bool many = s.expires > s.keys / 5;
    const bool filled_sooner = s.uptime_s >= 0 && left > static_cast<double>(s.uptime_s);
    const bool hardly_any_expired = s.expired_keys >= 0 && s.expired_keys < s.expires / 10;
    if (!many || left < 600 || !(filled_sooner || hardly_any_expired)) {
        return;
    }
    story.evidence.push_back(
        "keys with a TTL have " + duration_text(left) + " left on average, " +
        (filled_sooner ? "and memory is full " + duration_text(static_cast<double>(s.uptime_s)) +
                             " after the start"
                       : "and hardly any has expired so far") +
        ": they outlive the room"
    );
    story.advice.push_back(
        "shorten the TTL of these keys: of what lives half as long, half is there at a time"
    );
}

std::string against_big_key(const Figures& f) {
    if (f.biggest == nullptr || !(f.in.sample->complete || f.in.sample->unexplained <= 0)) {
        return {};
    }
    return "not one big key: the largest found holds " + held_by(f, *f.biggest) + ", " +
           percent_text(f.biggest_share) + " of the dataset";
}

void tell_keys(const Figures& f, Story& story) {
    const KeySummary* keys = f.in.sample;
    if (keys == nullptr || (keys->sampled < sampled_min && !keys->complete)) {
        return;
    }
    const std::string basis = keys->complete
                                  ? "of all " + count_text(keys->sampled) + " keys"
                                  : "by a sample of " + count_text(keys->sampled) + " keys";
    if (!keys->groups.empty() && keys->groups.front().share.value >= .05) {
        const KeyGroup& top = keys->groups.front();
        std::string shown = plain(display_pattern(top.pattern, f.in.keys), name_bytes_max);
        std::string ttl = top.without_ttl > .995 ? ", none of it with a TTL"
                          : top.without_ttl < .005
                              ? ", all of it with a TTL"
                              : ", " + percent_text(top.without_ttl) + " of it without a TTL";
        story.evidence.push_back(
            (shown.empty() ? "the largest group of keys" : shown) + " (" +
            std::string(name_of(top.type)) + ") holds " + percent_range(top.share) +
            " of the bytes of keys" + ttl + ", " + basis
        );
    }
    if (keys->with_ttl_bytes.value > 0) {
        story.evidence.push_back(
            "keys with a TTL hold " + percent_range(keys->with_ttl_bytes) +
            " of the bytes of keys, " + basis
        );
    }
    if (keys->unexplained > 0 && !f.keyless) {
        story.evidence.push_back(
            size(keys->unexplained) + " of the data is in none of the " +
            count_text(keys->sampled) +
            " keys looked at, nor in keys like them: a few huge keys hold it"
        );
        story.advice.emplace_back(
            "look for the huge keys with a tool that may take its time: redis-cli --memkeys -i 0.01"
        );
    }
    if (keys->idle_hour_bytes > .2) {
        story.evidence.push_back(
            "keys with " + percent_text(keys->idle_hour_bytes) +
            " of the bytes were neither read nor written for an hour"
        );
    }
}

// Who writes, where nobody watched the writes: what was touched within the last seconds.
void tell_fresh(const Figures& f, Story& story) {
    const KeySummary* keys = f.in.sample;
    if (keys == nullptr || keys->groups.empty() || top_row(f) != nullptr) {
        return;
    }
    const auto freshest = std::max_element(
        keys->groups.begin(),
        keys->groups.end(),
        [](const KeyGroup& a, const KeyGroup& b) { return a.fresh_bytes < b.fresh_bytes; }
    );
    const std::string shown = plain(display_pattern(freshest->pattern, f.in.keys), name_bytes_max);
    if (freshest->fresh_bytes <= 0 || shown.empty()) {
        return;
    }
    story.evidence.push_back(
        "of the keys that were written or read within the last seconds, " + shown +
        " takes most: about " + size(freshest->fresh_bytes)
    );
    story.advice.push_back("find out who writes " + shown + ", and whether it is meant");
}

void advise_sampled_growth(const Figures& f, Story& story) {
    const KeySummary* keys = f.in.sample;
    if (keys == nullptr || keys->groups.empty() || top_row(f) != nullptr) {
        return;  // the ledger knows better who writes
    }
    const bool unfinished = keys->sampled < sampled_min && !keys->complete;
    if (unfinished || keys->unexplained > keys->bytes.value) {
        return;  // it is somewhere else
    }
    const KeyGroup& top = keys->groups.front();
    const std::string shown = plain(display_pattern(top.pattern, f.in.keys), name_bytes_max);
    if (top.share.value < .2 || shown.empty()) {
        return;
    }
    story.advice.push_back(
        "start with " + shown + ": about " + count_text(static_cast<std::int64_t>(top.keys)) +
        (top.keys < 2 ? " key" : " keys") + ", " + size(top.bytes) +
        (top.without_ttl > .5 ? ", most of it without a TTL" : "")
    );
}

// What is no key and has a count of its own.
void tell_holders(const Figures& f, Story& story) {
    const double many = .02 * f.counted / 64;  // fewer of them take next to nothing
    if (static_cast<double>(f.sample().pubsub_channels) > many) {
        story.evidence.push_back(
            "clients are subscribed to " + count_text(f.sample().pubsub_channels) + " channels"
        );
        story.advice.emplace_back(
            "find who subscribes to so many channels: CLIENT LIST TYPE pubsub, columns sub and psub"
        );
    }
    if (static_cast<double>(f.sample().tracked_keys) > many) {
        story.evidence.push_back(
            "client-side caching tracks " + count_text(f.sample().tracked_keys) + " keys"
        );
        story.advice.emplace_back("bound tracking: CONFIG SET tracking-table-max-keys 100000");
    }
}

}  // namespace spillway::policy::words
