// Turns a storm of OOM replies and refusals into a few records and one story an incident.
#pragma once

#include "policy/incident.hpp"
#include "policy/memory_history.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace spillway::policy {

// Pure: events, samples and time go in, records come out. One thread at a time.
//
//   on_event ──► first of its origin: waits for a sample asked for after it, at most sample_wait
//            └─► later ones: counted; one a second and cause becomes a record
//   on_sample ─► history, curve; within revise_window the cause is looked at again
//   tick ──────► what is to be written now; closes after quiet_close without an event
//
// Refusals that observe mode would have made open and prolong nothing: they are counted in an
// incident that is open, and leave `refused` records like others.
class IncidentDesk {
  public:
    static constexpr std::size_t incidents_max = 64;
    static constexpr Nanos sample_wait = 300 * millisecond;
    static constexpr Nanos revise_window = 2 * second;
    static constexpr Nanos record_interval = 1 * second;
    static constexpr Nanos quiet_close = 10 * second;

    // `id_seed` starts the series of ids, which repeats only after 65,536 incidents.
    explicit IncidentDesk(KeyDisplay keys = {}, std::uint16_t id_seed = 0);

    // A change of `log.keys` acts on what comes after it.
    void set_keys(const KeyDisplay& keys) noexcept { keys_ = keys; }

    // Events may come a little out of order, and stand for many (count). `state` is the newest
    // known; `growth` the newest top rows, largest first.
    void on_event(
        const OomEvent& event,
        const MemoryState& state,
        std::span<const GrowthRow> growth,
        Moment now
    );

    // Each new sample, in incidents and out of them.
    void on_sample(const MemoryState& state, Moment now);

    // Until a sample comes that was asked for after this became true, the first record waits.
    [[nodiscard]] bool wants_sample() const noexcept;

    // To be called after the two above and whenever next_tick() has come.
    [[nodiscard]] std::vector<Record> tick(Moment now);

    // When tick() has something to do without a new event or sample; empty = never.
    [[nodiscard]] std::optional<Nanos> next_tick() const noexcept;

    // Newest first, the open one among them; immutable, so that another thread may hold them.
    [[nodiscard]] std::vector<std::shared_ptr<const Incident>> incidents();
    [[nodiscard]] std::shared_ptr<const Incident> find(std::string_view id);

    // What is known of the server, for a diagnosis outside incidents.
    [[nodiscard]] const MemoryHistory& history() const noexcept { return history_; }

  private:
    KeyDisplay keys_;
    MemoryHistory history_;
};

}  // namespace spillway::policy
