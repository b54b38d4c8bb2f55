// Looks up the backend's name, again and again, so that a moved name is followed.
#pragma once

#include "conf/address.hpp"
#include "proxy/net/socket.hpp"

#include <vector>

#include <boost/asio/awaitable.hpp>

namespace spillway::net {

// All addresses of the name, in the resolver's order, at most 16; empty when there are none. Unix
// paths and numeric hosts are answered at once.
[[nodiscard]] boost::asio::awaitable<std::vector<Endpoint>> resolve(conf::Address address);
// The same, waiting for the answer: only for start-up.
[[nodiscard]] std::vector<Endpoint> resolve_now(const conf::Address& address);

}  // namespace spillway::net
