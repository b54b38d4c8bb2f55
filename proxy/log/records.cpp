// The records of the contract: what happened, as plain fields, before it is text or JSON.
#include "proxy/log/records.hpp"

#include "policy/wording.hpp"
#include "proxy/log/json.hpp"

#include <algorithm>
#include <utility>

#include <boost/json/array.hpp>

namespace spillway::log {
namespace {

namespace json = boost::json;
using policy::bytes_text;
using policy::count_text;
using policy::GuardState;
using policy::RecordKind;

[[nodiscard]] json::array texts(const std::vector<std::string>& items) {
    json::array out;
    for (const auto& item : items) {
        out.emplace_back(text_json(item));
    }
    return out;
}

// "a, b (and 3 more)"
[[nodiscard]] std::string joined(
    const std::vector<std::string>& items, std::string_view separator, std::size_t told
) {
    std::string text;
    for (std::size_t i = 0; i < std::min(items.size(), told); ++i) {
        text.append(i == 0 ? "" : separator).append(items[i]);
    }
    if (items.size() > told) {
        text += " (and " + count_text(static_cast<std::int64_t>(items.size() - told)) + " more)";
    }
    return text;
}

// "62 MiB of 64 MiB, noeviction"
[[nodiscard]] std::string memory_phrase(const policy::MemoryState& state) {
    if (!state.sampled) {
        return "memory not read yet";
    }
    std::string text = bytes_text(state.counted);
    text += state.ceiling > 0 ? " of " + bytes_text(state.ceiling) : std::string(" and no ceiling");
    return state.sample.policy.empty() ? text : text + ", " + state.sample.policy;
}

// "SET cart:*", or "a command" when not even its name is known.
[[nodiscard]] std::string command_phrase(const policy::OomEvent& event) {
    const std::string command = event.command.empty() ? "a command" : event.command;
    return event.key.empty() ? command : command + " " + event.key;
}

[[nodiscard]] std::string percent(double share) {
    return policy::percent_text(share);
}

[[nodiscard]] std::string incident_totals(const policy::Incident& incident) {
    std::string text = count_text(static_cast<std::int64_t>(incident.oom_replies)) +
                       " OOM replies, " + count_text(static_cast<std::int64_t>(incident.refusals)) +
                       " refusals";
    if (incident.would_refuse > 0) {
        text += ", " + count_text(static_cast<std::int64_t>(incident.would_refuse)) +
                " would-be refusals";
    }
    return text + " in " + policy::duration_text(incident.duration_s);
}

// "would have held 12 and refused 3"; empty when it did neither.
[[nodiscard]] std::string deeds_phrase(
    std::string_view begin, std::uint64_t held, std::uint64_t refused
) {
    if (held + refused == 0) {
        return {};
    }
    std::string text(begin);
    if (held > 0) {
        text += " held " + count_text(static_cast<std::int64_t>(held));
    }
    if (refused > 0) {
        text += (held > 0 ? " and" : "");
        text += " refused " + count_text(static_cast<std::int64_t>(refused));
    }
    return text;
}

[[nodiscard]] std::string verdicts_phrase(const policy::VerdictRow& row) {
    const std::string did = deeds_phrase("", row.held, row.refused);
    const std::string would = deeds_phrase("would have", row.would_hold, row.would_refuse);
    const std::string first = did.empty() ? "" : did.substr(1);
    return first + (first.empty() || would.empty() ? "" : ", ") + would;
}

[[nodiscard]] Line oom_line(const policy::Record& record) {
    const policy::Report& report = record.report;
    return {
        .level = Level::warn,
        .event = "oom",
        .message = "Redis refused " + command_phrase(report.event) + ": " +
                   std::string(name_of(report.diagnosis.cause)) + " (" +
                   percent(report.diagnosis.confidence) + " sure)",
        .fields = report_fields(report, record.incident_id, record.suppressed)};
}

[[nodiscard]] Line refused_line(const policy::Record& record) {
    const policy::OomEvent& event = record.report.event;
    return {
        .level = event.would_refuse ? Level::info : Level::warn,
        .event = "refused",
        .message = (event.would_refuse ? "would have refused " : "refused ") +
                   command_phrase(event) + ": " +
                   std::string(name_of(record.report.diagnosis.cause)) + " (priority " +
                   std::string(name_of(event.priority)) + ")",
        .fields = report_fields(record.report, record.incident_id, record.suppressed)};
}

[[nodiscard]] Line incident_line(const policy::Record& record) {
    const policy::Incident& incident = *record.incident;
    const std::string cause(name_of(incident.report.diagnosis.cause));
    Line line;
    line.event = name_of(record.kind);
    line.fields["incident"] = incident.id;
    if (record.kind == RecordKind::incident_closed) {
        line.level = Level::info;
        line.message =
            "incident " + incident.id + " is over: " + cause + ", " + incident_totals(incident);
        for (auto& member : incident_json(incident)) {
            line.fields[member.key()] = std::move(member.value());
        }
        return line;
    }
    line.level = Level::warn;
    line.fields["opened"] = time_text(incident.opened_unix_ms);
    line.message = "incident " + incident.id + " opened: " + cause;
    if (record.kind == RecordKind::incident_updated) {
        const std::string_view before = name_of(record.cause_before);
        line.message =
            "incident " + incident.id + ": the cause is " + cause + ", not " + std::string(before);
        line.fields["cause_before"] = before;
    }
    for (auto& member : diagnosis_fields(incident.report.diagnosis)) {
        line.fields[member.key()] = std::move(member.value());
    }
    line.fields["memory"] = memory_json(incident.report.state, incident.report.sample_age_ms);
    return line;
}

[[nodiscard]] Level level_of(GuardState state) noexcept {
    switch (state) {
        case GuardState::off:
        case GuardState::plenty:
        case GuardState::paced:
            return Level::info;
        case GuardState::blind:
        case GuardState::reserve:
        case GuardState::ceiling:
            return Level::warn;
    }
    return Level::info;
}

}  // namespace

Line line_of(const Started& record) {
    std::string message = "spillway " + record.version + ", " + std::to_string(record.workers) +
                          (record.workers == 1 ? " worker" : " workers") + ", guard " + record.mode;
    message += record.config_file.empty() ? ", no configuration file"
                                          : ", configuration " + record.config_file;
    return {
        .level = Level::info,
        .event = "started",
        .message = std::move(message),
        .fields = {
            {"version", text_json(record.version)},
            {"workers", record.workers},
            {"mode", text_json(record.mode)},
            {"config_file", text_json(record.config_file)}}};
}

Line line_of(const Listening& record) {
    return {
        .level = Level::info,
        .event = "listening",
        .message = (record.role == "admin" ? "admin endpoint on " : "clients on ") + record.address,
        .fields = {{"role", text_json(record.role)}, {"address", text_json(record.address)}}};
}

Line line_of(const BackendUp& record) {
    std::string message = record.backend + " answers";
    if (!record.server.empty()) {
        message += ": " + record.server;
    }
    return {
        .level = Level::info,
        .event = "backend_up",
        .message = message + ", " + memory_phrase(record.state),
        .fields = {
            {"backend", text_json(record.backend)},
            {"server", text_json(record.server)},
            {"memory", memory_json(record.state, record.state.sampled ? 0 : -1)},
            {"keyspace", keyspace_json(record.state.sample)}}};
}

Line line_of(const BackendDown& record) {
    return {
        .level = Level::error,
        .event = "backend_down",
        .message = record.backend + " does not answer: " + record.reason,
        .fields = {{"backend", text_json(record.backend)}, {"reason", text_json(record.reason)}}};
}

Line line_of(const GuardStateChanged& record) {
    const std::string_view to = name_of(record.state.state);
    std::string message(to);
    if (record.from != record.state.state) {
        message = std::string(name_of(record.from)) + " -> " + message;
    }
    if (!record.state.reason.empty()) {
        message += ": " + record.state.reason;
    }
    return {
        .level = level_of(record.state.state),
        .event = "guard_state",
        .message = message + " (" + memory_phrase(record.state) + ")",
        .fields = {
            {"backend", text_json(record.backend)},
            {"from", name_of(record.from)},
            {"to", to},
            {"reason", text_json(record.state.reason)},
            {"memory", memory_json(record.state, record.sample_age_ms)}}};
}

Line line_of(const GuardSummary& record) {
    constexpr std::size_t rows_told = 3;
    constexpr std::size_t rows_shown = 20;
    const policy::VerdictRow total = record.verdicts.total();
    std::string message = "the guard, since the last summary: " + verdicts_phrase(total);
    if (total.commands() > 0) {
        message += total.commands() == 1 ? " command" : " commands";
    }
    std::size_t told = 0;
    for (const policy::VerdictRow& row : record.verdicts.rows()) {
        if (told++ == rows_told) {
            break;
        }
        message += "; ";
        message += row.client.empty() ? "clients without a name" : "client " + row.client;
        message += row.rule.empty() ? "" : " by rule " + row.rule;
        message += ": " + verdicts_phrase(row);
    }
    json::object fields{
        {"backend", text_json(record.backend)}, {"mode", policy::name_of(record.mode)}};
    for (auto& field : verdicts_json(record.verdicts, rows_shown)) {
        fields[field.key()] = std::move(field.value());
    }
    return {
        .level = Level::info,
        .event = "guard_summary",
        .message = std::move(message),
        .fields = std::move(fields)};
}

Line line_of(const ConfigReloaded& record) {
    constexpr std::size_t told = 10;
    std::string message;
    const auto tell = [&message](std::string_view when, const std::vector<std::string>& keys) {
        if (!keys.empty()) {
            message += message.empty() ? "" : "; ";
            message.append(when).append(": ").append(joined(keys, ", ", told));
        }
    };
    tell("changed live", record.live);
    tell("for new connections", record.new_connections);
    tell("only at the next restart", record.restart);
    return {
        .level = Level::info,
        .event = "config_reloaded",
        .message = record.file + " read, " + (message.empty() ? "nothing changed" : message),
        .fields = {
            {"file", text_json(record.file)},
            {"live", texts(record.live)},
            {"new_connections", texts(record.new_connections)},
            {"restart", texts(record.restart)}}};
}

Line line_of(const ConfigRejected& record) {
    constexpr std::size_t told = 5;
    std::string message = record.file + " rejected, the old configuration stays";
    if (!record.errors.empty()) {
        message += ": " + joined(record.errors, "; ", told);
    }
    return {
        .level = Level::error,
        .event = "config_rejected",
        .message = std::move(message),
        .fields = {{"file", text_json(record.file)}, {"errors", texts(record.errors)}}};
}

Line line_of(const Stopping& record) {
    return {
        .level = Level::info,
        .event = "stopping",
        .message = record.reason + ": waiting for " +
                   count_text(static_cast<std::int64_t>(record.clients)) +
                   (record.clients == 1 ? " client" : " clients") + " to finish",
        .fields = {{"reason", text_json(record.reason)}, {"clients", record.clients}}};
}

Line line_of(const Stopped& record) {
    std::string message = "stopped";
    if (record.clients_cut > 0) {
        message += ", " + count_text(static_cast<std::int64_t>(record.clients_cut)) +
                   (record.clients_cut == 1 ? " client cut off" : " clients cut off");
    }
    return {
        .level = Level::info,
        .event = "stopped",
        .message = std::move(message),
        .fields = {{"clients_cut", record.clients_cut}, {"exit_code", record.exit_code}}};
}

Line line_of(const Note& record) {
    return {
        .level = record.level, .event = "note", .message = record.message, .fields = record.fields};
}

Line line_of(const policy::Record& record) {
    switch (record.kind) {
        case RecordKind::oom:
            return oom_line(record);
        case RecordKind::refused:
            return refused_line(record);
        case RecordKind::incident_opened:
        case RecordKind::incident_updated:
        case RecordKind::incident_closed:
            return incident_line(record);
    }
    return {};
}

}  // namespace spillway::log
