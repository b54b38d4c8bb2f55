// Phrases that several sentences of the diagnosis share, and advice that several causes give.
#include "policy/diagnose_phrases.hpp"

#include "policy/wording.hpp"

#include <algorithm>

namespace spillway::policy::words {

namespace {

// A server may report anything: beyond this a figure has no meaning but must stay one.
[[nodiscard]] std::int64_t whole(double bytes) {
    return static_cast<std::int64_t>(std::clamp(bytes, -9.0e18, 9.0e18));
}

}  // namespace

std::string size(double bytes) {
    return bytes_text(whole(bytes));
}

std::string setting(double bytes) {
    return setting_text(whole(bytes));
}

std::string of_ceiling(const Figures& f, double bytes) {
    return f.limited ? percent_text(bytes / f.ceiling) + " of the " + size(f.ceiling) + " ceiling"
                     : percent_text(f.share(bytes)) + " of counted memory";
}

std::string the_write(const Figures& f) {
    const std::string command = plain(f.event()->command, 32);
    return "this " + (command.empty() ? "write" : command) + " of " + size(f.write_bytes);
}

std::string pattern_name(const Figures& f, const GrowthRow& row) {
    const std::string shown = plain(display_pattern(row.pattern, f.in.keys), 48);
    return shown.empty() ? "the top writer" : shown;
}

std::string writer(const GrowthRow& row) {
    std::string text =
        row.client.empty() ? std::string{} : "client " + plain(row.client, 32) + ", ";
    text += plain(row.command, 32);
    if (row.without_ttl > .99) {
        text += ", none with a TTL";
    } else if (row.without_ttl > .01) {
        text += ", " + percent_text(row.without_ttl) + " without a TTL";
    }
    return text;
}

// Who filled memory, where that is known: not one who did a small part of it, and not one beside
// whom the keys show a larger one that nobody saw written (scripts, other ways to the server).
const GrowthRow* top_row(const Figures& f) {
    if (f.in.growth.empty()) {
        return nullptr;
    }
    const GrowthRow& row = f.in.growth[0];
    const auto bytes = static_cast<double>(row.bytes);
    const bool known = row.of_growth >= 0;
    // One that is not the largest stands first since it grows just now.
    const bool first = std::all_of(f.in.growth.begin(), f.in.growth.end(), [&](const auto& r) {
        return r.bytes <= row.bytes;
    });
    if (f.share(bytes) < .05 || (known && first && row.of_growth < .25)) {
        return nullptr;
    }
    const KeySummary* keys = f.in.sample;
    if (!known || row.of_growth >= .5 || keys == nullptr || keys->groups.empty() ||
        (keys->sampled < 20 && !keys->complete)) {
        return &row;
    }
    const KeyGroup& largest = keys->groups.front();
    const bool seen = std::any_of(f.in.growth.begin(), f.in.growth.end(), [&](const GrowthRow& r) {
        return r.pattern == largest.pattern;
    });
    return !seen && largest.bytes > 2 * bytes ? nullptr : &row;
}

void advise_growth(const Figures& f, Story& story) {
    if (const GrowthRow* row = top_row(f)) {
        story.advice.push_back(
            "find out why " + pattern_name(f, *row) + " grew " +
            size(static_cast<double>(row->bytes)) + " in the last 10 min (" + writer(*row) + ")"
        );
    }
}

// A quarter more, where the host can bear it: copies made by fork and fragmentation need room
// beside maxmemory.
void advise_raise(const Figures& f, Story& story) {
    if (!f.limited) {
        return;
    }
    const double full = f.counted > 1.05 * f.ceiling ? f.counted : f.ceiling;
    const double wanted = std::max(1.25 * full, 4 * f.startup);
    const auto host = static_cast<double>(f.sample().total_system_memory);
    const std::string above = "raise maxmemory above " + size(f.ceiling);
    if (f.sample().maxmemory <= 0) {
        story.advice.push_back(
            "raise the limit above " + size(f.ceiling) + " with the service that sets it"
        );
    } else if (host > 0 && wanted > .7 * host) {
        story.advice.push_back(
            "this host has only " + size(host) +
            ": move to a larger one or spread the keys before raising maxmemory"
        );
    } else {
        std::string text = above + ", e.g. CONFIG SET maxmemory " + setting(wanted);
        if (host > 0) {
            text += " (the host has " + size(host) + ")";
        }
        story.advice.push_back(std::move(text));
    }
}

namespace {

// By the sample, or by the commands that write.
[[nodiscard]] bool has_type(const Figures& f, KeyType type) {
    const std::string_view sign = type == KeyType::stream ? "XADD" : "PUSH";
    const auto writes = [sign](std::string_view command) {
        return command.find(sign) != std::string_view::npos;
    };
    const KeySummary* keys = f.in.sample;
    return (keys != nullptr && std::any_of(
                                   keys->groups.begin(),
                                   keys->groups.end(),
                                   [type](const KeyGroup& group) { return group.type == type; }
                               )) ||
           (f.event() != nullptr && writes(f.event()->command)) ||
           std::any_of(f.in.growth.begin(), f.in.growth.end(), [&](const GrowthRow& row) {
               return writes(row.command);
           });
}

}  // namespace

void advise_eviction(const Figures& f, Story& story) {
    if (holds_queues(f.in)) {
        story.advice.emplace_back(
            "do not turn on allkeys eviction: some of these keys look like queues, which would "
            "lose their entries"
        );
        story.advice.emplace_back(
            std::string("let consumers catch up first: give their commands priority critical in a "
                        "guard rule") +
            (has_type(f, KeyType::stream) ? ", bound streams with XADD MAXLEN"
             : has_type(f, KeyType::list) ? ", bound lists with LTRIM"
                                          : "")
        );
        return;
    }
    if (scripts_may_hold_queues(f.in)) {
        story.advice.emplace_back(
            "turn on allkeys eviction only if all that scripts write here may be lost: job queues "
            "are built of scripts, and would lose entries"
        );
        return;
    }
    if (f.in.sample != nullptr && f.in.sample->unexplained > 0 && !f.keyless) {
        story.advice.push_back(
            "turn on no eviction before it is known what holds the other " +
            size(f.in.sample->unexplained) +
            ": it may be a queue, which would lose its entries (redis-cli --memkeys -i 0.01)"
        );
        return;
    }
    const MemorySample& s = f.sample();
    const double with_ttl =
        s.keys > 0 ? static_cast<double>(s.expires) / static_cast<double>(s.keys) : 0;
    if (s.family == EvictionFamily::noeviction && with_ttl >= .2) {
        story.advice.push_back(
            percent_text(with_ttl) +
            " of the keys have a TTL; if they may go early: CONFIG SET maxmemory-policy "
            "volatile-ttl"
        );
    } else if (s.family == EvictionFamily::volatile_keys) {
        story.advice.emplace_back(
            "write what may expire with a TTL (SET ... EX), so that the policy finds keys to evict"
        );
        story.advice.emplace_back(
            "if every key here is a cache entry: CONFIG SET maxmemory-policy allkeys-lru; not if "
            "any key must stay"
        );
    } else {
        story.advice.emplace_back(
            "if every key here is a cache entry, let Redis evict: CONFIG SET maxmemory-policy "
            "allkeys-lru; not if any key must stay"
        );
    }
}

void tell_data(const Figures& f, Story& story) {
    story.evidence.push_back(
        "data takes " + size(f.data) + ", " + of_ceiling(f, f.data) + " (" +
        count_text(f.sample().keys) + (f.sample().keys == 1 ? " key)" : " keys)")
    );
}

void tell_exceeded(const Figures& f, Story& story) {
    if (f.sample().eviction_exceeded_ms > 0) {
        story.evidence.push_back(
            "Redis has been above its limit for " +
            duration_text(static_cast<double>(f.sample().eviction_exceeded_ms) / 1000)
        );
    }
}

std::string ago(const Figures& f, Nanos at) {
    const Nanos age = f.in.now - at;
    return age < second
               ? std::string("just now")
               : duration_text(static_cast<double>(age) / static_cast<double>(second)) + " ago";
}

std::string plain(std::string_view text, std::size_t bytes_max) {
    std::string out(text.substr(0, bytes_max));
    std::replace_if(
        out.begin(), out.end(), [](char c) { return c < ' ' || c >= '\x7f'; }, '?'
    );
    return out;
}

}  // namespace spillway::policy::words
