// Reads and writes the PROXY protocol's header, with which who is in front says who the client is.
//
//   v1   PROXY TCP4 10.0.0.1 10.0.0.2 52110 6380\r\n
//   v2   \r\n\r\n\0\r\nQUIT\n | version, command | family | length | addresses | TLVs, skipped
#pragma once

#include "conf/config.hpp"
#include "proxy/net/socket.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::net {

// Of version 1 as the protocol says; of version 2 by our choice, for certificates in TLVs can be
// long.
inline constexpr std::size_t proxy_v1_bytes_max = 107;
inline constexpr std::size_t proxy_v2_bytes_max = 4096;

struct ProxyHeader {
    enum class State : std::uint8_t { need_more, complete, failed };

    State state = State::need_more;
    std::size_t bytes = 0;     // its length, once complete
    std::string client;        // as text_of() writes it; empty = the peer of the socket itself
    std::string_view problem;  // once failed: one phrase
};

// `received` begins with the connection's first byte and may hold more than the header. Pure: the
// same bytes give the same answer, however they came; a fault shows as soon as its byte is there.
[[nodiscard]] ProxyHeader read_proxy_header(
    std::string_view received, conf::ProxyProtocol accepted
);

// What a connection to the backend begins with: `client` as text_of() writes it came to `to`. No
// client = the connection is our own. A side that is no TCP address makes both unknown to the
// other.
[[nodiscard]] std::string write_proxy_header(
    conf::SendProxy version, std::string_view client, const Endpoint& to
);

}  // namespace spillway::net
