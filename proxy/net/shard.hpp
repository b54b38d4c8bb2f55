// One worker thread: its sockets, its read buffer, its sessions, and its share of the credit.
#pragma once

#include "conf/config.hpp"
#include "policy/memory_state.hpp"
#include "proxy/core/shard_context.hpp"
#include "proxy/net/host_counts.hpp"
#include "proxy/net/poller.hpp"
#include "proxy/net/session_driver.hpp"
#include "proxy/net/shard_balance.hpp"
#include "proxy/net/target.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace spillway::net {

// One listener of the configuration, shared by all shards.
struct ListenerShare {
    std::string name;                                    // where it listens: "127.0.0.1:6380"
    std::string label;                                   // what rules call it
    std::size_t index = 0;                               // among ShardSettings::listener_tls
    std::atomic<std::uint32_t> clients_max{10'000};      // may change while it listens
    std::atomic<std::uint32_t> clients_per_host_max{0};  // 0 = no bound; may change too
    HostCounts hosts;
    std::atomic<conf::ProxyProtocol> proxy_protocol{conf::ProxyProtocol::off};  // may change too
    std::atomic<std::uint32_t> clients{0};
};

// What changes at run time, published whole; a shard takes it over between two passes.
struct ShardSettings {
    policy::GuardSettings guard;
    std::shared_ptr<const policy::Rules> rules;
    bool annotate_replies = false;
    bool retry_oom = false;
    std::uint64_t spool_client_bytes_max = 64ULL << 20U;
    std::uint64_t spool_total_bytes_max = 1ULL << 30U;  // this shard's part
    bool spool_disconnects = true;
    policy::Nanos connect_timeout = policy::second;
    std::vector<std::shared_ptr<const TlsContext>> listener_tls;  // null = plain
    bool reports_clients = false;
};

// One immutable state of the backend, with what follows from it for shards.
struct BackendSnapshot {
    std::shared_ptr<const policy::MemoryState> state;
    bool steady = true;
    std::string annotation;
};

struct ClientRow {
    std::uint64_t id = 0;
    std::string address;
    std::string backend_address;  // as the server sees it; empty while there is none
    std::string name;
    std::string user;
    std::string library;
    std::int32_t db = 0;
    std::uint64_t bytes_in = 0;  // from the client
    std::uint64_t bytes_out = 0;
    bool held = false;           // a command of it, at this moment
    policy::Nanos held_for = 0;  // in all
};

// A client came, or has left; the texts live as long as the call.
struct ClientEvent {
    std::string_view address;
    std::string_view listener;
    std::optional<metrics::ClosedReason> closed{};  // empty = it came
    policy::Nanos lasted = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
};

// Called on the shard's thread.
struct ShardHooks {
    std::function<void(std::vector<policy::OomEvent>)> on_ooms;
    std::function<void(std::vector<core::OpaqueNote>)> on_opaque;
    // A client that was refused before it was one, with its peer's address: once a second at most.
    // `what` is the begin of the sentence that `problem` ends.
    std::function<void(std::string peer, std::string_view what, std::string problem)> on_refusal;
    // There is none for a new client, or for its connection to the backend: EMFILE, or ENFILE where
    // the whole host has none. Once a second at most.
    std::function<void(int error)> on_no_descriptors;
    std::function<void(const ClientEvent&)> on_client;  // only with reports_clients
    std::function<void()> wish_sample;
    // A client that this shard has accepted goes to another: see adopt().
    std::function<void(std::size_t shard, ListenerShare&, Fd client, const Endpoint& peer)>
        hand_over;
    std::function<void(policy::VerdictTable)> on_verdicts;  // once a second at most
    std::function<void(const policy::GrowthLedger&)>
        on_growth;  // once a second, more often in a storm of OOM
};

class Shard {
  public:
    static constexpr std::size_t read_bytes = 64 * 1024;
    static constexpr std::size_t stash_bytes_max = read_bytes + resp::window_bytes_max;

    Shard(
        policy::CreditPool& pool,
        policy::TrafficCells& cells,
        std::shared_ptr<const ShardSettings> settings,
        ShardBalance& balance,
        std::size_t index,
        ShardHooks hooks
    );
    ~Shard();

    // Before start(): takes over a listening socket.
    void add_listener(ListenerShare& listener, Fd fd);
    void start();
    // From any thread:
    void publish(BackendSnapshot snapshot);
    void publish_commands(std::shared_ptr<const resp::CommandTable> commands);
    void publish_target(std::shared_ptr<const Target> target);
    void publish_settings(std::shared_ptr<const ShardSettings> settings);
    void adopt(ListenerShare& listener, Fd client, const Endpoint& peer);
    void collect_clients(std::function<void(std::vector<ClientRow>)> done);
    // On its own thread, as soon as it gets to it.
    void answer(std::function<void()> call) { post(std::move(call)); }
    void stop_accepting();
    // Stops accepting; sessions end as they fall idle. After `finish` the rest is cut and the
    // thread ends.
    void drain();
    // The same, and sessions take no further command: see SessionDriver::leave.
    void leave();
    void finish();
    void join();
    // Clients at this moment; any thread.
    [[nodiscard]] std::int64_t clients() const noexcept { return context_.metrics.clients.value(); }
    // After join().
    [[nodiscard]] const policy::VerdictTable& unreported_verdicts() const noexcept {
        return context_.verdicts;
    }
    [[nodiscard]] const metrics::ShardMetrics& metrics() const noexcept { return context_.metrics; }

