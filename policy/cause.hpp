// The stable names of why memory ran out, as users see them in records, replies and metrics.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace spillway::policy {

// Backend OOM replies carry one of the diagnosis causes; refusals by the guard may also carry the
// last three.
enum class Cause : std::uint8_t {
    noeviction_at_ceiling,
    no_evictable_keys,
    few_evictable_keys,
    eviction_too_slow,
    oversized_write,
    big_key,
    client_buffers,
    replication_buffers,
    lazyfree_pending,
    script_memory,
    non_data_overhead,
    ceiling_lowered,
    script_refused,
    provider_limit,
    replica_promoted,
    cluster_skew,
    write_burst,
    unknown,
    near_ceiling,
    write_max,
    evict_max,
};

inline constexpr std::array<std::string_view, 21> cause_names = {
    "noeviction-at-ceiling", "no-evictable-keys",   "few-evictable-keys",
    "eviction-too-slow",     "oversized-write",     "big-key",
    "client-buffers",        "replication-buffers", "lazyfree-pending",
    "script-memory",         "non-data-overhead",   "ceiling-lowered",
    "script-refused",        "provider-limit",      "replica-promoted",
    "cluster-skew",          "write-burst",         "unknown",
    "near-ceiling",          "write-max",           "evict-max",
};

[[nodiscard]] constexpr std::string_view name_of(Cause cause) noexcept {
    return cause_names[static_cast<std::size_t>(cause)];
}

}  // namespace spillway::policy
