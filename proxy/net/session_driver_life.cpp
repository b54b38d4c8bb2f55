// How a session begins and ends: dialling the backend, closing without losing what was said last,
// deadlines, draining.
#include "proxy/net/proxy_header.hpp"
#include "proxy/net/session_driver.hpp"
#include "proxy/net/shard.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/epoll.h>

namespace spillway::net {
namespace {

using metrics::ClosedReason;

// A connection request that a busy backend's full queue dropped would be sent again by the kernel
// after a second. We ask again ourselves at an eighth, a quarter and a half of the time for
// connecting, so that the last request has half of it for its answer.
constexpr core::Nanos first_redial_share = 8;
constexpr core::Nanos linger_max = policy::second;
// Of a client: seconds of its own processor, were it the slowest, and no more.
constexpr core::Nanos handshake_max = 10 * policy::second;
constexpr core::Nanos drain_grace = 200 * policy::millisecond;

}  // namespace

SessionDriver::SessionDriver(
    Shard& shard, ListenerShare& listener, Fd client, std::string address, std::uint64_t id
)
    : shard_(shard),
      listener_(listener),
      session_(shard.context(), id, std::move(address), listener.label),
      came_at_(shard.context().now) {
    client_.ready = &SessionDriver::client_ready;
    client_.driver = this;
    client_.stream.open(std::move(client));
    backend_.ready = &SessionDriver::backend_ready;
    backend_.driver = this;
    shard_.context().metrics.clients.add();
    shard_.context().metrics.client_connections.add();
}

SessionDriver::~SessionDriver() {
    shard_.context().metrics.clients.sub();
    if (counted_by_host_) {
        listener_.hosts.leave(host_of(session_.shared().address));
    }
    listener_.clients.fetch_sub(1, std::memory_order_relaxed);
}

void SessionDriver::start() {
    if (!shard_.poller().add(client_.stream.fd(), client_)) {
        return die(ClosedReason::client_error);
    }
    if (listener_.proxy_protocol.load(std::memory_order_relaxed) == conf::ProxyProtocol::off) {
        return begin_securing();
    }
    phase_ = Phase::announced;
    deadline_ = shard_.context().now + shard_.settings().connect_timeout;
    shard_.list_timed(*this);
}

// What came behind the header waits in the stash until the backend is there.
void SessionDriver::read_proxy_header(std::string_view received) {
    count_in(received.size());
    stash_.append(received);
    const auto accepted = listener_.proxy_protocol.load(std::memory_order_relaxed);
    // A reload may have turned it off meanwhile: this one began with it.
    ProxyHeader header = net::read_proxy_header(
        stash_, accepted == conf::ProxyProtocol::off ? conf::ProxyProtocol::any : accepted
    );
    switch (header.state) {
        case ProxyHeader::State::need_more:
            return;
        case ProxyHeader::State::failed:
            return refuse_proxy_header(header.problem);
        case ProxyHeader::State::complete:
            break;
    }
    if (!header.client.empty()) {
        session_.set_address(std::move(header.client));
    }
    stash_.erase(0, header.bytes);
    begin_securing();
}

// The protocol allows no answer: who spoke is not known.
void SessionDriver::refuse_proxy_header(std::string_view problem) {
    shard_.context().metrics.connections_refused[metrics::RefusedReason::proxy_header].add();
    shard_.report_refusal(
        session_.shared().address, "this listener expects a PROXY header, and ", problem
    );
    die(ClosedReason::protocol_error);
}

// By the address that the client is known by. One that has none is on this host, and not counted.
bool SessionDriver::enter_host() {
    const std::uint32_t most = listener_.clients_per_host_max.load(std::memory_order_relaxed);
    const std::string_view host = host_of(session_.shared().address);
    if (most == 0 || host.empty()) {
        return true;
    }
    counted_by_host_ = listener_.hosts.enter(host, most);
    return counted_by_host_;
}

void SessionDriver::refuse_host(bool plain) {
    shard_.context().metrics.connections_refused[metrics::RefusedReason::max_clients_per_host].add(
    );
    shard_.report_refusal(
        session_.shared().address,
        "its host has as many clients already as ",
        "max_clients_per_host allows"
    );
    if (plain) {  // who expects TLS could not read it
        Shard::refuse_client(client_.stream.fd(), "-ERR max number of clients reached\r\n");
    }
    die(ClosedReason::refused);
}

// Nobody reaches the backend who has not shown what this listener asks for.
void SessionDriver::begin_securing() {
    if (shard_.settings().reports_clients) {
        shard_.report_client({.address = session_.shared().address, .listener = listener_.name});
    }
    const TlsContext* const tls = shard_.tls_of(listener_);
    if (!enter_host()) {
        return refuse_host(tls == nullptr);
    }
    if (tls == nullptr) {
        return begin_connecting();
    }
    if (!client_.stream.secure(*tls)) {
        return die(ClosedReason::client_error);
    }
    client_.stream.tls()->take_early(std::exchange(stash_, {}));  // it came with a PROXY header
    phase_ = Phase::securing;
    deadline_ = shard_.context().now + handshake_max;
    shard_.list_timed(*this);
    secure_client();
}

void SessionDriver::secure_client() {
    TlsSession& tls = *client_.stream.tls();
    switch (tls.handshake(client_.stream.fd()).status) {
        case IoStatus::blocked:
            return;
        case IoStatus::closed:  // a balancer that looks whether we listen says nothing either
            return die(ClosedReason::client_closed);
        case IoStatus::failed:
            return tls.problem().empty() ? die(ClosedReason::client_error)
                                         : refuse_tls(std::string(tls.problem()));
        case IoStatus::done:
            client_.readable = true;  // commands may have come with the end of the handshake
            return begin_connecting();
    }
}

void SessionDriver::refuse_tls(std::string_view problem) {
    shard_.context().metrics.connections_refused[metrics::RefusedReason::tls].add();
    shard_.report_refusal(session_.shared().address, "TLS: ", problem);
    die(ClosedReason::protocol_error);
}

void SessionDriver::begin_connecting() {
    phase_ = Phase::connecting;
    deadline_ = shard_.context().now + shard_.settings().connect_timeout;
    shard_.list_timed(*this);
    dial_next(EHOSTUNREACH);
}

void SessionDriver::dial_next(int error, std::string_view tls_problem) {
    const core::Nanos now = shard_.context().now;
    const core::Nanos allowed = shard_.settings().connect_timeout;
    const core::Nanos passed = now - (deadline_ - allowed);
    redial_at_ =
        passed < allowed / 2 ? now + std::max(passed, allowed / first_redial_share) : deadline_;
    if (shard_.target().awaited) {
        redial_at_ = now;  // at the next tick
        return;
    }
    const std::vector<Endpoint>& endpoints = shard_.target().endpoints;
    while (endpoint_ < endpoints.size()) {
        Dialled dialled = dial(endpoints[endpoint_++]);
        error = dialled.error;
        tls_problem = {};
        if (dialled.status == IoStatus::failed) {
            continue;
        }
        dialled_ = shard_.target_now();
        backend_.stream.open(std::move(dialled.fd));
        backend_.readable = backend_.half_closed = false;
        if (!shard_.poller().add(backend_.stream.fd(), backend_)) {
            error = errno;
            continue;
        }
        if (dialled.status == IoStatus::done) {
            reached();
        }
        return;
    }
    if (!tls_problem.empty()) {  // it would be the same the next time
        return backend_unavailable("TLS: " + std::string(tls_problem));
    }
    if (passed >= allowed / first_redial_share) {
        endpoint_ = 0;  // one of them did not answer, and may yet
        return;
    }
    if (shard_.report_no_descriptors(error)) {
        return backend_unavailable(std::strerror(error), metrics::RefusedReason::descriptors);
    }
    if (!endpoints.empty()) {
        return backend_unavailable(std::strerror(error));
    }
    backend_unavailable(shard_.target().problem);
}

void SessionDriver::go_on_connecting(std::uint32_t events) {
    if (backend_.stream.tls() != nullptr) {
        return secure_backend();
    }
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) {
        return;
    }
    const int error = connect_result(backend_.stream.fd());
    if (error != 0 || (events & (EPOLLERR | EPOLLHUP)) != 0) {
        backend_.stream.close();
        return dial_next(error != 0 ? error : ECONNRESET);
    }
    reached();
}

