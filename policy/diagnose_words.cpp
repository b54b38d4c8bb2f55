// The sentences of the diagnosis: what shows each cause, what would help, and why it is not
// another.
#include "policy/diagnose_words.hpp"

#include "policy/diagnose_phrases.hpp"
#include "policy/wording.hpp"

#include <algorithm>
#include <cmath>

namespace spillway::policy::words {
void script_refused(const Figures& f, Story& story) {
    if (f.event()->form == OomForm::script_denied) {
        story.evidence.emplace_back("the reply says that the script has no allow-oom flag");
    } else if (f.event()->script_declared) {
        story.evidence.emplace_back("the script declares its flags, and allow-oom is not among them"
        );
    } else {
        story.evidence.push_back(
            plain(f.event()->command, 32) +
            " was refused before it ran, as scripts are whose flags lack allow-oom"
        );
    }
    story.evidence.emplace_back(
        "such a script is refused whole at the limit, even if it would only read or free"
    );
    story.advice.emplace_back(
        "if the script only reads, declare flags=no-writes; if it must run at the limit, "
        "flags=allow-oom"
    );
}

void replica_promoted(const Figures& f, Story& story) {
    const std::string when = f.in.facts.promoted_at
                                 ? " " + ago(f, *f.in.facts.promoted_at) + " while it held "
                                 : ": its old primary's replication id is still known; it holds ";
    story.evidence.push_back(
        "the server became a primary" + when + size(f.counted) + " of " + size(f.ceiling)
    );
    story.evidence.emplace_back("a replica ignores maxmemory, so its limit was never tested before"
    );
    story.advice.emplace_back(
        "give the replicas the same maxmemory as the primary they stand in for"
    );
    advise_raise(f, story);
}

void replication_buffers(const Figures& f, Story& story) {
    story.evidence.push_back(
        "the replication backlog holds " + size(f.replication) + ", " +
        of_ceiling(f, f.replication) + ", and counts in full"
    );
    story.evidence.push_back("data takes " + size(f.data) + ", " + of_ceiling(f, f.data));
    const double wanted = std::max(1048576., .1 * f.ceiling);
    story.advice.push_back(
        "make the backlog smaller: CONFIG SET repl-backlog-size " + setting(wanted) +
        " (replicas that are away longer then need a full sync)"
    );
    story.advice.push_back(
        "or raise maxmemory by the " + size(f.replication) + " that the backlog takes"
    );
}

void script_memory(const Figures& f, Story& story) {
    const auto functions = std::min(
        static_cast<double>(std::max<std::int64_t>(f.sample().functions_bytes, 0)), f.scripts
    );
    const bool by_functions = functions > f.scripts / 2;
    std::string text = by_functions ? "functions hold " : "cached scripts hold ";
    text += size(f.scripts) + ", " + of_ceiling(f, f.scripts);
    if (by_functions && f.sample().libraries > 0) {
        text += " (" + count_text(f.sample().libraries) + " libraries)";
    } else if (!by_functions && f.sample().cached_scripts > 0) {
        text += " (" + count_text(f.sample().cached_scripts) + " scripts)";
    }
    story.evidence.push_back(std::move(text));
    story.evidence.push_back("data takes " + size(f.data) + ", " + of_ceiling(f, f.data));
    if (by_functions) {
        story.advice.emplace_back(
            "see which libraries are loaded (FUNCTION LIST), and delete those that nobody calls: "
            "FUNCTION DELETE name"
        );
        story.advice.emplace_back(
            "load one library under one name, with REPLACE, and give values as arguments of FCALL"
        );
        return;
    }
    story.advice.emplace_back(
        "give values to scripts as KEYS and ARGV: each new text is kept until SCRIPT FLUSH"
    );
    story.advice.emplace_back(
        "SCRIPT FLUSH frees them now; clients that use EVALSHA must be able to load them again"
    );
}

void lazyfree_pending(const Figures& f, Story& story) {
    story.evidence.push_back(
        count_text(f.lazyfree_pending) +
        (f.lazyfree_pending == 1 ? " deleted object waits" : " deleted objects wait") +
        " to be freed in the background"
    );
    if (f.fallen > 0) {
        story.evidence.push_back(
            "counted memory fell by " + size(f.fallen) + " in the last two seconds"
        );
    }
    story.advice.emplace_back(
        "retry after a moment: memory that UNLINK or FLUSHALL ASYNC gave up is still being freed"
    );
    story.advice.emplace_back("where room is needed at once, delete with DEL, in portions");
}

void non_data_overhead(const Figures& f, Story& story) {
    const bool tiny = f.share(f.startup) > .5;
    if (f.ceiling < 65536) {
        story.evidence.push_back(
            "maxmemory is " + size(f.ceiling) + ", and an empty server of this version takes " +
            size(f.startup) + ": was a unit left out?"
        );
        story.advice.emplace_back(
            "say maxmemory with its unit: CONFIG SET maxmemory 100mb, and so in redis.conf"
        );
    } else if (tiny) {
        story.evidence.push_back(
            "an empty server of this version takes " + size(f.startup) + ", " +
            of_ceiling(f, f.startup)
        );
    }
    if (f.non_data > 0 && f.sample().keys == 0) {
        story.evidence.push_back(
            size(f.non_data) +
            " is in use though there is no key, and no client buffer accounts for it"
        );
    } else if (f.non_data > 0) {
        story.evidence.push_back(
            size(f.non_data) + " of overhead is explained neither by " +
            count_text(f.sample().keys) + " keys nor by buffers"
        );
    }
    if (tiny) {
        advise_raise(f, story);
        return;
    }
    tell_holders(f, story);
    story.advice.emplace_back(
        "look at MEMORY STATS, and at what no key shows: subscriptions, client tracking, modules, "
        "MULTI queues"
    );
    story.advice.emplace_back(
        "compare pubsub_channels and tracking_total_keys in INFO stats with what you expect"
    );
}

void no_evictable_keys(const Figures& f, Story& story) {
    const MemorySample& s = f.sample();
    story.evidence.push_back(
        "policy is " + s.policy + ", which evicts only keys with a TTL, and " +
        count_text(s.expires) + " of " + count_text(s.keys) + " keys have one"
    );
    if (s.evicted_keys >= 0) {
        story.evidence.push_back(
            s.evicted_keys == 0 ? std::string("nothing was ever evicted (evicted_keys is 0)")
                                : "hardly anything was ever evicted (evicted_keys is " +
                                      count_text(s.evicted_keys) + ")"
        );
    }
    tell_data(f, story);
    tell_keys(f, story);
    tell_overshoot(f, story);
    advise_eviction(f, story);
    advise_raise(f, story);
    advise_growth(f, story);
    advise_sampled_growth(f, story);
}

void few_evictable_keys(const Figures& f, Story& story) {
    const MemorySample& s = f.sample();
    const std::int64_t high = std::max(f.in.facts.expires_high, s.expires);
    story.evidence.push_back(
        "policy is " + s.policy + ", and " + count_text(s.expires) + " of " + count_text(s.keys) +
        " keys have a TTL" + (high > s.expires ? ", down from " + count_text(high) : std::string{})
    );
    if (f.drained_in) {
        story.evidence.push_back(
            "keys with a TTL go at about " +
            count_text(static_cast<std::int64_t>(f.drain_per_s + .5)) +
            " a second: the last of them is gone in " + duration_text(*f.drained_in)
        );
    }
    if (s.evicted_keys > 0) {
        std::string text = count_text(s.evicted_keys) + " keys were evicted to make room";
        if (f.in.facts.last_eviction_at) {
            text += ", the last " + ago(f, *f.in.facts.last_eviction_at);
        }
        story.evidence.push_back(std::move(text));
    }
    tell_data(f, story);
    tell_keys(f, story);
    tell_long_ttl(f, story);
    tell_overshoot(f, story);
    advise_eviction(f, story);
    advise_raise(f, story);
    advise_growth(f, story);
    advise_sampled_growth(f, story);
}

void noeviction_at_ceiling(const Figures& f, Story& story) {
    story.evidence.emplace_back("policy is noeviction, so nothing may be evicted");
    tell_data(f, story);
    tell_keys(f, story);
    tell_exceeded(f, story);
    tell_long_ttl(f, story);
    tell_overshoot(f, story);
    advise_eviction(f, story);
    advise_raise(f, story);
    advise_growth(f, story);
    advise_sampled_growth(f, story);
}

void eviction_too_slow(const Figures& f, Story& story) {
    tell_exceeded(f, story);
    story.evidence.push_back(
        "policy is " + f.sample().policy + " and " + count_text(f.sample().evicted_keys) +
        " keys were evicted, but counted memory is " + size(-f.room) + " above the ceiling"
    );
    story.evidence.emplace_back(
        "while eviction runs Redis executes writes, so memory keeps growing without any OOM reply"
    );
    story.advice.emplace_back(
        "let eviction work longer at a time: CONFIG SET maxmemory-eviction-tenacity 50"
    );
    story.advice.emplace_back(
        "look for single large keys or writes: one of them evicts many small keys at once"
    );
    advise_growth(f, story);
}

void provider_limit(const Figures& f, Story& story) {
    if (f.event() != nullptr && f.event()->form == OomForm::provider) {
        story.evidence.emplace_back(
            "the wording of the reply is a service's own, not that of Redis at maxmemory"
        );
    }
    if (f.event() == nullptr && f.sample().oom_errors > 0) {
        story.evidence.push_back(
            "commands were refused for memory " + count_text(f.sample().oom_errors) +
            (f.sample().oom_errors == 1 ? " time" : " times") +
            (f.limited && !peaked_at_limit(f)
                 ? ", though use never exceeded " +
                       size(static_cast<double>(f.sample().used_memory_peak))
                 : "")
        );
    }
    if (f.limited) {
        story.evidence.push_back(
            "INFO shows " + size(f.counted) + " of " + size(f.ceiling) + " in use"
        );
    } else if (f.sample().maxmemory == 0) {
        story.evidence.push_back("INFO shows no maxmemory, and " + size(f.counted) + " in use");
    } else {
        story.evidence.push_back("the server hides maxmemory; " + size(f.counted) + " is in use");
    }
    if (f.sample().used_memory_rss > 0) {
        story.evidence.push_back(
            "resident memory is " + size(static_cast<double>(f.sample().used_memory_rss))
        );
    }
    story.advice.emplace_back(
        "look at the service's own memory metric: it counts fragmentation and reserves that INFO "
        "does not show"
    );
    story.advice.emplace_back(
        "turn on active defragmentation or lower maxmemory, so that data leaves the service its "
        "reserve"
    );
    if (!f.limited) {
        story.advice.emplace_back("tell Spillway the limit: [monitor] ceiling = \"...\"");
    }
}

void write_burst(const Figures& f, Story& story) {
    const double pace = f.event() == nullptr ? f.pace : std::max(f.pace, f.risen / f.rise_seconds);
    std::string text = "memory grew by about " + size(pace) + "/s";
    if (const GrowthRow* row = top_row(f)) {
        text += ", most by " + pattern_name(f, *row) + " (" + writer(*row) + ")";
    }
    story.evidence.push_back(std::move(text));
    tell_fresh(f, story);
    if (f.seconds_left && f.room > 0) {
        story.evidence.push_back(
            "at this pace the ceiling is reached in " + duration_text(*f.seconds_left)
        );
    }
    advise_growth(f, story);
    advise_raise(f, story);
}

void unknown(const Figures& f, Story& story) {
    if (f.sample().used_memory < 0) {
        story.evidence.emplace_back(
            "INFO could not be read, so nothing is known of this server's memory"
        );
        story.advice.emplace_back("let the monitor's user run INFO (ACL +info)");
        return;
    }
    story.evidence.push_back(
        "counted memory is " + size(f.counted) +
        (f.limited ? " of " + size(f.ceiling) : std::string{}) + ", policy " +
        (f.sample().policy.empty() ? "not shown" : f.sample().policy)
    );
    if (f.sample().family == EvictionFamily::all_keys) {
        story.evidence.emplace_back(
            "this policy may evict nearly every key, so Redis refuses only when what fills memory "
            "is no key"
        );
        story.advice.emplace_back("look for short-lived buffers: CLIENT LIST, columns omem and qbuf"
        );
    }
    story.evidence.push_back(
        "looked at: data " + size(f.data) + ", clients " + size(f.clients) + ", replication " +
        size(f.replication) + ", scripts " + size(f.scripts) + ", lazy frees " +
        count_text(f.lazyfree_pending)
    );
    story.advice.emplace_back("compare INFO memory and MEMORY STATS while it happens");
}

std::string against_oversized_write(const Figures& f) {
    const bool worth_saying = f.write_need >= 65536 && f.write_need < .01 * f.ceiling;
    return worth_saying ? the_write(f) + " is small beside the ceiling" : std::string{};
}

std::string against_replication_buffers(const Figures& f) {
    return "not replication: its counted buffers hold " + size(f.replication);
}

std::string against_lazyfree_pending(const Figures& f) {
    return f.lazyfree_pending > 0
               ? std::string{}
               : std::string("no freed memory is on its way back (lazy frees pending: 0)");
}

std::string against_provider_limit(const Figures& f) {
    return f.limited && f.room <= 0 ? "INFO agrees that the limit is reached: " + size(f.counted) +
                                          " of " + size(f.ceiling)
                                    : std::string{};
}

void healthy(const Figures& f, Story& story) {
    if (f.sample().used_memory < 0) {
        return unknown(f, story);
    }
    if (!f.limited) {
        if (f.sample().maxmemory < 0) {
            story.evidence.push_back(
                size(f.counted) + " is in use; the server does not show its limit"
            );
            story.advice.emplace_back("tell Spillway the limit: [monitor] ceiling = \"...\"");
            return;
        }
        story.evidence.push_back(
            size(f.counted) + " is in use and there is no maxmemory, so Redis never answers OOM"
        );
        const auto host = static_cast<double>(f.sample().total_system_memory);
        if (host > 0) {
            story.advice.push_back(
                "set a limit before the host's " + size(host) +
                " is all used: CONFIG SET maxmemory " + setting(.6 * host)
            );
        }
        return;
    }
    story.evidence.push_back(
        size(f.counted) + " of " + size(f.ceiling) + " is in use (" + percent_text(f.fullness()) +
        "), policy " + (f.sample().policy.empty() ? "not shown" : f.sample().policy)
    );
    const bool nearly_full = f.fullness() > .95;
    if (!f.sample().primary) {
        if (f.room < 0) {
            story.evidence.push_back(
                "a replica takes what its primary sends and ignores maxmemory: it is " +
                size(-f.room) + " above; as a primary it would refuse writes at once"
            );
            story.advice.emplace_back(
                "give the replica the maxmemory of its primary before a failover: CONFIG SET "
                "maxmemory"
            );
        }
    } else if (f.sample().family == EvictionFamily::all_keys && nearly_full) {
        story.evidence.emplace_back(
            "a full cache is healthy: nearly every key may be evicted to make room"
        );
        tell_one_eviction(f, story);
    } else if (f.sample().family == EvictionFamily::noeviction && nearly_full) {
        story.evidence.push_back(
            "only " + size(f.room) + " is left, but memory stands still and nothing is refused"
        );
        advise_raise(f, story);
    }
    if (f.sample().oom_errors > 0) {
        story.evidence.push_back(
            "commands were refused for memory before this look, " +
            count_text(f.sample().oom_errors) +
            " since the counters began; there is room for such writes now, if they are small"
        );
    }
}

void refusal(const Figures& f, Story& story) {
    const OomEvent& event = *f.event();
    const std::string rule =
        event.rule.empty() ? std::string{} : " by rule " + plain(event.rule, 32);
    const std::string priority = "priority " + std::string(name_of(event.priority)) + rule;
    switch (event.guard_cause) {
        case Cause::write_max:
            story.evidence.push_back(the_write(f) + " is larger than write_max allows");
            story.advice.emplace_back(
                "split it, or raise [guard] write_max if such writes are meant"
            );
            break;
        case Cause::evict_max:
            story.evidence.push_back(
                the_write(f) + " would have evicted more of the data than evict_max allows"
            );
            story.advice.emplace_back(
                "split it, or raise [guard] evict_max if the cache may be lost for it"
            );
            break;
        case Cause::oversized_write:
            story.evidence.push_back(
                the_write(f) + " needs about " + size(f.write_need) +
                " while Redis checks it; there is room for " + size(std::max(f.room, 0.0))
            );
            story.advice.emplace_back("split values like this one, or store it outside Redis");
            break;
        default:
            story.evidence.push_back(
                size(f.counted) + " of " + size(f.ceiling) +
                " is in use, and what is left is not for growing commands of " + priority
            );
            break;
    }
}

void form(const Figures& f, Story& story) {
    if (f.event() == nullptr || !f.reply) {
        return;
    }
    switch (f.event()->form) {
        case OomForm::exec_abort:
            story.evidence.emplace_back("the transaction was discarded: none of its commands ran");
            break;
        case OomForm::in_exec:
            story.evidence.emplace_back(
                "a script inside the transaction was refused; the other commands of it ran"
            );
            break;
        case OomForm::in_script:
            story.evidence.emplace_back(
                "a script ran into the limit at its first write; what it read before has run"
            );
            break;
        case OomForm::top_level: {
            const ServerVersion version = server_version(f.sample().server);
            if (f.event()->in_multi && f.event()->command != "EXEC" && !version.at_least(7, 4) &&
                (version.redis || version.valkey)) {
                story.evidence.emplace_back(
                    "inside MULTI this version refuses every command at the limit, reads too"
                );
            }
            break;
        }
        case OomForm::in_array:
        case OomForm::script_denied:
        case OomForm::provider:
            break;
    }
}

}  // namespace spillway::policy::words
