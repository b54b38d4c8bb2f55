// The turns of an admin connection, and its deadlines.
#include "proxy/admin/connection.hpp"

#include <tuple>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

namespace spillway::admin {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// After our last word we read on for a while, since a close with unread bytes would reset the
// connection before the peer has read that word (RFC 9112, 9.6).
constexpr std::size_t linger_bytes_max = std::size_t{256} * 1024;

constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(Socket socket, const ServerOptions& options, Answer answer)
    : socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      options_(options),
      answer_(std::move(answer)) {
    error_code ignored;  // a unix socket has no such option
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
}

Task Connection::serve() {
    bool open = true;
    while (open) {
        const Gathered gathered = co_await gather();
        disarm();
        if (gathered == Gathered::gone) {
            co_return;
        }
        open = respond_to(gathered);
        const bool written = co_await write();
        if (!written) {
            co_return;
        }
    }
    co_await close_in_good_order();
}

Task Connection::refuse() {
    output_ = serialise(error_response(503, "too many admin connections"), false);
    const bool written = co_await write();
    if (written) {
        co_await close_in_good_order();
    }
}

// Fills the output; false when it is the connection's last word.
bool Connection::respond_to(Gathered gathered) {
    if (gathered == Gathered::too_slow) {
        output_ = serialise(error_response(408, "the request did not come in time"), false);
        return false;
    }
    if (gathered == Gathered::refused) {
        const ParseError& error = parser_.error();
        output_ = serialise(error_response(error.status, error.reason), false);
        return false;
    }
    const Request request = parser_.take_request();
    const bool keep_alive = request.keep_alive && !stopping_;
    output_ = serialise(answer_(request), keep_alive);
    return keep_alive;
}

void Connection::stop() {
    stopping_ = true;
    if (phase_ != Phase::in_request) {
        error_code ignored;
        socket_.cancel(ignored);
    }
}

// Reads until a request is complete. What was read beyond it stays for the next turn.
TaskOf<Connection::Gathered> Connection::gather() {
    phase_ = Phase::between_requests;
    arm(options_.idle_timeout);
    for (;;) {
        const HttpParser::Fed fed = parser_.feed(unparsed_);
        unparsed_.remove_prefix(fed.consumed);
        if (fed.progress != HttpParser::Progress::need_more) {
            phase_ = Phase::in_request;
            co_return fed.progress == HttpParser::Progress::complete ? Gathered::request
                                                                     : Gathered::refused;
        }
        if (phase_ == Phase::between_requests && parser_.in_request()) {
            phase_ = Phase::in_request;
            arm(options_.request_timeout);
        }
        if (parser_.take_continue_wanted()) {
            const auto [error, size] =
                co_await asio::async_write(socket_, asio::buffer(go_on), as_values);
            if (error) {
                co_return Gathered::gone;
            }
        }
        if (stopping_ && phase_ == Phase::between_requests) {
            co_return Gathered::gone;
        }
        const auto [error, size] =
            co_await socket_.async_read_some(asio::buffer(buffer_), as_values);
        // The deadline may pass while what was read waits for its turn: then it has passed all the
        // same.
        if (error || expired_) {
            const bool too_slow = expired_ && phase_ == Phase::in_request;
            co_return too_slow ? Gathered::too_slow : Gathered::gone;
        }
        unparsed_ = std::string_view(buffer_.data(), size);
    }
}

TaskOf<bool> Connection::write() {
    arm(options_.response_timeout);
    const auto [error, size] =
        co_await asio::async_write(socket_, asio::buffer(output_), as_values);
    disarm();
    output_ = {};
    co_return !error;
}

Task Connection::close_in_good_order() {
    error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
    phase_ = Phase::last_word;
    arm(options_.linger_timeout);
    std::size_t read = 0;
    while (read < linger_bytes_max && !stopping_ && !expired_) {
        const auto [error, size] =
            co_await socket_.async_read_some(asio::buffer(buffer_), as_values);
        if (error) {
            break;
        }
        read += size;
    }
    disarm();
}

void Connection::arm(std::chrono::milliseconds timeout) {
    expired_ = false;
    const std::uint64_t number = ++deadline_;
    timer_.expires_after(timeout);
    timer_.async_wait([self = shared_from_this(), number](error_code error) {
        if (!error && number == self->deadline_) {
            self->expired_ = true;
            error_code ignored;
            self->socket_.cancel(ignored);
        }
    });
}

void Connection::disarm() {
    ++deadline_;
    timer_.cancel();
}

}  // namespace spillway::admin
