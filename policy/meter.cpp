// Turns each reading of INFO into the state of memory and the credit that it grants.
#include "policy/meter.hpp"

#include <algorithm>
#include <cmath>

namespace spillway::policy {
namespace {

// Below `steady_below` bytes gained per byte estimated a load overwrites; above `growing_above` it
// adds.
constexpr double steady_below = 0.05;
constexpr double growing_above = 0.10;
// Evidence fades with what comes after it; this many times the noise is remembered, so that what a
// load gains can stand out from it, and less while probes must decide quickly.
constexpr double evidence_noises = 16;
constexpr double evidence_bytes_min = 4.0 * 1024 * 1024;
constexpr double evidence_kept_by_probe = 0.85;
constexpr double evidence_kept_by_pause = 0.25;
// A gain is compared with the one expected when that is so many times the noise.
constexpr double expected_noises = 3;
constexpr double unexpected_share = 0.3;
// What used_memory may gain without any data: buffers of connections, first use of a command,
// tables.
constexpr std::int64_t noise_bytes_min = 64 * 1024;
constexpr std::int64_t noise_bytes_max = 4 * 1024 * 1024;
// A connection that has sent its first command.
constexpr std::int64_t connection_bytes = 40 * 1024;
constexpr std::int64_t connections_max = 1 << 24;  // more are not plausible
constexpr Nanos demand_pause = 100 * millisecond;
constexpr Nanos trend_step = 250 * millisecond;
constexpr Nanos trend_window = 3 * second;
constexpr Nanos idle_after = 5 * second;
constexpr double growth_noise_bytes_per_s = 4096;
// Unspent paced credit is kept for this long, so that a slow drip still adds up to a command.
constexpr Nanos carry_max = 250 * millisecond;
// What others will have added before the next sample is in hand.
constexpr double foreign_ahead_s = 0.1;
// For how long keys are seen to come before the tables that they will fill.
constexpr double keys_ahead_s = 0.25;
constexpr std::int64_t key_bytes_min = 100;  // that a new key is charged
// No server has so much memory: a field that says more is not what it seems.
constexpr std::int64_t plausible_bytes_max = std::int64_t{1} << 50;
// Refusing for longer than this needs fresh evidence.
constexpr Nanos refusing_long = 60 * second;
constexpr Nanos refusing_evidence = second;

double seconds(Nanos nanos) noexcept {
    return static_cast<double>(nanos) / static_cast<double>(second);
}

double noise_of(std::int64_t ceiling) noexcept {
    return static_cast<double>(std::clamp(ceiling / 256, noise_bytes_min, noise_bytes_max));
}

// What gains in the time of a window may be without any data.
double pace_noise_of(std::int64_t ceiling) noexcept {
    return static_cast<double>(
        std::clamp<std::int64_t>(ceiling / 1024, 48 * 1024, std::int64_t{1} << 20)
    );
}

// What estimates may be wrong by near the ceiling.
std::int64_t margin_of(std::int64_t ceiling) noexcept {
    return std::min<std::int64_t>(ceiling / 512 + 64 * 1024, ceiling / 64);
}

// A load that adds nothing needs no more than the buffers of a few commands.
std::int64_t steady_margin_of(std::int64_t ceiling) noexcept {
    return std::min<std::int64_t>(ceiling / 1024 + 64 * 1024, ceiling / 128);
}

bool is_plausible(const MemorySample& sample) noexcept {
    const auto fits = [](std::int64_t bytes) { return bytes <= plausible_bytes_max; };
    return fits(sample.used_memory) && fits(sample.maxmemory) &&
           fits(sample.not_counted_for_evict) && sample.not_counted_for_evict >= 0 &&
           (sample.total_system_memory <= 0 || sample.used_memory / 4 <= sample.total_system_memory
           );
}

}  // namespace

std::string_view Meter::blind_reason(const MemorySample& sample) const {
    if (!is_plausible(sample)) {
        return "what the server tells of its memory is not plausible";
    }
    if (sample.used_memory <= 0 || sample.counted() <= 0) {
        return "the server does not tell its memory use";
    }
    if (!settings_.ceiling_override_bytes && sample.maxmemory < 0) {
        return "the server does not tell maxmemory; set monitor.ceiling";
    }
    if (!settings_.ceiling_override_bytes && sample.maxmemory == 0) {
        return "the server has no maxmemory";
    }
    const std::int64_t ceiling = settings_.ceiling_override_bytes.value_or(sample.maxmemory);
    if (ceiling < sample.used_memory_startup) {
        return "maxmemory is less than an empty server uses, so no write has a chance";
    }
    if (sample.loading) {
        return "the server is loading its data";
    }
    if (!sample.primary) {
        return "the server is a replica, which ignores maxmemory";
    }
    return {};
}

void Meter::forget() {
    has_last_ = can_compare_ = false;
    growing_ = false;
    evidence_ = recent_ = carried_ = {};
    swing_bytes_ = 0;
    foreign_.forget();
    evictable_.forget();
    keys_per_s_ = 0;
    tables_.forget();
    probes_.forget();
    trend_count_ = trend_next_ = 0;
}

void Meter::change_server() {
    forget();
    last_ = {};
    last_run_id_.clear();
}

Meter::Reading Meter::on_sample(
    const MemorySample& sample,
    const TrafficCounters& at_ask,
    const TrafficCounters& now_counters,
    std::int64_t open_left,
    Nanos now
) {
    if (sample.run_id != last_run_id_) {
        forget();
    }
    last_run_id_ = sample.run_id;
    tables_.note(sample);
    MemoryState state;
    state.sample = sample;
    state.sampled = true;
    if (settings_.policy_override) {
        state.sample.policy = *settings_.policy_override;
        state.sample.family = eviction_family(*settings_.policy_override);
    }
    state.counted = std::max<std::int64_t>(sample.counted(), 0);
    state.ceiling =
        settings_.ceiling_override_bytes.value_or(std::max<std::int64_t>(sample.maxmemory, 0));
    std::string_view blind = blind_reason(sample);
    if (blind.empty() && now - sample.asked_at > settings_.stale_after) {
        blind = "the server took longer than stale_after to answer";
    }
    if (blind.empty()) {
        state.evictable = evictable_.take(state.sample, state.sample.family);
    }
    state.headroom = state.ceiling - state.counted + state.evictable;
    Evidence seen;
    if (blind.empty() && can_compare_ && sample.asked_at > last_.sample.asked_at) {
        const Interval interval = interval_until(state, at_ask, now_counters);
        follow_pace(state, interval);
        seen = learn(state, interval);
    }
    follow_trend(state);

    Grant grant;
    if (settings_.mode == Mode::off) {
        state.state = GuardState::off;
        state.reason = "guard.mode is off";
    } else if (!blind.empty()) {
        state.state = GuardState::blind;
        state.reason = blind;
    } else {
        observe_probes(state, seen, at_ask, now_counters, now);
        const Zones zones = zones_of(state, now_counters.charged - at_ask.answered, now);
        grant = grant_for(state, zones, open_left, now);
    }
    note_refusing(state.state, now);
    const bool traffic = at_ask.charged != last_at_ask_.charged;
    if (traffic || !has_last_ || state.state > GuardState::plenty) {
        idle_since_ = now;
    }
    granted_at_ = now;
    last_ = state;
    last_at_ask_ = at_ask;
    has_last_ = true;
    can_compare_ = blind.empty();
    return {state, grant, steady()};
}

void Meter::note_refusing(GuardState state, Nanos now) noexcept {
    const bool refuses =
        state == GuardState::ceiling || (state == GuardState::reserve && !steady());
    if (refuses && !refusing_) {
        refusing_since_ = now;
    }
    refusing_ = refuses;
}

bool Meter::is_too_old(Nanos now) const noexcept {
    const bool long_refusing = refusing_ && now - refusing_since_ > refusing_long;
    const Nanos bound =
        long_refusing ? std::min(settings_.stale_after, refusing_evidence) : settings_.stale_after;
    return now - last_.sample.asked_at > bound;
}

Meter::Reading Meter::without_sample(Nanos now, std::string_view why) {
    MemoryState state = last_;
    if (settings_.mode == Mode::off) {
        state.state = GuardState::off;
        state.reason = "guard.mode is off";
    } else if (!has_last_ || is_too_old(now)) {
        state.state = GuardState::blind;
        state.reason = why;
    } else {
        state.reason = last_.reason;
    }
    last_.state = state.state;
    note_refusing(state.state, now);
    return {state, Grant{}, steady()};
}

Interval Meter::interval_until(
    const MemoryState& state, const TrafficCounters& at_ask, const TrafficCounters& now_counters
) const {
    Interval interval;
    interval.estimated = std::max<std::int64_t>(at_ask.grown - last_at_ask_.grown, 0);
    interval.seconds = std::max(seconds(state.sample.asked_at - last_.sample.asked_at), 1e-3);
    interval.seen = state.counted - last_.counted;
    // Memory of connections is not growth of data. Valkey reports shared buffers here that are no
    // memory at all, so this may only take away from a gain, never turn it into a loss.
    const std::int64_t buffers = std::min(state.sample.clients_normal_bytes, plausible_bytes_max) -
                                 std::min(last_.sample.clients_normal_bytes, plausible_bytes_max);
    const std::int64_t newcomers = std::min(state.sample.connected_clients, connections_max) -
                                   std::min(last_.sample.connected_clients, connections_max);
    const std::int64_t connections = std::max(buffers, newcomers * connection_bytes);
    if (connections > 0 && interval.seen > 0) {
        interval.seen = std::max<std::int64_t>(0, interval.seen - connections);
    }
    if (state.sample.family == EvictionFamily::volatile_keys) {
        interval.seen -= state.evictable - last_.evictable;
    }
    // Commands under way are in the server's buffers, or have run and are not counted as estimated
    // yet: what they take is looked at when they are answered.
    interval.gained = interval.seen - ((at_ask.spent - at_ask.answered) -
                                       (last_at_ask_.spent - last_at_ask_.answered));
    interval.possible = std::max<std::int64_t>(now_counters.spent - last_at_ask_.answered, 0);
    return interval;
}

// While growth is paced, all that memory gains is held against the pace, whoever added it.
void Meter::follow_pace(const MemoryState& state, const Interval& interval) {
    const double noise = pace_noise_of(state.ceiling);
    foreign_.compare(interval, noise);
    if (last_.state != GuardState::paced || steady() || settings_.horizon <= 0) {
        foreign_.end_pace();
        return;
    }
    const double shed = settings_.shed_at * static_cast<double>(last_.ceiling);
    const double left = shed - static_cast<double>(last_.counted - last_.evictable);
    const double wanted = std::max(left, 0.0) / seconds(settings_.horizon) * interval.seconds;
    foreign_.pace(interval, wanted, noise, settings_.horizon);
}

Meter::Evidence Meter::learn(const MemoryState& state, const Interval& interval) {
    // What others were seen to add while we added nothing is theirs now, too.
    const double known = foreign_.known_bytes(interval, pace_noise_of(state.ceiling));
    foreign_.observe(interval, pace_noise_of(state.ceiling));
    const auto possible = static_cast<double>(interval.possible);
    const double noise = noise_of(state.ceiling);
    Evidence evidence;
    evidence.estimated = static_cast<double>(interval.estimated);
    evidence.gained = static_cast<double>(interval.gained) - known;
    evidence.seen = static_cast<double>(interval.seen) - known;
    if (interval.estimated <= 0) {
        // Nothing was answered. What ran meanwhile belongs to the estimates that are yet to come.
        if (interval.possible > quiet_bytes) {
            const double seen = std::clamp(evidence.seen, 0.0, possible);
            carried_.add({0, evidence.gained - evidence.seen + seen, seen});
        }
        return evidence;
    }
    const Evidence of_interval = evidence;
    evidence.add(carried_);
    carried_ = {};
    // No more can be ours than all of ours that may have run. What is beyond it is kept, so that
    // swings of memory cancel out over time; but not so much that one of them could speak against a
    // load that is too small to have caused it.
    const double most = 1.5 * std::max(possible, evidence.estimated);
    const double kept = pace_noise_of(state.ceiling) / 2;
    const double remembered = std::max(evidence_bytes_min, evidence_noises * noise);
    swing_bytes_ += evidence.gained;
    evidence.gained = std::clamp(swing_bytes_, -most, most);
    swing_bytes_ = std::clamp(swing_bytes_ - evidence.gained, -kept, kept);
    evidence.seen = std::clamp(evidence.seen, -0.5 * evidence.estimated - noise, most + noise);
    evidence_.fade(
        probing_ ? evidence_kept_by_probe : remembered / (remembered + evidence.estimated)
    );
    evidence_.add(evidence);
    doubt_old_evidence(evidence.estimated, evidence.seen + known, pace_noise_of(state.ceiling));
    judge_load(state.ceiling);
    return of_interval;
}

// Evidence fades with what comes after it, which takes long where little passes. So as soon as a
// load gained far less than was expected of it, what it did before is forgotten.
void Meter::doubt_old_evidence(double estimated, double seen, double noise) {
    recent_.add({estimated, seen, seen});
    const double expected = recent_.estimated * ratio();
    if (expected < expected_noises * noise) {
        return;
    }
    if (growing_ && recent_.seen < unexpected_share * expected) {
        evidence_ = recent_;
    }
    // A gain may be seen before the command is answered that caused it.
    const double early = std::max(recent_.seen - recent_.estimated, 0.0);
    recent_ = {0, early, early};
}

// To be accused takes a gain beyond what may come and go without any data; a load that was taken
// for steady and was not has used up part of that doubt in its favour. To be cleared takes next to
// no gain of so much that it would have shown.
void Meter::judge_load(std::int64_t ceiling) {
    const double noise = pace_noise_of(ceiling);
    const double doubt = std::max(std::min(allowance_bytes_, noise_of(ceiling)), noise);
    // The larger of the two, not their sum: of a load of which much is known, doubt would hide that
    // it adds a seventh.
    if (evidence_.gained >= std::max(growing_above * evidence_.estimated + noise, doubt)) {
        if (!growing_ && last_.state >= GuardState::reserve) {
            allowance_bytes_ /= 2;
        }
        growing_ = true;
    } else if (growing_above * evidence_.estimated >= noise / 2 &&
               std::max(evidence_.gained, evidence_.seen) <=
                   steady_below * evidence_.estimated + noise / 2) {
        growing_ = false;
    }
}

bool Meter::knows_load(std::int64_t ceiling) const noexcept {
    return evidence_.estimated >= 2 * noise_of(ceiling);
}

double Meter::ratio() const noexcept {
    return evidence_.estimated <= 0 ? 0.0
                                    : std::clamp(evidence_.gained / evidence_.estimated, 0.0, 1.5);
}

void Meter::follow_trend(MemoryState& state) {
    const Trend point{
        state.sample.asked_at, state.counted, state.sample.keys, state.sample.expires};
    const std::size_t newest = (trend_next_ + trend_size - 1) % trend_size;
    if (trend_count_ == 0 || point.at - trend_[newest].at >= trend_step) {
        trend_[trend_next_] = point;
        trend_next_ = (trend_next_ + 1) % trend_size;
        trend_count_ = std::min(trend_count_ + 1, trend_size);
    }
    Trend oldest = point;
    for (std::size_t i = 0; i < trend_count_; ++i) {
        const Trend& candidate = trend_[i];
        if (point.at - candidate.at <= trend_window && candidate.at < oldest.at) {
            oldest = candidate;
        }
    }
    state.learned_ratio = ratio();
    state.foreign_growth_bytes_per_s = foreign_.bytes_per_s();
    const double elapsed = seconds(point.at - oldest.at);
    if (elapsed <= 0.05) {
        return;
    }
    keys_per_s_ = static_cast<double>(point.keys - oldest.keys) / elapsed;
    state.growth_bytes_per_s = static_cast<double>(point.counted - oldest.counted) / elapsed;
    const double expiring = static_cast<double>(oldest.expires - point.expires) / elapsed;
    const bool full = state.ceiling > 0 && state.counted >= state.ceiling - state.ceiling / 50;
    if (state.sample.family == EvictionFamily::volatile_keys && full && expiring > 0) {
        state.time_to_ceiling_s = static_cast<double>(point.expires) / expiring;
    } else if (state.ceiling > 0 && state.growth_bytes_per_s > growth_noise_bytes_per_s) {
        const auto headroom = static_cast<double>(std::max<std::int64_t>(state.headroom, 0));
        state.time_to_ceiling_s = headroom / state.growth_bytes_per_s;
    }
}

Meter::Zones Meter::zones_of(const MemoryState& state, std::int64_t unaccounted, Nanos now) const {
    const auto ceiling = static_cast<double>(state.ceiling);
    Zones zones;
    zones.shed = static_cast<std::int64_t>(settings_.shed_at * ceiling);
    zones.throttle = static_cast<std::int64_t>(settings_.throttle_at * ceiling);
    zones.settled = state.counted - state.evictable;
    zones.margin = steady() ? steady_margin_of(state.ceiling) : margin_of(state.ceiling);
    zones.forecast =
        zones.settled + unaccounted +
        static_cast<std::int64_t>(
            foreign_.bytes_per_s() * std::min(seconds(now - granted_at_), foreign_ahead_s)
        );
    // A load that adds no keys fills no table, whatever its commands are estimated at.
    // Servers that lie do so in keys, too: no table is larger than this.
    const auto keys_seen =
        static_cast<std::int64_t>(std::clamp(keys_per_s_ * keys_ahead_s, 0.0, 1e12));
    const bool adds_none = knows_load(state.ceiling) && ratio() <= steady_below;
    const std::int64_t keys_charged = adds_none ? 0 : unaccounted / key_bytes_min;
    zones.jumps = tables_.jumps_to_come(
        state.sample, keys_seen + keys_charged, state.ceiling - zones.settled
    );
    return zones;
}

// Growth goes on slowly towards a jump that would take all that is left: it may be put off, and to
// wait for it here would be to wait for ever.
std::int64_t Meter::before_jumps(std::int64_t bytes, const Zones& zones) noexcept {
    return std::max<std::int64_t>(std::max(bytes - zones.jumps, bytes / 16), 0);
}

Grant Meter::grant_for(MemoryState& state, const Zones& zones, std::int64_t open_left, Nanos now) {
    Grant grant;
    grant.room = state.ceiling - zones.forecast - zones.jumps;
    grant.reserve = zones.margin;
    const std::int64_t to_ceiling = state.ceiling - zones.forecast;
    const std::int64_t usable = before_jumps(to_ceiling - zones.margin, zones);
    const std::int64_t reserve = state.ceiling - zones.shed;
    probing_ = offers_probes_ = false;
    if (zones.forecast + zones.jumps < zones.throttle) {
        state.state = GuardState::plenty;
        state.reason = "memory is far from the ceiling";
        grant.reserve = reserve;
        grant.open = our_share_of(zones.throttle - zones.forecast - zones.jumps);
    } else if (zones.settled >= state.ceiling - zones.margin) {
        state.state = GuardState::ceiling;
        state.reason = "memory is at the ceiling";
        const std::int64_t left = to_ceiling - steady_margin_of(state.ceiling);
        grant.open = std::min(std::max<std::int64_t>(left / 4, 0), probes_.grant(open_left, now));
        grant.reserve = std::max<std::int64_t>(grant.room - grant.open, 0);
        probing_ = offers_probes_ = true;
    } else if (steady()) {
        state.state = zones.forecast < zones.shed ? GuardState::paced : GuardState::reserve;
        state.reason = "near the ceiling, but writes do not add";
        // Of a load that is not known yet, others may bring as much at the same time.
        grant.open = knows_load(state.ceiling) ? usable / 2 : usable / 8;
    } else if (zones.settled < zones.shed) {
        state.state = GuardState::paced;
        state.reason = "near the ceiling: growth is paced";
        // Where the pace is slow, so is what it teaches.
        grant.open = std::max(
            paced_bytes(zones, open_left, now), std::min(usable, probes_.grant(open_left, now))
        );
        probing_ = zones.settled >= zones.shed - reserve / 4;
        offers_probes_ = true;
        // Those who have waited for hold_max pass; others have such clients, too.
        grant.reserve = grant.room - our_share_of(before_jumps(zones.shed - zones.forecast, zones));
    } else {
        state.state = GuardState::reserve;
        state.reason = "memory is within the reserve";
        grant.open = std::min(usable, probes_.grant(open_left, now));
        grant.reserve = std::max<std::int64_t>(grant.room - grant.open, 0);
        probing_ = offers_probes_ = true;
    }
    return grant;
}

std::int64_t Meter::our_share_of(std::int64_t bytes) const noexcept {
    return static_cast<std::int64_t>(foreign_.share() * static_cast<double>(bytes));
}

// Our share of the rate that keeps the ceiling `horizon` away, in bytes of estimate.
std::int64_t Meter::paced_bytes(const Zones& zones, std::int64_t open_left, Nanos now) const {
    const auto left = static_cast<double>(before_jumps(zones.shed - zones.forecast, zones));
    if (settings_.horizon <= 0) {
        return static_cast<std::int64_t>(left);
    }
    const double rate = foreign_.pace_factor() * left / seconds(settings_.horizon) /
                        std::max(ratio(), steady_below);
    const double elapsed = std::min(seconds(now - granted_at_), 1.0);
    const double carried =
        std::clamp(static_cast<double>(open_left), 0.0, rate * seconds(carry_max));
    return static_cast<std::int64_t>(std::min(left, rate * elapsed + carried));
}

void Meter::observe_probes(
    const MemoryState& state,
    const Evidence& seen,
    const TrafficCounters& at_ask,
    const TrafficCounters& now_counters,
    Nanos now
) {
    const double ceiling = static_cast<double>(state.ceiling);
    const double shed = settings_.shed_at * ceiling;
    const double settled = static_cast<double>(state.counted - state.evictable);
    if (settled < shed - (ceiling - shed) / 4) {
        allowance_bytes_ = noise_of(state.ceiling);
    }
    const bool adds_nothing = probes_.observe({
        .ceiling = state.ceiling,
        .settled = state.counted - state.evictable,
        .shed = static_cast<std::int64_t>(shed),
        .noise = pace_noise_of(state.ceiling),
        .share = foreign_.share(),
        .seen = seen.seen,
        .under_way = static_cast<double>(now_counters.spent - at_ask.answered),
        .estimated = seen.estimated,
        .probing = offers_probes_,
        .steady = steady(),
        .refused = now_counters.refused,
        .pause = demand_pause + 2 * settings_.hold_max,
        .now = now,
    });
    if (probes_.take_newcomers()) {
        evidence_.fade(evidence_kept_by_pause);
    }
    if (offers_probes_ && growing_ && adds_nothing) {
        growing_ = false;
        evidence_ = {probes_.tried(), 0, 0};
        recent_ = {};
    }
}

void Meter::on_backend_oom(Nanos now) noexcept {
    evictable_.disprove(now);
}

Nanos Meter::next_interval(Nanos configured) const noexcept {
    const bool pressing = last_.state >= GuardState::paced;
    Nanos interval = configured;
    if (pressing) {
        interval = std::max(configured / 10, std::min(configured, 10 * millisecond));
    } else if ((has_last_ && last_.ceiling == 0) || granted_at_ - idle_since_ > idle_after) {
        interval = std::max(configured, std::min(10 * configured, second));
    }
    // A sample must not grow stale only because the next one is not due.
    return std::min(interval, settings_.stale_after / 2);
}

}  // namespace spillway::policy
