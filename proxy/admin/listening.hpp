// Opens the socket that the admin server listens on, or says why that cannot be.
#pragma once

#include "conf/address.hpp"
#include "proxy/admin/asio_types.hpp"
#include "proxy/net/socket.hpp"

#include <optional>
#include <string>

namespace spillway::admin {

struct Listening {
    std::optional<Acceptor> acceptor;  // empty when it failed
    conf::Address address;             // with the port that was bound
    bool loopback = false;             // only this machine can reach it
    std::string problem;               // what failed, where, what to do
};

// Looks a host name up, which blocks: for the start only. A unix socket that nobody serves any more
// is replaced; any other file at its path is left alone.
[[nodiscard]] Listening listen_at(boost::asio::io_context& io, const conf::Address& address);

// The same for a socket that listens already.
[[nodiscard]] Listening listen_on_inherited(
    boost::asio::io_context& io, const conf::Address& address, net::Fd socket
);

}  // namespace spillway::admin
