// Prometheus text from the cells of all shards and what the control plane knows of backends and
// guard.
#pragma once

#include "proxy/metrics/shard_metrics.hpp"

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::metrics {

inline constexpr double not_known = std::numeric_limits<double>::quiet_NaN();
inline constexpr double never = std::numeric_limits<double>::infinity();

// Gauges of one backend; what no sample has told yet stays not_known.
struct BackendGauges {
    std::string name;  // label `backend`, shown when there are several
    bool up = false;
    double used_memory_bytes = not_known;
    double counted_memory_bytes = not_known;
    double ceiling_bytes = not_known;  // also not_known where maxmemory is 0
    double headroom_bytes = not_known;
    double evictable_bytes = not_known;
    double growth_bytes_per_second = not_known;
    double time_to_ceiling_seconds = not_known;  // never when memory is flat or falling
    double sample_age_seconds = not_known;
};

// What is not counted by a shard. Strings are those of the labels; a state or mode outside the
// catalogue shows as all zero.
struct GlobalGauges {
    std::string version;
    std::vector<BackendGauges> backends;
    std::string_view guard_state = "off";
    std::string_view guard_mode = "off";
    std::uint64_t config_reloads_applied = 0;
    std::uint64_t config_reloads_rejected = 0;
    std::span<const std::string_view> cause_names;  // at most causes_max; policy::cause_names
};

// The whole exposition, each family with HELP and TYPE, its series in a fixed order. Null entries
// of `shards` are skipped.
[[nodiscard]] std::string render(
    std::span<const ShardMetrics* const> shards, const GlobalGauges& gauges
);

}  // namespace spillway::metrics
