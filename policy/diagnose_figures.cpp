// The figures that every rule of the diagnosis is made of, worked out once from samples, history
// and the event.
#include "policy/diagnose_figures.hpp"

#include "policy/wording.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace spillway::policy {
namespace {

// From this size on an argument gets a buffer of its own, which Redis keeps beside the value it
// makes of it: 2.1 to 2.5 times the argument at the moment of the check, as measured.
constexpr std::uint64_t large_argument = 32U << 10U;
constexpr double large_argument_need = 2.5;
constexpr double large_argument_kept =
    1.2;  // for up to a second after a refusal, in an empty query buffer
constexpr double small_need = 1.25;
constexpr double unseen_need = 2;  // of the buffer, which is larger than the value

// Entry, key object and table slots, before and during a doubling, as measured on 6.2 to 9.1; the
// rest of the overhead is not explained by the number of keys.
constexpr double table_bytes_per_key = 120;
constexpr double table_bytes_per_ttl = 64;

// An empty server's "dataset" (connections, first commands): not a sign of anything.
constexpr double empty_dataset = 1 << 20;

[[nodiscard]] double bytes(std::int64_t value) noexcept {
    return static_cast<double>(std::max<std::int64_t>(value, 0));
}

void split_memory(Figures& f) noexcept {
    const MemorySample& sample = f.sample();
    const double used = bytes(sample.used_memory);
    f.startup = bytes(sample.used_memory_startup);
    f.scripts = bytes(sample.used_memory_scripts);
    f.replication =
        sample.backlog_bytes >= 0
            ? bytes(sample.backlog_bytes)
            : std::max(
                  0.0, bytes(sample.replication_buffers_bytes) - bytes(sample.not_counted_for_evict)
              );
    f.clients_known = sample.clients_normal_bytes >= 0;
    f.clients = bytes(sample.clients_normal_bytes);
    f.clients_shared = f.clients_known && f.clients > used - f.startup;
    if (f.clients_shared) {
        f.clients = 0;
    }

    const bool dataset_known =
        sample.used_memory_dataset >= 0 && bytes(sample.used_memory_dataset) <= used;
    if (!dataset_known || sample.used_memory_overhead < 0) {
        f.data = std::max(0.0, f.counted - f.startup - f.clients - f.replication - f.scripts);
        return;
    }
    const double dataset = bytes(sample.used_memory_dataset);
    const double named = f.startup + f.clients + f.scripts + f.replication +
                         bytes(sample.clients_replica_bytes) + bytes(sample.aof_buffer_bytes) +
                         bytes(sample.cluster_links_bytes);
    const double tables = std::max(0.0, bytes(sample.used_memory_overhead) - named);
    const double tables_explained = std::min(
        tables,
        table_bytes_per_key * bytes(sample.keys) + table_bytes_per_ttl * bytes(sample.expires)
    );
    f.non_data = tables - tables_explained;
    if (sample.keys == 0) {
        f.non_data += std::max(0.0, dataset - empty_dataset);
        f.data = 0;
    } else {
        f.data = dataset + tables_explained;
    }
}

// INFO counts subscriptions and client tracking as dataset. At least this much each, as measured on
// 7.0 and 9.1: their names, and the entries of the server's and the clients' tables.
constexpr double bytes_per_channel = 150;
constexpr double bytes_per_tracked_key = 90;
constexpr double bytes_per_more_item = 50;  // of keys that more than one client has asked about
constexpr double bytes_per_prefix = 150;

void take_subscriptions_from_data(Figures& f) noexcept {
    const MemorySample& s = f.sample();
    const double more_items = std::max(0., bytes(s.tracked_items) - bytes(s.tracked_keys));
    const double held = bytes_per_channel * bytes(s.pubsub_channels) +
                        bytes_per_tracked_key * bytes(s.tracked_keys) +
                        bytes_per_more_item * more_items +
                        bytes_per_prefix * bytes(s.tracked_prefixes);
    const double taken = std::min(held, f.data);
    if (taken > .02 * std::max(f.ceiling, f.counted)) {
        f.data -= taken;
        f.non_data += taken;
        f.keyless = true;
        f.subscribed = taken;
    }
}

// And what the sample finds in no key, as far as that may be theirs, too.
void take_unexplained_from_data(Figures& f, const KeySummary& keys) noexcept {
    const double more = std::min({keys.unexplained, f.subscribed, f.data});
    if (more > 0) {
        f.data -= more;
        f.non_data += more;
    }
}

// The last sample before the event. Redis takes a large argument's memory when it reads its header,
// so that samples may show it before the reply comes: there, the lowest of some seconds in which no
// key was added by others.
[[nodiscard]] const HistoryPoint* point_before(const Figures& f, bool large) noexcept {
    const HistoryPoint* before = nullptr;
    for (const HistoryPoint& point : f.in.history) {
        if (point.at > f.event()->at) {
            break;
        }
        const bool recent = f.event()->at - point.at <= 3 * second;
        const bool same_keys = before != nullptr && point.keys <= before->keys + 16;
        if (!large || !recent || !same_keys || point.counted <= before->counted) {
            before = &point;
        }
    }
    return before;
}

void weigh_write(Figures& f) noexcept {
    const OomEvent* event = f.event();
    if (event == nullptr || event->bytes == 0) {
        return;
    }
    const auto largest = static_cast<double>(std::min(event->largest_argument_bytes, event->bytes));
    f.write_bytes = static_cast<double>(event->bytes);
    const bool large = event->largest_argument_bytes >= large_argument;
    // Of several large arguments only the last is held twice when memory is checked.
    f.write_need = large ? large_argument_need * largest + small_need * (f.write_bytes - largest)
                         : small_need * f.write_bytes + 100;

    f.room_before = f.room;
    if (const HistoryPoint* before = point_before(f, large)) {
        const double grown = f.counted - static_cast<double>(before->counted);
        f.room_before = std::max(f.room, f.ceiling - static_cast<double>(before->counted));
        f.write_held = large && f.fresh ? std::clamp(grown, 0.0, f.write_need) : 0;
    } else if (large && f.fresh && f.sample().answered_at - event->at < second) {
        f.write_held = std::min(large_argument_kept * largest, f.data);
        f.room_before = f.room + f.write_held;
    }
    f.data = std::max(0.0, f.data - f.write_held);
}

// Seen from outside, while commands are refused: one client's query buffer that comes and goes, or
// stands there empty, is what a refused write needed. A buffer that fills for long is no write that
// was refused, nor are many of them.
void weigh_unseen_write(Figures& f) noexcept {
    if (f.event() != nullptr || !f.limited || !ooms_rise(f) || f.clients_shared) {
        return;
    }
    const MemorySample& sample = f.sample();
    const bool replies = sample.max_output_buffer_bytes > sample.max_input_buffer_bytes;
    const bool had_room = f.room_seen > .04 * f.ceiling;
    double size = had_room && !replies ? bytes(sample.max_input_buffer_bytes) : 0;
    if (!f.in.clients.empty() && bytes(f.in.clients[0].query_bytes) > .02 * f.ceiling) {
        const HeavyClient& client = f.in.clients[0];
        const double query = bytes(client.query_bytes);
        const bool one = client.alone() && client.multi_bytes < client.bytes_of_largest / 2;
        const bool left = bytes(client.spare_bytes) > .8 * query;
        const bool again = client.command == sample.refused_command;  // what was refused
        size = one && (left || again || had_room) ? std::max(size, query) : 0;
    }
    if (size <= .02 * f.ceiling) {
        return;
    }
    const double room = std::max(f.room_seen, f.room + std::min(size, f.clients));
    if (unseen_need * size > room && room > .02 * f.ceiling) {
        f.unseen_write = size;
        f.write_bytes = size;
        f.write_need = unseen_need * size;
        f.room_before = room;
    }
}

// INFO's client figures lag by up to a second: what rose within it without keys to hold it is
// somebody's buffer. And growth that is over by now is no burst.
void settle_rise(Figures& f) noexcept {
    const MemorySample& sample = f.sample();
    const double lasting = f.counted - f.clients;
    const auto lasting_at = [&f](const HistoryPoint& point) {
        return static_cast<double>(point.counted) - (f.clients_shared ? 0 : bytes(point.clients));
    };
    const HistoryPoint* settled = nullptr;  // the newest whose clients are known
    const HistoryPoint* earlier = nullptr;  // the oldest of three seconds
    for (const HistoryPoint& point : f.in.history) {
        const Nanos age = sample.answered_at - point.at;
        settled = age >= second || settled == nullptr ? &point : settled;
        earlier = earlier == nullptr && age >= 0 && age <= 3 * second ? &point : earlier;
    }
    if (settled != nullptr) {
        const auto number = [](std::int64_t count) { return static_cast<double>(count); };
        const double evicted = settled->evicted_keys >= 0
                                   ? number(sample.evicted_keys) - number(settled->evicted_keys)
                                   : 0;
        const double added = std::max(0., number(sample.keys) - number(settled->keys) + evicted);
        const double per_key = sample.keys > 0 ? f.data / number(sample.keys) : 0;
        const double by_keys = 65'536 + 4 * per_key * added;
        f.risen -= std::max(0., lasting - lasting_at(*settled) - by_keys);
    }
    if (earlier != nullptr && lasting - lasting_at(*earlier) < .005 * f.ceiling) {
        f.risen = 0;
    }
    if (f.in.state.growth_bytes_per_s < 0) {
        f.risen = 0;
    }
    f.risen = std::max(f.risen, 0.);
}

void look_back(Figures& f) noexcept {
    const MemorySample& sample = f.sample();
    const Nanos now = sample.answered_at;
    double height = f.counted;
    double lowest = f.counted;
    double low = f.counted - f.clients;
    Nanos low_at = now;
    const HistoryPoint* before = nullptr;  // the event
    const HistoryPoint* two_seconds_ago = nullptr;
    f.lazyfree_pending = std::max<std::int64_t>(sample.lazyfree_pending_objects, 0);
    for (const HistoryPoint& point : f.in.history) {
        if (point.at > now) {
            break;
        }
        const Nanos age = now - point.at;
        const auto counted = static_cast<double>(point.counted);
        if (age <= second) {
            f.lazyfree_pending = std::max(f.lazyfree_pending, point.lazyfree_pending);
        }
        // Since it refused: before, a load may have been on its way to the limit.
        if (age <= 3 * second && f.in.ooms_before && point.oom_errors > *f.in.ooms_before) {
            lowest = std::min(lowest, counted);
        }
        if (age <= 2 * second) {
            height = std::max(height, counted);
            two_seconds_ago = two_seconds_ago == nullptr ? &point : two_seconds_ago;
        }
        const double lasting = counted - (f.clients_shared ? 0 : bytes(point.clients));
        if (age <= 10 * second && lasting < low) {
            low = lasting;
            low_at = point.at;
        }
        if (f.event() != nullptr && point.at <= f.event()->at) {
            before = &point;
        }
    }
    f.room_seen = f.ceiling - lowest;
    f.fallen = height - f.counted;
    f.always_over = low - f.ceiling;
    f.risen = f.counted - f.clients - low;
    f.rise_seconds = std::max(1., static_cast<double>(now - low_at) / static_cast<double>(second));
    settle_rise(f);
    if (two_seconds_ago != nullptr && two_seconds_ago->dataset >= 0 &&
        sample.used_memory_dataset >= 0 && sample.keys <= two_seconds_ago->keys) {
        f.jumped =
            std::max(0.0, bytes(sample.used_memory_dataset) - bytes(two_seconds_ago->dataset));
    }
    if (before != nullptr && f.limited && sample.used_memory_peak > before->peak &&
        before->peak >= 0) {
        f.peaked_over = std::max(0.0, bytes(sample.used_memory_peak) - f.ceiling);
    }
}

// Averages over seconds tell of a load that is over by now: the last two seconds must show it too.
void tell_pace(Figures& f) noexcept {
    const MemoryState& state = f.in.state;
    const MemorySample& sample = f.sample();
    f.pace = state.growth_bytes_per_s;
    f.seconds_left = state.time_to_ceiling_s;
    for (const HistoryPoint& point : f.in.history) {
        const Nanos age = sample.answered_at - point.at;
        if (age < second / 2 || age > 5 * second / 2) {
            continue;
        }
        const double then =
            static_cast<double>(point.counted) - (f.clients_shared ? 0 : bytes(point.clients));
        const bool more_keys = sample.keys > point.keys + 16;
        const double noise = more_keys ? 65'536 : std::max(262'144., .002 * f.ceiling);
        const double risen = f.counted - f.clients - then;
        const double grown = risen > noise ? risen : 0;
        const double pace = grown * static_cast<double>(second) / static_cast<double>(age);
        f.pace = std::clamp(pace, 0., std::max(f.pace, 0.));
        f.seconds_left.reset();
        if (state.time_to_ceiling_s && f.pace > 0) {
            f.seconds_left = *state.time_to_ceiling_s * state.growth_bytes_per_s / f.pace;
        }
        break;  // the oldest of them
    }
}

