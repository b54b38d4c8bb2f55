// Turns each reading of INFO into the state of memory and the credit that it grants. Control side;
// pure.
#pragma once

#include "policy/credit.hpp"
#include "policy/memory_state.hpp"
#include "policy/modes.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace spillway::policy {

struct GuardSettings {
    Mode mode = Mode::protect;
    double throttle_at = 0.85;  // shares of the ceiling
    double shed_at = 0.97;
    Nanos horizon = 10 * second;  // 0 = do not pace
    Nanos hold_max = 250 * millisecond;
    Nanos stale_after = 3 * second;
    std::int64_t write_max_bytes = 0;  // 0 = by head-room only
    double evict_max = 0.5;
    std::optional<std::int64_t> ceiling_override_bytes;
    std::optional<std::string> policy_override;
};

class Meter {
  public:
    explicit Meter(GuardSettings settings) : settings_(std::move(settings)) {}
    void change(GuardSettings settings) { settings_ = std::move(settings); }

    struct Reading {
        MemoryState state;
        Grant grant;
        bool steady = true;  // admitted commands have gained (almost) nothing lately
    };
    // `at_ask` are the counters when INFO was sent, `now_counters` those of the moment, with the
    // pool frozen; `open_left` is what was left of the last grant's open credit.
    [[nodiscard]] Reading on_sample(
        const MemorySample& sample,
        const TrafficCounters& at_ask,
        const TrafficCounters& now_counters,
        std::int64_t open_left,
        Nanos now
    );
    // Called when no sample came: blind once the newest is older than stale_after, or if there
    // never was one.
    [[nodiscard]] Reading without_sample(Nanos now, std::string_view why);

    // A backend OOM reply disproves what was thought evictable, until evictions are seen again.
    void on_backend_oom(Nanos now) noexcept;

    // How soon the next sample should be asked for, given the configured interval.
    [[nodiscard]] Nanos next_interval(Nanos configured) const noexcept;

  private:
    struct Trend {
        Nanos at = 0;
        std::int64_t counted = 0;
        std::int64_t expires = 0;
    };

    [[nodiscard]] std::string_view blind_reason(const MemorySample& sample) const;
    [[nodiscard]] std::int64_t evictable_bytes(const MemorySample& sample, EvictionFamily family);
    [[nodiscard]] bool steady() const noexcept { return !growing_; }
    [[nodiscard]] double ratio() const noexcept;
    void forget();
    void judge_load(std::int64_t ceiling);
    void learn(const MemoryState& state, const TrafficCounters& at_ask);
    void follow_trend(MemoryState& state);
    [[nodiscard]] Grant grant_for(
        MemoryState& state, std::int64_t unaccounted, std::int64_t open_left, Nanos now
    );
    [[nodiscard]] std::int64_t paced_bytes(
        double forecast, double shed, std::int64_t open_left, Nanos now
    ) const;
    [[nodiscard]] std::int64_t probe_bytes(std::int64_t reserve, Nanos now);
    void refill_probes(const MemoryState& state, std::int64_t refused, Nanos now);

    GuardSettings settings_;
    MemoryState last_;
    std::string last_run_id_;
    TrafficCounters last_at_ask_;
    bool has_last_ = false;

    // What was learned of the load: estimates and gains, older evidence fading. Gains carry the
    // noise of used_memory, so little evidence decides nothing: `allowance_` bytes of gain are not
    // held against a load.
    double sum_estimated_ = 0;
    double sum_gained_ = 0;
    double allowance_bytes_ = 1 << 20;
    bool growing_ = false;  // with hysteresis; a load of which nothing is known counts as steady
    double foreign_bytes_per_s_ = 0;
    Nanos granted_at_ = 0;
    Nanos probed_at_ = 0;
    double probe_gain_left_ =
        0;  // bytes that probes may still gain: the reserve must not be eaten in steps
    Nanos probe_refilled_at_ = 0;
    Nanos refused_at_ = 0;  // when a command was last refused
    std::int64_t refused_seen_ = 0;
    bool probing_ = false;
    bool evictable_disproved_ = false;
    Nanos idle_since_ = 0;

    static constexpr std::size_t trend_size = 32;
    std::array<Trend, trend_size> trend_{};
    std::size_t trend_next_ = 0;
    std::size_t trend_count_ = 0;
};

}  // namespace spillway::policy
