// Ties probe, meter, shards, incidents, log and admin together; everything here happens on one
// thread.
#include "proxy/control_plane.hpp"

#include "proxy/log/encode.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/net/resolver.hpp"
#include "proxy/net/systemd.hpp"
#include "proxy/settings.hpp"
#include "proxy/startup.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <random>
#include <thread>

#include <boost/asio/post.hpp>
#include <unistd.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr auto stale_step = 250ms;
constexpr policy::Nanos tell_interval = 20 * policy::millisecond;
// A guard that goes back and forth is one line a second, not one per sample.
constexpr policy::Nanos state_log_interval = policy::second;
constexpr policy::Nanos opaque_log_interval = 10 * policy::second;
constexpr policy::Nanos refusal_log_interval = 10 * policy::second;

}  // namespace

ControlPlane::ControlPlane(
    boost::asio::io_context& context,
    conf::Loaded loaded,
    TlsContexts tls,
    std::vector<conf::Override> overrides,
    std::string version,
    log::Logger& logger
)
    : context_(context),
      loaded_(std::move(loaded)),
      tls_(std::move(tls)),
      overrides_(std::move(overrides)),
      version_(std::move(version)),
      logger_(logger),
      backend_name_(conf::to_string(loaded_.config.backend.url.address)),
      commands_(std::make_shared<const resp::CommandTable>()),
      guard_settings_(guard_settings(loaded_.config)),
      key_display_(key_display(loaded_.config.log.keys)),
      meter_(guard_settings_),
      desk_(key_display_, static_cast<std::uint16_t>(std::random_device{}())),
      probe_(context, probe_settings(), probe_hooks()),
      key_sampler_(context, sampler_hooks()),
      stale_timer_(context),
      desk_timer_(context),
      drain_timer_(context),
      successor_timer_(context),
      watchdog_timer_(context),
      successor_(context) {
    state_.reason = "no sample yet";
    started_at_ = net::monotonic_now();
}

ControlPlane::~ControlPlane() {
    stop_shards();
    shards_.clear();
    for (net::SocketFile& file : files_) {
        file.remove();
    }
}

std::optional<std::string> ControlPlane::start(net::InheritedSockets& inherited) {
    make_shards();
    if (auto problem = open_listeners(inherited)) {
        return problem;
    }
    admin::ServerOptions options;
    options.address = loaded_.config.admin.address;
    options.token = conf::admin_token(loaded_.config.admin);
    options.tls = tls_.admin;
    admin_ = std::make_unique<admin::Server>(context_, options, admin_sources());
    if (auto problem = admin_->start(inherited_admin_socket(inherited))) {
        return problem;
    }
    net::SocketFile admin_file = inherited.file_at(loaded_.config.admin.address.unix_path);
    for (const std::string& name : inherited.left()) {
        note(log::Level::warn, "nothing is configured to listen on the inherited " + name);
    }

    logger_.write(log::Started{
        .version = version_,
        .workers = static_cast<unsigned>(shards_.size()),
        .mode = std::string(policy::name_of(guard_settings_.mode)),
        .config_file = loaded_.file,
    });
    for (const auto& listener : listeners_) {
        logger_.write(log::Listening{.role = "listener", .address = listener->name});
    }
    logger_.write(log::Listening{.role = "admin", .address = conf::to_string(admin_->address())});
    // Shards accept before they know where the backend is, since clients of a process that this one
    // replaces come at once; numeric addresses are known at once.
    net::Target target{
        .endpoints = net::numeric_endpoints(loaded_.config.backend.url.address),
        .tls = tls_.backend,
        .send_proxy = loaded_.config.backend.send_proxy};
    if (target.send_proxy != conf::SendProxy::off) {
        target.endpoints.clear();  // until it is known whether it takes a PROXY header
    }
    target.awaited = target.endpoints.empty();  // see MemoryProbe
    const auto shared = std::make_shared<const net::Target>(std::move(target));
    for (const auto& shard : shards_) {
        shard->publish_target(shared);
        shard->start();
    }
    (void)warn_of_config();
    warn_of_descriptors();
    probe_.start();
    watch_staleness();
    std::ranges::move(inherited_files_, std::back_inserter(files_));
    inherited_files_.clear();
    if (admin_file) {
        admin_->own(std::move(admin_file));
    }
    inherited.tell_ready();
    net::notify_systemd("READY=1");
    watch_shards();
    return std::nullopt;
}

