// Reads and writes the PROXY protocol's header, with which who is in front says who the client is.
#include "proxy/net/proxy_header.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

namespace spillway::net {
namespace {

using State = ProxyHeader::State;

constexpr std::string_view v1_begin = "PROXY ";
constexpr std::string_view v2_begin("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t v2_fixed_bytes = 16;
constexpr std::size_t unix_path_bytes = 108;

ProxyHeader failed(std::string_view problem) {
    return {.state = State::failed, .bytes = 0, .client = {}, .problem = problem};
}

ProxyHeader complete(std::size_t bytes, std::string client = {}) {
    return {.state = State::complete, .bytes = bytes, .client = std::move(client), .problem = {}};
}

// As far as both go.
bool begin_alike(std::string_view received, std::string_view begin) {
    const std::size_t common = std::min(received.size(), begin.size());
    return received.substr(0, common) == begin.substr(0, common);
}

template <typename Address>
std::string text_of_address(const Address& address) {
    Endpoint endpoint;
    std::memcpy(&endpoint.address, &address, sizeof address);
    endpoint.size = sizeof address;
    return text_of(endpoint);
}

std::string text_of_v4(const in_addr& host, std::uint16_t port_in_network_order) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr = host;
    address.sin_port = port_in_network_order;
    return text_of_address(address);
}

std::string text_of_v6(const in6_addr& host, std::uint16_t port_in_network_order) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = host;
    address.sin6_port = port_in_network_order;
    return text_of_address(address);
}

// The word up to the next space, which is taken too; the last word ends with the text.
std::string_view take_word(std::string_view& text) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return word;
}

std::optional<std::uint16_t> port_of(std::string_view word) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), port);
    const bool canonical = word == "0" || !word.starts_with('0');
    if (error != std::errc() || end != word.data() + word.size() || !canonical) {
        return std::nullopt;
    }
    return port;
}

// `line` without "PROXY " and the end of the line.
ProxyHeader read_v1_line(std::string_view line, std::size_t bytes) {
    const bool ends_in_space = line.ends_with(' ');
    const std::string_view family = take_word(line);
    if (family == "UNKNOWN") {
        return complete(bytes);  // what follows is to be ignored
    }
    if (family != "TCP4" && family != "TCP6") {
        return failed("its family is neither TCP4, TCP6 nor UNKNOWN");
    }
    const std::string source(take_word(line));
    const std::string target(take_word(line));
    const auto source_port = port_of(take_word(line));
    const auto target_port = port_of(take_word(line));
    if (!source_port || !target_port || !line.empty() || ends_in_space) {
        return failed("it does not end in two ports");
    }
    constexpr std::string_view no_address = "it does not hold two addresses of its family";
    if (family == "TCP4") {
        std::array<in_addr, 2> hosts{};
        if (::inet_pton(AF_INET, source.c_str(), &hosts[0]) != 1 ||
            ::inet_pton(AF_INET, target.c_str(), &hosts[1]) != 1) {
            return failed(no_address);
        }
        return complete(bytes, text_of_v4(hosts[0], htons(*source_port)));
    }
    std::array<in6_addr, 2> hosts{};
    if (::inet_pton(AF_INET6, source.c_str(), &hosts[0]) != 1 ||
        ::inet_pton(AF_INET6, target.c_str(), &hosts[1]) != 1) {
        return failed(no_address);
    }
    return complete(bytes, text_of_v6(hosts[0], htons(*source_port)));
}

ProxyHeader read_v1(std::string_view received) {
    const std::size_t end = received.substr(0, proxy_v1_bytes_max).find('\n');
    if (end == std::string_view::npos) {
        return received.size() < proxy_v1_bytes_max ? ProxyHeader{}
                                                    : failed("its line is longer than 107 bytes");
    }
    const std::string_view line = received.substr(0, end);
    if (!line.ends_with('\r') || line.find('\0') != std::string_view::npos) {
        return failed("its line does not end in CRLF");
    }
    return read_v1_line(line.substr(v1_begin.size(), line.size() - v1_begin.size() - 1), end + 1);
}

std::string unix_client(std::string_view path) {
    return "unix:" + std::string(path.substr(0, path.find('\0')));
}

