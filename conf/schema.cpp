// The configuration's keys, one entry each.
#include "conf/schema.hpp"

#include <algorithm>
#include <array>

namespace spillway::conf {

namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;

constexpr Range from_to(microseconds least, microseconds most) {
    return {.least = static_cast<double>(least.count()), .most = static_cast<double>(most.count())};
}

constexpr Range share = {.least = 0, .most = 1};
constexpr Range positive_share = {.least = 0, .most = 1, .above_least = true};

constexpr std::size_t listeners_max = 64;
constexpr std::size_t rules_max = 256;  // each is tried for each command that grows

constexpr std::array<std::string_view, 3> groups = {"@growing", "@unbounded", "@script"};

constexpr std::array<std::string_view, 10> eviction_policies = {
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "allkeys-lrm",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "volatile-lrm",
};

constexpr std::array section_table = {
    Section{.path = "", .help = "The process as a whole."},
    Section{
        .path = "listener",
        .help = "Where clients connect; one table an address.",
        .count = [](const Config& c) { return c.listeners.size(); },
        .resize = [](Config& c, std::size_t count) { c.listeners.assign(count, Listener{}); },
        .count_min = 1,
        .count_max = listeners_max,
    },
    Section{.path = "backend", .help = "The Redis behind the proxy."},
    Section{.path = "monitor", .help = "The connection that reads the backend's memory state."},
    Section{.path = "guard", .help = "What keeps writes from running the backend out of memory."},
    Section{
        .path = "guard.rule",
        .help = "Priorities: the first rule that matches decides. Fields left out match anything.",
        .count = [](const Config& c) { return c.guard.rules.size(); },
        .resize = [](Config& c, std::size_t count) { c.guard.rules.assign(count, Rule{}); },
        .count_max = rules_max,
    },
    Section{.path = "diagnosis", .help = "How an OOM is explained."},
    Section{.path = "log", .help = "Records of what happens."},
    Section{.path = "admin", .help = "The HTTP endpoint for metrics, health and incidents."},
};

// clang-format off
constexpr std::array key_table = {
    Key{.section = "", .name = "workers",
        .field = [](Config& c, std::size_t) -> Field { return &c.workers; },
        .range = {.least = 0, .most = 1024}, .reload = Reload::restart,
        .help =
            "Threads that serve clients, 0 = one per core: set it to leave cores to a Redis "
            "on the same host."},
    Key{.section = "", .name = "drain_timeout",
        .field = [](Config& c, std::size_t) -> Field { return &c.drain_timeout; },
        .range = from_to(0s, 24h),
        .help = "How long clients may finish after SIGTERM: raise it for long blocking commands."},

    Key{.section = "listener", .name = "address",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).address; },
        .reload = Reload::restart,
        .help =
            "Where to listen: 0.0.0.0 or [::] for other hosts, unix:/path for this one; port "
            "0 = any free one."},
    Key{.section = "listener", .name = "name",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).name; },
        .reload = Reload::restart,
        .help =
            "What rules call this listener; empty = they name its address."},
    Key{.section = "listener", .name = "max_clients",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).max_clients; },
        .range = {.least = 1, .most = 1'000'000}, .reload = Reload::new_connections,
        .help =
            "Clients served at once: keep it below the backend's maxclients; each has a "
            "connection there."},
    Key{.section = "listener", .name = "max_clients_per_host",
        .field = [](Config& c, std::size_t i) -> Field {
            return &c.listeners.at(i).max_clients_per_host;
        },
        .range = {.least = 0, .most = 1'000'000}, .reload = Reload::new_connections,
        .help =
            "Clients of one address, so that one that leaks connections does not take those of "
            "all; 0 = no bound. With proxy_protocol the announced address counts."},
    Key{.section = "listener", .name = "tls.cert",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).tls.cert; },
        .reload = Reload::new_connections,
        .help =
            "Certificate (PEM) with its chain: with it clients must speak TLS (rediss://) here."},
    Key{.section = "listener", .name = "tls.key",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).tls.key; },
        .reload = Reload::new_connections,
        .help = "Its private key (PEM, not encrypted); empty = in the certificate's file."},
    Key{.section = "listener", .name = "tls.client_ca",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).tls.ca; },
        .reload = Reload::new_connections,
        .help = "Authorities (PEM): set it to let in only clients with a certificate of theirs."},
    Key{.section = "listener", .name = "tls.min_version",
        .field =
            [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).tls.min_version; },
        .reload = Reload::new_connections,
        .help = R"(The oldest TLS that clients may speak: "1.3" where all of them can.)"},
    Key{.section = "listener", .name = "tls.ciphers",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).tls.ciphers; },
        .reload = Reload::new_connections,
        .help = "Ciphers of TLS 1.2 as OpenSSL lists them; empty = its own choice."},
    Key{.section = "listener", .name = "tls.ciphersuites",
        .field =
            [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).tls.ciphersuites; },
        .reload = Reload::new_connections,
        .help = "Cipher suites of TLS 1.3 likewise."},
    Key{.section = "listener", .name = "proxy_protocol",
        .field = [](Config& c, std::size_t i) -> Field { return &c.listeners.at(i).proxy_protocol; },
        .reload = Reload::new_connections,
        .help =
            "For a load balancer in front that names the real client: let no one else reach this "
            "address then."},

    Key{.section = "backend", .name = "url",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.url; },
        .reload = Reload::new_connections,
        .help =
            "The Redis to protect, by TLS with rediss://; user:password@ in it serves the monitor "
            "alone, clients authenticate themselves."},
    Key{.section = "backend", .name = "connect_timeout",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.connect_timeout; },
        .range = from_to(1ms, 5min), .reload = Reload::new_connections,
        .help =
            "How long a connection to the backend may take: raise it across regions, lower it "
            "to fail fast."},
    Key{.section = "backend", .name = "send_proxy",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.send_proxy; },
        .reload = Reload::new_connections,
        .help =
            "Each connection begins with a PROXY header that names the client, for a balancer or "
            "another Spillway in front of Redis, which itself takes none: \"v1\" or \"v2\"."},
    Key{.section = "backend", .name = "tls.ca",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.ca; },
        .reload = Reload::new_connections,
        .help =
            "For rediss://, authorities (PEM) that the backend's certificate may be of; empty = "
            "those of the system."},
    Key{.section = "backend", .name = "tls.cert",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.cert; },
        .reload = Reload::new_connections,
        .help = "Certificate (PEM) to show to a backend that asks for one."},
    Key{.section = "backend", .name = "tls.key",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.key; },
        .reload = Reload::new_connections,
        .help = "Its private key (PEM, not encrypted); empty = in the certificate's file."},
    Key{.section = "backend", .name = "tls.server_name",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.server_name; },
        .reload = Reload::new_connections,
        .help =
            "The name that is asked for (SNI) and that the certificate must be for; empty = the "
            "host of backend.url."},
    Key{.section = "backend", .name = "tls.min_version",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.min_version; },
        .reload = Reload::new_connections,
        .help = "The oldest TLS to speak with the backend."},
    Key{.section = "backend", .name = "tls.ciphers",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.ciphers; },
        .reload = Reload::new_connections,
        .help = "Ciphers of TLS 1.2 as OpenSSL lists them; empty = its own choice."},
    Key{.section = "backend", .name = "tls.ciphersuites",
        .field = [](Config& c, std::size_t) -> Field { return &c.backend.tls.ciphersuites; },
        .reload = Reload::new_connections,
        .help = "Cipher suites of TLS 1.3 likewise."},

    Key{.section = "monitor", .name = "user",
        .field = [](Config& c, std::size_t) -> Field { return &c.monitor.user; },
        .help =
            "An ACL user of the monitor's own, with the least rights; empty = the one in "
            "backend.url."},
    Key{.section = "monitor", .name = "password_file",
        .field = [](Config& c, std::size_t) -> Field { return &c.monitor.password_file; },
        .help =
            "File with the monitor's password on its one line; empty = the one in "
            "backend.url."},
    Key{.section = "monitor", .name = "interval",
        .field = [](Config& c, std::size_t) -> Field { return &c.monitor.interval; },
        .range = from_to(10ms, 10s),
        .help =
            "How often memory is read, faster near the ceiling and slower when idle: lower it "
            "for steep bursts."},
    Key{.section = "monitor", .name = "ceiling",
        .field = [](Config& c, std::size_t) -> Field { return &c.monitor.ceiling; },
        .range = {.least = 1},
        .help = R"(The memory limit, for services that hide maxmemory; "auto" asks the backend.)"},
    Key{.section = "monitor", .name = "policy",
        .field = [](Config& c, std::size_t) -> Field { return &c.monitor.policy; },
        .values = eviction_policies,
        .help = R"(The eviction policy, for services that hide it; "auto" asks the backend.)"},

    Key{.section = "guard", .name = "mode",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.mode; },
        .help =
            R"("observe" decides and records but touches nothing: start with it to see what )"
            R"("protect" would do.)"},
    Key{.section = "guard", .name = "throttle_at",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.throttle_at; },
        .range = positive_share,
        .help =
            "Share of the effective ceiling at which growth is paced: lower it when bursts "
            "are steep."},
    Key{.section = "guard", .name = "shed_at",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.shed_at; },
        .range = positive_share,
        .help =
            "Share at which normal growth is refused: lower it to keep more for critical "
            "commands."},
    Key{.section = "guard", .name = "horizon",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.horizon; },
        .range = from_to(0s, 1h),
        .help =
            "Pace growth so that the ceiling stays this far away, 0s = do not: raise it to "
            "win time."},
    Key{.section = "guard", .name = "hold_max",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.hold_max; },
        .range = from_to(0s, 10s),
        .help =
            "The longest that a connection waits for credit: keep it below the clients' own "
            "timeouts."},
    Key{.section = "guard", .name = "write_max",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.write_max; },
        .help =
            "Refuse a single write larger than this, 0 = only by head-room: stops huge values "
            "by mistake."},
    Key{.section = "guard", .name = "evict_max",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.evict_max; },
        .range = share,
        .help =
            "Under allkeys-*, refuse one write that would push out more than this share: "
            "protects a cache."},
    Key{.section = "guard", .name = "spool_client",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.spool_client; },
        .help =
            "Replies held here, not in Redis, for a client that reads slowly: raise it for "
            "very large replies."},
    Key{.section = "guard", .name = "spool_total",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.spool_total; },
        .help = "The same for all clients together: what this process may take for it."},
    Key{.section = "guard", .name = "spool_overflow",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.spool_overflow; },
        .help =
            "Past those bounds cut the client off, or push back and let Redis buffer as it "
            "would without us."},
    Key{.section = "guard", .name = "stale_after",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.stale_after; },
        .range = from_to(200ms, 1min),
        .help =
            "An older sample makes the guard fail open: raise it for a backend that answers "
            "slowly under load."},
    Key{.section = "guard", .name = "retry_oom",
        .field = [](Config& c, std::size_t) -> Field { return &c.guard.retry_oom; },
        .help =
            "Hold a write that Redis refused and that provably did not run, and send it again "
            "within hold_max: for clients that cannot retry."},

    Key{.section = "guard.rule", .name = "name",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).name; },
        .required = true,
        .help = "What records call the rule; each has its own."},
    Key{.section = "guard.rule", .name = "commands",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).commands; },
        .element = Element::command,
        .help = "Command names, or the groups @growing, @unbounded and @script."},
    Key{.section = "guard.rule", .name = "keys",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).keys; },
        .help = "Patterns of keys."},
    Key{.section = "guard.rule", .name = "clients",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).clients; },
        .help = "Patterns of names that clients give themselves with CLIENT SETNAME."},
    Key{.section = "guard.rule", .name = "users",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).users; },
        .help = "Patterns of ACL user names, as AUTH and HELLO established them."},
    Key{.section = "guard.rule", .name = "listeners",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).listeners; },
        .element = Element::listener,
        .help =
            "Where the client connected: gives jobs and services that share commands an address "
            "each."},
    Key{.section = "guard.rule", .name = "priority",
        .field = [](Config& c, std::size_t i) -> Field { return &c.guard.rules.at(i).priority; },
        .help =
            R"("critical" for what must work when memory is short, such as consumers; )"
            R"("sheddable" goes first.)"},

    Key{.section = "diagnosis", .name = "annotate_replies",
        .field = [](Config& c, std::size_t) -> Field { return &c.diagnosis.annotate_replies; },
        .help =
            "Append cause and policy to the backend's OOM replies: for applications whose "
            "logs should tell why."},
    Key{.section = "diagnosis", .name = "sample",
        .field = [](Config& c, std::size_t) -> Field { return &c.diagnosis.sample; },
        .help =
            "Sample a few keys when an incident opens: turn it off where the monitor may not "
            "read keys."},
    Key{.section = "diagnosis", .name = "sample_budget",
        .field = [](Config& c, std::size_t) -> Field { return &c.diagnosis.sample_budget; },
        .range = from_to(0s, 1s),
        .help =
            "Server time a second that sampling may cost: lower it for a backend that is "
            "short of CPU."},

    Key{.section = "log", .name = "format",
        .field = [](Config& c, std::size_t) -> Field { return &c.log.format; },
        .reload = Reload::restart,
        .help = R"("text" for people, "json" for machines, one object a line.)"},
    Key{.section = "log", .name = "level",
        .field = [](Config& c, std::size_t) -> Field { return &c.log.level; },
        .help =
            R"(The least level that is written: "debug" to follow connections, "warn" for )"
            "trouble only."},
    Key{.section = "log", .name = "file",
        .field = [](Config& c, std::size_t) -> Field { return &c.log.file; },
        .reload = Reload::restart,
        .help = "File to append to; empty = standard error, which systemd and containers collect."},
    Key{.section = "log", .name = "keys",
        .field = [](Config& c, std::size_t) -> Field { return &c.log.keys; },
        .help =
            R"(How keys appear: "pattern" masks digits and ids; "hash" or "none" where key )"
            "names are private."},

    Key{.section = "admin", .name = "address",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.address; },
        .reload = Reload::restart,
        .help =
            "Where to serve metrics, health and incidents: other hosts reach it only off "
            "loopback."},
    Key{.section = "admin", .name = "token",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.token; },
        .help = "Bearer token that changing requests need; required off loopback."},
    Key{.section = "admin", .name = "token_file",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.token_file; },
        .help = "File with that token on its one line, in place of token: keeps it out of this one."},
    Key{.section = "admin", .name = "tls.cert",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.tls.cert; },
        .reload = Reload::new_connections,
        .help =
            "Certificate (PEM) with its chain: with it this endpoint speaks https alone. Changes "
            "from other hosts need it."},
    Key{.section = "admin", .name = "tls.key",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.tls.key; },
        .reload = Reload::new_connections,
        .help = "Its private key (PEM, not encrypted); empty = in the certificate's file."},
    Key{.section = "admin", .name = "tls.client_ca",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.tls.ca; },
        .reload = Reload::new_connections,
        .help = "Authorities (PEM): set it to let in only who has a certificate of theirs."},
    Key{.section = "admin", .name = "tls.min_version",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.tls.min_version; },
        .reload = Reload::new_connections,
        .help = "The oldest TLS that may be spoken here."},
    Key{.section = "admin", .name = "tls.ciphers",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.tls.ciphers; },
        .reload = Reload::new_connections,
        .help = "Ciphers of TLS 1.2 as OpenSSL lists them; empty = its own choice."},
    Key{.section = "admin", .name = "tls.ciphersuites",
        .field = [](Config& c, std::size_t) -> Field { return &c.admin.tls.ciphersuites; },
        .reload = Reload::new_connections,
        .help = "Cipher suites of TLS 1.3 likewise."},
};
// clang-format on

}  // namespace

