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
// Keys with a TTL may be smaller than the average key: only this share of their estimate is relied
// upon.
constexpr double volatile_safety = 0.5;
constexpr double all_keys_share = 0.95;
// Evidence fades with what comes after it; this much is remembered, less of it while probes must
// decide quickly.
constexpr double evidence_bytes_max = 4.0 * 1024 * 1024;
constexpr double evidence_kept_by_probe = 0.7;
constexpr double evidence_kept_by_pause = 0.25;
// What used_memory may gain without any data: buffers of connections, first use of a command,
// tables.
constexpr std::int64_t noise_bytes_min = 64 * 1024;
constexpr std::int64_t noise_bytes_max = 4 * 1024 * 1024;
// A connection that has sent its first command.
constexpr std::int64_t connection_bytes = 40 * 1024;
constexpr std::int64_t probe_bytes_min = 16 * 1024;
constexpr std::int64_t probe_bytes_max = 256 * 1024;
constexpr Nanos probe_interval = 100 * millisecond;
// Nobody was refused for this long: those who come then may be others.
constexpr Nanos demand_pause = 250 * millisecond;
constexpr Nanos trickle_interval = 10 * second;
constexpr Nanos trend_step = 250 * millisecond;
constexpr Nanos trend_window = 3 * second;
constexpr Nanos idle_after = 5 * second;
constexpr double growth_noise_bytes_per_s = 4096;
// Unspent paced credit is kept for this long, so that a slow drip still adds up to a command.
constexpr Nanos carry_max = 250 * millisecond;

double seconds(Nanos nanos) noexcept {
    return static_cast<double>(nanos) / static_cast<double>(second);
}

double noise_of(std::int64_t ceiling) noexcept {
    return static_cast<double>(std::clamp(ceiling / 256, noise_bytes_min, noise_bytes_max));
}

// What estimates may be wrong by near the ceiling.
std::int64_t margin_of(std::int64_t ceiling) noexcept {
    return std::min<std::int64_t>(ceiling / 512 + 64 * 1024, ceiling / 64);
}

}  // namespace

std::string_view Meter::blind_reason(const MemorySample& sample) const {
    if (sample.used_memory <= 0 || sample.counted() <= 0) {
        return "the server does not tell its memory use";
    }
    if (!settings_.ceiling_override_bytes && sample.maxmemory < 0) {
        return "the server does not tell maxmemory; set monitor.ceiling";
    }
    if (!settings_.ceiling_override_bytes && sample.maxmemory == 0) {
        return "the server has no maxmemory";
    }
    if (sample.loading) {
        return "the server is loading its data";
    }
    if (!sample.primary) {
        return "the server is a replica, which ignores maxmemory";
    }
    return {};
}

std::int64_t Meter::evictable_bytes(const MemorySample& sample, EvictionFamily family) {
    if (sample.evicted_keys > last_.sample.evicted_keys) {
        evictable_disproved_ = false;
    }
    if (evictable_disproved_ || family == EvictionFamily::noeviction || sample.keys <= 0) {
        return 0;
    }
    std::int64_t dataset = sample.used_memory_dataset;
    if (dataset < 0) {
        dataset = sample.used_memory - std::max<std::int64_t>(sample.used_memory_overhead, 0);
    }
    const auto bytes = static_cast<double>(std::clamp<std::int64_t>(dataset, 0, sample.counted()));
    if (family == EvictionFamily::volatile_keys) {
        const double share =
            std::min(1.0, static_cast<double>(sample.expires) / static_cast<double>(sample.keys));
        return static_cast<std::int64_t>(bytes * share * volatile_safety);
    }
    return static_cast<std::int64_t>(bytes * all_keys_share);
}

void Meter::forget() {
    has_last_ = false;
    growing_ = false;
    sum_estimated_ = sum_gained_ = 0;
    foreign_bytes_per_s_ = 0;
    evictable_disproved_ = false;
    trend_count_ = trend_next_ = 0;
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
    const std::string_view blind = blind_reason(sample);
    if (blind.empty()) {
        state.evictable = evictable_bytes(sample, state.sample.family);
    }
    state.headroom = state.ceiling - state.counted + state.evictable;
    if (has_last_ && sample.asked_at > last_.sample.asked_at) {
        learn(state, at_ask);
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
        refill_probes(state, now_counters.refused, now);
        grant = grant_for(state, now_counters.charged - at_ask.answered, open_left, now);
    }
    const bool traffic = at_ask.charged != last_at_ask_.charged;
    if (traffic || !has_last_ || state.state > GuardState::plenty) {
        idle_since_ = now;
    }
    granted_at_ = now;
    last_ = state;
    last_at_ask_ = at_ask;
    has_last_ = true;
    return {state, grant, steady()};
}

