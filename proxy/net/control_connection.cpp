// A connection of our own to a backend, on which one question is asked at a time.
#include "proxy/net/control_connection.hpp"

#include "proxy/net/proxy_header.hpp"

#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

// GCC 12 takes a coroutine frame's own operator delete for a mismatch when it inlines Asio's new.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

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
    tls_.reset();
}

asio::awaitable<std::string> ControlConnection::connect(
    Target target, std::chrono::milliseconds timeout
) {
    std::string problem = "its name cannot be resolved";
    for (const Endpoint& endpoint : target.endpoints) {
        close();
        const asio::generic::stream_protocol::endpoint peer(&endpoint.address, endpoint.size);
        asio::steady_timer timer(context_, timeout);
        const auto winner = co_await (
            socket_.async_connect(peer, tuple_awaitable) || timer.async_wait(tuple_awaitable)
        );
        if (winner.index() == 1) {
            problem = "connecting took longer than " + std::to_string(timeout.count()) + " ms";
            continue;
        }
        const auto error = std::get<0>(std::get<0>(winner));
        if (!error) {
            tune(socket_.native_handle());
            problem.clear();
            if (target.send_proxy != conf::SendProxy::off) {
                problem = co_await send(write_proxy_header(target.send_proxy, {}, {}), timer);
            }
            if (problem.empty() &&
                target.tls) {  // GCC 12 cannot wait within a conditional expression
                problem = co_await secure(*target.tls, timer);
            }
            if (problem.empty()) {
                co_return problem;
            }
            continue;
        }
        problem = error.message();
    }
    close();
    co_return problem;
}

asio::awaitable<std::string> ControlConnection::secure(const TlsContext& context, Timer& timer) {
    boost::system::error_code failure;
    socket_.non_blocking(true, failure);
    tls_ = TlsSession::begin(context);
    if (failure || !tls_) {
        co_return std::string("no memory for TLS");
    }
    while (true) {
        const IoResult result = tls_->handshake(socket_.native_handle());
        if (result.status == IoStatus::done) {
            co_return std::string();
        }
        if (result.status != IoStatus::blocked) {
            co_return tls_problem("the connection ended within the handshake");
        }
        const bool in_time = co_await ready(timer);
        if (!in_time) {
            co_return std::string(tls_failed) + "the handshake took too long";
        }
    }
}

std::string ControlConnection::tls_problem(std::string_view otherwise) const {
    return std::string(tls_failed).append(tls_->problem().empty() ? otherwise : tls_->problem());
}

// For TLS to go on: false when time is over.
asio::awaitable<bool> ControlConnection::ready(Timer& timer) {
    const auto what = tls_->unsent() ? Socket::wait_write : Socket::wait_read;
    const auto winner =
        co_await (socket_.async_wait(what, tuple_awaitable) || timer.async_wait(tuple_awaitable));
    // Closed meanwhile by who wants it no more: the session is gone too.
    co_return winner.index() == 0 && tls_ != nullptr;
}

asio::awaitable<std::string> ControlConnection::send_tls(std::string_view question, Timer& timer) {
    while (!question.empty() || tls_->unsent()) {
        const std::span<const std::string_view> pieces(&question, 1);
        const IoResult sent = tls_->write(socket_.native_handle(), pieces);
        question.remove_prefix(sent.bytes);
        bool lost = sent.status == IoStatus::failed;
        if (!lost && tls_->unsent()) {
            const bool in_time = co_await ready(timer);
            lost = !in_time;
        }
        if (lost && tls_) {  // the server may have said why
            std::array<char, 1024> rest{};
            while (tls_->read(socket_.native_handle(), rest).status == IoStatus::done) {
            }
            co_return tls_problem("the connection was lost");
        }
        if (lost) {
            co_return std::string("the connection was lost");
        }
    }
    co_return std::string();
}

asio::awaitable<std::string> ControlConnection::receive_tls(std::string& bytes, Timer& timer) {
    constexpr std::size_t step_bytes = 64UL * 1024;
    const std::size_t filled = bytes.size();
    while (true) {
        bytes.resize(filled + step_bytes);
        const std::span<char> area(bytes.data() + filled, step_bytes);
        const IoResult got = tls_->read(socket_.native_handle(), area);
        bytes.resize(filled + got.bytes);
        if (got.status == IoStatus::done) {
            co_return std::string();
        }
        if (got.status == IoStatus::closed) {
            co_return std::string("the server closed the connection");
        }
        if (got.status == IoStatus::failed) {
            co_return tls_problem("the connection was lost");
        }
        const bool in_time = co_await ready(timer);
        if (!in_time) {
            co_return std::string(timed_out);
        }
    }
}

asio::awaitable<std::string> ControlConnection::send(std::string question, Timer& timer) {
    if (tls_) {
        co_return co_await send_tls(question, timer);
    }
    const auto written = co_await (
        asio::async_write(socket_, asio::buffer(question), tuple_awaitable) ||
        timer.async_wait(tuple_awaitable)
    );
    const bool lost = written.index() == 1 || std::get<0>(std::get<0>(written));
    co_return lost ? "the connection was lost" : "";
}

// What has come by now, behind `bytes`. Empty, or why nothing will come any more; timed_out alone
// is for the caller to put into words.
asio::awaitable<std::string> ControlConnection::receive(std::string& bytes, Timer& timer) {
    if (tls_) {
        co_return co_await receive_tls(bytes, timer);
    }
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