void ControlPlane::make_shards() {
    const std::uint32_t workers = loaded_.config.workers;
    const std::size_t count =
        workers != 0 ? workers : std::max(1U, std::thread::hardware_concurrency());
    cells_ = std::make_unique<policy::TrafficCells[]>(count);
    growth_.resize(count);
    balance_ = std::make_unique<net::ShardBalance>(count);
    const auto settings = shard_settings_for(count);
    for (std::size_t i = 0; i < count; ++i) {
        shards_.push_back(
            std::make_unique<net::Shard>(pool_, cells_[i], settings, *balance_, i, shard_hooks(i))
        );
    }
}

net::ProbeHooks ControlPlane::probe_hooks() {
    return {
        .on_target =
            [this](auto target) {
                for (const auto& shard : shards_) {
                    shard->publish_target(target);
                }
            },
        .on_commands = [this](auto commands) { on_commands(std::move(commands)); },
        .on_ask =
            [this] {
                sample_wished_.store(false, std::memory_order_relaxed);
                at_ask_ = traffic();
            },
        .on_sample = [this](const policy::MemorySample& sample) { on_sample(sample); },
        .on_failure = [this](
                          std::string reason, bool reachable
                      ) { on_failure(std::move(reason), reachable); },
        .interval =
            [this] {
                const policy::Nanos configured =
                    std::chrono::nanoseconds(loaded_.config.monitor.interval).count();
                return desk_.wants_sample() ? net::MemoryProbe::interval_min
                                            : meter_.next_interval(configured);
            },
        .wants_all = [this] { return desk_.wants_sample(); },
    };
}

net::ShardHooks ControlPlane::shard_hooks(std::size_t shard) {
    return {
        .on_ooms =
            [this](std::vector<policy::OomEvent> events) {
                boost::asio::post(context_, [this, events = std::move(events)]() mutable {
                    on_ooms(std::move(events));
                });
            },
        .on_opaque =
            [this](std::vector<core::OpaqueNote> notes) {
                boost::asio::post(context_, [this, notes = std::move(notes)] {
                    for (const core::OpaqueNote& note : notes) {
                        log_opaque(note);
                    }
                });
            },
        .on_refusal =
            [this](const std::string& peer, std::string_view what, const std::string& problem) {
                boost::asio::post(context_, [this, peer, what, problem] {
                    log_refusal(peer, what, problem);
                });
            },
        .on_no_descriptors =
            [this](int error) {
                boost::asio::post(context_, [this, error] { log_no_descriptors(error); });
            },
        .on_client = [this](const net::ClientEvent& event) { log_client(event); },
        .wish_sample =
            [this] {
                if (sample_wished_.exchange(true, std::memory_order_relaxed)) {
                    return;
                }
                boost::asio::post(context_, [this] { probe_.hurry(); });
            },
        .hand_over = [this](
                         std::size_t to,
                         net::ListenerShare& listener,
                         net::Fd client,
                         const net::Endpoint& peer
                     ) { shards_[to]->adopt(listener, std::move(client), peer); },
        .on_verdicts =
            [this](policy::VerdictTable verdicts) {
                boost::asio::post(context_, [this, verdicts = std::move(verdicts)] {
                    verdicts_.add(verdicts, net::monotonic_now());
                });
            },
        .on_growth =
            [this, shard](const policy::GrowthLedger& ledger) {
                boost::asio::post(context_, [this, shard, ledger] { growth_[shard] = ledger; });
            },
    };
}

std::shared_ptr<const net::ShardSettings> ControlPlane::shard_settings_for(std::size_t count
) const {
    auto settings = std::make_shared<net::ShardSettings>();
    settings->guard = guard_settings_;
    settings->rules = std::make_shared<const policy::Rules>(rules_of(loaded_.config));
    settings->annotate_replies = loaded_.config.diagnosis.annotate_replies;
    settings->retry_oom = loaded_.config.guard.retry_oom;
    settings->spool_client_bytes_max = loaded_.config.guard.spool_client;
    settings->spool_total_bytes_max =
        loaded_.config.guard.spool_total / std::max<std::size_t>(count, 1);
    settings->spool_disconnects =
        loaded_.config.guard.spool_overflow == conf::SpoolOverflow::disconnect;
    settings->connect_timeout =
        std::chrono::nanoseconds(loaded_.config.backend.connect_timeout).count();
    settings->listener_tls = tls_.listeners;
    settings->reports_clients = log_settings(loaded_.config.log).level <= log::Level::debug;
    return settings;
}

policy::TrafficCounters ControlPlane::traffic() const noexcept {
    policy::TrafficCounters sum;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        sum.spent += cells_[i].spent.load(std::memory_order_relaxed);
        sum.refused += cells_[i].refused.load(std::memory_order_relaxed);
        sum.grown += cells_[i].grown.load(std::memory_order_acquire);
        sum.answered += cells_[i].answered.load(std::memory_order_acquire);
        sum.charged += cells_[i].charged.load(std::memory_order_seq_cst);
    }
    return sum;
}

