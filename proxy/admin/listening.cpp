// Resolves, binds and listens; each error becomes a message with its remedy.
#include "proxy/admin/listening.hpp"

#include <filesystem>
#include <utility>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace spillway::admin {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

std::string remedy(error_code error, const conf::Address& address) {
    if (error == asio::error::address_in_use) {
        return address.is_unix() ? "stop the program that serves it, or remove the file if it is "
                                   "no socket, or set another admin.address"
                                 : "stop the program that has it (ss -ltnp shows which), or set "
                                   "another admin.address";
    }
    if (error == asio::error::access_denied) {
        return address.is_unix()
                   ? "give this user the right to write in its folder"
                   : "choose a port above 1023 in admin.address, or grant CAP_NET_BIND_SERVICE";
    }
    if (error == boost::system::errc::address_not_available) {
        return "this machine has no such address: set admin.address to one of its own";
    }
    if (error == asio::error::host_not_found || error == asio::error::host_not_found_try_again) {
        return "the name is not known here: set admin.address to a number such as 127.0.0.1:9380";
    }
    if (error == boost::system::errc::no_such_file_or_directory) {
        return "create the folder first";
    }
    return "set another admin.address";
}

Listening failure(const conf::Address& address, error_code error) {
    Listening listening;
    listening.problem = "cannot listen for admin requests on " + conf::to_string(address) + ": " +
                        error.message() + "; " + remedy(error, address);
    return listening;
}

error_code open_and_bind(
    Acceptor& acceptor, const Protocol& protocol, const Protocol::endpoint& at
) {
    error_code error;
    acceptor.open(protocol, error);
    if (!error && protocol.family() != AF_UNIX) {
        acceptor.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) {
        acceptor.bind(at, error);
    }
    if (!error) {
        acceptor.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
        error_code ignored;
        acceptor.close(ignored);
    }
    return error;
}

// True for a socket file to which nobody listens: what an earlier run left behind.
bool is_abandoned(asio::io_context& io, const std::string& path) {
    error_code error;
    std::error_code file_error;
    if (!std::filesystem::is_socket(path, file_error)) {
        return false;
    }
    asio::local::stream_protocol::socket probe(io);
    probe.connect(asio::local::stream_protocol::endpoint(path), error);
    return error == asio::error::connection_refused;
}

Listening listen_unix(asio::io_context& io, const conf::Address& address) {
    if (address.unix_path.size() > conf::unix_path_bytes_max) {
        return failure(address, make_error_code(boost::system::errc::filename_too_long));
    }
    Acceptor acceptor(io);
    const asio::local::stream_protocol::endpoint endpoint(address.unix_path);
    error_code error = open_and_bind(acceptor, endpoint.protocol(), endpoint);
    if (error == asio::error::address_in_use && is_abandoned(io, address.unix_path)) {
        std::error_code ignored;
        std::filesystem::remove(address.unix_path, ignored);
        error = open_and_bind(acceptor, endpoint.protocol(), endpoint);
    }
    if (error) {
        return failure(address, error);
    }
    return {.acceptor = std::move(acceptor), .address = address, .loopback = true, .problem = {}};
}

Listening bound_to_tcp(Acceptor acceptor, const conf::Address& address) {
    error_code error;
    const Protocol::endpoint local = acceptor.local_endpoint(error);
    if (error) {
        return failure(address, error);
    }
    asio::ip::tcp::endpoint bound;
    bound.resize(local.size());
    *bound.data() = *local.data();
    Listening listening{
        .acceptor = std::move(acceptor),
        .address = address,
        .loopback = bound.address().is_loopback(),
        .problem = {},
    };
    listening.address.port = bound.port();
    return listening;
}

Listening listen_tcp(asio::io_context& io, const conf::Address& address) {
    error_code error;
    asio::ip::tcp::resolver resolver(io);
    const auto found = resolver.resolve(
        address.host, std::to_string(address.port), asio::ip::tcp::resolver::passive, error
    );
    if (error || found.empty()) {
        return failure(address, error ? error : asio::error::host_not_found);
    }
    const asio::ip::tcp::endpoint endpoint = found.begin()->endpoint();
    Acceptor acceptor(io);
    error = open_and_bind(acceptor, endpoint.protocol(), endpoint);
    if (error) {
        return failure(address, error);
    }
    return bound_to_tcp(std::move(acceptor), address);
}

}  // namespace

Listening listen_on_inherited(asio::io_context& io, const conf::Address& address, net::Fd socket) {
    const net::Endpoint endpoint = net::local_endpoint(socket.get());
    Acceptor acceptor(io);
    error_code error;
    acceptor.assign(Protocol(endpoint.address.ss_family, 0), socket.get(), error);
    if (error) {
        return failure(address, error);
    }
    (void)socket.release();
    if (address.is_unix()) {
        return {
            .acceptor = std::move(acceptor), .address = address, .loopback = true, .problem = {}};
    }
    return bound_to_tcp(std::move(acceptor), address);
}

Listening listen_at(asio::io_context& io, const conf::Address& address) {
    return address.is_unix() ? listen_unix(io, address) : listen_tcp(io, address);
}

}  // namespace spillway::admin
