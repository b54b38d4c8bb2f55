// Everything one thread counts: plain cells that this thread alone writes.
#pragma once

#include "proxy/metrics/cells.hpp"
#include "proxy/metrics/labels.hpp"

namespace spillway::metrics {

template <typename Label, const auto& names>
using CountersBy = LabelArray<Counter, Label, names.size()>;

// One per shard, and one for the control plane, which counts what it alone knows (the cause of a
// backend's OOM reply). Aligned so that two shards never share a cache line; what each command
// touches comes first.
struct alignas(64) ShardMetrics {
    LabelArray<
        CountersBy<CommandVerdict, command_verdict_names>,
        CommandClass,
        command_class_names.size()>
        commands;
    CountersBy<Direction, direction_names> bytes;
    LabelArray<Histogram, CommandClass, command_class_names.size()> command_seconds;
    Counter unknown_commands;

    Histogram hold_seconds;
    Gauge held_commands;
    CountersBy<RetryResult, retry_result_names> oom_retries;
    Gauge relay_buffer_bytes;
    Gauge spool_bytes;
    Counter spool_overflows;

    Gauge clients;
    Gauge backend_connections;
    Counter client_connections;
    CountersBy<RefusedReason, refused_reason_names> connections_refused;
    CountersBy<OpaqueReason, opaque_reason_names> sessions_opaque;
    CountersBy<ClosedReason, closed_reason_names> sessions_closed;

    // The inner index is that of the cause's name as given to render().
    LabelArray<LabelArray<Counter, std::size_t, causes_max>, Origin, origin_names.size()>
        oom_replies;
};

}  // namespace spillway::metrics
