// What the admin endpoints show and do, as functions that the program wires to its snapshots.
#pragma once

#include "policy/modes.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace spillway::admin {

struct Health {
    bool ok = false;
    std::string reason;  // one short phrase, shown either way
};

enum class ActionStatus : std::uint8_t { done, rejected, not_supported };

struct ActionResult {
    ActionStatus status = ActionStatus::not_supported;
    std::string message;            // what was done, or why not
    boost::json::object details{};  // shown beside it
};

// Called on the thread of the server's io_context, one at a time; each must answer from a snapshot,
// without waiting. A function left empty makes its endpoint answer 501.
struct Sources {
    std::function<std::string()> metrics;  // Prometheus text
    std::function<Health()> live;          // empty: alive as long as it answers
    std::function<Health()> ready;
    std::function<boost::json::value()> status;
    std::function<boost::json::value()> growth;
    std::function<boost::json::value()> incidents;  // {"incidents": [...]}, newest first
    std::function<std::optional<boost::json::value>(std::string_view id)> incident;
    std::function<boost::json::value()> diagnosis;
    std::function<boost::json::value()> clients;
    std::function<boost::json::value()> config;  // effective, secrets masked
    std::function<ActionResult(policy::Mode)> set_mode;
    std::function<ActionResult()> reload;
};

}  // namespace spillway::admin
