// An incident as records and the admin endpoint tell it, and the records that it leaves.
#pragma once

#include "policy/diagnose.hpp"
#include "policy/growth_ledger.hpp"
#include "policy/memory_state.hpp"
#include "policy/oom_event.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace spillway::policy {

// One instant on both clocks: policy counts in `at`, people read `unix_ms`.
struct Moment {
    Nanos at = 0;
    std::int64_t unix_ms = 0;
};

// One OOM in full: the fields of an `oom` or `refused` record.
struct Report {
    OomEvent event;            // its key as it may be shown
    std::int64_t unix_ms = 0;  // of the event
    MemoryState state;
    std::int64_t sample_age_ms = -1;    // when the report was made; -1 = there was no sample
    Diagnosis diagnosis;                // of a refusal: its cause is what the client was told
    std::vector<GrowthRow> top_growth;  // patterns as they may be shown
};

struct CountRow {
    std::string name{};  // empty: the client has no name, the command no key
    std::uint64_t oom_replies = 0;
    std::uint64_t refusals = 0;
    std::uint64_t bytes = 0;
};

struct CurvePoint {
    std::int64_t unix_s = 0;
    std::int64_t counted = 0;
    std::int64_t ceiling = 0;
};

// Name of the row that holds what had no room in a table of counts; always the last row.
inline constexpr std::string_view other_row = "(other)";

struct Incident {
    static constexpr std::size_t rows_max = 32;    // of each table, with (other)
    static constexpr std::size_t curve_max = 600;  // beyond it every second point goes

    std::string id;  // four hex digits
    std::int64_t opened_unix_ms = 0;
    std::optional<std::int64_t> closed_unix_ms;  // empty while open
    double duration_s = 0;                       // from the first to the last OOM or refusal
    std::uint64_t oom_replies = 0;
    std::uint64_t refusals = 0;
    std::uint64_t would_refuse = 0;    // observe: passed, but counted
    std::vector<CountRow> by_command;  // all three largest first
    std::vector<CountRow> by_client;
    std::vector<CountRow> by_pattern;
    std::vector<CurvePoint> curve;  // from some seconds before
    Report report;                  // the first event; its diagnosis is the latest
};

enum class RecordKind : std::uint8_t {
    oom,
    refused,
    incident_opened,
    incident_updated,
    incident_closed
};

[[nodiscard]] constexpr std::string_view name_of(RecordKind kind) noexcept {
    switch (kind) {
        case RecordKind::oom:
            return "oom";
        case RecordKind::refused:
            return "refused";
        case RecordKind::incident_opened:
            return "incident_opened";
        case RecordKind::incident_updated:
            return "incident_updated";
        case RecordKind::incident_closed:
            return "incident_closed";
    }
    return "?";
}

// Something to write down. oom and refused fill `report`, the others `incident`.
struct Record {
    RecordKind kind = RecordKind::oom;
    std::string incident_id;  // empty: a would-be refusal outside any incident
    Report report;
    std::uint64_t suppressed = 0;  // like events of the same cause since the last such record
    std::shared_ptr<const Incident> incident;
    Cause cause_before = Cause::unknown;  // of incident_updated
};

}  // namespace spillway::policy
