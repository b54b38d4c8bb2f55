// The contract's JSON shapes of memory, diagnosis, incidents and growth, for records and the admin
// endpoint alike.
#pragma once

#include "policy/diagnose.hpp"
#include "policy/growth_ledger.hpp"
#include "policy/incident.hpp"
#include "policy/memory_state.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

namespace spillway::log {

// Any bytes as valid UTF-8: what is not becomes \xHH.
[[nodiscard]] boost::json::string text_json(std::string_view bytes);

// One line without its end. Numbers as a person writes them (0.95, not 9.5E-1); what is not finite
// becomes null.
[[nodiscard]] std::string to_line(const boost::json::value& value);

// "2026-07-30T12:34:56.789Z"
[[nodiscard]] std::string time_text(std::int64_t unix_ms);

// `sample_age_ms` below 0 = never sampled, shown as null. Bytes that the server does not say are
// null.
[[nodiscard]] boost::json::object memory_json(
    const policy::MemoryState& state, std::int64_t sample_age_ms
);
[[nodiscard]] boost::json::object keyspace_json(const policy::MemorySample& sample);

// [{pattern, client, command, bytes, without_ttl}]
[[nodiscard]] boost::json::array growth_rows_json(std::span<const policy::GrowthRow> rows);
// GET /api/v1/growth: {"window_s", "top": […]}
[[nodiscard]] boost::json::object growth_json(
    std::span<const policy::GrowthRow> rows, std::int64_t window_s
);

// cause, confidence, evidence, also, advice
[[nodiscard]] boost::json::object diagnosis_fields(const policy::Diagnosis& diagnosis);

// What `doctor --json` and GET /api/v1/diagnosis answer.
struct DoctorReport {
    std::string target;  // without credentials
    policy::MemoryState state;
    std::int64_t sample_age_ms = -1;
    policy::Diagnosis diagnosis;
    boost::json::value sampled;            // what key sampling found; null = none was done
    std::vector<std::string> unavailable;  // what could not be read, and why
};
[[nodiscard]] boost::json::object doctor_json(const DoctorReport& report);

// GET /api/v1/incidents/ID, and with all of them {"incidents": […]}.
[[nodiscard]] boost::json::object incident_json(const policy::Incident& incident);
[[nodiscard]] boost::json::object incidents_json(
    std::span<const std::shared_ptr<const policy::Incident>> incidents
);

}  // namespace spillway::log