void ControlPlane::on_commands(std::shared_ptr<const resp::CommandTable> commands) {
    commands_ = commands;
    for (const auto& shard : shards_) {
        shard->publish_commands(commands);
    }
    if (commands->overlay_counts().flags_hidden) {
        note(
            log::Level::warn,
            "the backend hides which commands it refuses at its limit; the built-in table serves"
        );
    }
}

void ControlPlane::on_sample(const policy::MemorySample& sample) {
    const policy::Nanos now = net::monotonic_now();
    const std::int64_t open_left = pool_.open();
    pool_.freeze();
    const policy::Meter::Reading reading =
        meter_.on_sample(sample, at_ask_, traffic(), open_left, now);
    pool_.grant(reading.grant);
    pool_.values().note_memory(reading.state.counted, reading.state.ceiling);
    take(reading);
    monitor_problem_.clear();
    set_backend_up(true, {});
    measured_growth_.add(sample);
    desk_.on_sample(state_, moment());
    remember_growth();
    run_desk();
}

void ControlPlane::take(const policy::Meter::Reading& reading) {
    state_ = reading.state;
    if (is_news(reading)) {
        tell_shards(reading);
    }
    log_guard_state();
}

// Near the ceiling samples come by the hundred a second, and most of them only grant credit, which
// the shards find by themselves.
bool ControlPlane::is_news(const policy::Meter::Reading& reading) {
    const bool held = pool_.take_held() || pool_.waiters() > 0;
    return held || told_at_ == 0 || reading.state.state != told_state_ ||
           reading.steady != told_steady_ || pool_.outdated_at() >= told_asked_at_ ||
           net::monotonic_now() - told_at_ >= tell_interval;
}

void ControlPlane::tell_shards(const policy::Meter::Reading& reading) {
    told_at_ = net::monotonic_now();
    told_asked_at_ = reading.state.sample.asked_at;
    told_state_ = reading.state.state;
    told_steady_ = reading.steady;
    const auto state = std::make_shared<const policy::MemoryState>(state_);
    const std::string tail = annotation();
    for (const auto& shard : shards_) {
        shard->publish({.state = state, .steady = reading.steady, .annotation = tail});
    }
}

void ControlPlane::on_failure(std::string reason, bool reachable) {
    monitor_problem_ = reachable ? reason : std::string();
    set_backend_up(reachable, reason);
    const policy::Nanos now = net::monotonic_now();
    const policy::Meter::Reading reading = meter_.without_sample(now, reason);
    if (reading.state.state == policy::GuardState::blind ||
        reading.state.state == policy::GuardState::off) {
        pool_.grant(reading.grant);
    }
    take(reading);
}

// A probe that hangs reports nothing: the guard must not go on with what it knew.
void ControlPlane::watch_staleness() {
    stale_timer_.expires_after(stale_step);
    stale_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) {
            return;
        }
        if (state_.state > policy::GuardState::blind) {
            const policy::Meter::Reading reading = meter_.without_sample(
                net::monotonic_now(),
                "no sample has come for longer than the guard may go on without"
            );
            if (reading.state.state == policy::GuardState::blind) {
                pool_.grant(reading.grant);
                take(reading);
            }
        }
        log_guard_state();
        log_verdicts(false);
        watch_staleness();
    });
}

void ControlPlane::set_backend_up(bool up, const std::string& reason) {
    if (backend_was_reported_ && up == backend_up_) {
        return;
    }
    backend_up_ = up;
    backend_was_reported_ = true;
    if (up) {
        logger_.write(log::BackendUp{
            .backend = backend_name_, .server = state_.sample.server, .state = state_});
    } else {
        logger_.write(log::BackendDown{.backend = backend_name_, .reason = reason});
    }
}

void ControlPlane::log_guard_state() {
    const policy::Nanos now = net::monotonic_now();
    // Why the guard stands aside is told each time it is something else.
    const bool same = state_.state == logged_state_ && (state_.state != policy::GuardState::blind ||
                                                        state_.reason == logged_reason_);
    if (state_was_logged_ && (same || now - state_logged_at_ < state_log_interval)) {
        return;
    }
    if (!state_was_logged_ && !state_.sampled && !backend_was_reported_) {
        return;
    }
    logger_.write(log::GuardStateChanged{
        .backend = backend_name_,
        .from = logged_state_,
        .state = state_,
        .sample_age_ms = sample_age_ms(),
    });
    logged_state_ = state_.state;
    logged_reason_ = state_.reason;
    state_was_logged_ = true;
    state_logged_at_ = now;
}

