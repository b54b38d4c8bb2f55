// Moves the bytes of one session between its two sockets; obeys what the session says and decides
// nothing itself.
//
//            read ──► window = stash + shard's buffer ──► session ──► send; what the socket
//            refuses: to_backend_
//   client backend
//            send ◄── session ◄── shard's buffer ◄── read;          refused by the client:
//            to_client_, the spool
#pragma once

#include "proxy/core/relay_buffer.hpp"
#include "proxy/core/session.hpp"
#include "proxy/metrics/labels.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/net/stream.hpp"
#include "proxy/net/target.hpp"

#include <cstdint>
#include <string>

namespace spillway::net {

class Shard;
struct ListenerShare;

class SessionDriver {
  public:
    SessionDriver(
        Shard& shard, ListenerShare& listener, Fd client, std::string address, std::uint64_t id
    );
    ~SessionDriver();
    SessionDriver(const SessionDriver&) = delete;
    SessionDriver& operator=(const SessionDriver&) = delete;

    // Registers the client and dials the backend, once a load balancer in front has said who it is.
    void start();
    // Ours, as the server sees this client; empty while it is not connected, or by a unix socket.
    [[nodiscard]] std::string backend_address() const;
    // A held command may have become free: new credit, or its time is over. True when anything
    // moved.
    bool resume();
    // More is to be read, after others had their turn.
    void go_on();
    // Looks at deadlines; called now and then while has_deadline().
    void tick();
    [[nodiscard]] bool has_deadline() const noexcept { return deadline_ != 0; }
    // The proxy stops: end as soon as nothing is outstanding.
    void drain();
    // The time to do so is over: no further command is taken, and the session ends when those that
    // were are answered. What a server has run, its client hears of.
    void leave();

    // From and to the client so far.
    [[nodiscard]] std::uint64_t bytes_in() const noexcept { return bytes_in_; }
    [[nodiscard]] std::uint64_t bytes_out() const noexcept { return bytes_out_; }

    [[nodiscard]] bool dead() const noexcept { return phase_ == Phase::dead; }
    [[nodiscard]] const core::Session& session() const noexcept { return session_; }
    [[nodiscard]] core::Nanos hold_until() const noexcept { return session_.hold_until(); }

    // Where the shard keeps it.
    std::size_t index = 0;
    bool waits_for_turn = false;
    bool listed_held = false;
    bool moved = false;  // when it was last resumed from a hold
    bool listed_timed = false;

  private:
    enum class Phase : std::uint8_t {
        announced,   // by a PROXY header, which is still to come
        securing,    // by a TLS handshake with the client
        connecting,  // to the backend, with its handshake; the client is not read
        relaying,
        closing,    // no more from the backend: the client still gets what is spooled
        lingering,  // all is written; the client's close is waited for, so that it gets to read it
        dead,
    };
    struct Side : Watch {
        SessionDriver* driver = nullptr;
        Stream stream;
        bool readable = false;
        bool half_closed = false;  // the peer will send no more; it may still have sent something
        bool ended = false;        // and that has been read
    };

    static void client_ready(Watch& watch, std::uint32_t events);
    static void backend_ready(Watch& watch, std::uint32_t events);
    [[nodiscard]] bool hears_out() const noexcept;
    void count_in(std::size_t bytes) noexcept;
    void count_out(std::size_t bytes) noexcept;
    void read_proxy_header(std::string_view received);
    void refuse_proxy_header(std::string_view problem);
    void begin_securing();
    void secure_client();
    void refuse_tls(std::string_view problem);
    void begin_connecting();
    // `error`, or `tls_problem` with words of its own: why the last address failed, told when no
    // other is left.
    void dial_next(int error, std::string_view tls_problem = {});
    void go_on_connecting(std::uint32_t events);
    [[nodiscard]] bool introduce_client();
    [[nodiscard]] bool enter_host();
    void refuse_host(bool plain);
    void reached();
    void secure_backend();
    void connected();
    void backend_unavailable(
        std::string_view why,
        metrics::RefusedReason reason = metrics::RefusedReason::backend_unavailable
    );

    void pump_client();
    void pump_backend();
    void read_client_once();
    void read_backend_once();
    [[nodiscard]] metrics::ClosedReason why_backend_closed() const noexcept;
    [[nodiscard]] bool reads_client() const noexcept;
    [[nodiscard]] bool reads_backend();
    [[nodiscard]] bool client_lags() const noexcept;
    void watch_waiting();
    void look_after_waiting();
    void tick_connecting();
    void tick_draining();
    void tick_leaving();
    bool resume_retry();
    void go_on_with_requests();
    void feed_requests(std::string_view window);
    void keep(std::string_view window, std::size_t taken);
    void show_local_replies();
    void client_ended();
    void send_to_backend(core::Output& output);
    void send_to_client(core::Output& output);
    void flush_backend();
    void flush_client();
    void spool(std::string_view bytes);
    void begin_closing(metrics::ClosedReason reason);
    void finish_closing();
    void die(metrics::ClosedReason reason);

    Shard& shard_;
    ListenerShare& listener_;
    Side client_;
    Side backend_;
    core::Session session_;
    std::string
        stash_;  // received and not taken yet: half a head, or what stands behind a held command
    core::RelayBuffer to_backend_;
    core::RelayBuffer to_client_;
    core::Nanos came_at_ = 0;
    std::uint64_t bytes_in_ = 0;
    std::uint64_t bytes_out_ = 0;
    core::Nanos client_read_at_ = 0;  // when the client's socket last took something
    core::Nanos moved_at_ = 0;        // when commands were sent on last, or replies to them came
    core::Nanos deadline_ = 0;
    core::Nanos redial_at_ = 0;              // while connecting
    std::shared_ptr<const Target> dialled_;  // while connecting
    std::uint8_t endpoint_ = 0;              // which of the backend's addresses is tried
    Phase phase_ = Phase::connecting;
    bool draining_ = false;
    bool leaving_ = false;
    bool counted_by_host_ = false;
    metrics::ClosedReason closed_reason_ = metrics::ClosedReason::client_closed;
};

}  // namespace spillway::net