std::string_view name_of(Reload reload) noexcept {
    switch (reload) {
        case Reload::live:
            return "live";
        case Reload::new_connections:
            return "new connections";
        case Reload::restart:
            return "restart";
    }
    return "?";
}

std::span<const Section> sections() noexcept {
    return section_table;
}

std::span<const Key> keys() noexcept {
    return key_table;
}

const Section* find_section(std::string_view path) noexcept {
    const auto found = std::ranges::find(section_table, path, &Section::path);
    return found == section_table.end() ? nullptr : &*found;
}

const Key* find_key(std::string_view section, std::string_view name) noexcept {
    const auto found = std::ranges::find_if(key_table, [=](const Key& key) {
        return key.section == section && key.name == name;
    });
    return found == key_table.end() ? nullptr : &*found;
}

bool is_table_of(std::string_view section, std::string_view name) noexcept {
    return std::ranges::any_of(key_table, [=](const Key& key) {
        return key.section == section && key.name.size() > name.size() && !name.empty() &&
               key.name.starts_with(name) && key.name[name.size()] == '.';
    });
}

std::string path_of(const Key& key) {
    return key.section.empty() ? std::string(key.name)
                               : std::string(key.section).append(".").append(key.name);
}

std::string path_of(const Key& key, std::size_t item) {
    const Section* const section = find_section(key.section);
    if (section == nullptr || !section->repeated()) {
        return path_of(key);
    }
    return std::string(key.section)
        .append("[")
        .append(std::to_string(item))
        .append("].")
        .append(key.name);
}

std::size_t count_of(const Section& section, const Config& config) {
    return section.repeated() ? section.count(config) : 1;
}

std::span<const std::string_view> command_groups() noexcept {
    return groups;
}

}  // namespace spillway::conf
