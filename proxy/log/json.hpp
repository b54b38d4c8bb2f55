// The contract's JSON shapes of memory, diagnosis, incidents and growth, for records and the admin
// endpoint alike.
#pragma once

#include "policy/diagnose.hpp"
#include "policy/growth_ledger.hpp"
#include "policy/incident.hpp"
#include "policy/memory_state.hpp"
#include "policy/verdict_table.hpp"
#include "proxy/log/encode.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

namespace spillway::log {

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

// {held, refused, would_hold, would_refuse, bytes, by: [{rule, client, …}], other: {…}}: the sum,
// the largest rows, and all that have none.
[[nodiscard]] boost::json::object verdicts_json(
    const policy::VerdictTable& verdicts, std::size_t rows_max
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

// The fields of an `oom` or `refused` record, from `origin` on. `incident_id` empty = null.
[[nodiscard]] boost::json::object report_fields(
    const policy::Report& report, const std::string& incident_id, std::uint64_t suppressed
);

// GET /api/v1/incidents/ID, and with all of them {"incidents": […]}.
[[nodiscard]] boost::json::object incident_json(const policy::Incident& incident);
[[nodiscard]] boost::json::object incidents_json(
    std::span<const std::shared_ptr<const policy::Incident>> incidents
);

}  // namespace spillway::log