// It always fits into the buffer of a new connection.
bool SessionDriver::introduce_client() {
    const conf::SendProxy version = shard_.target().send_proxy;
    if (version == conf::SendProxy::off) {
        return true;
    }
    const std::string header =
        write_proxy_header(version, session_.shared().address, local_endpoint(client_.stream.fd()));
    const std::string_view all = header;
    return write_some(backend_.stream.fd(), {&all, 1}).bytes == all.size();
}

void SessionDriver::reached() {
    if (dialled_ != shard_.target_now()) {  // it has moved, or is spoken to in another way now
        backend_.stream.close();
        endpoint_ = 0;
        return dial_next(ECONNABORTED);
    }
    dialled_.reset();
    if (!introduce_client()) {
        backend_.stream.close();
        return dial_next(ECONNRESET);
    }
    const TlsContext* const tls = shard_.target().tls.get();
    if (tls == nullptr) {
        return connected();
    }
    if (!backend_.stream.secure(*tls)) {
        return backend_unavailable("no memory for TLS");
    }
    redial_at_ = deadline_;  // it has answered: another connection would be no quicker
    secure_backend();
}

void SessionDriver::secure_backend() {
    TlsSession& tls = *backend_.stream.tls();
    const IoResult result = tls.handshake(backend_.stream.fd());
    if (result.status == IoStatus::blocked) {
        return;
    }
    if (result.status != IoStatus::done) {
        const std::string problem =
            tls.problem().empty() ? "the connection ended within the handshake" : tls.problem();
        backend_.stream.close();
        return dial_next(ECONNRESET, problem);
    }
    backend_.readable = true;  // it may have said something with the end of the handshake
    connected();
    if (phase_ == Phase::relaying) {
        pump_backend();
    }
}