// Once a minute, when the guard had anything to do: who was held and refused, or would have been.
void ControlPlane::log_verdicts(bool ending) {
    if (auto summary = verdicts_.take_summary(net::monotonic_now(), ending)) {
        logger_.write(log::GuardSummary{
            .backend = backend_name_,
            .mode = guard_settings_.mode,
            .verdicts = *std::move(summary),
        });
    }
}

// One line a reason and interval: the metric counts them all.
void ControlPlane::log_opaque(const core::OpaqueNote& note) {
    const policy::Nanos now = net::monotonic_now();
    policy::Nanos& logged_at = opaque_logged_at_[static_cast<std::size_t>(note.reason)];
    if (logged_at != 0 && now - logged_at < opaque_log_interval) {
        return;
    }
    logged_at = now;
    const std::string_view reason =
        metrics::opaque_reason_names[static_cast<std::size_t>(note.reason)];
    const bool asked_for = note.reason == metrics::OpaqueReason::monitor ||
                           note.reason == metrics::OpaqueReason::replication;
    boost::json::object fields{{"reason", reason}, {"client", log::text_json(note.address)}};
    if (!note.client_name.empty()) {
        fields["name"] = note.client_name;
    }
    if (!note.server_said.empty()) {
        fields["server_said"] = note.server_said;
    }
    logger_.write(log::Note{
        .level = asked_for ? log::Level::info : log::Level::warn,
        .message = "a client's connection is only passed on from here, without guard or diagnosis",
        .fields = std::move(fields),
    });
}

void ControlPlane::log_no_descriptors(int error) {
    const policy::Nanos now = net::monotonic_now();
    if (descriptors_logged_at_ != 0 && now - descriptors_logged_at_ < refusal_log_interval) {
        return;
    }
    descriptors_logged_at_ = now;
    if (error == ENFILE) {
        return note(
            log::Level::error,
            "this host has no file descriptor left (fs.file-max): new clients wait until others "
            "leave"
        );
    }
    const std::uint64_t limit = descriptor_limit();
    logger_.write(log::Note{
        .level = log::Level::error,
        .message = "no file descriptor is left of " + std::to_string(limit) +
                   ": new clients wait until others leave; raise LimitNOFILE of the service "
                   "(ulimit -n), two for each client",
        .fields = {{"limit", limit}},
    });
}

void ControlPlane::log_client(const net::ClientEvent& event) {
    log::Note note{.level = log::Level::debug, .message = {}};
    note.fields = {
        {"client", log::text_json(event.address)}, {"listener", log::text_json(event.listener)}};
    if (!event.closed) {
        note.message =
            "client " + std::string(event.address) + " connected to " + std::string(event.listener);
    } else {
        const std::string_view reason =
            metrics::closed_reason_names[static_cast<std::size_t>(*event.closed)];
        note.message = "client " + std::string(event.address) + " left: " + std::string(reason);
        note.fields["reason"] = reason;
        note.fields["duration_s"] = static_cast<double>(event.lasted) / policy::second;
        note.fields["bytes_in"] = event.bytes_in;
        note.fields["bytes_out"] = event.bytes_out;
    }
    logger_.write(note);
}

// The metric counts them all.
void ControlPlane::log_refusal(
    const std::string& peer, std::string_view what, const std::string& problem
) {
    const policy::Nanos now = net::monotonic_now();
    policy::Nanos& logged_at = refusal_logged_at_[std::string(what)];  // there are few
    if (logged_at != 0 && now - logged_at < refusal_log_interval) {
        return;
    }
    logged_at = now;
    logger_.write(log::Note{
        .level = log::Level::warn,
        .message =
            "a connection from " + peer + " was closed: " + std::string(what).append(problem),
        .fields = {{"peer", peer}, {"reason", problem}},
    });
}

void ControlPlane::note(log::Level level, std::string message) {
    logger_.write(log::Note{.level = level, .message = std::move(message)});
}

policy::Moment ControlPlane::moment() const {
    const auto wall = std::chrono::system_clock::now().time_since_epoch();
    return {
        net::monotonic_now(), std::chrono::duration_cast<std::chrono::milliseconds>(wall).count()};
}

std::int64_t ControlPlane::sample_age_ms() const {
    return state_.sampled ? (net::monotonic_now() - state_.sample.asked_at) / policy::millisecond
                          : -1;
}

std::int64_t ControlPlane::clients() const noexcept {
    std::int64_t sum = 0;
    for (const auto& shard : shards_) {
        sum += shard->clients();
    }
    return sum;
}

}  // namespace spillway
