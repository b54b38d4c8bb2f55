// One reading of INFO: what the backend said about its memory, and when it was asked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::policy {

// Time is an argument everywhere in policy: nanoseconds of a monotonic clock whose zero means
// nothing.
using Nanos = std::int64_t;

inline constexpr Nanos millisecond = 1'000'000;
inline constexpr Nanos second = 1'000'000'000;

// The eight maxmemory policies fall into three families; `unknown` covers a hidden or new one.
// New members (volatile-lrm and the like) are recognised by prefix.
enum class EvictionFamily : std::uint8_t { unknown, noeviction, volatile_keys, all_keys };

[[nodiscard]] EvictionFamily eviction_family(std::string_view policy_name) noexcept;

struct DatabaseKeys {
    std::int64_t keys = 0;
    std::int64_t expires = 0;  // of these, keys with a TTL
};

// Byte fields are -1 where the server does not say (older, managed or foreign servers).
struct MemorySample {
    Nanos asked_at = 0;
    Nanos answered_at = 0;

    std::int64_t used_memory = -1;
    std::int64_t used_memory_rss = -1;
    std::int64_t used_memory_peak = -1;
    std::int64_t used_memory_overhead = -1;
    std::int64_t used_memory_startup = -1;
    std::int64_t used_memory_dataset = -1;
    std::int64_t used_memory_scripts =
        -1;  // script bodies and functions that count against the limit
    std::int64_t not_counted_for_evict = 0;
    std::int64_t maxmemory = -1;  // 0 = no limit
    std::string policy;           // maxmemory_policy verbatim; empty when hidden
    EvictionFamily family = EvictionFamily::unknown;

    std::int64_t clients_normal_bytes = -1;  // mem_clients_normal; lags by up to a second
    std::int64_t clients_replica_bytes = -1;
    std::int64_t replication_buffers_bytes = -1;  // mem_total_replication_buffers
    std::int64_t backlog_bytes = -1;              // mem_replication_backlog
    std::int64_t aof_buffer_bytes = -1;
    std::int64_t cluster_links_bytes = -1;      // mem_cluster_links
    std::int64_t max_input_buffer_bytes = -1;   // client_recent_max_input_buffer
    std::int64_t max_output_buffer_bytes = -1;  // client_recent_max_output_buffer
    std::int64_t lazyfree_pending_objects = -1;
    std::int64_t eviction_exceeded_ms = -1;  // current_eviction_exceeded_time
    std::int64_t cached_scripts = -1;        // number_of_cached_scripts
    std::int64_t libraries = -1;             // number_of_libraries
    std::int64_t functions_bytes = -1;       // used_memory_functions, a part of scripts
    std::int64_t connected_replicas = -1;    // connected_slaves

    std::int64_t keys = 0;     // summed over all databases
    std::int64_t expires = 0;  // of these, keys with a TTL
    static constexpr std::size_t databases_max = 16;
    std::array<DatabaseKeys, databases_max> databases{};  // those of the lowest numbers
    std::int64_t evicted_keys = -1;
    std::int64_t expired_keys = -1;
    std::int64_t connected_clients = -1;
    std::int64_t oom_errors = 0;  // errorstat_OOM count, 0 when absent
    std::int64_t total_system_memory = -1;

    std::string run_id;
    std::string server;  // "redis 7.0.15", "valkey 9.1.0"
    bool primary = true;
    bool loading = false;
    bool was_replica = false;  // a second replication id: promoted, not long ago
    bool clustered = false;    // cluster_enabled
    std::int64_t pubsub_channels = -1;
    std::int64_t tracked_keys = -1;      // tracking_total_keys: what client-side caches asked about
    std::int64_t tracked_items = -1;     // tracking_total_items: keys times who asked about them
    std::int64_t tracked_prefixes = -1;  // tracking_total_prefixes
    std::int64_t uptime_s = -1;
    double ttl_ms = 0;  // what keys with a TTL have left, on average; 0 = not known

    // By the counters of commands, where INFO was asked for them; since they began.
    std::int64_t config_sets = -1;   // CONFIG SET, of whatever
    std::int64_t script_calls = 0;   // scripts and functions
    std::int64_t script_us = 0;      // and the time they took
    std::int64_t bulk_calls = 0;     // commands that may take far more memory than they send
    std::string bulk_command;        // the one of these that was called most
    std::int64_t bulk_most = 0;      // how often
    std::string refused_command;     // the one that was turned down most, for whatever reason
    std::int64_t refused_calls = 0;  // how often

    // What Redis compares with maxmemory (evict.c): buffers of replicas and AOF are left out.
    [[nodiscard]] std::int64_t counted() const noexcept {
        return used_memory - not_counted_for_evict;
    }
};

}  // namespace spillway::policy
