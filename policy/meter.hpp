// Turns each reading of INFO into the state of memory and the credit that it grants. Control side;
// pure.
#pragma once

#include "policy/credit.hpp"
#include "policy/evictable.hpp"
#include "policy/foreign_growth.hpp"
#include "policy/memory_state.hpp"
#include "policy/modes.hpp"
#include "policy/probes.hpp"
#include "policy/table_growth.hpp"

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
    // Another server stands behind the proxy now: what is known is known of the former one.
    void change_server();

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

    // A backend OOM reply disproves what was thought evictable, for a while.
    void on_backend_oom(Nanos now) noexcept;

    // How soon the next sample should be asked for, given the configured interval.
    [[nodiscard]] Nanos next_interval(Nanos configured) const noexcept;

  private:
    struct Trend {
        Nanos at = 0;
        std::int64_t counted = 0;
        std::int64_t keys = 0;
        std::int64_t expires = 0;
    };
    struct Evidence {
        double estimated = 0;
        double gained = 0;
        double seen = 0;  // gained, without regard to what was under way

        void add(const Evidence& more) noexcept {
            estimated += more.estimated;
            gained += more.gained;
            seen += more.seen;
        }
        void fade(double kept) noexcept {
            estimated *= kept;
            gained *= kept;
            seen *= kept;
        }
    };
    // Where memory stands, in bytes.
    struct Zones {
        std::int64_t throttle = 0;
        std::int64_t shed = 0;
        std::int64_t settled = 0;   // counted - evictable
        std::int64_t forecast = 0;  // with what is under way
        std::int64_t jumps = 0;     // of the tables, that are about to come
        std::int64_t margin = 0;    // kept free below the ceiling
    };

    [[nodiscard]] std::string_view blind_reason(const MemorySample& sample) const;
    [[nodiscard]] bool is_too_old(Nanos now) const noexcept;
    void note_refusing(GuardState state, Nanos now) noexcept;
    [[nodiscard]] bool steady() const noexcept { return !growing_; }
    [[nodiscard]] double ratio() const noexcept;
    void forget();
    [[nodiscard]] Interval interval_until(
        const MemoryState& state, const TrafficCounters& at_ask, const TrafficCounters& now_counters
    ) const;
    // Answers what was seen in the interval, less what others are known for.
    Evidence learn(const MemoryState& state, const Interval& interval);
    void doubt_old_evidence(double estimated, double seen, double noise);
    void judge_load(std::int64_t ceiling);
    void follow_pace(const MemoryState& state, const Interval& interval);
    void follow_trend(MemoryState& state);
    [[nodiscard]] Zones zones_of(const MemoryState& state, std::int64_t unaccounted, Nanos now)
        const;
    [[nodiscard]] static std::int64_t before_jumps(std::int64_t bytes, const Zones& zones) noexcept;
    [[nodiscard]] Grant grant_for(
        MemoryState& state, const Zones& zones, std::int64_t open_left, Nanos now
    );
    [[nodiscard]] std::int64_t paced_bytes(const Zones& zones, std::int64_t open_left, Nanos now)
        const;
    [[nodiscard]] std::int64_t our_share_of(std::int64_t bytes) const noexcept;
    [[nodiscard]] bool knows_load(std::int64_t ceiling) const noexcept;
    void observe_probes(
        const MemoryState& state,
        const Evidence& seen,
        const TrafficCounters& at_ask,
        const TrafficCounters& now_counters,
        Nanos now
    );

    GuardSettings settings_;
    MemoryState last_;
    std::string last_run_id_;
    TrafficCounters last_at_ask_;
    bool has_last_ = false;
    bool can_compare_ = false;  // the last sample was one to compare the next with

    // What was learned of the load: estimates and gains, older evidence fading. Gains carry the
    // noise of used_memory, so little evidence decides nothing: `allowance_` bytes of gain are not
    // held against a load.
    Evidence evidence_;
    Evidence recent_;         // since a gain was last compared with what was expected
    Evidence carried_;        // of intervals in which nothing was answered
    double swing_bytes_ = 0;  // gained or lost beyond what can have been ours
    double allowance_bytes_ = 1 << 20;
    bool growing_ = false;  // with hysteresis; a load of which nothing is known counts as steady
    ForeignGrowth foreign_;
    TableGrowth tables_;
    EvictableEstimate evictable_;
    double keys_per_s_ = 0;
    Nanos granted_at_ = 0;
    Probes probes_;
    bool offers_probes_ = false;
    bool probing_ = false;  // what passes are probes and next to nothing else
    bool refusing_ = false;
    Nanos refusing_since_ = 0;
    Nanos idle_since_ = 0;

    static constexpr std::size_t trend_size = 32;
    std::array<Trend, trend_size> trend_{};
    std::size_t trend_next_ = 0;
    std::size_t trend_count_ = 0;
};

}  // namespace spillway::policy
