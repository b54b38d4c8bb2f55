// Reads the text of INFO, of any Redis-like server, into a MemorySample.
#include "policy/info.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string>

namespace spillway::policy {
namespace {

struct NumberField {
    std::string_view name;
    std::int64_t MemorySample::*member;
};

// Sorted by name.
constexpr std::array number_fields = {
    NumberField{"client_recent_max_input_buffer", &MemorySample::max_input_buffer_bytes},
    NumberField{"client_recent_max_output_buffer", &MemorySample::max_output_buffer_bytes},
    NumberField{"connected_clients", &MemorySample::connected_clients},
    NumberField{"connected_slaves", &MemorySample::connected_replicas},
    NumberField{"current_eviction_exceeded_time", &MemorySample::eviction_exceeded_ms},
    NumberField{"evicted_keys", &MemorySample::evicted_keys},
    NumberField{"expired_keys", &MemorySample::expired_keys},
    NumberField{"lazyfree_pending_objects", &MemorySample::lazyfree_pending_objects},
    NumberField{"maxmemory", &MemorySample::maxmemory},
    NumberField{"mem_aof_buffer", &MemorySample::aof_buffer_bytes},
    NumberField{"mem_clients_normal", &MemorySample::clients_normal_bytes},
    NumberField{"mem_clients_slaves", &MemorySample::clients_replica_bytes},
    NumberField{"mem_cluster_links", &MemorySample::cluster_links_bytes},
    NumberField{"mem_not_counted_for_evict", &MemorySample::not_counted_for_evict},
    NumberField{"mem_replication_backlog", &MemorySample::backlog_bytes},
    NumberField{"mem_total_replication_buffers", &MemorySample::replication_buffers_bytes},
    NumberField{"number_of_cached_scripts", &MemorySample::cached_scripts},
    NumberField{"number_of_libraries", &MemorySample::libraries},
    NumberField{"pubsub_channels", &MemorySample::pubsub_channels},
    NumberField{"total_system_memory", &MemorySample::total_system_memory},
    NumberField{"tracking_total_items", &MemorySample::tracked_items},
    NumberField{"tracking_total_keys", &MemorySample::tracked_keys},
    NumberField{"tracking_total_prefixes", &MemorySample::tracked_prefixes},
    NumberField{"uptime_in_seconds", &MemorySample::uptime_s},
    NumberField{"used_memory", &MemorySample::used_memory},
    NumberField{"used_memory_dataset", &MemorySample::used_memory_dataset},
    NumberField{"used_memory_functions", &MemorySample::functions_bytes},
    NumberField{"used_memory_overhead", &MemorySample::used_memory_overhead},
    NumberField{"used_memory_peak", &MemorySample::used_memory_peak},
    NumberField{"used_memory_rss", &MemorySample::used_memory_rss},
    NumberField{"used_memory_scripts", &MemorySample::used_memory_scripts},
    NumberField{"used_memory_startup", &MemorySample::used_memory_startup},
};

constexpr std::size_t word_bytes_max = 64;

[[nodiscard]] std::optional<std::int64_t> number(std::string_view text) noexcept {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
        return std::nullopt;
    }
    return value;
}

// Names and versions reach logs and replies, so nothing but short printable text is taken.
[[nodiscard]] std::string_view word(std::string_view text) noexcept {
    const auto printable = [](char c) { return c > ' ' && c < '\x7f'; };
    const bool fits =
        text.size() <= word_bytes_max && std::all_of(text.begin(), text.end(), printable);
    return fits ? text : std::string_view{};
}

// The number behind `key=` in "keys=5,expires=0,avg_ttl=0"; newer servers add members anywhere.
[[nodiscard]] std::optional<std::int64_t> member(
    std::string_view list, std::string_view key
) noexcept {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        const auto item = list.substr(0, comma);
        if (item.size() > key.size() && item.substr(0, key.size()) == key &&
            item[key.size()] == '=') {
            return number(item.substr(key.size() + 1));
        }
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return std::nullopt;
}

[[nodiscard]] bool is_database(std::string_view name) noexcept {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    return name.size() > 2 && name.substr(0, 2) == "db" &&
           std::all_of(name.begin() + 2, name.end(), digit);
}

void add_capped(std::int64_t& sum, std::int64_t more) noexcept {
    sum = more > std::numeric_limits<std::int64_t>::max() - sum
              ? std::numeric_limits<std::int64_t>::max()
              : sum + more;
}

// What is put together only at the end, since the order of fields is not ours to assume.
struct Identity {
    std::string_view server_name;
    std::string_view redis_version;
    std::string_view valkey_version;
    std::string_view dragonfly_version;
    bool keydb = false;  // known by its executable only