    // For its drivers:
    // Says why a client gets no session, and that no more will come.
    static void refuse_client(int fd, std::string_view line) noexcept;
    [[nodiscard]] core::ShardContext& context() noexcept { return context_; }
    [[nodiscard]] const ShardSettings& settings() const noexcept { return *settings_; }
    [[nodiscard]] Poller& poller() noexcept { return poller_; }
    [[nodiscard]] const Target& target() const noexcept { return *target_; }
    [[nodiscard]] std::shared_ptr<const Target> target_now() const noexcept { return target_; }
    [[nodiscard]] const TlsContext* tls_of(const ListenerShare& listener) const noexcept {
        const auto& tls = settings_->listener_tls;
        return listener.index < tls.size() ? tls[listener.index].get() : nullptr;
    }
    [[nodiscard]] core::Output& output() noexcept { return output_; }
    // Where bytes are read to; stash_bytes_max before it are free for what a session kept.
    [[nodiscard]] std::span<char> read_area() noexcept {
        return {buffer_.get() + stash_bytes_max, read_bytes};
    }
    void touch_clock() noexcept;
    void wait_for_turn(SessionDriver& driver);
    void list_held(SessionDriver& driver);
    void list_timed(SessionDriver& driver);
    void bury(SessionDriver& driver);
    // Of an error that means this; true where it does.
    bool report_no_descriptors(int error);
    void report_client(const ClientEvent& event) { hooks_.on_client(event); }
    void report_refusal(const std::string& peer, std::string_view what, std::string_view problem);

  private:
    struct Accepting : Watch {
        Accepting(Shard& owner, ListenerShare& share, Fd socket)
            : Watch{[](Watch& watch, std::uint32_t) {
                  auto& self = static_cast<Accepting&>(watch);
                  self.shard.accept_waiting(self);
              }},
              shard(owner),
              listener(share),
              fd(std::move(socket)) {}
        Shard& shard;
        ListenerShare& listener;
        Fd fd;
        policy::Nanos paused_until = 0;  // 0 = it accepts
        bool lets_wait = false;          // those in the queue, for want of descriptors
    };

    // From another thread: it is run before the sockets of the batch that it wakes up.
    template <typename Call>
    void post(Call&& call) {
        boost::asio::post(posts_, std::forward<Call>(call));
        poller_.wake();
    }
    void run();
    void run_posts();
    [[nodiscard]] int wait_ms() const noexcept;
    void close_listeners();
    void end_sessions(void (SessionDriver::*how)());
    void end_batch();
    void accept_waiting(Accepting& accepting);
    void end_pauses();
    void admit(ListenerShare& listener, Fd client, const Endpoint& peer);
    void run_turns();
    void resume_held();
    void size_flights();
    void arm_tick() noexcept;
    void tick();
    void report_ooms();
    void report_growth(policy::Nanos interval);
    void start_session(ListenerShare& listener, Fd client, const Endpoint& peer);
    void report_verdicts();

    boost::asio::io_context posts_{1};
    core::ShardContext context_;
    std::shared_ptr<const ShardSettings> settings_;
    ShardBalance& balance_;
    std::size_t index_;  // of this shard among all
    ShardHooks hooks_;
    std::shared_ptr<const Target> target_;
    std::unique_ptr<char[]> buffer_;
    core::Output output_;
    Poller poller_;
    std::vector<std::unique_ptr<Accepting>> accepting_;
    bool accepts_ = true;
    std::vector<std::unique_ptr<SessionDriver>> sessions_;
    std::vector<std::unique_ptr<SessionDriver>> graveyard_;
    std::vector<SessionDriver*> turns_;
    std::vector<SessionDriver*> held_;
    std::vector<SessionDriver*> timed_;
    std::uint64_t next_id_ = 1;
    policy::Nanos ooms_reported_at_ = 0;
    policy::Nanos growth_reported_at_ = 0;
    policy::Nanos refusal_reported_at_ = 0;
    policy::Nanos descriptors_reported_at_ = 0;
    policy::Nanos verdicts_reported_at_ = 0;
    core::Nanos tick_at_ = 0;  // 0 = nothing waits for time to pass
    bool draining_ = false;
    std::atomic<bool> finished_{false};
    std::thread thread_;
};

}  // namespace spillway::net
