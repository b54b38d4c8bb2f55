// The admin HTTP server: accepts, reads requests, answers them from Sources, within limits of
// count, size and time.
#pragma once

#include "proxy/admin/sources.hpp"

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
    std::string host = "127.0.0.1";  // name or address, without brackets
    std::uint16_t port = 9380;       // 0 = any free one, see port()
    std::string unix_path;           // when set, instead of host and port
    std::string token;  // bearer token of changing requests; empty = none, allowed on loopback and
                        // unix only

    std::size_t connections_max = 64;                    // further ones get 503 and a close
    std::chrono::milliseconds idle_timeout{10'000};      // between requests
    std::chrono::milliseconds request_timeout{5'000};    // from a request's first byte to its last
    std::chrono::milliseconds response_timeout{10'000};  // to write one answer
};

// Runs on one thread: that of the io_context, on which all members must be called. The destructor
// stops.
class Server {
  public:
    Server(boost::asio::io_context& io, ServerOptions options, Sources sources);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Empty when listening; otherwise a message that says what failed, where, and what to do.
    [[nodiscard]] std::optional<std::string> start();

    // The port bound by start(); 0 for a unix socket.
    [[nodiscard]] std::uint16_t port() const noexcept;
    [[nodiscard]] std::size_t connections() const noexcept;

    // Accepts no more, closes idle connections, lets started answers finish within their deadlines.
    void stop();

  private:
    struct State;
    std::shared_ptr<State> state_;  // shared with the connections, which may outlive this object
};

}  // namespace spillway::admin