Meter::Reading Meter::without_sample(Nanos now, std::string_view why) {
    MemoryState state = last_;
    if (settings_.mode == Mode::off) {
        state.state = GuardState::off;
        state.reason = "guard.mode is off";
    } else if (!has_last_ || now - last_.sample.asked_at > settings_.stale_after) {
        state.state = GuardState::blind;
        state.reason = why;
    } else {
        state.reason = last_.reason;
    }
    last_.state = state.state;
    return {state, Grant{}, steady()};
}

void Meter::learn(const MemoryState& state, const TrafficCounters& at_ask) {
    const std::int64_t estimated = at_ask.grown - last_at_ask_.grown;
    std::int64_t gained = state.counted - last_.counted;
    // Memory of connections is not growth of data. Valkey reports shared buffers here that are no
    // memory at all, so this may only take away from a gain, never turn it into a loss.
    const std::int64_t buffers =
        state.sample.clients_normal_bytes - last_.sample.clients_normal_bytes;
    const std::int64_t newcomers = state.sample.connected_clients - last_.sample.connected_clients;
    const std::int64_t connections = std::max(buffers, newcomers * connection_bytes);
    if (connections > 0 && gained > 0) {
        gained = std::max<std::int64_t>(0, gained - connections);
    }
    // Commands under way are in the server's buffers, or have run and are not counted as estimated
    // yet: what they take is looked at when they are answered.
    gained -= (at_ask.spent - at_ask.answered) - (last_at_ask_.spent - last_at_ask_.answered);
    if (state.sample.family == EvictionFamily::volatile_keys) {
        gained -= state.evictable - last_.evictable;
    }

    const double elapsed = std::max(seconds(state.sample.asked_at - last_.sample.asked_at), 1e-3);
    const double foreign =
        std::max(0.0, static_cast<double>(gained - std::max<std::int64_t>(estimated, 0)) / elapsed);
    foreign_bytes_per_s_ += std::min(1.0, elapsed / 0.5) * (foreign - foreign_bytes_per_s_);

    if (estimated <= 0) {
        return;
    }
    const auto evidence = static_cast<double>(estimated);
    const double noise = noise_of(state.ceiling);
    const double kept =
        probing_ ? evidence_kept_by_probe : evidence_bytes_max / (evidence_bytes_max + evidence);
    sum_estimated_ = sum_estimated_ * kept + evidence;
    sum_gained_ =
        sum_gained_ * kept +
        std::clamp(static_cast<double>(gained), -0.5 * evidence - noise, 1.5 * evidence + noise);
    judge_load(state.ceiling);
}

// A load that was taken for steady and was not has used up part of the doubt in its favour.
void Meter::judge_load(std::int64_t ceiling) {
    const double doubt = std::min(allowance_bytes_, noise_of(ceiling));
    if (sum_gained_ >= growing_above * sum_estimated_ + doubt) {
        if (!growing_ && last_.state >= GuardState::reserve) {
            allowance_bytes_ /= 2;
        }
        growing_ = true;
    } else if (sum_gained_ <= steady_below * sum_estimated_ + doubt) {
        growing_ = false;
    }
}

double Meter::ratio() const noexcept {
    return sum_estimated_ <= 0 ? 0.0 : std::clamp(sum_gained_ / sum_estimated_, 0.0, 1.5);
}

