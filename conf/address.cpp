// Reads and writes addresses and backend URLs.
#include "conf/address.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <system_error>

#include <arpa/inet.h>  // tree-allow(include): inet_pton reads a text and nothing else

namespace spillway::conf {

namespace {

constexpr std::string_view address_forms = "must be host:port, [v6]:port or unix:/path";
constexpr std::string_view url_forms =
    "must be redis://host:port, rediss://host:port or unix:///path, with user:password@ before the "
    "address if need be";
constexpr std::size_t host_bytes_max = 253;  // RFC 1035, 2.3.4

Fault fault(std::string_view forms, std::string_view what) {
    return {std::string(forms).append(": ").append(what)};
}

bool consists_of(std::string_view text, std::string_view allowed) {
    return text.find_first_not_of(allowed) == std::string_view::npos;
}

constexpr std::string_view digits = "0123456789";
constexpr std::string_view name_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

bool is_ipv4(const std::string& host) {
    in_addr address{};
    return inet_pton(AF_INET, host.c_str(), &address) == 1;
}

std::optional<in6_addr> ipv6(std::string_view host) {
    const std::size_t scope = host.find('%');
    if (scope != std::string_view::npos &&
        (scope + 1 == host.size() || !consists_of(host.substr(scope + 1), name_characters))) {
        return std::nullopt;
    }
    in6_addr address{};
    const std::string literal(host.substr(0, scope));
    return inet_pton(AF_INET6, literal.c_str(), &address) == 1 ? std::optional(address)
                                                               : std::nullopt;
}

bool is_host(const std::string& host) {
    if (host.empty() || host.size() > host_bytes_max || !consists_of(host, name_characters)) {
        return false;
    }
    return !consists_of(host, "0123456789.") || is_ipv4(host);
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    return whole && consists_of(text, digits) ? std::optional(port) : std::nullopt;
}

// `default_port` serves texts that end after the host.
Parsed<Address> parse_host_port(
    std::string_view text, std::string_view forms, std::optional<std::uint16_t> default_port
) {
    const bool bracketed = text.starts_with('[');
    const std::size_t host_end = bracketed ? text.find(']') : text.find(':');
    if (bracketed && host_end == std::string_view::npos) {
        return fault(forms, "the closing bracket is missing");
    }
    const std::string host(bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end));
    std::string_view tail =
        host_end == std::string_view::npos ? "" : text.substr(host_end + (bracketed ? 1 : 0));
    if (!bracketed && tail.find(':', 1) != std::string_view::npos) {
        return fault(forms, "an IPv6 address stands in brackets, as in [::1]:6379");
    }
    if (host.empty()) {
        return fault(forms, "the host is missing");
    }
    if (bracketed ? !ipv6(host) : !is_host(host)) {
        return fault(
            forms, bracketed ? "that is no IPv6 address" : "that is no host name or IPv4 address"
        );
    }
    if (tail.empty()) {
        return default_port
                   ? Parsed<Address>(Address{.host = host, .port = *default_port, .unix_path = {}})
                   : fault(forms, "the port is missing");
    }
    const auto port = tail.starts_with(':') ? parse_port(tail.substr(1)) : std::nullopt;
    if (!port) {
        return fault(forms, "the port must be a number up to 65535");
    }
    return Address{.host = host, .port = *port, .unix_path = {}};
}

Parsed<Address> parse_unix_path(std::string_view path, std::string_view forms) {
    const auto is_control = [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    };
    if (!path.starts_with('/') || path.starts_with("//") || path.size() == 1) {
        return fault(forms, "the path of a unix socket begins with one slash");
    }
    if (path.size() > unix_path_bytes_max) {
        return fault(forms, "the path of a unix socket has at most 107 bytes");
    }
    if (std::ranges::any_of(path, is_control)) {
        return fault(forms, "the path holds a control character");
    }
    return Address{.host = {}, .port = 0, .unix_path = std::string(path)};
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    while (!text.empty()) {
        if (text.front() != '%') {
            decoded += text.front();
            text.remove_prefix(1);
            continue;
        }
        std::uint8_t byte = 0;
        const std::string_view hex = text.substr(1, 2);
        const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), byte, 16);
        if (error != std::errc() || end != hex.data() + 2) {
            return std::nullopt;
        }
        decoded += static_cast<char>(byte);
        text.remove_prefix(3);
    }
    return decoded;
}

std::string percent_encoded(std::string_view text) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        if (name_characters.find(c) != std::string_view::npos) {
            encoded += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            encoded += {'%', hex[byte >> 4U], hex[byte & 15U]};
        }
    }
    return encoded;
}