// Memory stands at its limit while keys with a TTL are evicted for others that have none: their
// number falls, and with the last of them writes are refused. Some evictions are every day's work
// of a cache; one that loses a hundredth of its keys a second is not.
void look_at_draining(Figures& f) noexcept {
    const MemorySample& sample = f.sample();
    if (sample.family != EvictionFamily::volatile_keys || f.fullness() < .97) {
        return;
    }
    for (const HistoryPoint& point : f.in.history) {
        const Nanos age = sample.answered_at - point.at;
        if (age < second / 2 || age > 10 * second) {
            continue;
        }
        const double gone = static_cast<double>(point.expires - sample.expires);
        const bool evicted = point.evicted_keys >= 0 && sample.evicted_keys > point.evicted_keys;
        if (evicted && gone >= std::max(16., .01 * static_cast<double>(point.expires))) {
            f.drain_per_s = gone * static_cast<double>(second) / static_cast<double>(age);
            f.drained_in = static_cast<double>(sample.expires) / f.drain_per_s;
        }
        break;  // the oldest of them
    }
}

// A node without a limit of its own is measured by ours.
void compare_siblings(Figures& f) noexcept {
    if (!f.limited || f.in.siblings.empty()) {
        return;
    }
    double sum = 0;
    for (const SiblingNode& node : f.in.siblings) {
        sum += fullness_of(node, f.ceiling);
    }
    f.siblings_fullness = sum / static_cast<double>(f.in.siblings.size());
}

