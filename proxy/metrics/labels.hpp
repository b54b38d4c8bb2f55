// The bounded label values of the metrics: one enum per label, its names in the same order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spillway::metrics {

// What a command may do to memory, as the guard classes it.
enum class CommandClass : std::uint8_t { growing, unbounded, script, ungated, freeing, other };

inline constexpr std::array<std::string_view, 6> command_class_names = {
    "growing",
    "unbounded",
    "script",
    "ungated",
    "freeing",
    "other",
};

// The class of a command with this growth. A template, so that this room needs no other room's
// header: Growth is resp::Growth, and -Wswitch reports an enumerator that has no class yet.
template <typename Growth>
[[nodiscard]] constexpr CommandClass class_of(Growth growth) noexcept {
    switch (growth) {
        case Growth::proportional:
        case Growth::offset:
            return CommandClass::growing;
        case Growth::unbounded:
            return CommandClass::unbounded;
        case Growth::script:
            return CommandClass::script;
        case Growth::ungated:
            return CommandClass::ungated;
        case Growth::freeing:
            return CommandClass::freeing;
        case Growth::other:
            return CommandClass::other;
    }
    return CommandClass::other;
}

// What became of a command. The last two are those of observe mode, where the command passed.
enum class CommandVerdict : std::uint8_t { pass, held, refused, would_hold, would_refuse };

inline constexpr std::array<std::string_view, 5> command_verdict_names = {
    "pass",
    "held",
    "refused",
    "would_hold",
    "would_refuse",
};

// Seen from the proxy: `in` was read from that side, `out` was written to it.
enum class Direction : std::uint8_t { client_in, client_out, backend_in, backend_out };

inline constexpr std::array<std::string_view, 4> direction_names = {
    "client_in",
    "client_out",
    "backend_in",
    "backend_out",
};

enum class Origin : std::uint8_t { backend, guard };

inline constexpr std::array<std::string_view, 2> origin_names = {"backend", "guard"};

// Why a client got no session.
enum class RefusedReason : std::uint8_t {
    max_clients,           // the listener's max_clients is reached
    max_clients_per_host,  // its host has as many already as max_clients_per_host allows
    descriptors,           // the process has no file descriptor left
    backend_unavailable,   // the backend did not accept, in time or at all
    stopping,              // the proxy drains
    proxy_header,          // the listener expects a PROXY header, and no valid one came
    tls,                   // the TLS handshake failed, or did not end in time
    error,                 // accepting or setting up the socket failed otherwise
};

inline constexpr std::array<std::string_view, 8> refused_reason_names = {
    "max_clients",
    "max_clients_per_host",
    "descriptors",
    "backend_unavailable",
    "stopping",
    "proxy_header",
    "tls",
    "error",
};

// Why a session became a plain pipe.
enum class OpaqueReason : std::uint8_t {
    monitor,             // MONITOR: an endless stream of lines
    replication,         // SYNC, PSYNC: the stream leaves RESP
    unreadable_reply,    // the backend sent what is no RESP
    unreadable_request,  // the client did; the server's own answer follows
    unpaired_reply,      // a reply came that no command asked for
    unknown_replies,     // a command whose replies cannot be counted
};

inline constexpr std::array<std::string_view, 6> opaque_reason_names = {
    "monitor",
    "replication",
    "unreadable_reply",
    "unreadable_request",
    "unpaired_reply",
    "unknown_replies",
};

// What became of a refused write that was held to be sent again.
enum class RetryResult : std::uint8_t {
    answered,   // sent again, the server took it
    refused,    // no room came within hold_max: the client got the server's refusal
    abandoned,  // the client or the backend left meanwhile
};

inline constexpr std::array<std::string_view, 3> retry_result_names = {
    "answered",
    "refused",
    "abandoned",
};

// Why a session ended.
enum class ClosedReason : std::uint8_t {
    client_closed,   // the client closed in good order
    client_error,    // reading from or writing to the client failed
    quit,            // QUIT was answered
    protocol_error,  // the client sent what is no RESP
    backend_closed,  // the backend closed in good order
    backend_error,   // reading from or writing to the backend failed
    ledger_full,     // more commands without a reply than the hard cap allows
    spool_overflow,  // the client read too slowly for its spool
    pairing_lost,    // a refusal has lost its place among replies that cannot be followed
    drain_timeout,   // the proxy stops and the client did not finish in time
    stopping,        // the proxy stops and nothing was outstanding
    refused,         // its host has too many clients
};

inline constexpr std::array<std::string_view, 12> closed_reason_names = {
    "client_closed",
    "client_error",
    "quit",
    "protocol_error",
    "backend_closed",
    "backend_error",
    "ledger_full",
    "spool_overflow",
    "pairing_lost",
    "drain_timeout",
    "stopping",
    "refused",
};

// Causes of OOM are named by the diagnosis; here they are indices below this bound.
inline constexpr std::size_t causes_max = 32;

}  // namespace spillway::metrics