// Fills user and password from `user:password`; nothing else is taken, since tools disagree whether
// a lone word is the user or the password, and a password must not be shown as a user.
std::optional<Fault> read_credentials(std::string_view text, BackendUrl& url) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) {
        return fault(
            url_forms, "before the @ stands user:password, or :password for the default user"
        );
    }
    auto user = percent_decoded(text.substr(0, colon));
    auto password = percent_decoded(text.substr(colon + 1));
    if (!user || !password) {
        return fault(url_forms, "a % in user or password is written %25");
    }
    url.user = std::move(*user);
    url.password = Secret(std::move(*password));
    return std::nullopt;
}

Parsed<Address> parse_url_address(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string_view database = slash == std::string_view::npos ? "" : text.substr(slash + 1);
    if (!consists_of(database, digits)) {
        return fault(url_forms, "only the number of a database may follow the address");
    }
    auto address = parse_host_port(text.substr(0, slash), url_forms, redis_port);
    if (const auto* parsed = std::get_if<Address>(&address);
        parsed != nullptr && parsed->port == 0) {
        return fault(url_forms, "the port must be a number from 1 to 65535");
    }
    return address;
}

}  // namespace

Parsed<Address> parse_address(std::string_view text) {
    constexpr std::string_view unix_prefix = "unix:";
    if (text.starts_with(unix_prefix)) {
        return parse_unix_path(text.substr(unix_prefix.size()), address_forms);
    }
    if (text.find("://") != std::string_view::npos) {
        return fault(address_forms, "a URL belongs in backend.url");
    }
    return parse_host_port(text, address_forms, std::nullopt);
}

Parsed<BackendUrl> parse_backend_url(std::string_view text) {
    using Scheme = BackendUrl::Scheme;
    struct Prefix {
        std::string_view text;
        Scheme scheme;
    };
    static constexpr std::array prefixes = {
        Prefix{"redis://", Scheme::redis},
        Prefix{"rediss://", Scheme::rediss},
        Prefix{"unix://", Scheme::unix_socket}};
    const auto* const prefix = std::ranges::find_if(prefixes, [text](const Prefix& candidate) {
        return text.starts_with(candidate.text);
    });
    if (prefix == prefixes.end()) {
        return fault(url_forms, "it begins with redis://, rediss:// or unix://");
    }
    std::string_view rest = text.substr(prefix->text.size());
    const bool is_unix = prefix->scheme == Scheme::unix_socket;

    BackendUrl url;
    url.scheme = prefix->scheme;
    // The last @ ends the credentials, so that a password with an @ in it still works; a path may
    // hold one too.
    std::size_t at = is_unix ? rest.find("@/") : rest.rfind('@');
    if (is_unix && rest.starts_with('/')) {
        at = std::string_view::npos;
    }
    if (at != std::string_view::npos) {
        if (auto problem = read_credentials(rest.substr(0, at), url)) {
            return *std::move(problem);
        }
        rest.remove_prefix(at + 1);
    }
    auto address = is_unix ? parse_unix_path(rest, url_forms) : parse_url_address(rest);
    if (auto* problem = std::get_if<Fault>(&address)) {
        return std::move(*problem);
    }
    url.address = std::get<Address>(std::move(address));
    return url;
}

std::string to_string(const Address& address) {
    if (address.is_unix()) {
        return "unix:" + address.unix_path;
    }
    const bool v6 = address.host.find(':') != std::string::npos;
    return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

std::string to_string(const BackendUrl& url) {
    std::string credentials;
    if (!url.user.empty() || !url.password.empty()) {
        credentials =
            percent_encoded(url.user).append(":").append(url.password.masked()).append("@");
    }
    if (url.address.is_unix()) {
        return "unix://" + credentials + url.address.unix_path;
    }
    const std::string_view scheme =
        url.scheme == BackendUrl::Scheme::rediss ? "rediss://" : "redis://";
    return std::string(scheme).append(credentials).append(to_string(url.address));
}

bool is_local(const Address& address) {
    if (address.is_unix() || address.host == "localhost") {
        return true;
    }
    if (const auto literal = ipv6(address.host)) {
        return IN6_IS_ADDR_LOOPBACK(&*literal) ||
               (IN6_IS_ADDR_V4MAPPED(&*literal) && literal->s6_addr[12] == 127);
    }
    return address.host.starts_with("127.") && is_ipv4(address.host);
}

}  // namespace spillway::conf
