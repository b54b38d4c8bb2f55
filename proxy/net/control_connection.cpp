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

constexpr std::string_view timed_out = "timeout";

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

asio::awaitable<std::string> ControlConnection::send(
    std::string question, asio::steady_timer& timer
) {
    const auto written = co_await (
        asio::async_write(socket_, asio::buffer(question), tuple_awaitable) ||
        timer.async_wait(tuple_awaitable)
    );
    const bool lost = written.index() == 1 || std::get<0>(std::get<0>(written));
    co_return lost ? "the connection was lost" : "";
}

// What has come by now, behind `bytes`. Empty, or why nothing will come any more; timed_out alone
// is for the caller to put into words.
asio::awaitable<std::string> ControlConnection::receive(
    std::string& bytes, asio::steady_timer& timer
) {
    const std::size_t filled = bytes.size();
    bytes.resize(filled + 16 * 1024);
    const auto got = co_await (
        socket_.async_read_some(
            asio::buffer(bytes.data() + filled, bytes.size() - filled), tuple_awaitable
        ) ||
        timer.async_wait(tuple_awaitable)
    );
    if (got.index() == 1) {
        bytes.resize(filled);
        co_return std::string(timed_out);
    }
    const auto [error, count] = std::get<0>(got);
    bytes.resize(filled + count);
    if (error) {
        co_return error == asio::error::eof ? "the server closed the connection" : error.message();
    }
    co_return std::string();
}

asio::awaitable<ControlConnection::Answer> ControlConnection::ask(
    std::vector<std::string> command, std::chrono::milliseconds timeout
) {
    std::vector<std::vector<std::string>> commands;
    commands.push_back(std::move(command));
    Answers answers = co_await ask_all(std::move(commands), timeout);
    Answer answer;
    answer.ok = answers.ok;
    answer.problem = std::move(answers.problem);
    answer.bytes = std::move(answers.bytes);  // never short enough to move their views' ground
    if (answer.ok) {
        answer.reply = std::move(answers.replies.front());
    }
    co_return answer;
}

asio::awaitable<ControlConnection::Answers> ControlConnection::ask_all(
    std::vector<std::vector<std::string>> commands, std::chrono::milliseconds timeout
) {
    Answers answers;
    std::string question;
    for (const auto& command : commands) {
        question += encode_command(command);
    }
    asio::steady_timer timer(context_, timeout);
    answers.problem = co_await send(std::move(question), timer);
    if (!answers.problem.empty()) {
        co_return answers;
    }
    std::vector<std::size_t> begins;  // of the replies that are complete
    std::size_t at = 0;
    std::size_t wanted = 1;
    while (begins.size() < commands.size()) {
        const std::string name = commands[begins.size()].front();
        if (answers.bytes.size() - at >= wanted) {
            resp::Reply reply;
            const resp::ReplyParseResult parsed =
                resp::parse_reply(std::string_view(answers.bytes).substr(at), reply);
            if (parsed.state == resp::ReplyParse::complete) {
                begins.push_back(at);
                at += parsed.bytes;
                wanted = 1;
                continue;
            }
            if (parsed.state != resp::ReplyParse::need_more ||
                answers.bytes.size() >= answer_bytes_max) {
                answers.problem = "the answer to " + name + " is no RESP";
                co_return answers;
            }
            wanted = std::max(parsed.bytes, answers.bytes.size() - at + 1);
        }
        std::string problem = co_await receive(answers.bytes, timer);
        if (!problem.empty()) {
            answers.problem = problem == timed_out ? "no answer to " + name + " within " +
                                                         std::to_string(timeout.count()) + " ms"
                                                   : std::move(problem);
            co_return answers;
        }
    }
    for (const std::size_t begin : begins) {  // only now do the bytes stay where they are
        answers.replies.emplace_back();
        (void
        )resp::parse_reply(std::string_view(answers.bytes).substr(begin), answers.replies.back());
    }
    answers.ok = true;
    co_return answers;
}

}  // namespace spillway::net
