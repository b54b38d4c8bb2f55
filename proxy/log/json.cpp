// The contract's JSON shapes of memory, diagnosis, incidents and growth, for records and the admin
// endpoint alike.
#include "proxy/log/json.hpp"

#include <cmath>
#include <optional>
#include <utility>

namespace spillway::log {
namespace {

namespace json = boost::json;

[[nodiscard]] json::value known(std::int64_t value) {
    return value < 0 ? json::value(nullptr) : json::value(value);
}

[[nodiscard]] json::value text_or_null(std::string_view text) {
    return text.empty() ? json::value(nullptr) : json::value(text_json(text));
}

// A figure that is estimated gets no more digits than it deserves; what is not finite becomes null.
[[nodiscard]] json::value rounded(double value, double scale) {
    if (!std::isfinite(value) || std::abs(value) > 9.0e12) {
        return nullptr;
    }
    if (scale == 1) {
        return std::llround(value);
    }
    return std::round(value * scale) / scale;
}

[[nodiscard]] json::array texts(std::span<const std::string> sentences) {
    json::array out;
    for (const auto& sentence : sentences) {
        out.emplace_back(text_json(sentence));
    }
    return out;
}

void add_verdicts(json::object& object, const policy::VerdictRow& row) {
    object["held"] = row.held;
    object["refused"] = row.refused;
    object["would_hold"] = row.would_hold;
    object["would_refuse"] = row.would_refuse;
    object["bytes"] = row.bytes;
}

[[nodiscard]] json::array count_rows_json(std::span<const policy::CountRow> rows) {
    json::array out;
    for (const auto& row : rows) {
        out.emplace_back(json::object{
            {"name", text_json(row.name)},
            {"oom_replies", row.oom_replies},
            {"refusals", row.refusals},
            {"bytes", row.bytes}});
    }
    return out;
}

void append(json::object& out, json::object&& more) {
    for (auto& member : more) {
        out[member.key()] = std::move(member.value());
    }
}

[[nodiscard]] std::string_view form_name(policy::OomForm form) noexcept {
    switch (form) {
        case policy::OomForm::top_level:
            return "top-level";
        case policy::OomForm::in_exec:
            return "in-exec";
        case policy::OomForm::exec_abort:
            return "exec-abort";
        case policy::OomForm::in_script:
            return "in-script";
        case policy::OomForm::in_array:
            return "in-array";
        case policy::OomForm::script_denied:
            return "script-denied";
        case policy::OomForm::provider:
            return "provider";
    }
    return "?";
}

// What only one of the two origins knows.
void append_origin_fields(json::object& out, const policy::OomEvent& event) {
    if (event.origin == policy::OomOrigin::backend) {
        out["form"] = form_name(event.form);
        out["reply"] = text_or_null(event.reply);
        return;
    }
    out["priority"] = policy::name_of(event.priority);
    out["rule"] = text_or_null(event.rule);
    out["verdict"] = event.would_refuse ? "would_refuse" : "refused";
}

}  // namespace

json::object memory_json(const policy::MemoryState& state, std::int64_t sample_age_ms) {
    const policy::MemorySample& sample = state.sample;
    const bool read = state.sampled && sample.used_memory >= 0;
    const bool limited = state.ceiling > 0;
    const auto figure = [](bool is_known, std::int64_t value) {
        return is_known ? json::value(value) : json::value(nullptr);
    };
    return {
        {"used", known(sample.used_memory)},
        {"counted", figure(read, state.counted)},
        {"ceiling", figure(limited, state.ceiling)},
        {"headroom", figure(read && limited, state.headroom)},
        {"evictable", figure(read, state.evictable)},
        {"policy", text_or_null(sample.policy)},
        {"sample_age_ms", known(sample_age_ms)},
        {"growth_bytes_per_s", rounded(state.growth_bytes_per_s, 1)},
        {"time_to_ceiling_s",
         state.time_to_ceiling_s ? rounded(*state.time_to_ceiling_s, 10) : json::value(nullptr)}};
}

json::object keyspace_json(const policy::MemorySample& sample) {
    const bool read = sample.used_memory >= 0;
    return {
        {"keys", read ? json::value(sample.keys) : json::value(nullptr)},
        {"with_ttl", read ? json::value(sample.expires) : json::value(nullptr)}};
}

json::array growth_rows_json(std::span<const policy::GrowthRow> rows) {
    json::array out;
    for (const auto& row : rows) {
        out.emplace_back(json::object{
            {"pattern", text_json(row.pattern)},
            {"client", text_json(row.client)},
            {"command", text_json(row.command)},
            {"bytes", row.bytes},
            {"without_ttl", rounded(row.without_ttl, 1000)}});
    }
    return out;
}

json::object growth_json(std::span<const policy::GrowthRow> rows, std::int64_t window_s) {
    return {{"window_s", window_s}, {"top", growth_rows_json(rows)}};
}

json::object verdicts_json(const policy::VerdictTable& verdicts, std::size_t rows_max) {
    json::object out;
    add_verdicts(out, verdicts.total());
    json::array by;
    policy::VerdictRow other = verdicts.other();
    for (const policy::VerdictRow& row : verdicts.rows()) {
        if (by.size() == rows_max) {
            other.add(row);
            continue;
        }
        json::object shown{{"rule", text_or_null(row.rule)}, {"client", text_or_null(row.client)}};
        add_verdicts(shown, row);
        by.emplace_back(std::move(shown));
    }
    out["by"] = std::move(by);
    json::object rest;
    add_verdicts(rest, other);
    out["other"] = std::move(rest);
    return out;
}

json::object diagnosis_fields(const policy::Diagnosis& diagnosis) {
    json::array also;
    for (const policy::Cause cause : diagnosis.also) {
        also.emplace_back(policy::name_of(cause));
    }
    return {
        {"cause", policy::name_of(diagnosis.cause)},
        {"confidence", rounded(diagnosis.confidence, 100)},
        {"evidence", texts(diagnosis.evidence)},
        {"also", std::move(also)},
        {"advice", texts(diagnosis.advice)}};
}

json::object doctor_json(const DoctorReport& report) {
    json::object out{
        {"target", text_json(report.target)},
        {"server", text_or_null(report.state.sample.server)},
        {"state", policy::name_of(report.diagnosis.health)}};
    append(out, diagnosis_fields(report.diagnosis));
    if (report.diagnosis.health == policy::Health::healthy) {
        out["cause"] = nullptr;
    }
    out["memory"] = memory_json(report.state, report.sample_age_ms);
    out["keyspace"] = keyspace_json(report.state.sample);
    out["sampled"] = report.sampled;
    out["unavailable"] = texts(report.unavailable);
    return out;
}

json::object report_fields(
    const policy::Report& report, const std::string& incident_id, std::uint64_t suppressed
) {
    const policy::OomEvent& event = report.event;
    const policy::ClientFacts& client = event.client;
    json::object out{
        {"origin", event.origin == policy::OomOrigin::backend ? "backend" : "guard"},
        {"incident", text_or_null(incident_id)},
        {"command", text_json(event.command)},
        {"bytes", event.bytes},
        {"key", text_json(event.key)},
        {"db", event.db},
        {"client",
         json::object{
             {"addr", text_json(client.address)},
             {"name", text_json(client.name)},
             {"user", text_json(client.user)},
             {"lib", text_json(client.library)}}},
        {"memory", memory_json(report.state, report.sample_age_ms)},
        {"keyspace", keyspace_json(report.state.sample)}};
    append(out, diagnosis_fields(report.diagnosis));
    out["top_growth"] = growth_rows_json(report.top_growth);
    append_origin_fields(out, event);
    out["suppressed"] = suppressed;
    return out;
}

json::object incident_json(const policy::Incident& incident) {
    json::object out{
        {"id", incident.id},
        {"opened", time_text(incident.opened_unix_ms)},
        {"closed",
         incident.closed_unix_ms ? json::value(time_text(*incident.closed_unix_ms))
                                 : json::value(nullptr)},
        {"duration_s", rounded(incident.duration_s, 1000)},
        {"oom_replies", incident.oom_replies},
        {"refusals", incident.refusals},
        {"would_refuse", incident.would_refuse}};
    // The story stands for all its events: all but the one it tells of are suppressed.
    const std::uint64_t events = incident.oom_replies + incident.refusals;
    append(out, report_fields(incident.report, incident.id, events > 0 ? events - 1 : 0));
    out["by_command"] = count_rows_json(incident.by_command);
    out["by_client"] = count_rows_json(incident.by_client);
    out["by_pattern"] = count_rows_json(incident.by_pattern);
    json::array curve;
    for (const auto& point : incident.curve) {
        curve.emplace_back(json::array{point.unix_s, point.counted, point.ceiling});
    }
    out["curve"] = std::move(curve);
    return out;
}

json::object incidents_json(std::span<const std::shared_ptr<const policy::Incident>> incidents) {
    json::array all;
    for (const auto& incident : incidents) {
        all.emplace_back(incident_json(*incident));
    }
    return {{"incidents", std::move(all)}};
}

}  // namespace spillway::log
