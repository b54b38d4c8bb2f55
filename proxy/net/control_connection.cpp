// A connection of our own to a backend, on which one question is asked at a time.
#include "proxy/net/control_connection.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace spillway::net {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
constexpr auto tuple_awaitable = asio::as_tuple(asio::use_awaitable);

namespace {

// COMMAND of a server with many modules stays well below this.
constexpr std::size_t answer_bytes_max = 16UL << 20U;

}  // namespace

std::string encode_command(std::span<const std::string> arguments) {
    std::string bytes = "*" + std::to_string(arguments.size()) + "\r\n";
    for (const std::string& argument : arguments) {
        bytes += "$" + std::to_string(argument.size()) + "\r\n" + argument + "\r\n";
    }
    return bytes;
}

ControlConnection::ControlConnection(asio::io_context& context)
    : context_(context), socket_(context) {}

void ControlConnection::close() noexcept {
    boost::system::error_code ignored;
    socket_.close(ignored);
}

asio::awaitable<std::string> ControlConnection::connect(
    std::vector<Endpoint> endpoints, std::chrono::milliseconds timeout
) {
    std::string problem = "its name cannot be resolved";
    for (const Endpoint& endpoint : endpoints) {
        close();
        const asio::generic::stream_protocol::endpoint target(&endpoint.address, endpoint.size);
        asio::steady_timer timer(context_, timeout);
        const auto winner = co_await (
            socket_.async_connect(target, tuple_awaitable) || timer.async_wait(tuple_awaitable)
        );
        if (winner.index() == 1) {
            problem = "connecting took longer than " + std::to_string(timeout.count()) + " ms";
            continue;
        }
        const auto error = std::get<0>(std::get<0>(winner));
        if (!error) {
            tune(socket_.native_handle());
            co_return std::string();
        }
        problem = error.message();
    }
    close();
    co_return problem;
}

asio::awaitable<ControlConnection::Answer> ControlConnection::ask(
    std::vector<std::string> command, std::chrono::milliseconds timeout
) {
    Answer answer;
    const std::string question = encode_command(command);
    asio::steady_timer timer(context_, timeout);
    const auto written = co_await (
        asio::async_write(socket_, asio::buffer(question), tuple_awaitable) ||
        timer.async_wait(tuple_awaitable)
    );
    if (written.index() == 1 || std::get<0>(std::get<0>(written))) {
        answer.problem = "the connection was lost";
        co_return answer;
    }
    std::size_t wanted = 1;
    while (true) {
        if (answer.bytes.size() >= wanted) {
            const resp::ReplyParseResult parsed = resp::parse_reply(answer.bytes, answer.reply);
            if (parsed.state == resp::ReplyParse::complete) {
                break;
            }
            if (parsed.state != resp::ReplyParse::need_more ||
                answer.bytes.size() >= answer_bytes_max) {
                answer.problem = "the answer to " + command.front() + " is no RESP";
                co_return answer;
            }
            wanted = std::max(parsed.bytes, answer.bytes.size() + 1);
        }
        const std::size_t filled = answer.bytes.size();
        answer.bytes.resize(filled + 16 * 1024);
        const auto got = co_await (
            socket_.async_read_some(
                asio::buffer(answer.bytes.data() + filled, answer.bytes.size() - filled),
                tuple_awaitable
            ) ||
            timer.async_wait(tuple_awaitable)
        );
        if (got.index() == 1) {
            answer.problem = "no answer to " + command.front() + " within " +
                             std::to_string(timeout.count()) + " ms";
            co_return answer;
        }
        const auto [error, bytes] = std::get<0>(got);
        answer.bytes.resize(filled + bytes);
        if (error) {
            answer.problem =
                error == asio::error::eof ? "the server closed the connection" : error.message();
            co_return answer;
        }
    }
    answer.ok = true;
    co_return answer;
}

}  // namespace spillway::net
