// Turns a storm of OOM replies and refusals into a few records and one story an incident.
#pragma once

#include "policy/incident.hpp"
#include "policy/incident_tables.hpp"
#include "policy/memory_history.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
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
    static constexpr Nanos keys_last = 300 * second;  // a sample of keys says enough for so long
    static constexpr Nanos recent = 3 * second;
    static constexpr Nanos clients_last = 15 * second;  // buffers come and go
    static constexpr std::size_t records_max =
        256;  // between two ticks; what is beyond is only counted

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

    // Keys are being sampled: a first record waits for them until then, as long as it waits for
    // memory.
    void expect_keys(Nanos until) noexcept { keys_expected_until_ = until; }

    // What a sample of the keys showed, for diagnoses of the next minutes. An incident that is open
    // is looked at again, its cause too.
    void on_keys(const KeySummary& keys, const MemoryState& state, Moment now);

    // The clients that hold most of the memory, largest first, as they were just now.
    void on_clients(std::vector<HeavyClient> clients, const MemoryState& state, Moment now);
    // Empty when they are not known, or not known lately.
    [[nodiscard]] std::span<const HeavyClient> heavy_clients(Nanos now) const noexcept;

    // The backend's reply that an open incident rests on, while such replies come; else null.
    [[nodiscard]] const OomEvent* recent_event(Nanos now) const noexcept;

    // What `now` says of the server, unless the incident that recent_event() belongs to knows
    // better what refuses its writes: both are shown beside each other.
    [[nodiscard]] Diagnosis agreed(Diagnosis diagnosis, Nanos now) const;

    // An incident is open in which the guard refused something.
    [[nodiscard]] bool guard_refuses() const noexcept;

    // Samples of keys and clients are of a server that is no longer looked at.
    void forget_server() noexcept;

    // The newest that is not too old; null when there is none.
    [[nodiscard]] const KeySummary* keys_sample(const MemorySample& server, Nanos now)
        const noexcept;

    // Each new sample, in incidents and out of them.
    void on_sample(const MemoryState& state, Moment now);

    // Until a sample comes that was asked for after this became true, the first record waits.
    [[nodiscard]] bool wants_sample() const noexcept;

    // To be called after the two above and whenever next_tick() has come.
    [[nodiscard]] std::vector<Record> tick(Moment now);

    // Nothing more is to come: what there is to tell of an open incident, with its whole story.
    [[nodiscard]] std::vector<Record> finish(Moment now);

    // When tick() has something to do without a new event or sample; empty = never.
    [[nodiscard]] std::optional<Nanos> next_tick() const noexcept;

    // Newest first, the open one among them; immutable, so that another thread may hold them.
    [[nodiscard]] std::vector<std::shared_ptr<const Incident>> incidents();
    [[nodiscard]] std::shared_ptr<const Incident> find(std::string_view id);

    // What is known of the server, for a diagnosis outside incidents.
    [[nodiscard]] const MemoryHistory& history() const noexcept { return history_; }

  private:
    // The first event of an origin in an incident, until it is written.
    struct Pending {
        OomEvent event;
        MemoryState state;                 // known when it came
        std::optional<MemoryState> fresh;  // asked for after it
        std::vector<GrowthRow> growth;
        Moment since;
    };

    struct Open {
        Incident incident;  // its tables and curve are filled in by snapshot()
        CountTable commands;
        CountTable clients;
        CountTable patterns;
        MemoryCurve curve;
        Nanos opened_at = 0;
        Nanos last_at = 0;
        bool announced = false;
        unsigned revisions = 0;
        std::array<std::optional<Pending>, 2> pending;  // by OomOrigin
        std::array<bool, 2> seen{};                     // origins that had their first event
        std::optional<OomEvent>
            explained;  // the backend's event that the cause rests on, its key raw
        std::vector<GrowthRow> growth;
    };

    // At most one record each record_interval.
    struct Limiter {
        std::optional<Nanos> last;
        std::uint64_t suppressed = 0;
    };

    void open(Moment now, Moment event);
    void count(const OomEvent& event);
    void write_later_event(
        const OomEvent& event,
        const MemoryState& state,
        std::span<const GrowthRow> growth,
        Moment now
    );
    // First records that have waited long enough, or all; true when others wait on.
    [[nodiscard]] bool write_pending(Moment now, bool all);
    void write_first(Pending pending, Moment now);
    void revise(const MemoryState& state, Moment now);
    void look_again(const MemoryState& state, Moment now);
    void change_cause(const Diagnosis& diagnosis);
    void close(Moment now);
    void put(Record record);

    [[nodiscard]] Evidence evidence(
        const OomEvent& event,
        const MemoryState& state,
        std::span<const GrowthRow> growth,
        Moment now
    ) const;
    [[nodiscard]] Report report(
        const OomEvent& event,
        const MemoryState& state,
        std::span<const GrowthRow> growth,
        Diagnosis diagnosis,
        Moment now
    ) const;
    [[nodiscard]] Limiter& limiter(OomOrigin origin, Cause cause) noexcept;
    [[nodiscard]] std::string next_id();
    [[nodiscard]] std::shared_ptr<const Incident> snapshot();

    KeyDisplay keys_;
    MemoryHistory history_;
    std::unique_ptr<Open> open_;
    std::shared_ptr<const Incident> open_snapshot_;       // of open_, until it changes
    std::deque<std::shared_ptr<const Incident>> closed_;  // oldest first
    std::array<std::array<Limiter, cause_names.size()>, 2> limiters_{};
    std::vector<Record> records_;
    std::optional<KeySummary> sampled_keys_;
    Nanos sampled_keys_at_ = 0;
    std::vector<HeavyClient> heavy_clients_;
    Nanos heavy_clients_at_ = 0;
    Nanos keys_expected_until_ = 0;
    std::uint16_t next_id_;
};

}  // namespace spillway::policy