void SessionDriver::connected() {
    phase_ = Phase::relaying;
    deadline_ = 0;
    shard_.context().metrics.backend_connections.add();
    if (!stash_.empty()) {  // it came with a PROXY header
        (void)resume();
    } else if (client_.readable) {
        pump_client();
    }
}

std::string SessionDriver::backend_address() const {
    if (phase_ != Phase::relaying || !backend_.stream) {
        return {};
    }
    std::string address = text_of(local_endpoint(backend_.stream.fd()));
    return address.starts_with("unix:") ? std::string() : address;
}

void SessionDriver::backend_unavailable(std::string_view why, metrics::RefusedReason reason) {
    backend_.stream.close();
    shard_.context().metrics.connections_refused[reason].add();
    spool("-ERR spillway: backend unavailable (" + std::string(why) + ")\r\n");
    phase_ = Phase::closing;
    closed_reason_ = ClosedReason::backend_error;
    flush_client();
}

// The backend has ended, or the session must: what is spooled still goes to the client.
void SessionDriver::begin_closing(ClosedReason reason) {
    if (phase_ == Phase::relaying) {
        shard_.context().metrics.backend_connections.sub();
    }
    phase_ = Phase::closing;
    closed_reason_ = reason;
    deadline_ = 0;
    if (session_.retry_waits()) {
        core::Output& output = shard_.output();
        session_.show_refusal(output);
        send_to_client(output);
        if (phase_ == Phase::dead) {
            return;
        }
    }
    session_.drop_hold();
    backend_.stream.close();
    to_backend_.clear();
    std::string().swap(stash_);
    flush_client();
}

