// The admin HTTP server: accepts, reads requests, answers from Sources, within limits of count,
// size and time.
#pragma once

#include "conf/address.hpp"
#include "conf/secret.hpp"
#include "proxy/admin/sources.hpp"
#include "proxy/net/socket.hpp"
#include "proxy/net/socket_file.hpp"
#include "proxy/net/tls_context.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace boost::asio {
class io_context;
}

namespace spillway::admin {

struct ServerOptions {
    conf::Address address = {.host = "127.0.0.1", .port = 9380, .unix_path = {}};
    conf::Secret token;                          // needed off loopback
    std::shared_ptr<const net::TlsContext> tls;  // null = plain HTTP

    std::size_t connections_max = 64;                    // further ones get 503 and a close
    std::chrono::milliseconds idle_timeout{10'000};      // from one request to the next
    std::chrono::milliseconds request_timeout{5'000};    // from a request's first byte to its last
    std::chrono::milliseconds response_timeout{10'000};  // to write one answer
    std::chrono::milliseconds linger_timeout{1'000};  // for the peer to close after our last word
};

// Runs on one thread, that of the io_context; construct, call and destroy it there or while it does
// not run.
class Server {
  public:
    Server(boost::asio::io_context& io, ServerOptions options, Sources sources);
    ~Server();  // stops
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Empty when it listens; otherwise a message that says what failed, where, and what to do.
    // `inherited` listens already at the configured address; without it one is opened.
    [[nodiscard]] std::optional<std::string> start(net::Fd inherited = {});
    // A copy of the socket it listens on, for another process; empty before start() and after
    // stop().
    [[nodiscard]] net::Fd listening_socket() const;

    // Where it listens, the port being the one that the kernel chose if 0 was asked for.
    [[nodiscard]] const conf::Address& address() const noexcept;

    // The file of the unix socket, removed by stop(): that of a socket it opened itself, or what
    // own() was given for an inherited one.
    [[nodiscard]] const net::SocketFile& file() const noexcept;
    void own(net::SocketFile file);

    // Open now, those being refused included.
    [[nodiscard]] std::size_t connections() const noexcept;

    // From the next request on.
    void set_token(conf::Secret token);
    // From the next connection on.
    void set_tls(std::shared_ptr<const net::TlsContext> tls);

    // Accepts no more and closes idle connections; answers under way end within their deadlines.
    // The sources are called no more once this returns, but for requests already being read. The
    // file of a unix socket is removed, unless another process listens there now.
    void stop(bool keep_path = false);

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the connections, which may outlive this object
};

}  // namespace spillway::admin