    [[nodiscard]] std::string text() const {
        const auto named = [](std::string_view name, std::string_view version) {
            std::string out(name);
            if (!version.empty()) {
                out.append(" ").append(version);
            }
            return out;
        };
        if (!valkey_version.empty()) {  // its redis_version is one that clients know
            return named("valkey", valkey_version);
        }
        if (!dragonfly_version.empty()) {
            return named("dragonfly", dragonfly_version);
        }
        if (!server_name.empty()) {
            return named(server_name, redis_version);
        }
        return redis_version.empty() ? std::string{}
                                     : named(keydb ? "keydb" : "redis", redis_version);
    }
};

constexpr std::array<std::string_view, 6> script_commands = {
    "eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro"};

// Redis looks at memory before a command alone: these may take any amount by a few bytes of
// arguments. Commands of modules, which have a dot, may do so, too.
constexpr std::array<std::string_view, 23> bulk_commands = {
    "setrange",    "setbit",     "bitfield",         "bitop",       "copy",
    "restore",     "sort",       "sinterstore",      "sunionstore", "sdiffstore",
    "zunionstore", "zdiffstore", "zinterstore",      "zrangestore", "geosearchstore",
    "georadius",   "xreadgroup", "xclaim",           "xautoclaim",  "restore-asking",
    "debug",       "pfmerge",    "georadiusbymember"};

// One row of commandstats: "calls=5,usec=81,usec_per_call=16.20,rejected_calls=0,failed_calls=0".
void take_command(std::string_view name, std::string_view value, MemorySample& into) {
    const auto is_in = [name](const auto& names) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    const std::int64_t calls = member(value, "calls").value_or(0);
    if (name == "config|set" || name == "config") {  // 6.2 has only the latter
        into.config_sets = calls;
    } else if (is_in(script_commands)) {
        add_capped(into.script_calls, calls);
        add_capped(into.script_us, member(value, "usec").value_or(0));
    } else if (is_in(bulk_commands) || name.find('.') != std::string_view::npos) {
        add_capped(into.bulk_calls, calls);
        if (calls > into.bulk_most) {
            into.bulk_most = calls;
            into.bulk_command = word(name);
        }
    }
    const std::int64_t refused = member(value, "rejected_calls").value_or(0);
    if (refused > into.refused_calls) {
        into.refused_calls = refused;
        into.refused_command = word(name);
    }
}

// The counters once more, or for the first time: it names only commands that were called.
void forget_commands(MemorySample& into) {
    into.config_sets = 0;
    into.script_calls = into.script_us = 0;
    into.bulk_calls = into.bulk_most = into.refused_calls = 0;
    into.bulk_command.clear();
    into.refused_command.clear();
}

void take_word(
    std::string_view name, std::string_view value, MemorySample& into, Identity& identity
) {
    if (name == "maxmemory_policy") {
        into.policy = word(value);
        into.family = eviction_family(into.policy);
    } else if (name == "role") {
        into.primary = value != "slave" && value != "replica";
    } else if (name == "loading" || name == "async_loading") {
        into.loading = into.loading || value == "1";
    } else if (name == "run_id") {
        into.run_id = word(value);
    } else if (name == "master_replid2") {
        into.was_replica = value.find_first_not_of('0') != std::string_view::npos;
    } else if (name == "cluster_enabled") {
        into.clustered = value == "1";
    } else if (name.starts_with("cmdstat_")) {
        take_command(name.substr(8), value, into);
    } else if (name == "errorstat_OOM") {
        into.oom_errors = member(value, "count").value_or(0);
    } else if (name == "server_name") {
        identity.server_name = word(value);
    } else if (name == "executable") {
        identity.keydb = value.ends_with("keydb-server");
    } else if (name == "redis_version") {
        identity.redis_version = word(value);
    } else if (name == "valkey_version") {
        identity.valkey_version = word(value);
    } else if (name == "dragonfly_version") {
        identity.dragonfly_version = word(value);
    } else if (is_database(name)) {
        const DatabaseKeys found{
            .keys = member(value, "keys").value_or(0),
            .expires = member(value, "expires").value_or(0)};
        add_capped(into.keys, found.keys);
        add_capped(into.expires, found.expires);
        const auto left = member(value, "avg_ttl");
        if (left.value_or(0) > 0 && found.expires > 0) {
            const double share =
                static_cast<double>(found.expires) / static_cast<double>(into.expires);
            into.ttl_ms += (static_cast<double>(*left) - into.ttl_ms) * share;
        }
        const std::optional<std::int64_t> index = number(name.substr(2));
        if (index && *index < static_cast<std::int64_t>(into.databases.size())) {
            into.databases[static_cast<std::size_t>(*index)] = found;
        }
    }
}

void take_line(std::string_view line, MemorySample& into, Identity& identity) {
    if (line == "# Keyspace") {  // the section once more: not the same keys twice
        into.keys = 0;
        into.expires = 0;
        into.databases = {};
        into.ttl_ms = 0;
        return;
    }
    if (line == "# Commandstats") {
        forget_commands(into);
    }
    const auto colon = line.find(':');
    if (line.empty() || line[0] == '#' || colon == std::string_view::npos) {
        return;
    }
    const auto name = line.substr(0, colon);
    const auto value = line.substr(colon + 1);
    const auto field = std::lower_bound(
        number_fields.begin(),
        number_fields.end(),
        name,
        [](const NumberField& f, std::string_view n) { return f.name < n; }
    );
    if (field == number_fields.end() || field->name != name) {
        take_word(name, value, into, identity);
    } else if (const auto parsed = number(value)) {
        into.*field->member = *parsed;
    }
}

}  // namespace

InfoProblem parse_info(std::string_view text, MemorySample& into) {
    MemorySample fresh;
    fresh.asked_at = into.asked_at;
    fresh.answered_at = into.answered_at;
    into = std::move(fresh);
    return refresh_from_info(text, into);
}

InfoProblem refresh_from_info(std::string_view text, MemorySample& into) {
    into.used_memory = -1;
    if (text.size() > info_bytes_max) {
        return InfoProblem::too_long;
    }

    Identity identity;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        if (!line.empty() && line.back() == '\r') {
            line.remove_suffix(1);
        }
        take_line(line, into, identity);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    if (std::string server = identity.text(); !server.empty()) {
        into.server = std::move(server);
    }
    return into.used_memory < 0 ? InfoProblem::no_memory : InfoProblem::none;
}

}  // namespace spillway::policy
