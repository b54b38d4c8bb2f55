// The sentences of the diagnosis about single writes: those that did not fit, those that passed the
// limit at once, and data that none can have brought there.
#include "policy/diagnose_phrases.hpp"
#include "policy/diagnose_words.hpp"
#include "policy/wording.hpp"

#include <algorithm>

namespace spillway::policy::words {
namespace {

void seen_write(const Figures& f, Story& story) {
    story.evidence.push_back(
        the_write(f) + " needs about " + size(f.write_need) +
        " while Redis checks it; there was room for " + size(std::max(f.room_before, 0.))
    );
    if (f.write_need > f.ceiling) {
        story.evidence.push_back(
            "it would not fit an empty server either: the ceiling is " + size(f.ceiling)
        );
    }
    if (f.write_held > 0) {
        story.evidence.push_back(
            "INFO still shows " + size(f.write_held) + " of its own bytes as data"
        );
    }
    if (f.event()->largest_argument_bytes >= (32U << 10U)) {
        story.evidence.emplace_back(
            "an argument of 32 KiB and more is held about twice when memory is checked"
        );
    }
}

// Nobody saw the write itself: what is known of it is its buffer.
void unseen_write(const Figures& f, Story& story) {
    const MemorySample& s = f.sample();
    story.evidence.push_back(
        "a write of nearly " + size(f.unseen_write) + " needs about " + size(f.write_need) +
        " while Redis checks it; there is room for " + size(std::max(f.room_before, 0.))
    );
    if (!f.in.clients.empty() && f.in.clients[0].query_bytes > s.max_input_buffer_bytes / 2) {
        const HeavyClient& client = f.in.clients[0];
        const std::string name = plain(client.name, 32);
        story.evidence.push_back(
            "client " + (name.empty() ? name : name + " ") + "at " + plain(client.address, 48) +
            " has a query buffer of " + size(static_cast<double>(client.query_bytes)) +
            (client.spare_bytes > client.query_bytes / 2 ? ", left by a command of that size" : ""
            ) +
            " (last command " + plain(client.command, 32) + ")"
        );
    } else {
        story.evidence.push_back(
            "the largest recent query buffer of one client was " + size(f.unseen_write)
        );
    }
    std::string text =
        "commands were refused for memory " + count_text(s.oom_errors - *f.in.ooms_before) +
        (s.oom_errors - *f.in.ooms_before == 1 ? " time" : " times") + " during this look";
    if (!s.refused_command.empty()) {
        text += "; most refused since the counters began: " + plain(s.refused_command, 32) + " (" +
                count_text(s.refused_calls) + ")";
    }
    story.evidence.push_back(std::move(text));
    tell_data(f, story);
}

}  // namespace

void oversized_write(const Figures& f, Story& story) {
    if (f.event() == nullptr) {
        unseen_write(f, story);
    } else {
        seen_write(f, story);
    }
    story.advice.push_back("split values like this one, or store it outside Redis");
    story.advice.push_back(
        "refuse such writes before they reach Redis: [guard] write_max = \"" +
        setting(f.write_bytes / 2) + "\""
    );
}

void ceiling_lowered(const Figures& f, Story& story) {
    const double before = static_cast<double>(f.in.facts.ceiling_before);
    if (f.in.facts.ceiling_lowered_at) {
        const std::string was = before > 0 ? size(before) : std::string("no limit");
        story.evidence.push_back(
            "maxmemory was lowered " + ago(f, *f.in.facts.ceiling_lowered_at) + ", from " + was +
            " to " + size(f.ceiling)
        );
        story.evidence.push_back(
            "use has been above it since: " + size(f.counted) + " counted, " + size(-f.room) +
            " too much"
        );
    } else {
        story.evidence.push_back(
            "data alone takes " + size(f.data) + ", " + of_ceiling(f, f.data) +
            ": single writes do not get there, and nothing ran that passes the limit at once"
        );
        story.evidence.push_back(
            "CONFIG SET has been used " + count_text(f.sample().config_sets) +
            (f.sample().config_sets == 1 ? " time" : " times") + " since the counters began"
        );
        tell_exceeded(f, story);
    }
    story.advice.push_back(
        before > 0 ? "set maxmemory back if that was not meant: CONFIG SET maxmemory " +
                         exact_setting(f.in.facts.ceiling_before)
                   : "if that was not meant, raise maxmemory above " + size(f.counted) +
                         ": CONFIG SET maxmemory " + setting(1.1 * f.counted)
    );
    story.advice.push_back(
        "or free " + size(-f.room) + ": until then every growing command is refused"
    );
    advise_sampled_growth(f, story);
}

// Data above the ceiling without anybody who lowered it.
void tell_overshoot(const Figures& f, Story& story) {
    const double over = std::min(f.data - f.ceiling, f.always_over);
    if (!f.limited || over < .03 * f.ceiling || f.in.facts.ceiling_lowered_at) {
        return;
    }
    const std::string who = f.overshot ? overshooter(f) : std::string{};
    story.evidence.push_back(
        "data is " + size(over) +
        " above the ceiling: one script, transaction or large write may pass it at once, as Redis "
        "looks at memory before it only" +
        (who.empty() ? "" : " (here ran " + who + ")")
    );
    if (!who.empty()) {
        story.advice.push_back(
            "let " + who + " write in portions, so that Redis can refuse in between"
        );
    }
}

}  // namespace spillway::policy::words
