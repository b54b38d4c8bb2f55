// Every knob of Spillway as plain typed structs, with its default.
#pragma once

#include "conf/address.hpp"
#include "conf/secret.hpp"
#include "conf/tls.hpp"
#include "policy/modes.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What each key means, its bounds and how a reload treats it: conf/schema.cpp. Sizes are bytes.
namespace spillway::conf {

enum class ProxyProtocol : std::uint8_t { off, v1, v2, any };
enum class SendProxy : std::uint8_t { off, v1, v2 };
enum class SpoolOverflow : std::uint8_t { disconnect, backpressure };
enum class LogFormat : std::uint8_t { text, json };
enum class LogLevel : std::uint8_t { debug, info, warn, error };
enum class KeyDisplay : std::uint8_t { full, pattern, hash, none };

struct Listener {
    Address address = {.host = "127.0.0.1", .port = 6380, .unix_path = {}};
    std::string name;  // empty = it is known by its address
    std::uint32_t max_clients = 10'000;
    std::uint32_t max_clients_per_host = 0;  // 0 = as many as max_clients allows
    Tls tls;                                 // without a certificate its clients speak plain Redis
    ProxyProtocol proxy_protocol = ProxyProtocol::off;

    friend bool operator==(const Listener&, const Listener&) = default;
};

struct Backend {
    BackendUrl url;
    std::chrono::milliseconds connect_timeout{1'000};
    Tls tls;  // used with rediss:// alone
    SendProxy send_proxy = SendProxy::off;

    friend bool operator==(const Backend&, const Backend&) = default;
};

struct Monitor {
    std::string user;
    std::string password_file;
    std::chrono::milliseconds interval{100};
    std::optional<std::uint64_t> ceiling;  // empty = as the backend says
    std::optional<std::string> policy;     // empty = as the backend says

    Secret password;  // what password_file held when the configuration was loaded

    friend bool operator==(const Monitor&, const Monitor&) = default;
};

// A field left empty matches anything; those given must all match.
struct Rule {
    std::string name;
    std::vector<std::string> commands;  // upper-case names ("CONFIG SET" with a space), or
                                        // "@growing", "@unbounded", "@script"
    std::vector<std::string> keys;      // glob patterns, as are the next two
    std::vector<std::string> clients;
    std::vector<std::string> users;
    std::vector<std::string> listeners = {};  // names, or addresses as written there
    policy::Priority priority = policy::Priority::normal;

    friend bool operator==(const Rule&, const Rule&) = default;
};

struct Guard {
    policy::Mode mode = policy::Mode::protect;
    double throttle_at = 0.85;
    double shed_at = 0.97;
    std::chrono::milliseconds horizon{10'000};  // 0 = do not pace
    std::chrono::milliseconds hold_max{250};
    std::uint64_t write_max = 0;  // 0 = only by head-room
    double evict_max = 0.5;
    std::uint64_t spool_client = 64ULL << 20U;
    std::uint64_t spool_total = 1ULL << 30U;
    SpoolOverflow spool_overflow = SpoolOverflow::disconnect;
    std::chrono::milliseconds stale_after{3'000};
    bool retry_oom = false;
    std::vector<Rule> rules;  // the first match wins

    friend bool operator==(const Guard&, const Guard&) = default;
};

struct Diagnosis {
    bool annotate_replies = false;
    bool sample = true;
    std::chrono::microseconds sample_budget{5'000};  // server time a second

    friend bool operator==(const Diagnosis&, const Diagnosis&) = default;
};

struct Log {
    LogFormat format = LogFormat::text;
    LogLevel level = LogLevel::info;
    std::string file;  // empty = standard error
    KeyDisplay keys = KeyDisplay::pattern;

    friend bool operator==(const Log&, const Log&) = default;
};

struct Admin {
    Address address = {.host = "127.0.0.1", .port = 9380, .unix_path = {}};
    Secret token;
    std::string token_file;
    Tls tls;  // without a certificate it speaks plain HTTP

    Secret file_token;  // what token_file held when the configuration was loaded

    friend bool operator==(const Admin&, const Admin&) = default;
};

struct Config {
    std::uint32_t workers = 0;  // 0 = one per core
    std::chrono::milliseconds drain_timeout{30'000};
    std::vector<Listener> listeners{Listener{}};
    Backend backend;
    Monitor monitor;
    Guard guard;
    Diagnosis diagnosis;
    Log log;
    Admin admin;

    friend bool operator==(const Config&, const Config&) = default;
};

struct Credentials {
    std::string user;  // empty = the default user
    Secret password;   // empty with an empty user = do not authenticate
};

// With whom the monitor connection authenticates: [monitor] where it says something, else
// backend.url.
[[nodiscard]] Credentials monitor_credentials(const Config& config);

// What a change must bring along, from `token` or `token_file`; empty = nothing.
[[nodiscard]] const Secret& admin_token(const Admin& admin) noexcept;

// What rules, records and people call a listener: its name, else its address as configured.
[[nodiscard]] std::string label_of(const Listener& listener);
// Null when no listener has this name or address.
[[nodiscard]] const Listener* find_listener(
    std::span<const Listener> listeners, std::string_view name_or_address
) noexcept;

[[nodiscard]] std::string_view name_of(ProxyProtocol value) noexcept;
[[nodiscard]] std::string_view name_of(SendProxy value) noexcept;
[[nodiscard]] std::string_view name_of(SpoolOverflow value) noexcept;
[[nodiscard]] std::string_view name_of(LogFormat value) noexcept;
[[nodiscard]] std::string_view name_of(LogLevel value) noexcept;
[[nodiscard]] std::string_view name_of(KeyDisplay value) noexcept;

}  // namespace spillway::conf
