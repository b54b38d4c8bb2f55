// One admin connection: reads requests and writes answers in turn, each step under a deadline, with
// TLS over it or without.
#pragma once

#include "proxy/admin/asio_types.hpp"
#include "proxy/admin/handlers.hpp"
#include "proxy/admin/http_parser.hpp"
#include "proxy/admin/server.hpp"
#include "proxy/net/tls_session.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace spillway::admin {

// Held by its coroutine and, while a deadline runs, by the timer. The coroutines take no
// parameters, and no co_await stands in a condition, in `a ? b : c` or beside a temporary that owns
// memory: GCC 12 miscompiles some of these.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    using Answer = std::function<Response(const Request&)>;

    // Without `tls` it speaks plain HTTP.
    Connection(
        Socket socket,
        const ServerOptions& options,
        Answer answer,
        std::shared_ptr<const net::TlsContext> tls
    );

    // Until the peer closes, errs or is too slow, or until stop() and the end of the request at
    // hand.
    [[nodiscard]] Task serve();

    // 503 and a close.
    [[nodiscard]] Task refuse();

    void stop();

  private:
    enum class Gathered : std::uint8_t { request, refused, too_slow, gone };
    enum class Phase : std::uint8_t { between_requests, in_request, last_word };

    TaskOf<bool> secure();
    TaskOf<bool> shake_hands();
    TaskOf<Gathered> gather();
    bool respond_to(Gathered gathered);
    TaskOf<std::size_t> read();
    TaskOf<bool> write();
    TaskOf<bool> send();
    Task close_in_good_order();
    [[nodiscard]] bool in_the_clear() const;
    void arm(std::chrono::milliseconds timeout);
    void disarm();

    Socket socket_;
    std::unique_ptr<net::TlsSession> tls_;  // null while the bytes are plain
    std::shared_ptr<const net::TlsContext> tls_context_;
    Timer timer_;
    const ServerOptions options_;
    Answer answer_;
    HttpParser parser_;
    std::array<char, 4096> buffer_;
    std::string_view unparsed_;  // what was read and not parsed yet, in buffer_
    std::uint64_t deadline_ =
        0;  // number of the deadline that is armed, so that a late timer does not hit the next one
    std::string output_;  // what is being written
    bool expired_ = false;
    bool stopping_ = false;
    Phase phase_ = Phase::between_requests;
};

}  // namespace spillway::admin
