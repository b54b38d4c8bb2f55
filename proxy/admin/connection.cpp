// The turns of an admin connection, and its deadlines.
#include "proxy/admin/connection.hpp"

#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <sys/socket.h>

namespace spillway::admin {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// After our last word we read on for a while, since a close with unread bytes would reset the
// connection before the peer has read that word (RFC 9112, 9.6).
constexpr std::size_t linger_bytes_max = std::size_t{256} * 1024;

// What a TLS client's first byte is (RFC 8446, 5.1): no method of HTTP begins with it.
constexpr char tls_handshake_record = 22;

constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

Connection::Connection(
    Socket socket,
    const ServerOptions& options,
    Answer answer,
    std::shared_ptr<const net::TlsContext> tls
)
    : socket_(std::move(socket)),
      tls_context_(std::move(tls)),
      timer_(socket_.get_executor()),
      options_(options),
      answer_(std::move(answer)) {
    error_code ignored;  // a unix socket has no such option
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.native_non_blocking(true, ignored);
}

Task Connection::serve() {
    bool open = true;
    if (tls_context_) {
        open = co_await secure();
    }
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
    bool open = true;
    if (tls_context_) {
        open = co_await secure();
    }
    if (open) {
        output_ = serialise(error_response(503, "too many admin connections"), false);
        open = co_await write();
    }
    if (open) {
        co_await close_in_good_order();
    }
}

// False when there is nobody to serve; one who speaks plain HTTP is told so.
TaskOf<bool> Connection::secure() {
    arm(options_.request_timeout);
    const auto [error] = co_await socket_.async_wait(Socket::wait_read, as_values);
    char first = 0;
    const bool anything = !error && ::recv(socket_.native_handle(), &first, 1, MSG_PEEK) == 1;
    if (anything && first != tls_handshake_record) {
        output_ = serialise(
            error_response(400, "this address speaks TLS: ask with https:// in place of http://"),
            false
        );
        (void)co_await write();
        co_return false;
    }
    bool secured = false;
    if (anything) {
        tls_ = net::TlsSession::begin(*tls_context_);
        secured = tls_ != nullptr;
    }
    if (secured) {
        secured = co_await shake_hands();
    }
    disarm();
    co_return secured && !expired_;
}

TaskOf<bool> Connection::shake_hands() {
    for (;;) {
        const net::IoResult result = tls_->handshake(socket_.native_handle());
        if (result.status != net::IoStatus::blocked) {
            co_return result.status == net::IoStatus::done;
        }
        const auto way = tls_->unsent() ? Socket::wait_write : Socket::wait_read;
        const auto [error] = co_await socket_.async_wait(way, as_values);
        if (error) {
            co_return false;
        }
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
    Request request = parser_.take_request();
    request.in_the_clear = in_the_clear();
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
            output_ = go_on;
            const bool sent = co_await send();
            if (!sent) {
                co_return Gathered::gone;
            }
        }
        if (stopping_ && phase_ == Phase::between_requests) {
            co_return Gathered::gone;
        }
        const std::size_t size = co_await read();
        // The deadline may pass while what was read waits for its turn: then it has passed all the
        // same.
        if (size == 0 || expired_) {
            const bool too_slow = expired_ && phase_ == Phase::in_request;
            co_return too_slow ? Gathered::too_slow : Gathered::gone;
        }
        unparsed_ = std::string_view(buffer_.data(), size);
    }
}

// Some bytes into buffer_; none at the end, on an error, and when the deadline is over.
TaskOf<std::size_t> Connection::read() {
    for (;;) {
        const int fd = socket_.native_handle();
        const net::IoResult got = tls_ ? tls_->read(fd, buffer_) : net::read_some(fd, buffer_);
        if (got.status != net::IoStatus::blocked) {
            co_return got.status == net::IoStatus::done ? got.bytes : 0;
        }
        const auto [error] = co_await socket_.async_wait(Socket::wait_read, as_values);
        if (error) {
            co_return 0;
        }
    }
}

TaskOf<bool> Connection::write() {
    arm(options_.response_timeout);
    const bool sent = co_await send();
    disarm();
    co_return sent;
}

// The output, all of it.
TaskOf<bool> Connection::send() {
    const int fd = socket_.native_handle();
    std::string_view left = output_;
    net::IoStatus status = net::IoStatus::done;
    while (!left.empty() || (tls_ && tls_->unsent())) {
        if (left.empty()) {
            status = tls_->flush(fd);
        } else {
            const net::IoResult sent =
                tls_ ? tls_->write(fd, {&left, 1}) : net::write_some(fd, {&left, 1});
            status = sent.status;
            left.remove_prefix(sent.bytes);
        }
        if (status == net::IoStatus::failed) {
            co_return false;
        }
        if (status == net::IoStatus::blocked || (tls_ && tls_->unsent())) {
            const auto [error] = co_await socket_.async_wait(Socket::wait_write, as_values);
            if (error) {
                co_return false;
            }
        }
    }
    output_ = {};
    co_return true;
}

Task Connection::close_in_good_order() {
    if (tls_) {
        tls_->finish(socket_.native_handle());
    } else {
        net::finish_writing(socket_.native_handle());
    }
    phase_ = Phase::last_word;
    arm(options_.linger_timeout);
    std::size_t read_so_far = 0;
    while (read_so_far < linger_bytes_max && !stopping_ && !expired_) {
        const std::size_t size = co_await read();
        if (size == 0) {
            break;
        }
        read_so_far += size;
    }
    disarm();
}

// Whoever is on the way between the peer and this host reads what is said.
bool Connection::in_the_clear() const {
    error_code error;
    const Protocol::endpoint peer = socket_.remote_endpoint(error);
    if (tls_ || error || peer.protocol().family() == AF_UNIX) {
        return false;
    }
    asio::ip::tcp::endpoint address;
    address.resize(peer.size());
    *address.data() = *peer.data();
    return !address.address().is_loopback();
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