void Meter::follow_trend(MemoryState& state) {
    const Trend point{state.sample.asked_at, state.counted, state.sample.expires};
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
    state.foreign_growth_bytes_per_s = foreign_bytes_per_s_;
    const double elapsed = seconds(point.at - oldest.at);
    if (elapsed <= 0.05) {
        return;
    }
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

Grant Meter::grant_for(
    MemoryState& state, std::int64_t unaccounted, std::int64_t open_left, Nanos now
) {
    const auto ceiling = static_cast<double>(state.ceiling);
    const auto shed = static_cast<std::int64_t>(settings_.shed_at * ceiling);
    const auto throttle = static_cast<std::int64_t>(settings_.throttle_at * ceiling);
    const std::int64_t settled = state.counted - state.evictable;
    // What others will add until the next sample, damped so that equal proxies settle.
    const auto foreign = static_cast<std::int64_t>(
        foreign_bytes_per_s_ * 0.5 * std::min(seconds(now - granted_at_), 0.1)
    );
    const std::int64_t forecast = settled + unaccounted + foreign;
    const std::int64_t margin = margin_of(state.ceiling);

    Grant grant;
    grant.room = state.ceiling - forecast;
    grant.reserve = margin;
    const std::int64_t usable = std::max<std::int64_t>(grant.room - margin, 0);
    probing_ = false;
    if (forecast < throttle) {
        state.state = GuardState::plenty;
        state.reason = "memory is far from the ceiling";
        grant.reserve = state.ceiling - shed;
        grant.open = throttle - forecast;
    } else if (settled >= state.ceiling - margin) {
        state.state = GuardState::ceiling;
        state.reason = "memory is at the ceiling";
        grant.open = std::min(usable, probe_bytes(state.ceiling - shed, now));
        grant.reserve = std::max<std::int64_t>(grant.room - grant.open, 0);
        probing_ = true;
    } else if (steady()) {
        state.state = forecast < shed ? GuardState::paced : GuardState::reserve;
        state.reason = "near the ceiling, but writes do not add";
        grant.open = std::max(shed - forecast, usable / 2);
    } else if (settled < shed) {
        state.state = GuardState::paced;
        state.reason = "memory grows towards the ceiling";
        grant.reserve = state.ceiling - shed;
        grant.open =
            paced_bytes(static_cast<double>(forecast), static_cast<double>(shed), open_left, now);
    } else {
        state.state = GuardState::reserve;
        state.reason = "memory grows within the reserve";
        grant.open = std::min(usable, probe_bytes(state.ceiling - shed, now));
        grant.reserve = std::max<std::int64_t>(grant.room - grant.open, 0);
        probing_ = true;
    }
    return grant;
}

// The rate that keeps the ceiling `horizon` away, in bytes of estimate.
std::int64_t Meter::paced_bytes(double forecast, double shed, std::int64_t open_left, Nanos now)
    const {
    const double left = std::max(shed - forecast, 0.0);
    if (settings_.horizon <= 0) {
        return static_cast<std::int64_t>(left);
    }
    const double rate = left / seconds(settings_.horizon) / std::max(ratio(), steady_below);
    const double elapsed = std::min(seconds(now - granted_at_), 1.0);
    const double carried =
        std::clamp(static_cast<double>(open_left), 0.0, rate * seconds(carry_max));
    return static_cast<std::int64_t>(std::min(left, rate * elapsed + carried));
}

// While all are refused nothing would be learned: a little is let through now and then.
std::int64_t Meter::probe_bytes(std::int64_t reserve, Nanos now) {
    const std::int64_t bytes = std::clamp(reserve / 32, probe_bytes_min, probe_bytes_max);
    const double gain = static_cast<double>(bytes) * ratio();
    if (gain > probe_gain_left_ || now - probed_at_ < probe_interval) {
        return 0;
    }
    probed_at_ = now;
    probe_gain_left_ -= gain;
    return bytes;
}

// What probes may gain: a quarter of the reserve when memory has been below it, an eighth of what
// is left when those who were refused have gone and others may have come, and a trickle for loads
// that change while they are refused.
void Meter::refill_probes(const MemoryState& state, std::int64_t refused, Nanos now) {
    const double ceiling = static_cast<double>(state.ceiling);
    const double reserve = ceiling * (1.0 - settings_.shed_at);
    const double settled = static_cast<double>(state.counted - state.evictable);
    const double left =
        std::max(0.0, ceiling - static_cast<double>(margin_of(state.ceiling)) - settled);
    const bool newly_refused = refused != refused_seen_;
    if (settled < ceiling * settings_.shed_at) {
        probe_gain_left_ = reserve / 4;
        probe_refilled_at_ = now;
        allowance_bytes_ = noise_of(state.ceiling);
    } else if (newly_refused && now - refused_at_ > demand_pause) {
        probe_gain_left_ = std::max(probe_gain_left_, left / 8);
        sum_estimated_ *= evidence_kept_by_pause;
        sum_gained_ *= evidence_kept_by_pause;
    } else if (now - probe_refilled_at_ > trickle_interval) {
        probe_gain_left_ += std::min(reserve, left) / 64;
        probe_refilled_at_ = now;
    }
    if (newly_refused) {
        refused_at_ = now;
    }
    refused_seen_ = refused;
}

void Meter::on_backend_oom(Nanos) noexcept {
    evictable_disproved_ = true;
}

Nanos Meter::next_interval(Nanos configured) const noexcept {
    const bool pressing = last_.state >= GuardState::paced;
    if (pressing) {
        return std::max(configured / 10, std::min(configured, 10 * millisecond));
    }
    if (granted_at_ - idle_since_ > idle_after) {
        return std::max(configured, std::min(10 * configured, second));
    }
    return configured;
}

}  // namespace spillway::policy
