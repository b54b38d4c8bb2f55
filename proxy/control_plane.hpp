// Ties probe, meter, shards, incidents, log and admin together; everything here happens on one
// thread.
//
//   MemoryProbe ── sample ──► Meter ── grant ──► CreditPool ◄── lots ── Shards
//                               └── state ──► Shards, IncidentDesk, admin
//   Shards ── OOM events, growth ──► IncidentDesk ── records ──► Logger
#pragma once

#include "conf/load.hpp"
#include "conf/problem.hpp"
#include "policy/client_list.hpp"
#include "policy/incident_desk.hpp"
#include "policy/measured_growth.hpp"
#include "policy/meter.hpp"
#include "proxy/admin/server.hpp"
#include "proxy/log/logger.hpp"
#include "proxy/net/inherited_sockets.hpp"
#include "proxy/net/key_sampler.hpp"
#include "proxy/net/memory_probe.hpp"
#include "proxy/net/shard.hpp"
#include "proxy/net/socket_file.hpp"
#include "proxy/successor.hpp"
#include "proxy/tls_contexts.hpp"

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace spillway {

class ControlPlane {
  public:
    ControlPlane(
        boost::asio::io_context& context,
        conf::Loaded loaded,
        TlsContexts tls,
        std::vector<conf::Override> overrides,
        std::string version,
        log::Logger& logger
    );
    ~ControlPlane();

    // Empty when everything listens; otherwise what failed, where, and what to do. Who handed the
    // sockets on takes it for failed once they are gone: they outlive what is to be said of it.
    [[nodiscard]] std::optional<std::string> start(net::InheritedSockets& inherited);
    // Stops accepting and lets clients finish until drain_timeout; then stops the io_context. A
    // second call cuts them.
    void drain(std::string reason);
    // Starts the program anew with the listening sockets, and once it serves, lets clients finish
    // here as drain() does, but as long as they like within drain_timeout.
    void hand_over(const Program& program);
    // Reads the file anew and takes over what can change while clients are served, or nothing at
    // all.
    admin::ActionResult reload();
    // For log rotation: what comes from now on goes to the file of that name, made anew if need be.
    void reopen_log();
    void note(log::Level level, std::string message);

  private:
    [[nodiscard]] std::optional<std::string> open_listeners(net::InheritedSockets& inherited);
    [[nodiscard]] net::Fd inherited_admin_socket(net::InheritedSockets& inherited) const;
    void make_shards();
    [[nodiscard]] net::ProbeHooks probe_hooks();
    [[nodiscard]] net::ShardHooks shard_hooks(std::size_t shard);
    [[nodiscard]] admin::Sources admin_sources();
    [[nodiscard]] policy::TrafficCounters traffic() const noexcept;
    [[nodiscard]] std::shared_ptr<const net::ShardSettings> shard_settings_for(std::size_t count
    ) const;

    void on_sample(const policy::MemorySample& sample);
    void on_failure(std::string reason, bool reachable);
    void on_commands(std::shared_ptr<const resp::CommandTable> commands);
    void on_ooms(std::vector<policy::OomEvent> events);
    void take(const policy::Meter::Reading& reading);
    [[nodiscard]] bool is_news(const policy::Meter::Reading& reading);
    void tell_shards(const policy::Meter::Reading& reading);
    void forget_backend();
    void log_verdicts(bool ending);
    void log_opaque(const core::OpaqueNote& note);
    void log_no_descriptors(int error);
    // From any thread.
    void log_client(const net::ClientEvent& event);
    void log_refusal(const std::string& peer, std::string_view what, const std::string& problem);
    void set_backend_up(bool up, const std::string& reason);
    void log_guard_state();
    void watch_staleness();
    void run_desk();
    [[nodiscard]] net::SamplerHooks sampler_hooks();
    void sample_keys(std::span<const policy::OomEvent> events);
    [[nodiscard]] policy::KeyWalkPlan walk_plan(std::span<const policy::OomEvent> events) const;
    [[nodiscard]] bool clients_are_worth_a_look(policy::Nanos now) const;
    void on_keys(const policy::KeySummary& keys, bool over, std::string problem);
    void handed_over();
    void end_successor();
    void begin_draining(std::string reason);
    void end_idle_clients();
    void watch_drain();
    void watch_shards();
    void finish();
    void stop_shards();
    [[nodiscard]] admin::ActionResult set_mode(policy::Mode mode);
    [[nodiscard]] admin::ActionResult reject(const conf::Problems& problems);
    void apply(conf::Loaded next, TlsContexts tls);
    std::vector<std::string> warn_of_config();
    void warn_of_descriptors();
    void publish_settings();
    [[nodiscard]] net::ProbeSettings probe_settings() const;

    [[nodiscard]] policy::Moment moment() const;
    [[nodiscard]] std::int64_t sample_age_ms() const;
    [[nodiscard]] std::string annotation();
    // Patterns as the ledger has them: whoever shows them masks them.
    [[nodiscard]] policy::GrowthLedger growth_of_shards(policy::Nanos now) const;
    [[nodiscard]] std::vector<policy::GrowthRow> growth_rows(
        std::size_t count, std::int64_t reached = 0  // bytes in use at least
    ) const;
    void remember_growth();
    [[nodiscard]] std::string metrics_text() const;
    [[nodiscard]] boost::json::value status_json() const;
    [[nodiscard]] boost::json::object guard_json() const;
    // Of all shards that answer within clients_wait.
    [[nodiscard]] std::vector<net::ClientRow> client_rows() const;
    [[nodiscard]] policy::AddressBook real_addresses() const;
    [[nodiscard]] boost::json::value clients_json() const;
    [[nodiscard]] boost::json::value diagnosis_json() const;
    [[nodiscard]] std::int64_t clients() const noexcept;

    boost::asio::io_context& context_;
    conf::Loaded loaded_;  // in force
    TlsContexts tls_;
    std::vector<conf::Override> overrides_;
    std::string version_;
    log::Logger& logger_;
    std::string backend_name_;
    std::shared_ptr<const resp::CommandTable> commands_;  // the server's, or the built-in ones
    policy::GuardSettings guard_settings_;
    policy::KeyDisplay key_display_;

    policy::CreditPool pool_;
    std::unique_ptr<policy::TrafficCells[]> cells_;
    policy::Meter meter_;
    policy::TrafficCounters at_ask_;
    policy::MemoryState state_;
    policy::IncidentDesk desk_;
    std::vector<std::optional<policy::GrowthLedger>> growth_;
    policy::MeasuredGrowth measured_growth_;
    std::vector<policy::GrowthRow> growth_then_;    // some seconds ago …
    std::vector<policy::GrowthRow> growth_lately_;  // … and since
    policy::Nanos growth_lately_at_ = 0;
    policy::VerdictHistory verdicts_;
    metrics::ShardMetrics metrics_;  // what only the control side counts

    std::vector<std::unique_ptr<net::ListenerShare>> listeners_;
    std::unique_ptr<net::ShardBalance> balance_;
    std::vector<std::unique_ptr<net::Shard>> shards_;
    std::vector<net::Fd> listening_;                // as the shards have them; for a successor
    std::vector<net::SocketFile> files_;            // of unix sockets, to be removed at the end
    std::vector<net::SocketFile> inherited_files_;  // the same, once this process serves
    net::MemoryProbe probe_;
    net::KeySampler key_sampler_;
    std::string keys_problem_;  // why the last sample of the keys is not complete
    policy::Nanos keys_asked_at_ = 0;
    policy::Nanos clients_asked_at_ = 0;
    std::unique_ptr<admin::Server> admin_;
    boost::asio::steady_timer stale_timer_;
    boost::asio::steady_timer desk_timer_;
    boost::asio::steady_timer drain_timer_;
    boost::asio::steady_timer successor_timer_;
    boost::asio::steady_timer watchdog_timer_;
    boost::asio::posix::stream_descriptor successor_;
    std::array<char, 1> successor_says_{};
    pid_t successor_pid_ = -1;
    bool successor_serves_ = false;

    std::atomic<bool> sample_wished_{false};
    std::atomic<std::size_t> shards_that_answered_{SIZE_MAX};  // since the watchdog was last fed
    bool backend_up_ = false;
    bool backend_was_reported_ = false;
    std::string
        monitor_problem_;  // why it answers the monitor nothing; empty = it does, or is down
    bool stopping_ = false;
    bool serves_on_ = false;  // clients that stand, though it is stopping
    bool leaving_ = false;    // drain_timeout is over
    policy::GuardState logged_state_ = policy::GuardState::blind;
    std::string logged_reason_;
    bool state_was_logged_ = false;
    policy::Nanos state_logged_at_ = 0;
    std::array<policy::Nanos, metrics::opaque_reason_names.size()> opaque_logged_at_{};
    std::map<std::string, policy::Nanos, std::less<>> refusal_logged_at_;  // by what was wrong
    policy::Nanos descriptors_logged_at_ = 0;
    policy::Nanos told_at_ = 0;        // when the shards were told of a sample …
    policy::Nanos told_asked_at_ = 0;  // … which was asked for then
    policy::GuardState told_state_ = policy::GuardState::blind;
    bool told_steady_ = true;
    policy::Nanos started_at_ = 0;
    policy::Nanos drain_until_ = 0;
    std::uint64_t clients_at_end_ = 0;
    std::uint64_t warned_of_clients_ = 0;  // of so many as too many
    std::uint64_t reloads_applied_ = 0;
    std::uint64_t reloads_rejected_ = 0;
};

}  // namespace spillway