// `block`: the addresses and what stands behind them.
ProxyHeader read_v2_addresses(std::uint8_t family, std::string_view block, std::size_t bytes) {
    constexpr std::string_view too_short = "its addresses are cut short";
    const char* const data = block.data();
    std::uint16_t port = 0;
    switch (family) {
        case 0x11: {  // TCP over IPv4: two addresses, two ports
            if (block.size() < 2 * sizeof(in_addr) + 2 * sizeof port) {
                return failed(too_short);
            }
            in_addr host{};
            std::memcpy(&host, data, sizeof host);
            std::memcpy(&port, data + 2 * sizeof host, sizeof port);
            return complete(bytes, text_of_v4(host, port));
        }
        case 0x21: {  // TCP over IPv6
            if (block.size() < 2 * sizeof(in6_addr) + 2 * sizeof port) {
                return failed(too_short);
            }
            in6_addr host{};
            std::memcpy(&host, data, sizeof host);
            std::memcpy(&port, data + 2 * sizeof host, sizeof port);
            return complete(bytes, text_of_v6(host, port));
        }
        case 0x31:  // a unix stream: two paths
            if (block.size() < 2 * unix_path_bytes) {
                return failed(too_short);
            }
            return complete(bytes, unix_client(block.substr(0, unix_path_bytes)));
        case 0x00:  // unknown to the sender
            return complete(bytes);
        default:
            return failed("its family is no stream that we know");
    }
}

ProxyHeader read_v2(std::string_view received) {
    const auto byte = [received](std::size_t index) {
        return static_cast<std::uint8_t>(received[index]);
    };
    if (received.size() > 12 && byte(12) != 0x20 && byte(12) != 0x21) {
        return failed("its version or command is unknown");
    }
    if (received.size() < v2_fixed_bytes) {
        return {};
    }
    const std::size_t length = static_cast<std::size_t>(byte(14)) << 8U | byte(15);
    const std::size_t bytes = v2_fixed_bytes + length;
    if (bytes > proxy_v2_bytes_max) {
        return failed("it is longer than 4096 bytes");
    }
    if (received.size() < bytes) {
        return {};
    }
    if (byte(12) == 0x20) {  // LOCAL: the sender's own, such as a health check
        return complete(bytes);
    }
    return read_v2_addresses(byte(13), received.substr(v2_fixed_bytes, length), bytes);
}

struct TcpAddress {
    in6_addr host{};  // v4: mapped
    std::uint16_t port = 0;
    bool v6 = false;

    [[nodiscard]] std::string bytes(bool as_v6) const {
        const auto* const data = reinterpret_cast<const char*>(&host);
        return as_v6 ? std::string(data, 16) : std::string(data + 12, 4);
    }
    [[nodiscard]] std::string text(bool as_v6) const {
        std::array<char, INET6_ADDRSTRLEN> text{};
        const std::string raw = bytes(as_v6);
        (void)::inet_ntop(as_v6 ? AF_INET6 : AF_INET, raw.data(), text.data(), text.size());
        return text.data();
    }
};

// Of "10.0.0.1:52110" or "[::1]:52110".
std::optional<TcpAddress> tcp_address_of(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    const auto port = port_of(text.substr(colon + 1));
    std::string host(text.substr(0, colon));
    TcpAddress address;
    address.v6 = host.starts_with('[') && host.ends_with(']');
    host = address.v6 ? host.substr(1, host.size() - 2) : "::ffff:" + host;
    if (!port || ::inet_pton(AF_INET6, host.c_str(), &address.host) != 1) {
        return std::nullopt;
    }
    address.port = *port;
    return address;
}

std::string big_endian(std::uint16_t number) {
    return {static_cast<char>(number >> 8U), static_cast<char>(number & 0xFFU)};
}

}  // namespace

ProxyHeader read_proxy_header(std::string_view received, conf::ProxyProtocol accepted) {
    using conf::ProxyProtocol;
    const bool may_be_v1 = accepted != ProxyProtocol::v2 && begin_alike(received, v1_begin);
    const bool may_be_v2 = accepted != ProxyProtocol::v1 && begin_alike(received, v2_begin);
    if (!may_be_v1 && !may_be_v2) {
        return failed("none of the version that this listener accepts came first");
    }
    if (may_be_v1 && received.size() >= v1_begin.size()) {
        return read_v1(received);
    }
    if (may_be_v2 && received.size() >= v2_begin.size()) {
        return read_v2(received);
    }
    return {};
}

std::string write_proxy_header(
    conf::SendProxy version, std::string_view client, const Endpoint& to
) {
    const auto from = tcp_address_of(client);
    const auto at = tcp_address_of(text_of(to));
    const bool known = from && at;
    const bool v6 = known && (from->v6 || at->v6);
    if (version == conf::SendProxy::v1) {
        if (!known) {
            return "PROXY UNKNOWN\r\n";
        }
        return std::string(v6 ? "PROXY TCP6 " : "PROXY TCP4 ") + from->text(v6) + ' ' +
               at->text(v6) + ' ' + std::to_string(from->port) + ' ' + std::to_string(at->port) +
               "\r\n";
    }
    std::string addresses;
    if (known) {
        addresses = from->bytes(v6) + at->bytes(v6) + big_endian(from->port) + big_endian(at->port);
    }
    std::string header(v2_begin);
    header += client.empty() ? '\x20' : '\x21';
    header += !known ? '\0' : v6 ? '\x21' : '\x11';
    header += big_endian(static_cast<std::uint16_t>(addresses.size()));
    return header + addresses;
}

}  // namespace spillway::net
