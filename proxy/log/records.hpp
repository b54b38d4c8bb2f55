// The records of the contract: what happened, as plain fields, before it is text or JSON.
#pragma once

#include "policy/incident.hpp"
#include "policy/memory_state.hpp"
#include "policy/modes.hpp"
#include "policy/verdict_table.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

namespace spillway::log {

enum class Level : std::uint8_t { trace, debug, info, warn, error };

[[nodiscard]] constexpr std::string_view name_of(Level level) noexcept {
    switch (level) {
        case Level::trace:
            return "trace";
        case Level::debug:
            return "debug";
        case Level::info:
            return "info";
        case Level::warn:
            return "warn";
        case Level::error:
            return "error";
    }
    return "?";
}

struct Started {
    std::string version;
    unsigned workers = 0;
    std::string mode;         // of the guard
    std::string config_file;  // empty = none
};

struct Listening {
    std::string role;  // "listener" | "admin"
    std::string address;
};

struct BackendUp {
    std::string backend;  // without credentials
    std::string server;   // "redis 7.0.15"
    policy::MemoryState state;
};

struct BackendDown {
    std::string backend;
    std::string reason;
};

struct GuardStateChanged {
    std::string backend;
    policy::GuardState from = policy::GuardState::blind;
    policy::MemoryState state;  // with the new state and its reason
    std::int64_t sample_age_ms = -1;
};

// What the guard did since the last one, or in observe mode would have done.
struct GuardSummary {
    std::string backend;
    policy::Mode mode = policy::Mode::protect;
    policy::VerdictTable verdicts;
};

struct ConfigReloaded {
    std::string file;
    std::vector<std::string> live;             // keys that took effect now,
    std::vector<std::string> new_connections;  // that hold for connections from now on,
    std::vector<std::string> restart;          // that wait for a restart
};

struct ConfigRejected {
    std::string file;
    std::vector<std::string> errors;  // "file:line:column: message"
};

struct Stopping {
    std::string reason;  // "SIGTERM"
    std::uint64_t clients = 0;
};

struct Stopped {
    std::uint64_t clients_cut = 0;  // still there when drain_timeout was over
    int exit_code = 0;
};

// For everything without an event of its own; its event is "note".
struct Note {
    Level level = Level::info;
    std::string message;
    boost::json::object fields{};  // shown after the message
};

// What both formats are made from: the fields that follow ts, in the order of the contract.
struct Line {
    Level level = Level::info;
    std::string_view event;  // of static life
    std::string message;     // says it all to a person
    boost::json::object fields{};
};

[[nodiscard]] Line line_of(const Started& record);
[[nodiscard]] Line line_of(const Listening& record);
[[nodiscard]] Line line_of(const BackendUp& record);
[[nodiscard]] Line line_of(const BackendDown& record);
[[nodiscard]] Line line_of(const GuardStateChanged& record);
[[nodiscard]] Line line_of(const GuardSummary& record);
[[nodiscard]] Line line_of(const ConfigReloaded& record);
[[nodiscard]] Line line_of(const ConfigRejected& record);
[[nodiscard]] Line line_of(const Stopping& record);
[[nodiscard]] Line line_of(const Stopped& record);
[[nodiscard]] Line line_of(const Note& record);
[[nodiscard]] Line line_of(const policy::Record& record);  // oom, refused, incident_*

}  // namespace spillway::log
