// Records as a person reads them: one aligned line each, and a block for an OOM and for the end of
// an incident.
#include "proxy/log/text.hpp"

#include "policy/wording.hpp"
#include "proxy/log/json.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

namespace spillway::log {
namespace {

using policy::bytes_text;
using policy::count_text;
using policy::RecordKind;

constexpr std::size_t event_width = 16;  // "incident_updated"
constexpr std::size_t label_width = 9;
constexpr std::size_t table_rows_max = 5;

constexpr std::string_view dim = "\x1b[2m";
constexpr std::string_view bold = "\x1b[1m";
constexpr std::string_view red = "\x1b[31m";
constexpr std::string_view yellow = "\x1b[33m";
constexpr std::string_view plain = "\x1b[0m";

[[nodiscard]] std::string padded(std::string_view text, std::size_t width) {
    std::string out(text);
    out.resize(std::max(width, out.size()), ' ');
    return out;
}

[[nodiscard]] std::string painted(std::string_view colour, std::string_view text, bool coloured) {
    std::string out(text);
    return coloured && !colour.empty() ? std::string(colour).append(out).append(plain) : out;
}

[[nodiscard]] std::string_view colour_of(Level level) noexcept {
    switch (level) {
        case Level::trace:
        case Level::debug:
            return dim;
        case Level::info:
            return {};
        case Level::warn:
            return yellow;
        case Level::error:
            return red;
    }
    return {};
}

[[nodiscard]] std::string_view level_word(Level level) noexcept {
    switch (level) {
        case Level::trace:
            return "TRACE";
        case Level::debug:
            return "DEBUG";
        case Level::info:
            return "INFO ";
        case Level::warn:
            return "WARN ";
        case Level::error:
            return "ERROR";
    }
    return "?";
}

// Indented lines, each group under one label.
class Block {
  public:
    explicit Block(bool coloured) : coloured_(coloured) {}

    // An empty text leaves the line out.
    void line(std::string_view label, std::string_view text) {
        if (text.empty()) {
            return;
        }
        text_.append("\n    ").append(painted(dim, padded(label, label_width), coloured_));
        text_.append(" ").append(terminal_text(text));
    }
    void list(std::string_view label, std::span<const std::string> items) {
        for (const auto& item : items) {
            line(label, item);
            label = {};
        }
    }
    [[nodiscard]] std::string take() { return std::move(text_); }

