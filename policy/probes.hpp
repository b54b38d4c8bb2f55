// The little that is let through while growth is refused, so that a load that has changed is found
// out.
//
//   probe 4 KB ── memory did not rise ──► 8 KB ── did not rise ──► 16 KB ── … ──► adds nothing
//        ▲                  └─ rose: half of what noise may be was lost, and the round is over
//        └── another round, as far as the budget goes
//
// What a round costs is bounded by what memory may gain, not by what is let through: a load that
// adds nothing is soon let through whole, whatever it was taken for before.
#pragma once

#include "policy/demand.hpp"
#include "policy/memory_sample.hpp"

#include <cstdint>

namespace spillway::policy {

class Probes {
  public:
    // What a sample says, in bytes.
    struct Sighting {
        std::int64_t ceiling = 0;
        std::int64_t settled = 0;  // counted - evictable
        std::int64_t shed = 0;     // from here on growth is refused
        double noise = 0;          // what may come and go without any data
        double share = 1;          // of the growth that may be ours
        double seen = 0;           // gained since the last sample, less what others are known for
        double under_way = 0;      // estimates of what may have run and was not answered then
        double estimated = 0;      // lasting growth of what was answered since then
        bool probing = false;      // grant() was asked for what was let through
        bool steady = true;        // the load is not taken for one that adds
        std::int64_t refused = 0;  // commands, since the start
        Nanos pause = 0;           // in which nobody came, after which others may have come
        Nanos now = 0;
    };
    // Every sample, before what it grants. True when the round has shown that the load adds
    // nothing.
    [[nodiscard]] bool observe(const Sighting& sighting) noexcept;
    // What may be let through until the next sample, of a load that is refused. `open_left` is what
    // was not used of what was granted last.
    [[nodiscard]] std::int64_t grant(std::int64_t open_left, Nanos now) noexcept;
    // What the round that has just shown a load to add nothing let through.
    [[nodiscard]] double tried() const noexcept { return tried_; }
    // Others may have come: what is known of the load counts for less. Once for each sign.
    [[nodiscard]] bool take_newcomers() noexcept;
    // Another server.
    void forget() noexcept { begin_round(); }

  private:
    [[nodiscard]] Demand::Sign look_for_newcomers(const Sighting& sighting) noexcept;
    void refill(const Sighting& sighting) noexcept;
    void end_round_of_others() noexcept;
    void begin_round() noexcept;
    void begin_look(Nanos now) noexcept;

    static constexpr Nanos trickle_interval_min = second;

    // This round.
    double rise_ = 0;       // what memory gained in it
    double tried_ = 0;      // bytes of estimate that were answered
    double not_of_it_ = 0;  // bytes that were under way when it began, and are still to be answered
    double under_way_ = 0;
    std::int64_t size_ = 0;
    std::int64_t size_min_ = 0;
    std::int64_t size_max_ = 0;
    double tried_before_ = 0;  // the present look
    double low_ = 0;           // the least rise in it …
    double low_before_ = 0;    // … and in the look before
    int samples_ = 0;
    Nanos looked_at_ = 0;
    bool due_ = false;       // a look has ended
    Nanos rests_until_ = 0;  // after a round that was over
    bool wanted_ = false;    // somebody was refused, or used the probe, since it was granted

    // Bytes that rounds may still cost: the reserve must not be eaten in steps.
    double budget_ = 0;
    Nanos refilled_at_ = 0;
    Nanos trickle_interval_ = trickle_interval_min;
    int halvings_ = 0;
    int returns_ = 0;
    Nanos halved_at_ = 0;
    Demand demand_;
    std::int64_t refused_ = 0;
    Nanos active_at_ = 0;  // when anything was answered or refused
    bool newcomers_ = false;
};

}  // namespace spillway::policy
