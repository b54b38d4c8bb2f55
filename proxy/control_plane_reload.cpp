// Changes while clients are served: a reload of the whole configuration, or of the guard's mode
// alone.
#include "conf/reload.hpp"
#include "proxy/config_warnings.hpp"
#include "proxy/control_plane.hpp"
#include "proxy/log/json.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/settings.hpp"
#include "proxy/startup.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include <boost/json/array.hpp>

namespace spillway {
namespace {

using namespace std::chrono_literals;

// Log, pollers, the monitor and the admin endpoint, which may have 64 connections.
constexpr std::uint64_t descriptors_beside_clients = 128;

boost::json::array texts(const std::vector<std::string>& items) {
    boost::json::array array;
    for (const std::string& item : items) {
        array.emplace_back(log::text_json(item));
    }
    return array;
}

}  // namespace

admin::ActionResult ControlPlane::reload() {
    if (loaded_.file.empty()) {
        note(log::Level::warn, "there is no configuration file to reload: flags take a restart");
        return {
            admin::ActionStatus::rejected,
            "the program was started without a configuration file",
            {}};
    }
    conf::LoadResult result = conf::load(loaded_.file, overrides_);
    if (const auto* problems = std::get_if<conf::Problems>(&result)) {
        return reject(*problems);
    }
    auto planned = conf::plan_reload(loaded_, std::get<conf::Loaded>(std::move(result)));
    if (const auto* problems = std::get_if<conf::Problems>(&planned)) {
        return reject(*problems);
    }
    auto& plan = std::get<conf::ReloadPlan>(planned);
    auto tls = open_tls(plan.next);
    if (const auto* problems = std::get_if<conf::Problems>(&tls)) {
        return reject(*problems);
    }
    // First, so that the record below is told by the level that holds from now on.
    apply(std::move(plan.next), std::get<TlsContexts>(std::move(tls)));
    ++reloads_applied_;
    const log::ConfigReloaded record{
        .file = loaded_.file,
        .live = std::move(plan.live),
        .new_connections = std::move(plan.new_connections),
        .restart = std::move(plan.restart),
    };
    logger_.write(record);
    const std::vector<std::string> warnings = warn_of_config();
    warn_of_descriptors();
    return {
        admin::ActionStatus::done,
        log::line_of(record).message,
        {{"live", texts(record.live)},
         {"new_connections", texts(record.new_connections)},
         {"restart", texts(record.restart)},
         {"warnings", texts(warnings)}}};
}

admin::ActionResult ControlPlane::reject(const conf::Problems& problems) {
    log::ConfigRejected record{.file = loaded_.file, .errors = {}};
    for (const conf::Problem& problem : problems) {
        record.errors.push_back(conf::to_string(problem));
    }
    ++reloads_rejected_;
    logger_.write(record);
    return {
        admin::ActionStatus::rejected,
        log::line_of(record).message,
        {{"problems", texts(record.errors)}}};
}

void ControlPlane::reopen_log() {
    const std::string& file = loaded_.config.log.file;
    if (file.empty()) {
        return;  // standard error is whoever collects it to rotate
    }
    if (const std::string problem = logger_.reopen(file); !problem.empty()) {
        note(
            log::Level::warn,
            "cannot open " + file + " anew (" + problem + "): the log goes on in the old file"
        );
    }
}

std::vector<std::string> ControlPlane::warn_of_config() {
    std::vector<std::string> warnings = tls_.warnings;
    std::ranges::move(config_warnings(loaded_, *commands_), std::back_inserter(warnings));
    for (const std::string& warning : warnings) {
        note(log::Level::warn, warning);
    }
    return warnings;
}

// Better said before the clients are there than when they wait.
void ControlPlane::warn_of_descriptors() {
    std::uint64_t clients_max = 0;
    for (const conf::Listener& listener : loaded_.config.listeners) {
        clients_max += listener.max_clients;
    }
    const std::uint64_t limit = descriptor_limit();
    const std::uint64_t too_many = limit >= 2 * clients_max ? 0 : clients_max;
    const std::uint64_t told = std::exchange(warned_of_clients_, too_many);
    if (too_many == told || too_many == 0) {
        return;  // but for some that we need ourselves: not worth a warning with each start
    }
    const std::uint64_t spare = descriptors_beside_clients + listening_.size();
    const std::uint64_t enough_for = limit > spare ? (limit - spare) / 2 : 0;
    logger_.write(log::Note{
        .level = log::Level::warn,
        .message = "max_clients allows " + std::to_string(clients_max) + " clients, and " +
                   std::to_string(limit) + " file descriptors are enough for " +
                   std::to_string(enough_for) +
                   ": raise LimitNOFILE of the service (the hard limit, ulimit -Hn), or lower "
                   "max_clients",
        .fields = {{"limit", limit}, {"clients", enough_for}},
    });
}

void ControlPlane::apply(conf::Loaded next, TlsContexts tls) {
    const conf::KeyDisplay keys_before = loaded_.config.log.keys;
    loaded_ = std::move(next);
    tls_ = std::move(tls);
    const conf::Config& config = loaded_.config;
    logger_.set_level(log_settings(config.log).level);
    if (config.log.keys != keys_before) {  // hashes stay the same while they are asked for
        key_display_ = key_display(config.log.keys);
        desk_.set_keys(key_display_);
    }
    admin_->set_token(conf::admin_token(config.admin));
    admin_->set_tls(tls_.admin);
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
        listeners_[i]->clients_max.store(
            config.listeners.at(i).max_clients, std::memory_order_relaxed
        );
        listeners_[i]->clients_per_host_max.store(
            config.listeners.at(i).max_clients_per_host, std::memory_order_relaxed
        );
        listeners_[i]->proxy_protocol.store(
            config.listeners.at(i).proxy_protocol, std::memory_order_relaxed
        );
    }
    probe_.change(probe_settings());
    guard_settings_ = guard_settings(config);
    publish_settings();
    const std::string backend = conf::to_string(config.backend.url.address);
    if (std::exchange(backend_name_, backend) != backend) {
        forget_backend();
    }
}

