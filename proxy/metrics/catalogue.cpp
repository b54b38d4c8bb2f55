// The rows of the catalogue, in the order in which they are shown.
#include "proxy/metrics/catalogue.hpp"

#include <array>

namespace spillway::metrics {
namespace {

constexpr std::array<std::string_view, 6> guard_state_names = {
    "off",
    "blind",
    "plenty",
    "paced",
    "reserve",
    "ceiling",
};
constexpr std::array<std::string_view, 3> guard_mode_names = {"off", "observe", "protect"};
constexpr std::array<std::string_view, 2> reload_result_names = {"applied", "rejected"};

constexpr Label class_label{
    .name = "class", .meaning = "what the command may do to memory", .listed = command_class_names};
constexpr Label verdict_label{
    .name = "verdict", .meaning = "what became of the command", .listed = command_verdict_names};
constexpr Label origin_label{
    .name = "origin", .meaning = "who refused: Redis or Spillway", .listed = origin_names};
constexpr Label cause_label{
    .name = "cause",
    .meaning = "why memory ran out, or why the guard refused",
    .listed = {},
    .values = LabelValues::cause_names};

constexpr std::array by_version = {Label{
    .name = "version",
    .meaning = "the version of Spillway",
    .listed = {},
    .values = LabelValues::version}};
constexpr std::array by_refused_reason = {Label{
    .name = "reason", .meaning = "why the client got no session", .listed = refused_reason_names}};
constexpr std::array by_opaque_reason = {Label{
    .name = "reason",
    .meaning = "why replies could no longer be followed",
    .listed = opaque_reason_names}};
constexpr std::array by_closed_reason = {
    Label{.name = "reason", .meaning = "why the session ended", .listed = closed_reason_names}};
constexpr std::array by_retry_result = {
    Label{.name = "result", .meaning = "what became of the write", .listed = retry_result_names}};
constexpr std::array by_class = {class_label};
constexpr std::array by_class_and_verdict = {class_label, verdict_label};
constexpr std::array by_origin_and_cause = {origin_label, cause_label};
constexpr std::array by_direction = {Label{
    .name = "direction",
    .meaning = "`in` was read from that side, `out` was written to it",
    .listed = direction_names}};
constexpr std::array by_guard_state = {
    Label{.name = "state", .meaning = "1 for the present state", .listed = guard_state_names}};
constexpr std::array by_guard_mode = {
    Label{.name = "mode", .meaning = "1 for the configured mode", .listed = guard_mode_names}};
constexpr std::array by_reload_result = {Label{
    .name = "result", .meaning = "whether the new file was taken", .listed = reload_result_names}};

constexpr std::span<const Label> no_labels;

template <auto cell>
constexpr FromShards shard_cell{[](const ShardMetrics& shard, std::size_t, std::size_t) {
    return static_cast<std::int64_t>((shard.*cell).value());
}};

template <auto cells>
constexpr FromShards shard_cells{[](const ShardMetrics& shard, std::size_t first, std::size_t) {
    return static_cast<std::int64_t>((shard.*cells).at_index(first).value());
}};

template <auto cells>
constexpr FromShards shard_table{
    [](const ShardMetrics& shard, std::size_t first, std::size_t second) {
        return static_cast<std::int64_t>((shard.*cells).at_index(first).at_index(second).value());
    }};

template <auto value>
constexpr FromBackends backend_value{
    [](const BackendGauges& backend) { return static_cast<double>(backend.*value); }};

using enum MetricType;

constexpr std::array rows = {
    Metric{
        "build_info",
        gauge,
        "Always 1; the label tells which version runs.",
        by_version,
        FromGauges{[](const GlobalGauges&, std::size_t) { return 1.0; }}},
    Metric{
        "clients",
        gauge,
        "Client connections open now.",
        no_labels,
        shard_cell<&ShardMetrics::clients>},
    Metric{
        "client_connections_total",
        counter,
        "Client connections accepted.",
        no_labels,
        shard_cell<&ShardMetrics::client_connections>},
    Metric{
        "client_connections_refused_total",
        counter,
        "Client connections closed without having been served.",
        by_refused_reason,
        shard_cells<&ShardMetrics::connections_refused>},
    Metric{
        "sessions_opaque_total",
        counter,
        "Sessions that became a plain pipe, without attribution and guard.",
        by_opaque_reason,
        shard_cells<&ShardMetrics::sessions_opaque>},
    Metric{
        "sessions_closed_total",
        counter,
        "Sessions that ended.",
        by_closed_reason,
        shard_cells<&ShardMetrics::sessions_closed>},
    Metric{
        "commands_total",
        counter,
        "Commands judged by the guard.",
        by_class_and_verdict,
        shard_table<&ShardMetrics::commands>},
    Metric{
        "unknown_commands_total",
        counter,
        "Commands that neither the server nor the built-in table knows; they pass.",
        no_labels,
        shard_cell<&ShardMetrics::unknown_commands>},
    Metric{
        "command_seconds",
        histogram,
        "Time from sending a command on to the end of its reply; what it was held before is in "
        "hold_seconds.",
        by_class,
        HistogramFromShards{[](const ShardMetrics& shard, std::size_t first) -> const Histogram& {
            return shard.command_seconds.at_index(first);
        }}},
    Metric{
        "bytes_total",
        counter,
        "Bytes moved, by side and direction.",
        by_direction,
        shard_cells<&ShardMetrics::bytes>},

    Metric{
        "guard_mode",
        gauge,
        "The mode of the guard.",
        by_guard_mode,
        FromGauges{[](const GlobalGauges& gauges, std::size_t first) {
            return gauges.guard_mode == guard_mode_names[first] ? 1.0 : 0.0;
        }}},
    Metric{
        "guard_state",
        gauge,
        "How near the ceiling is, as the guard sees it; blind means that everything passes.",
        by_guard_state,
        FromGauges{[](const GlobalGauges& gauges, std::size_t first) {
            return gauges.guard_state == guard_state_names[first] ? 1.0 : 0.0;
        }}},
    Metric{
        "oom_replies_total",
        counter,
        "OOM errors that clients received, from Redis or from the guard.",
        by_origin_and_cause,
        shard_table<&ShardMetrics::oom_replies>},
    Metric{
        "held_commands",
        gauge,
        "Commands waiting for credit now.",
        no_labels,
        shard_cell<&ShardMetrics::held_commands>},
    Metric{
        "hold_seconds",
        histogram,
        "How long held commands waited.",
        no_labels,
        HistogramFromShards{[](const ShardMetrics& shard, std::size_t) -> const Histogram& {
            return shard.hold_seconds;
        }}},
    Metric{
        "relay_buffer_bytes",
        gauge,
        "Bytes of requests kept because they cannot move on yet.",
        no_labels,
        shard_cell<&ShardMetrics::relay_buffer_bytes>},
    Metric{
        "spool_bytes",
        gauge,
        "Bytes of replies kept for clients that read slowly.",
        no_labels,
        shard_cell<&ShardMetrics::spool_bytes>},
    Metric{
        "spool_overflows_total",
        counter,
        "Times a client's replies outgrew its spool or the spool of all.",
        no_labels,
        shard_cell<&ShardMetrics::spool_overflows>},
    Metric{
        "oom_retries_total",
        counter,
        "Writes that the backend refused for memory and that were held to be sent again.",
        by_retry_result,
        shard_cells<&ShardMetrics::oom_retries>},
    Metric{
        "config_reloads_total",
        counter,
        "Attempts to reload the configuration.",
        by_reload_result,
        FromGauges{[](const GlobalGauges& gauges, std::size_t first) {
            return static_cast<double>(
                first == 0 ? gauges.config_reloads_applied : gauges.config_reloads_rejected
            );
        }}},

    Metric{
        "backend_connections",
        gauge,
        "Connections to the backend open now, those of the monitor left out.",
        no_labels,
        shard_cell<&ShardMetrics::backend_connections>},
    Metric{
        "backend_up",
        gauge,
        "1 while the backend answers.",
        no_labels,
        backend_value<&BackendGauges::up>},
    Metric{
        "backend_used_memory_bytes",
        gauge,
        "used_memory as INFO tells it.",
        no_labels,
        backend_value<&BackendGauges::used_memory_bytes>},
    Metric{
        "backend_counted_memory_bytes",
        gauge,
        "The part of used memory that Redis compares with its ceiling.",
        no_labels,
        backend_value<&BackendGauges::counted_memory_bytes>},
    Metric{
        "backend_ceiling_bytes",
        gauge,
        "maxmemory, or the configured ceiling; NaN when there is none.",
        no_labels,
        backend_value<&BackendGauges::ceiling_bytes>},
    Metric{
        "backend_headroom_bytes",
        gauge,
        "Ceiling less counted memory plus evictable bytes; negative when over it.",
        no_labels,
        backend_value<&BackendGauges::headroom_bytes>},
    Metric{
        "backend_evictable_bytes",
        gauge,
        "Bytes that Redis could push out under its policy.",
        no_labels,
        backend_value<&BackendGauges::evictable_bytes>},
    Metric{
        "backend_growth_bytes_per_second",
        gauge,
        "Growth of counted memory over the last seconds.",
        no_labels,
        backend_value<&BackendGauges::growth_bytes_per_second>},
    Metric{
        "backend_time_to_ceiling_seconds",
        gauge,
        "Time until the ceiling at this growth; +Inf when memory is flat or falling.",
        no_labels,
        backend_value<&BackendGauges::time_to_ceiling_seconds>},
    Metric{
        "backend_sample_age_seconds",
        gauge,
        "Age of the newest reading of the backend's memory.",
        no_labels,
        backend_value<&BackendGauges::sample_age_seconds>},
};

}  // namespace

std::span<const Metric> catalogue() noexcept {
    return rows;
}

}  // namespace spillway::metrics
