// How well each cause fits the figures.
#include "policy/diagnose_rules.hpp"

#include <algorithm>
#include <array>

namespace spillway::policy::score {
namespace {

constexpr double bytes_of_big_key_min = 256 << 10;

struct Step {
    double x;
    double y;
};

// Straight lines through the steps, flat outside them.
template <std::size_t Count>
[[nodiscard]] double curve(double x, const std::array<Step, Count>& steps) noexcept {
    if (x <= steps.front().x) {
        return steps.front().y;
    }
    for (std::size_t i = 1; i < Count; ++i) {
        if (x <= steps[i].x) {
            const Step& a = steps[i - 1];
            const Step& b = steps[i];
            return a.y + (b.y - a.y) * (x - a.x) / (b.x - a.x);
        }
    }
    return steps.back().y;
}

// A holder other than data explains an OOM the better the more of the ceiling it takes; a twentieth
// is normal.
[[nodiscard]] double by_share(double share) noexcept {
    return curve(share, std::array<Step, 4>{{{.05, 0}, {.25, .75}, {.5, .95}, {.75, .97}}});
}

// Where the limit is hidden, shares are of what is in use: of next to nothing they say nothing.
[[nodiscard]] bool is_worth_sharing(const Figures& f) noexcept {
    return f.limited || f.counted > 32 * 1048576.;
}

// What holds `bytes` explains an OOM only if there were room without it: above data that fills the
// ceiling alone, buffers that come and go explain nothing.
[[nodiscard]] double by_holder(const Figures& f, double bytes) noexcept {
    if (!is_worth_sharing(f) || (f.limited && f.startup >= f.ceiling)) {
        return 0;
    }
    const double score = by_share(f.share(bytes));
    const double room_without = f.share(f.room + bytes);
    return f.limited && room_without < .03 ? std::min(score, .5) : score;
}

// Data explains it the less the more others hold.
[[nodiscard]] double data_weight(const Figures& f) noexcept {
    return std::clamp(f.share(f.data) / .9, .2, 1.);
}

// At the limit, or so near that freeing one client's buffer makes the difference: noeviction flaps
// there. The very write's own bytes do not count.
[[nodiscard]] double at_ceiling(const Figures& f) noexcept {
    const double own = std::max(f.write_held, std::min(f.unseen_write, f.clients));
    const double without_write = f.limited ? (f.counted - own) / f.ceiling : 0;
    return f.reply ? curve(without_write, std::array<Step, 3>{{{.85, 0}, {.95, .8}, {.98, 1}}})
                   : curve(without_write, std::array<Step, 3>{{{.75, 0}, {.9, .8}, {.98, 1}}});
}

// Redis lets writes in only below the limit, so data that has been far above it all the while did
// not get there by writes.
[[nodiscard]] double data_above_limit(const Figures& f) noexcept {
    const bool evicts = f.sample().family == EvictionFamily::all_keys;
    if (!f.limited || evicts || f.in.facts.ceiling_lowered_at || f.in.facts.promoted_at ||
        f.in.facts.within_limit_at) {
        return 0;
    }
    return curve(f.data_over / f.ceiling, std::array<Step, 3>{{{.03, 0}, {.05, .9}, {.07, .96}}});
}

// Keys with a TTL have been there, as we saw or as evictions prove: under volatile-* only such keys
// are evicted.
[[nodiscard]] bool had_evictable_keys(const Figures& f) noexcept {
    const double few = std::max(1., .01 * static_cast<double>(f.sample().keys));
    return static_cast<double>(std::max(f.in.facts.expires_high, f.sample().expires)) > few ||
           static_cast<double>(f.sample().evicted_keys) > few;
}

[[nodiscard]] bool form_is(const Figures& f, OomForm form) noexcept {
    return f.reply && f.event()->form == form;
}

// Something is on its way out, and the limit was hit only just now.
[[nodiscard]] bool relief_is_near(const Figures& f) noexcept {
    return f.lazyfree_pending > 0 && f.sample().eviction_exceeded_ms < 1000;
}

}  // namespace

double script_refused(const Figures& f) noexcept {
    if (form_is(f, OomForm::script_denied)) {
        return .97;
    }
    if (!form_is(f, OomForm::top_level) || !is_script_command(f.event()->command)) {
        return 0;
    }
    if (f.event()->script_declared) {
        return .96;
    }
    // Functions always declare their flags; of a script we may have seen only the hash.
    return f.event()->command.compare(0, 5, "FCALL") == 0 ? .96 : .45;
}

double ceiling_lowered(const Figures& f) noexcept {
    if (f.in.facts.ceiling_lowered_at && f.limited && f.room < 0) {
        return .97;
    }
    // A conclusion from figures: only where somebody did use CONFIG SET, and nothing else brings
    // data above the limit.
    const bool possible = f.sample().config_sets > 0 && !f.overshot;
    return possible ? data_above_limit(f) * (f.sample().was_replica ? .7 : 1) : 0;
}

double replica_promoted(const Figures& f) noexcept {
    if (f.in.facts.promoted_at && f.sample().primary && f.limited && f.room < 0) {
        return .96;
    }
    return f.sample().was_replica && f.sample().primary ? .99 * data_above_limit(f) : 0;
}

double oversized_write(const Figures& f) noexcept {
    double evictable = static_cast<double>(std::max<std::int64_t>(f.in.state.evictable, 0));
    if (f.sample().family == EvictionFamily::volatile_keys) {
        evictable = std::min(evictable, f.ttl_share * f.data);
    }
    const double room = f.room_before + evictable;
    if (!f.limited || f.write_need <= room || f.write_need < std::max(16384., .002 * f.ceiling)) {
        return 0;
    }
    if (f.event() == nullptr) {
        return curve(
            room / f.ceiling, std::array<Step, 4>{{{.02, 0}, {.04, .9}, {.08, .97}, {.2, .98}}}
        );
    }
    if (f.write_need > f.ceiling && f.sample().family == EvictionFamily::all_keys) {
        return .98;  // no room could be made for it
    }
    // Where ordinary writes still fit, the size of this one is the reason.
    return curve(
        room / f.ceiling, std::array<Step, 4>{{{.0005, 0}, {.002, .6}, {.01, .9}, {.05, .98}}}
    );
}

double client_buffers(const Figures& f) noexcept {
    const MemorySample& s = f.sample();
    if (f.clients_shared) {
        return 0;
    }
    // The refused write itself stands in its client's buffer.
    double score = by_holder(f, std::max(0., f.clients - f.write_need));
    if (server_version(s.server)
            .valkey) {  // since 9 the figure may count values that replies only refer to
        score = std::min(score, .9);
    }
    // The figure lags by up to a second, but the largest recent buffer is remembered for some.
    const double largest =
        static_cast<double>(std::max(s.max_input_buffer_bytes, s.max_output_buffer_bytes));
    const bool own = f.write_bytes * 1.5 > largest;  // the refused write itself
    const bool others = f.share(f.replication + f.scripts + f.non_data) >= .25;
    if (f.reply && f.limited && score < .5 && !own && !others) {
        if (f.share(largest) >= .1 && (f.share(f.jumped) >= .1 || f.peaked_over > 0)) {
            return .8;
        }
        if (f.peaked_over > 0 && f.room > 0 && f.share(largest) >= .02) {
            return .5;
        }
    }
    return score;
}

double replication_buffers(const Figures& f) noexcept {
    return by_holder(f, f.replication);
}

double script_memory(const Figures& f) noexcept {
    return by_holder(f, f.scripts);
}

double lazyfree_pending(const Figures& f) noexcept {
    if (f.lazyfree_pending <= 0 || !f.limited ||
        f.in.state.sample.family == EvictionFamily::all_keys) {
        return 0;
    }
    const bool falls = f.fallen > .01 * f.ceiling;
    const double base =
        relief_is_near(f) || falls ? .6 : .3;  // a busy UNLINK leaves some pending at all times
    const double falling = falls ? .25 : 0;
    return base + falling + (f.lazyfree_pending >= 1000 ? .1 : 0);
}

double non_data_overhead(const Figures& f) noexcept {
    if (!f.limited) {
        return 0;
    }
    if (f.startup >= f.ceiling) {
        return .97;
    }
    const double startup =
        f.share(f.startup) > .5 ? f.startup : 0;  // a limit too small for any data
    return std::min(.93, by_holder(f, f.non_data + startup));
}

double no_evictable_keys(const Figures& f) noexcept {
    if (f.sample().family != EvictionFamily::volatile_keys || had_evictable_keys(f)) {
        return 0;
    }
    return .95 * at_ceiling(f) * data_weight(f);
}

double few_evictable_keys(const Figures& f) noexcept {
    if (f.sample().family != EvictionFamily::volatile_keys || !had_evictable_keys(f)) {
        return 0;
    }
    const double left = f.ttl_share;
    const bool drains = f.drained_in && *f.drained_in < 120;
    const double gone = std::max(
        curve(left, std::array<Step, 2>{{{.02, 1}, {.3, f.reply ? .5 : 0}}}), drains ? .9 : 0
    );
    return .95 * at_ceiling(f) * data_weight(f) * gone;
}

double big_key(const Figures& f) noexcept {
    if (f.biggest == nullptr || f.sample().family == EvictionFamily::all_keys) {
        return 0;
    }
    const double share = curve(f.biggest_share, std::array<Step, 3>{{{.2, 0}, {.35, .7}, {.5, 1}}});
    const bool worth = bytes_of_big_key_min < static_cast<double>(f.biggest->bytes);
    return worth ? .97 * share * at_ceiling(f) * data_weight(f) : 0;
}

double noeviction_at_ceiling(const Figures& f) noexcept {
    if (f.sample().family != EvictionFamily::noeviction) {
        return 0;
    }
    return .95 * at_ceiling(f) * data_weight(f) * (relief_is_near(f) ? .6 : 1);
}

double eviction_too_slow(const Figures& f) noexcept {
    const EvictionFamily family = f.sample().family;
    const bool evicting = family == EvictionFamily::all_keys ||
                          (family == EvictionFamily::volatile_keys && f.sample().expires > 0);
    if (f.event() != nullptr || !evicting || f.room >= 0 ||
        f.sample().eviction_exceeded_ms < 1000) {
        return 0;
    }
    return f.in.facts.last_eviction_at || f.sample().evicted_keys > 0 ? .9 : .5;
}

double provider_limit(const Figures& f) noexcept {
    if (form_is(f, OomForm::provider)) {
        return .97;
    }
    if (f.event() == nullptr && ooms_rise(f)) {  // seen from outside: doctor
        // Whatever brought memory to the limit for a moment, a large write or a buffer, its peak
        // tells.
        const double weight = peaked_at_limit(f) ? .1 : 1;
        return f.limited ? weight * curve(
                                        f.room / f.ceiling,
                                        std::array<Step, 3>{{{.02, 0}, {.05, .6}, {.2, .75}}}
                                    )
                         : .8;
    }
    if (!f.reply || f.event()->form == OomForm::script_denied) {
        return 0;
    }
    if (!f.limited) {
        return f.sample().maxmemory == 0 ? .8 : .7;
    }
    // INFO shows room though it was asked for after the refusal, and nothing short-lived explains
    // it.
    const bool unexplained = f.fresh && f.peaked_over <= 0 && f.lazyfree_pending == 0 &&
                             f.share(f.fallen) < .01 && f.write_need < f.room_before;
    return unexplained
               ? curve(f.room / f.ceiling, std::array<Step, 3>{{{.02, 0}, {.05, .6}, {.2, .75}}})
               : 0;
}

double cluster_skew(const Figures& f) noexcept {
    if (!f.siblings_fullness) {
        return 0;
    }
    const double gap = f.fullness() - *f.siblings_fullness;
    return at_ceiling(f) * curve(gap, std::array<Step, 3>{{{.15, 0}, {.25, .9}, {.4, .96}}});
}

double write_burst(const Figures& f) noexcept {
    if (!f.limited) {
        return 0;
    }
    const double ten_seconds = f.event() == nullptr ? f.pace * 10 : std::max(f.pace * 10, f.risen);
    const double pace = curve(
        f.share(ten_seconds - f.write_held), std::array<Step, 3>{{{.03, 0}, {.05, .4}, {.3, .55}}}
    );
    if (f.event() == nullptr && f.seconds_left && *f.seconds_left < 120) {
        return .8;  // whatever is in use: at this pace it does not last
    }
    return f.event() != nullptr || f.fullness() > .5 ? pace : 0;
}

double unknown(const Figures& /*f*/) noexcept {
    return .1;
}

}  // namespace spillway::policy::score
