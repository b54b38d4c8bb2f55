// Moves the bytes of one session between its two sockets; obeys what the session says and decides
// nothing itself.
#include "proxy/net/session_driver.hpp"

#include "proxy/net/shard.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <boost/assert.hpp>
#include <sys/epoll.h>

namespace spillway::net {
namespace {

using metrics::ClosedReason;
using metrics::Direction;

// Reads in a row before other sessions have their turn.
constexpr int reads_max = 4;
// Bytes that move at the client's pace are held up to here, so that the backend's next piece is at
// hand.
constexpr std::size_t paced_bytes_max = 256 * 1024;
// A client that lags behind its replies but has read some within this time is waited for.
constexpr core::Nanos lag_patience = policy::second;
// Commands that wait for replies of which none came for so long are sent on, where the end of their
// client stands behind them: the server is to hear of it, be it blocked by one of them.
constexpr core::Nanos end_patience = 50 * policy::millisecond;
// A stash above this gives its memory back once it is empty.
constexpr std::size_t stash_kept_bytes_max = 512;

}  // namespace

void SessionDriver::client_ready(Watch& watch, std::uint32_t events) {
    SessionDriver& self = *static_cast<Side&>(watch).driver;
    if (self.phase_ == Phase::dead) {
        return;
    }
    if ((events & EPOLLERR) != 0 && !self.hears_out()) {
        return self.die(ClosedReason::client_error);
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        if (!std::exchange(self.client_.half_closed, true)) {
            self.shard_.touch_clock();
            self.moved_at_ = self.shard_.context().now;
        }
        if (self.session_.awaits_replies()) {
            self.watch_waiting();  // its end stands behind what waits
        }
    }
    if ((events & EPOLLHUP) != 0 && self.phase_ != Phase::relaying && !self.hears_out()) {
        return self.die(ClosedReason::client_closed);
    }
    if (self.phase_ == Phase::securing) {
        return self.secure_client();
    }
    if ((events & EPOLLOUT) != 0 && (!self.to_client_.empty() || self.client_.stream.unsent())) {
        self.flush_client();
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0 && self.phase_ != Phase::dead) {
        self.client_.readable = true;
        self.pump_client();
    }
}

// A TLS client that goes away as usual resets: it never reads the ticket for its next session. What
// it sent is there to be read, once the backend is; so is why it did not like our certificate.
bool SessionDriver::hears_out() const noexcept {
    return client_.stream.tls() != nullptr &&
           (phase_ == Phase::securing || phase_ == Phase::connecting || phase_ == Phase::relaying);
}

void SessionDriver::backend_ready(Watch& watch, std::uint32_t events) {
    auto& side = static_cast<Side&>(watch);
    SessionDriver& self = *side.driver;
    if (self.phase_ == Phase::dead || !side.stream) {
        return;
    }
    if (self.phase_ == Phase::connecting) {
        self.go_on_connecting(events);
        if (self.phase_ != Phase::relaying) {
            return;
        }
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        side.half_closed = true;
    }
    if ((events & EPOLLOUT) != 0 && (!self.to_backend_.empty() || side.stream.unsent())) {
        self.flush_backend();
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 &&
        self.phase_ == Phase::relaying) {
        side.readable = true;
        self.pump_backend();
    }
}

bool SessionDriver::reads_client() const noexcept {
    if (!client_.readable || client_.ended) {
        return false;
    }
    if (phase_ == Phase::lingering || phase_ == Phase::closing || phase_ == Phase::announced) {
        return true;
    }
    return phase_ == Phase::relaying && to_backend_.empty() && !session_.waits() &&
           stash_.size() <= resp::window_bytes_max && !client_lags() &&
           (!leaving_ || session_.amid_command());
}

// Half of its spool is full, where a full one would cut it: what it asks for next is only sent on
// when it has read more. One that reads nothing at all is not waited for.
bool SessionDriver::client_lags() const noexcept {
    const ShardSettings& settings = shard_.settings();
    return to_client_.size() > settings.spool_client_bytes_max / 2 && settings.spool_disconnects &&
           settings.guard.mode == policy::Mode::protect &&
           shard_.context().now - client_read_at_ < lag_patience;
}

void SessionDriver::watch_waiting() {
    if (draining_ || phase_ != Phase::relaying) {
        return;  // who drains is looked after in any case
    }
    deadline_ = shard_.context().now;  // not 0: it is looked after at each tick
    shard_.list_timed(*this);
}

// Neither lag nor flight may hold back for ever a client that will not read, be it gone or still
// busy writing. As long as its replies come in, its flights go out.
void SessionDriver::look_after_waiting() {
    if (client_lags()) {
        return watch_waiting();
    }
    deadline_ = 0;
    if (resume() || phase_ != Phase::relaying) {
        return;
    }
    if (session_.awaits_replies() && (!to_client_.empty() || client_.half_closed)) {
        const core::Nanos now = shard_.context().now;
        const core::Nanos patience = client_.half_closed ? end_patience : lag_patience;
        if (now - std::max(client_read_at_, moved_at_) < patience) {
            return watch_waiting();
        }
        session_.lift_flight();
    }
    go_on_with_requests();
}

// A reply that no spool could hold moves at the client's pace. All others are taken off the backend
// at once, up to the bound; past it the operator's choice is asked: this client, or the backend's
// memory.
bool SessionDriver::reads_backend() {
    if (!backend_.readable || backend_.ended || phase_ != Phase::relaying) {
        return false;
    }
    const ShardSettings& settings = shard_.settings();
    if (session_.paced_by_client(settings.spool_client_bytes_max)) {
        return to_client_.size() < paced_bytes_max;
    }
    const auto spooled = static_cast<std::uint64_t>(shard_.context().metrics.spool_bytes.value());
    if (to_client_.size() < settings.spool_client_bytes_max &&
        (to_client_.empty() || spooled < settings.spool_total_bytes_max)) {
        return true;
    }
    if (settings.spool_disconnects && settings.guard.mode == policy::Mode::protect) {
        shard_.context().metrics.spool_overflows.add();
        die(ClosedReason::spool_overflow);
    }
    return false;
}

void SessionDriver::pump_client() {
    for (int reads = 0; reads < reads_max && reads_client(); ++reads) {
        read_client_once();
    }
    if (reads_client()) {
        shard_.wait_for_turn(*this);
    } else if (client_.readable && phase_ == Phase::relaying && client_lags()) {
        watch_waiting();
    }
}

void SessionDriver::count_in(std::size_t bytes) noexcept {
    shard_.context().metrics.bytes[Direction::client_in].add(bytes);
    bytes_in_ += bytes;
}

void SessionDriver::count_out(std::size_t bytes) noexcept {
    shard_.context().metrics.bytes[Direction::client_out].add(bytes);
    bytes_out_ += bytes;
}

void SessionDriver::read_client_once() {
    const std::span<char> area = shard_.read_area();
    const IoResult got = client_.stream.read(area);
    switch (got.status) {
        case IoStatus::blocked:
            client_.readable = false;
            return;
        case IoStatus::failed:
            return die(ClosedReason::client_error);
        case IoStatus::closed:
            client_.ended = true;
            return client_ended();
        case IoStatus::done:
            break;
    }
    // A short read has taken all there was; what comes later is told anew.
    if (client_.stream.drained(got.bytes, area.size()) && !client_.half_closed) {
        client_.readable = false;
    }
    if (phase_ == Phase::announced) {
        return read_proxy_header({area.data(), got.bytes});
    }
    if (phase_ != Phase::relaying) {
        return;
    }  // nobody is left to answer
    count_in(got.bytes);
    shard_.touch_clock();
    char* begin = area.data() - stash_.size();
    std::memcpy(begin, stash_.data(), stash_.size());
    feed_requests({begin, stash_.size() + got.bytes});
}

void SessionDriver::feed_requests(std::string_view window) {
    core::Output& output = shard_.output();
    std::size_t taken = 0;
    core::RequestLane::Pass pass;
    do {
        pass = session_.client_bytes(window.substr(taken), output);
        taken += pass.taken;
        send_to_backend(output);
        if (phase_ != Phase::relaying) {
            return;
        }
    } while (pass.stop == core::RequestLane::Stop::output_full && to_backend_.empty());
    keep(window, taken);
    show_local_replies();
    if (phase_ != Phase::relaying) {
        return;
    }
    switch (pass.stop) {
        case core::RequestLane::Stop::held:
            shard_.list_held(*this);
            break;
        case core::RequestLane::Stop::flight:
            if (taken > 0) {
                moved_at_ = shard_.context().now;
            }
            if (!to_client_.empty() || client_.half_closed) {
                watch_waiting();
            }
            break;
        case core::RequestLane::Stop::ledger_full:
            die(ClosedReason::ledger_full);
            break;
        case core::RequestLane::Stop::broken:
            begin_closing(ClosedReason::protocol_error);
            break;
        default:
            break;
    }
}

// The window may be the stash itself.
void SessionDriver::keep(std::string_view window, std::size_t taken) {
    if (window.data() == stash_.data()) {
        stash_.erase(0, taken);
    } else {
        stash_.assign(window.substr(taken));
    }
    BOOST_ASSERT(stash_.size() <= Shard::stash_bytes_max);
    if (stash_.empty() && stash_.capacity() > stash_kept_bytes_max) {
        std::string().swap(stash_);
    }
}

void SessionDriver::show_local_replies() {
    core::Output& output = shard_.output();
    bool complete = false;
    while (!complete && phase_ == Phase::relaying) {
        complete = session_.local_replies(output);
        if (output.empty()) {
            return;
        }
        send_to_client(output);
    }
}

// A write that the backend refused: it is sent again, or its refusal is shown, or it waits on.
bool SessionDriver::resume_retry() {
    if (phase_ != Phase::relaying) {
        return false;
    }
    core::Output& output = shard_.output();
    switch (session_.next_retry_step()) {
        case core::Session::RetryStep::none:
            if (session_.retry_waits()) {
                shard_.list_held(*this);
            }
            return false;
        case core::Session::RetryStep::send:
            session_.send_again(output);
            send_to_backend(output);
            return true;
        case core::Session::RetryStep::refuse:
            session_.show_refusal(output);
            send_to_client(output);
            if (phase_ == Phase::relaying) {
                go_on_with_requests();
            }
            return true;
    }
    return false;
}

bool SessionDriver::resume() {
    if (session_.retries()) {
        return resume_retry();
    }
    if (phase_ != Phase::relaying || stash_.empty() || !to_backend_.empty() || leaving_) {
        return false;
    }
    if (!session_.held() && client_lags()) {
        watch_waiting();
        return false;
    }
    const std::size_t waiting = stash_.size();
    feed_requests(stash_);
    const bool anything_moved = stash_.size() != waiting;
    if (phase_ == Phase::relaying && client_.ended) {
        client_ended();
    }
    if (phase_ == Phase::relaying) {
        pump_client();
    }
    return anything_moved;
}

void SessionDriver::go_on() {
    pump_backend();
    if (phase_ != Phase::dead) {
        pump_client();
    }
}

// What the client still sent is passed on first; then the backend learns that no more comes, and
// answers what it has.
void SessionDriver::client_ended() {
    if (phase_ == Phase::announced && !stash_.empty()) {
        return refuse_proxy_header("it was cut short");
    }
    if (phase_ != Phase::relaying) {
        return die(closed_reason_);
    }
    if (session_.waits() || !to_backend_.empty()) {
        return;
    }
    backend_.stream.finish();
}

void SessionDriver::send_to_backend(core::Output& output) {
    if (!output.empty() && to_backend_.empty()) {
        const IoResult sent = backend_.stream.write(output.pieces());
        // The backend may have said why it closes: that is still read and shown.
        std::size_t skip = sent.status == IoStatus::failed ? SIZE_MAX : sent.bytes;
        shard_.context().metrics.bytes[Direction::backend_out].add(sent.bytes);
        for (const std::string_view piece : output.pieces()) {
            const std::size_t step = std::min(skip, piece.size());
            skip -= step;
            to_backend_.append(piece.substr(step));
        }
    } else {
        for (const std::string_view piece : output.pieces()) {
            to_backend_.append(piece);
        }
    }
    output.clear();
}

void SessionDriver::flush_backend() {
    if (backend_.stream.flush() == IoStatus::blocked) {
        return;
    }
    while (!to_backend_.empty()) {
        const std::string_view front = to_backend_.front();
        const IoResult sent = backend_.stream.write({&front, 1});
        if (sent.status == IoStatus::blocked) {
            return;
        }
        if (sent.status == IoStatus::failed) {
            return to_backend_.clear();
        }  // reading will tell
        shard_.context().metrics.bytes[Direction::backend_out].add(sent.bytes);
        to_backend_.consume(sent.bytes);
    }
    if (phase_ != Phase::relaying) {
        return;
    }
    if (!stash_.empty()) {
        (void)resume();
        return;
    }
    if (client_.ended) {
        return client_ended();
    }
    pump_client();
}

void SessionDriver::pump_backend() {
    for (int reads = 0; reads < reads_max; ++reads) {
        if (!reads_backend()) {
            return;
        }
        read_backend_once();
    }
    if (reads_backend()) {
        shard_.wait_for_turn(*this);
    }
}

// In good order; the backend closes too when it is told of the client's end.
ClosedReason SessionDriver::why_backend_closed() const noexcept {
    if (session_.quitting()) {
        return ClosedReason::quit;
    }
    return client_.ended ? ClosedReason::client_closed : ClosedReason::backend_closed;
}

void SessionDriver::read_backend_once() {
    const std::span<char> area = shard_.read_area();
    const IoResult got = backend_.stream.read(area);
    switch (got.status) {
        case IoStatus::blocked:
            backend_.readable = false;
            return;
        case IoStatus::failed:
            return begin_closing(ClosedReason::backend_error);
        case IoStatus::closed:
            return begin_closing(why_backend_closed());
        case IoStatus::done:
            break;
    }
    if (backend_.stream.drained(got.bytes, area.size()) && !backend_.half_closed) {
        backend_.readable = false;
    }
    shard_.context().metrics.bytes[Direction::backend_in].add(got.bytes);
    shard_.touch_clock();
    core::Output& output = shard_.output();
    const bool retried = session_.retries();
    const std::uint64_t awaited = session_.shared().ledger.under_way();
    const std::string_view bytes(area.data(), got.bytes);
    std::size_t taken = 0;
    while (taken < bytes.size() && phase_ == Phase::relaying) {
        taken += session_.backend_bytes(bytes.substr(taken), output);
        send_to_client(output);
    }
    if (session_.shared().ledger.under_way() < awaited || !session_.may_speak()) {
        moved_at_ = shard_.context().now;  // not for what nobody had asked for
    }
    if (session_.broken() && phase_ == Phase::relaying) {
        return begin_closing(ClosedReason::pairing_lost);
    }
    if (phase_ == Phase::relaying) {
        show_local_replies();
    }
    if (session_.retry_waits()) {
        shard_.list_held(*this);
    } else if (session_.awaits_replies()) {
        (void)resume();
    } else if (retried && !session_.retries() && phase_ == Phase::relaying) {
        go_on_with_requests();
    }
}

// What has been read of the client first, then more of it.
void SessionDriver::go_on_with_requests() {
    if (session_.held()) {
        shard_.list_held(*this);
        return;
    }
    if (!stash_.empty()) {
        (void)resume();
        return;
    }
    if (client_.ended) {
        return client_ended();
    }
    if (client_.readable) {
        pump_client();
    }
}

void SessionDriver::send_to_client(core::Output& output) {
    if (!output.empty() && to_client_.empty()) {
        const IoResult sent = client_.stream.write(output.pieces());
        if (sent.status == IoStatus::failed) {
            output.clear();
            return die(ClosedReason::client_error);
        }
        count_out(sent.bytes);
        client_read_at_ = shard_.context().now;
        std::size_t skip = sent.bytes;
        for (const std::string_view piece : output.pieces()) {
            const std::size_t step = std::min(skip, piece.size());
            skip -= step;
            spool(piece.substr(step));
        }
    } else {
        for (const std::string_view piece : output.pieces()) {
            spool(piece);
        }
    }
    output.clear();
}

void SessionDriver::spool(std::string_view bytes) {
    if (bytes.empty()) {
        return;
    }
    to_client_.append(bytes);
    shard_.context().metrics.spool_bytes.add(static_cast<std::int64_t>(bytes.size()));
}

void SessionDriver::flush_client() {
    const IoStatus flushed = client_.stream.flush();
    if (flushed == IoStatus::failed) {
        return die(ClosedReason::client_error);
    }
    while (flushed == IoStatus::done && !to_client_.empty()) {
        const std::string_view front = to_client_.front();
        const IoResult sent = client_.stream.write({&front, 1});
        if (sent.status == IoStatus::blocked) {
            break;
        }
        if (sent.status == IoStatus::failed) {
            return die(ClosedReason::client_error);
        }
        count_out(sent.bytes);
        shard_.context().metrics.spool_bytes.sub(static_cast<std::int64_t>(sent.bytes));
        to_client_.consume(sent.bytes);
        client_read_at_ = shard_.context().now;
    }
    if (phase_ == Phase::closing && to_client_.empty() && !client_.stream.unsent()) {
        return finish_closing();
    }
    if (phase_ == Phase::relaying) {
        pump_backend();
    }
    if (phase_ == Phase::relaying && !client_lags()) {
        go_on_with_requests();
    }
}

}  // namespace spillway::net