// Closing with unread bytes would reset the connection and might take the last reply from the
// client.
void SessionDriver::finish_closing() {
    if (client_.ended) {
        return die(closed_reason_);
    }
    client_.stream.finish();
    phase_ = Phase::lingering;
    deadline_ = shard_.context().now + linger_max;
    shard_.list_timed(*this);
    pump_client();
}

void SessionDriver::die(ClosedReason reason) {
    if (phase_ == Phase::dead) {
        return;
    }
    core::ShardContext& context = shard_.context();
    if (phase_ == Phase::relaying) {
        context.metrics.backend_connections.sub();
    }
    if (phase_ == Phase::closing || phase_ == Phase::lingering) {
        reason = closed_reason_;  // what happened first
    }
    context.metrics.sessions_closed[reason].add();
    if (shard_.settings().reports_clients) {
        shard_.report_client(
            {.address = session_.shared().address,
             .listener = listener_.name,
             .closed = reason,
             .lasted = context.now - came_at_,
             .bytes_in = bytes_in_,
             .bytes_out = bytes_out_}
        );
    }
    context.metrics.spool_bytes.sub(static_cast<std::int64_t>(to_client_.size()));
    phase_ = Phase::dead;
    session_.drop_hold();
    client_.stream.close();
    backend_.stream.close();
    to_backend_.clear();
    to_client_.clear();
    deadline_ = 0;
    shard_.bury(*this);
}

void SessionDriver::tick() {
    switch (phase_) {
        case Phase::announced:
            if (shard_.context().now < deadline_) {
                return;
            }
            return draining_ ? die(ClosedReason::stopping)
                             : refuse_proxy_header("it did not come within connect_timeout");
        case Phase::securing:
            if (shard_.context().now < deadline_) {
                return;
            }
            return draining_ ? die(ClosedReason::stopping)
                             : refuse_tls("the handshake did not end within 10 s");
        case Phase::connecting:
            return tick_connecting();
        case Phase::relaying:
            return leaving_ ? tick_leaving() : draining_ ? tick_draining() : look_after_waiting();
        case Phase::lingering:
            if (shard_.context().now >= deadline_) {
                die(closed_reason_);
            }
            return;
        case Phase::closing:  // it takes as long as the client takes to read
        case Phase::dead:
            deadline_ = 0;
            return;
    }
}

void SessionDriver::tick_connecting() {
    const core::Nanos now = shard_.context().now;
    if (now >= deadline_) {
        deadline_ = 0;
        return backend_unavailable(
            backend_.stream.tls() != nullptr ? "TLS: the handshake took too long"
            : shard_.target().awaited        ? "its name is still being looked up"
                                             : "connecting took too long"
        );
    }
    if (now >= redial_at_) {
        backend_.stream.close();
        if (endpoint_ >= shard_.target().endpoints.size()) {
            endpoint_ = 0;
        }
        dial_next(EHOSTUNREACH);
    }
}

void SessionDriver::tick_draining() {
    const core::Nanos now = shard_.context().now;
    const bool finished = session_.idle() && !session_.shared().state.in_multi() &&
                          stash_.empty() && to_backend_.empty() && to_client_.empty() &&
                          !backend_.stream.unsent() && !client_.stream.unsent();
    if (!finished) {
        if (!stash_.empty()) {
            look_after_waiting();
        }
        deadline_ = phase_ == Phase::relaying ? now + drain_grace : deadline_;
    } else if (now >= deadline_) {
        begin_closing(ClosedReason::stopping);
    }
}

void SessionDriver::tick_leaving() {
    deadline_ = shard_.context().now;  // not 0: it is looked at until it has gone
    const bool answered = session_.idle() && !session_.amid_command() && to_backend_.empty() &&
                          !backend_.stream.unsent();
    if (answered || session_.retry_waits()) {
        begin_closing(ClosedReason::stopping);
    }
}

void SessionDriver::leave() {
    leaving_ = true;
    drain();
}

void SessionDriver::drain() {
    draining_ = true;
    deadline_ = shard_.context().now + drain_grace;
    shard_.list_timed(*this);
}

}  // namespace spillway::net