// What is in no key is no data, though INFO counts it there: subscriptions, tracking, modules. Only
// where every key was measured, and each exactly: of a collection, MEMORY USAGE looks at some
// elements.
void take_from_data(Figures& f, const KeySummary& keys) noexcept {
    const bool all_seen = keys.complete || keys.searched >= .99;
    if (!all_seen || keys.collections > 0) {
        return;
    }
    const double in_keys = 1.1 * keys.bytes.high + table_bytes_per_key * bytes(f.sample().keys) +
                           table_bytes_per_ttl * bytes(f.sample().expires) + empty_dataset;
    if (f.data - in_keys > .05 * std::max(f.ceiling, f.counted)) {
        f.non_data += f.data - in_keys;
        f.data = in_keys;
        f.keyless = true;
    }
}

// At most so much memory is written in a microsecond by a script, which copies what it was given.
constexpr double script_bytes_per_us = 16 << 10;
constexpr double rehash_bytes_per_element = 16;  // a table that doubles when an element is added

void look_for_overshoot(Figures& f) noexcept {
    const MemorySample& s = f.sample();
    f.data_over = std::min(f.data - f.write_held - f.ceiling, f.always_over);
    double possible = script_bytes_per_us * static_cast<double>(s.script_us);
    if (f.biggest != nullptr && f.biggest->type != KeyType::string) {
        possible += rehash_bytes_per_element * bytes(f.biggest->length);
    }
    f.overshot = f.limited && f.data_over > 0 && (s.bulk_calls > 0 || possible > f.data_over);
}

}  // namespace

