// Where to listen and whom to connect to: host:port, unix:/path, and the redis:// and unix:// URLs.
#pragma once

#include "conf/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace spillway::conf {

inline constexpr std::uint16_t redis_port = 6379;
inline constexpr std::size_t unix_path_bytes_max = 107;  // sockaddr_un holds 108 with its end

// A TCP host and port, or a unix socket when `unix_path` is not empty.
struct Address {
    std::string host;  // a name, an IPv4 or a bare IPv6 literal: no brackets
    std::uint16_t port = 0;
    std::string unix_path;

    [[nodiscard]] bool is_unix() const noexcept { return !unix_path.empty(); }
    friend bool operator==(const Address&, const Address&) = default;
};

struct BackendUrl {
    enum class Scheme : std::uint8_t { redis, rediss, unix_socket };

    Scheme scheme = Scheme::redis;
    Address address = {.host = "127.0.0.1", .port = redis_port, .unix_path = {}};
    std::string user;  // decoded; empty = the default user
    Secret password;   // decoded

    friend bool operator==(const BackendUrl&, const BackendUrl&) = default;
};

// Why a text is not what it should be: the tail of a sentence that begins with the key's name.
// It never repeats a part that may hold a password.
struct Fault {
    std::string message;
};

template <class Value>
using Parsed = std::variant<Value, Fault>;

// `host:port`, `[v6]:port` or `unix:/path`. Port 0 lets the kernel choose; names are not resolved
// here.
[[nodiscard]] Parsed<Address> parse_address(std::string_view text);

// `redis://`, `rediss://` or `unix://`, with `user:password@` or `:password@` before the address,
// each percent-encoded where needed. The port defaults to 6379. A database (`/0`) is accepted and
// has no effect.
[[nodiscard]] Parsed<BackendUrl> parse_backend_url(std::string_view text);

[[nodiscard]] std::string to_string(const Address& address);

// The password is masked.
[[nodiscard]] std::string to_string(const BackendUrl& url);

// True when only this machine can reach the address: a unix socket, 127.0.0.0/8, ::1 or
// `localhost`.
[[nodiscard]] bool is_local(const Address& address);

}  // namespace spillway::conf
