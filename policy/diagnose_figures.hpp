// The figures that every rule of the diagnosis is made of, worked out once from samples, history
// and the event.
#pragma once

#include "policy/diagnose.hpp"

#include <cstdint>
#include <optional>

namespace spillway::policy {

// Bytes are doubles: they are only compared and divided, and nothing that a server reports can
// overflow them.
struct Figures {
    const Evidence& in;

    bool limited = false;  // there is a ceiling
    double ceiling = 0;
    double counted = 0;
    double room = 0;  // ceiling - counted; negative above it

    // Who holds counted memory.
    double data = 0;         // values, keys and the tables that find them
    double clients = 0;      // query and output buffers of normal and pub/sub clients
    double replication = 0;  // the counted part: backlog and what replicas share of it
    double scripts = 0;
    double startup = 0;  // an empty server
    double non_data =
        0;  // none of these: what stands without keys, and overhead that nothing explains
    bool keyless = false;   // a look at every key showed that much of INFO's dataset is in none
    double subscribed = 0;  // what subscriptions and client tracking take, at least
    bool clients_known = false;
    bool clients_shared =
        false;  // the figure exceeds used memory: it counts values that replies only refer to

    // The write at hand.
    bool reply = false;       // an OOM reply of the backend
    bool fresh = false;       // the sample was asked for after the event
    double write_bytes = 0;   // on the wire
    double write_need = 0;    // what it takes at the moment of Redis' check
    double room_before = 0;   // before its own bytes arrived
    double write_held = 0;    // its bytes that INFO still shows as data, as client figures lag
    double unseen_write = 0;  // without an event: the query buffer that a refused write had or left

    // What the last seconds show.
    std::int64_t lazyfree_pending = 0;  // most within the last second
    double fallen = 0;                  // counted memory, from its height of the last two seconds
    double risen = 0;  // counted memory without client buffers, from its lowest of ten seconds
    double rise_seconds = 1;  // how long ago that was, at least 1
    double pace = 0;  // at which lasting memory has grown, and still does: 0 once that is over
    std::optional<double> seconds_left{};  // at this pace
    double drain_per_s = 0;                // at which keys with a TTL go, under volatile-*
    std::optional<double> drained_in{};    // seconds until the last of them is gone
    double peaked_over =
        0;              // the peak passed the ceiling by this between two samples around the event
    double jumped = 0;  // dataset grew by this in two seconds though no key was added
    double always_over =
        0;                 // lasting memory was above the ceiling by this all the time; or negative
    double data_over = 0;  // and data is, its own buffers left out; or negative
    double room_seen = 0;  // at the best moment of the last seconds

    // What data above the ceiling is, if nobody lowered that: a script or a command that takes more
    // than it sends, since Redis looks at memory before it alone.
    bool overshot = false;

    std::optional<double> siblings_fullness{};  // of the other primaries of a cluster, on average

    double ttl_share =
        0;  // of the data that keys with a TTL hold: by bytes where they were sampled

    const SampledKey* biggest = nullptr;  // of the keys that were looked at
    double biggest_share = 0;             // of the dataset

    [[nodiscard]] const MemorySample& sample() const noexcept { return in.state.sample; }
    [[nodiscard]] const OomEvent* event() const noexcept { return in.event; }
    [[nodiscard]] double share(double bytes) const noexcept {
        const double whole = limited ? ceiling : counted;
        return whole > 0 ? bytes / whole : 0;
    }
    [[nodiscard]] double fullness() const noexcept { return limited ? counted / ceiling : 0; }
};

// The server has refused commands for memory since the baseline that the evidence has.
[[nodiscard]] bool ooms_rise(const Figures& f) noexcept;

// Memory has been near the limit at some time since the server began, be it for a moment. The peak
// is not read when a command is refused: of a large write it shows only a part.
[[nodiscard]] bool peaked_at_limit(const Figures& f) noexcept;

// Names what may have passed the ceiling at once: "scripts", "SETRANGE".
[[nodiscard]] std::string overshooter(const Figures& f);

[[nodiscard]] Figures figures_of(const Evidence& evidence) noexcept;

// Of its own limit, or of `ceiling` where it has none.
[[nodiscard]] double fullness_of(const SiblingNode& node, double ceiling) noexcept;

// What values, keys and the tables that find them take, by one reading.
[[nodiscard]] std::int64_t data_bytes(const MemorySample& sample) noexcept;

// "redis 7.0.15" as numbers; zeros when it does not say.
struct ServerVersion {
    bool valkey = false;
    bool redis = false;
    int major = 0;
    int minor = 0;

    [[nodiscard]] bool at_least(int wanted_major, int wanted_minor) const noexcept {
        return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
    }
};

[[nodiscard]] ServerVersion server_version(std::string_view server) noexcept;

// EVAL, FCALL and their kin.
[[nodiscard]] bool is_script_command(std::string_view command) noexcept;

// Data that must not be evicted: lists, streams and sorted sets that commands of queues write, and
// keys that are named like queues.
[[nodiscard]] bool is_queue_like(std::string_view command, std::string_view pattern) noexcept;
[[nodiscard]] bool holds_queues(const Evidence& evidence) noexcept;
// Scripts write, and nothing is known of what they write.
[[nodiscard]] bool scripts_may_hold_queues(const Evidence& evidence) noexcept;

}  // namespace spillway::policy
