// Looks up the backend's name, again and again, so that a moved name is followed.
#include "proxy/net/resolver.hpp"

#include <cstring>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace spillway::net {

namespace asio = boost::asio;

boost::asio::awaitable<std::vector<Endpoint>> resolve(conf::Address address) {
    constexpr std::size_t endpoints_max = 16;
    std::vector<Endpoint> endpoints = numeric_endpoints(address);
    if (!endpoints.empty()) {
        co_return endpoints;
    }
    asio::ip::tcp::resolver resolver(co_await asio::this_coro::executor);
    const auto [error, results] = co_await resolver.async_resolve(
        address.host, std::to_string(address.port), asio::as_tuple(asio::use_awaitable)
    );
    if (error) {
        co_return endpoints;
    }
    for (const auto& result : results) {
        if (endpoints.size() == endpoints_max) {
            break;
        }
        Endpoint endpoint;
        endpoint.size = static_cast<socklen_t>(result.endpoint().size());
        std::memcpy(&endpoint.address, result.endpoint().data(), endpoint.size);
        endpoints.push_back(endpoint);
    }
    co_return endpoints;
}

std::vector<Endpoint> resolve_now(const conf::Address& address) {
    asio::io_context context;
    std::vector<Endpoint> endpoints;
    asio::co_spawn(
        context,
        resolve(address),
        [&](const std::exception_ptr&, std::vector<Endpoint> found) {
            endpoints = std::move(found);
        }
    );
    context.run();
    return endpoints;
}

}  // namespace spillway::net