// Nothing is refused by the figures of a server that new connections no longer go to.
void ControlPlane::forget_backend() {
    backend_up_ = backend_was_reported_ = false;  // the new one's first answer is news
    monitor_problem_.clear();
    key_sampler_.drop();
    keys_asked_at_ = 0;
    keys_problem_.clear();
    desk_.forget_server();
    meter_.change_server();
    pool_.values().forget_all();
    const policy::Meter::Reading reading =
        meter_.without_sample(net::monotonic_now(), "the backend has changed");
    pool_.grant(reading.grant);
    take(reading);
}

// Each shard takes it over whole, between two commands.
void ControlPlane::publish_settings() {
    meter_.change(guard_settings_);
    const auto settings = shard_settings_for(shards_.size());
    for (const auto& shard : shards_) {
        shard->publish_settings(settings);
    }
    probe_.hurry();
}

// It holds until the next reload, which makes the file and the flags count again.
admin::ActionResult ControlPlane::set_mode(policy::Mode mode) {
    const std::string_view before = policy::name_of(guard_settings_.mode);
    loaded_.config.guard.mode = mode;
    loaded_.origins["guard.mode"] = {
        .kind = conf::Origin::Kind::request, .place = {}, .flag = "POST /api/v1/mode"};
    guard_settings_.mode = mode;
    publish_settings();
    const std::string_view now = policy::name_of(mode);
    logger_.write(log::Note{
        .level = log::Level::info,
        .message = "guard.mode was " + std::string(before) + " and is " + std::string(now) +
                   " by POST /api/v1/mode, until the next reload",
        .fields = {{"from", before}, {"to", now}},
    });
    return {
        admin::ActionStatus::done, "guard.mode is now " + std::string(policy::name_of(mode)), {}};
}

net::ProbeSettings ControlPlane::probe_settings() const {
    const conf::Config& config = loaded_.config;
    return {
        .address = config.backend.url.address,
        .credentials = conf::monitor_credentials(config),
        .connect_timeout = config.backend.connect_timeout,
        .answer_timeout = std::max<std::chrono::milliseconds>(config.guard.stale_after, 1s),
        .tls = tls_.backend,
        .send_proxy = config.backend.send_proxy,
    };
}

}  // namespace spillway