std::string overshooter(const Figures& f) {
    const MemorySample& s = f.sample();
    std::string text = s.script_calls > 0 ? "scripts" : "";
    if (!s.bulk_command.empty()) {
        text += (text.empty() ? "" : " and ") + upper_case(s.bulk_command);
    }
    return text;
}

bool ooms_rise(const Figures& f) noexcept {
    return f.in.ooms_before && f.sample().oom_errors > *f.in.ooms_before;
}

bool peaked_at_limit(const Figures& f) noexcept {
    return f.limited && bytes(f.sample().used_memory_peak) >= .8 * f.ceiling;
}

Figures figures_of(const Evidence& evidence) noexcept {
    Figures f{.in = evidence};
    const MemoryState& state = evidence.state;
    f.ceiling = bytes(state.ceiling > 0 ? state.ceiling : state.sample.maxmemory);
    f.limited = f.ceiling > 0;
    f.counted = state.sample.used_memory >= 0
                    ? bytes(state.sample.used_memory) - bytes(state.sample.not_counted_for_evict)
                    : bytes(state.counted);
    f.room = f.limited ? f.ceiling - f.counted : 0;
    split_memory(f);
    take_subscriptions_from_data(f);

    if (const OomEvent* event = evidence.event) {
        f.reply = event->origin == OomOrigin::backend;
        f.fresh = state.sampled && state.sample.asked_at >= event->at;
    }
    weigh_write(f);
    look_back(f);
    weigh_unseen_write(f);
    tell_pace(f);
    look_at_draining(f);
    compare_siblings(f);
    const double keys = bytes(state.sample.keys);
    f.ttl_share = keys > 0 ? std::min(1., bytes(state.sample.expires) / keys) : 0;
    if (evidence.sample != nullptr && !evidence.sample->biggest.empty() &&
        still_holds(*evidence.sample, state.sample)) {
        f.biggest = &evidence.sample->biggest.front();
        const double held = bytes(f.biggest->bytes);
        const double dataset = bytes(state.sample.used_memory_dataset) - f.write_held;
        f.biggest_share = held / std::max({dataset > 0 ? dataset : f.data, held, 1.});
        take_from_data(f, *evidence.sample);
        if (evidence.sample->complete || evidence.sample->sampled >= 100) {
            f.ttl_share = evidence.sample->with_ttl_bytes.value;
        }
    }
    if (evidence.sample != nullptr && still_holds(*evidence.sample, state.sample)) {
        take_unexplained_from_data(f, *evidence.sample);
    }
    look_for_overshoot(f);
    return f;
}

