// A connection of our own to a backend, on which one question is asked at a time.
#pragma once

#include "proxy/net/target.hpp"
#include "proxy/net/tls_session.hpp"
#include "resp/reply_tree.hpp"

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace spillway::net {

// RESP2, never anything else: the questions we ask need no more, and every server speaks it.
class ControlConnection {
  public:
    explicit ControlConnection(boost::asio::io_context& context);

    // Tries the endpoints in turn. Empty when connected, else why not; tls_failed begins what is
    // wrong with TLS.
    [[nodiscard]] boost::asio::awaitable<std::string> connect(
        Target target, std::chrono::milliseconds timeout
    );

    struct Answer {
        bool ok = false;      // an answer came in time; it may still be an error reply
        std::string problem;  // why not: the connection is then of no further use
        resp::Reply reply;    // views into bytes
        std::string bytes;
    };
    [[nodiscard]] boost::asio::awaitable<Answer> ask(
        std::vector<std::string> command, std::chrono::milliseconds timeout
    );

    struct Answers {
        bool ok = false;  // as many answers came in time as commands were sent
        std::string problem;
        std::vector<resp::Reply> replies;  // in the order of the commands; views into bytes
        std::string bytes;
    };
    // One pipeline.
    [[nodiscard]] boost::asio::awaitable<Answers> ask_all(
        std::vector<std::vector<std::string>> commands, std::chrono::milliseconds timeout
    );

    void close() noexcept;

  private:
    using Timer = boost::asio::steady_timer;

    [[nodiscard]] boost::asio::awaitable<std::string> secure(
        const TlsContext& context, Timer& timer
    );
    [[nodiscard]] boost::asio::awaitable<bool> ready(Timer& timer);
    [[nodiscard]] std::string tls_problem(std::string_view otherwise) const;
    [[nodiscard]] boost::asio::awaitable<std::string> send_tls(
        std::string_view question, Timer& timer
    );
    [[nodiscard]] boost::asio::awaitable<std::string> receive_tls(std::string& bytes, Timer& timer);
    [[nodiscard]] boost::asio::awaitable<std::string> send(std::string question, Timer& timer);
    [[nodiscard]] boost::asio::awaitable<std::string> receive(std::string& bytes, Timer& timer);

    using Socket = boost::asio::generic::stream_protocol::socket;

    boost::asio::io_context& context_;
    Socket socket_;
    std::unique_ptr<TlsSession> tls_;
};

inline constexpr std::string_view tls_failed = "TLS: ";

// *2\r\n$4\r\nINFO\r\n…
[[nodiscard]] std::string encode_command(std::span<const std::string> arguments);

}  // namespace spillway::net