  private:
    std::string text_;
    bool coloured_;
};

void add(std::string& text, std::string_view separator, std::string_view more) {
    if (!more.empty()) {
        text.append(text.empty() ? "" : separator).append(more);
    }
}

// "SET of 1 MiB on cart:* (db 0) by checkout, 10.0.0.1:52110, user default, redis-py"
[[nodiscard]] std::string who_and_what(const policy::OomEvent& event) {
    std::string text = event.command.empty() ? "a command" : event.command;
    if (event.bytes > 0) {
        text +=
            " of " +
            bytes_text(static_cast<std::int64_t>(std::min<std::uint64_t>(event.bytes, INT64_MAX)));
    }
    if (!event.key.empty()) {
        text += " on " + event.key;
    }
    text += " (db " + std::to_string(event.db) + (event.in_multi ? ", in MULTI)" : ")");
    std::string client = event.client.name;
    add(client, ", ", event.client.address);
    add(client, ", user ", event.client.user);
    add(client, ", ", event.client.library);
    return client.empty() ? text : text + " by " + client;
}

[[nodiscard]] std::string memory_text(const policy::Report& report) {
    const policy::MemoryState& state = report.state;
    const policy::MemorySample& sample = state.sample;
    if (!state.sampled || sample.used_memory < 0) {
        return "not known: INFO was not read";
    }
    std::string text = bytes_text(state.counted) + " counted";
    if (state.ceiling > 0) {
        text += " of " + bytes_text(state.ceiling);
    }
    add(text, ", ", sample.policy);
    if (state.growth_bytes_per_s >= 1024) {
        text += ", growing " +
                bytes_text(static_cast<std::int64_t>(std::min(state.growth_bytes_per_s, 9.0e18))) +
                "/s";
    }
    text +=
        ", " + count_text(sample.keys) + " keys (" + count_text(sample.expires) + " with a TTL)";
    if (report.sample_age_ms >= 1000) {
        text += ", read " +
                policy::duration_text(static_cast<double>(report.sample_age_ms) / 1000) + " before";
    }
    return text;
}

[[nodiscard]] std::vector<std::string> growth_lines(std::span<const policy::GrowthRow> rows) {
    std::vector<std::string> lines;
    for (const auto& row : rows.first(std::min(rows.size(), table_rows_max))) {
        std::string text = row.pattern;
        add(text, "  ", row.client);
        add(text, "  ", row.command);
        text +=
            "  " +
            bytes_text(static_cast<std::int64_t>(std::min<std::uint64_t>(row.bytes, INT64_MAX))) +
            ", " + policy::percent_text(row.without_ttl) + " without a TTL";
        lines.push_back(std::move(text));
    }
    return lines;
}

[[nodiscard]] std::string causes(std::span<const policy::Cause> all) {
    std::string text;
    for (const policy::Cause cause : all) {
        add(text, ", ", name_of(cause));
    }
    return text;
}

[[nodiscard]] std::vector<std::string> count_lines(std::span<const policy::CountRow> rows) {
    std::vector<std::string> lines;
    for (const auto& row : rows.first(std::min(rows.size(), table_rows_max))) {
        std::string counts;
        if (row.oom_replies > 0) {
            counts = count_text(static_cast<std::int64_t>(row.oom_replies)) + " OOM";
        }
        if (row.refusals > 0) {
            add(counts, ", ", count_text(static_cast<std::int64_t>(row.refusals)) + " refused");
        }
        lines.push_back((row.name.empty() ? "(none)" : row.name) + "  " + counts);
    }
    if (rows.size() > table_rows_max) {
        lines.push_back("and " + std::to_string(rows.size() - table_rows_max) + " more");
    }
    return lines;
}

void tell_diagnosis(Block& block, const policy::Diagnosis& diagnosis) {
    block.list("because", diagnosis.evidence);
    block.line("also", causes(diagnosis.also));
    block.list("advice", diagnosis.advice);
}

void tell_report(Block& block, const policy::Record& record) {
    const policy::Report& report = record.report;
    block.line("what", who_and_what(report.event));
    block.line("memory", memory_text(report));
    tell_diagnosis(block, report.diagnosis);
    block.list("growth", growth_lines(report.top_growth));
    if (record.suppressed > 0) {
        block.line(
            "and",
            count_text(static_cast<std::int64_t>(record.suppressed)) +
                " more like it since the last such record"
        );
    }
    block.line("incident", record.incident_id);
}

void tell_story(Block& block, const policy::Incident& incident) {
    block.list("commands", count_lines(incident.by_command));
    block.list("clients", count_lines(incident.by_client));
    block.list("patterns", count_lines(incident.by_pattern));
    if (!incident.curve.empty()) {
        const auto higher = [](const auto& a, const auto& b) { return a.counted < b.counted; };
        const auto [low, high] =
            std::minmax_element(incident.curve.begin(), incident.curve.end(), higher);
        block.line(
            "memory",
            "between " + bytes_text(low->counted) + " and " + bytes_text(high->counted) +
                (high->ceiling > 0 ? ", ceiling " + bytes_text(high->ceiling) : std::string{})
        );
    }
    tell_diagnosis(block, incident.report.diagnosis);
}

}  // namespace

std::string json_line(const Line& line, std::int64_t unix_ms) {
    boost::json::object out{
        {"ts", time_text(unix_ms)},
        {"level", name_of(line.level)},
        {"event", line.event},
        {"msg", text_json(line.message)}};
    for (const auto& member : line.fields) {
        out.insert(member);  // a field cannot take the place of one of these four
    }
    return to_line(out);
}

std::string text_line(const Line& line, std::int64_t unix_ms, bool coloured) {
    std::string out = painted(dim, time_text(unix_ms), coloured);
    out.append(" ").append(painted(colour_of(line.level), level_word(line.level), coloured));
    out.append(" ").append(painted(bold, padded(line.event, event_width), coloured));
    out.append(" ").append(terminal_text(line.message));
    if (line.event == "note") {
        for (const auto& member : line.fields) {
            const auto& value = member.value();
            const std::string shown =
                value.is_string() ? std::string(value.get_string()) : to_line(value);
            out.append(" ").append(terminal_text(std::string(member.key()) + "=" + shown));
        }
    }
    return out;
}

std::string text_block(const policy::Record& record, bool coloured) {
    Block block(coloured);
    switch (record.kind) {
        case RecordKind::oom:
        case RecordKind::refused:
            tell_report(block, record);
            break;
        case RecordKind::incident_updated:
            tell_diagnosis(block, record.incident->report.diagnosis);
            break;
        case RecordKind::incident_closed:
            tell_story(block, *record.incident);
            break;
        case RecordKind::incident_opened:
            break;  // the record of its first event follows
    }
    return block.take();
}

}  // namespace spillway::log