double fullness_of(const SiblingNode& node, double ceiling) noexcept {
    const double own = bytes(node.ceiling);
    return bytes(node.counted) / (own > 0 ? own : ceiling);
}

std::int64_t data_bytes(const MemorySample& sample) noexcept {
    MemoryState state;
    state.sample = sample;
    return static_cast<std::int64_t>(figures_of({.state = state}).data);
}

ServerVersion server_version(std::string_view server) noexcept {
    ServerVersion version;
    const auto space = server.find(' ');
    const auto name = server.substr(0, space);
    version.valkey = name == "valkey";
    version.redis = name == "redis";
    if (space != std::string_view::npos) {
        const char* const end = server.data() + server.size();
        const auto major = std::from_chars(server.data() + space + 1, end, version.major);
        if (major.ec == std::errc{} && major.ptr != end && *major.ptr == '.') {
            std::from_chars(major.ptr + 1, end, version.minor);
        }
    }
    return version;
}

bool is_script_command(std::string_view command) noexcept {
    constexpr std::array<std::string_view, 6> names = {
        "EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"};
    return std::find(names.begin(), names.end(), command) != names.end();
}

bool is_queue_like(std::string_view command, std::string_view pattern) noexcept {
    constexpr std::array<std::string_view, 12> commands = {
        "LPUSH",
        "RPUSH",
        "LPUSHX",
        "RPUSHX",
        "LINSERT",
        "LMOVE",
        "BLMOVE",
        "RPOPLPUSH",
        "BRPOPLPUSH",
        "XADD",
        "ZADD",
        "LSET"};
    constexpr std::array<std::string_view, 10> names = {
        "queue", "job", "task", "stream", "bull", "celery", "sidekiq", "resque", "kombu", "outbox"};
    if (std::find(commands.begin(), commands.end(), command) != commands.end()) {
        return true;
    }
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) {
        return pattern.find(name) != std::string_view::npos;
    });
}

bool holds_queues(const Evidence& evidence) noexcept {
    if (evidence.event != nullptr && is_queue_like(evidence.event->command, evidence.event->key)) {
        return true;
    }
    // Lists and streams are read and removed by consumers, whoever writes them.
    const auto queue = [](const KeyGroup& group) {
        const bool consumed = group.type == KeyType::list || group.type == KeyType::stream;
        return group.share.value >= .05 && (consumed || is_queue_like({}, group.pattern));
    };
    // One that is small has as much to lose.
    if (evidence.sample != nullptr && evidence.sample->queues > 0) {
        return true;
    }
    if (evidence.sample != nullptr &&
        std::any_of(evidence.sample->groups.begin(), evidence.sample->groups.end(), queue)) {
        return true;
    }
    return std::any_of(evidence.growth.begin(), evidence.growth.end(), [](const GrowthRow& row) {
        return is_queue_like(row.command, row.pattern);
    });
}

// Job queues are built of scripts, but not all scripts are queues: the keys tell.
bool scripts_may_hold_queues(const Evidence& evidence) noexcept {
    const bool keys_known =
        evidence.sample != nullptr && (evidence.sample->sampled >= 20 || evidence.sample->complete);
    const auto writes = [](const GrowthRow& row) { return is_script_command(row.command); };
    const bool by_script =
        (evidence.event != nullptr && is_script_command(evidence.event->command)) ||
        std::any_of(evidence.growth.begin(), evidence.growth.end(), writes);
    return by_script && !keys_known;
}

}  // namespace spillway::policy
