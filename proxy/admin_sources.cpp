// What the admin endpoints show, from the control plane's snapshots.
#include "conf/effective.hpp"
#include "policy/growth_recent.hpp"
#include "proxy/control_plane.hpp"
#include "proxy/log/json.hpp"
#include "proxy/log/sample_json.hpp"
#include "proxy/metrics/render.hpp"
#include "proxy/net/clock.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <future>
#include <iterator>
#include <utility>

namespace spillway {
namespace {

using namespace std::chrono_literals;

// Shards answer within a pass; one that does not is left out rather than waited for.
constexpr auto clients_wait = 200ms;
constexpr std::size_t clients_shown_max = 10'000;
constexpr std::size_t growth_shown_max = 50;
constexpr std::size_t growth_remembered = 16;
constexpr policy::Nanos growth_interval = 3 * policy::second;

double known(std::int64_t bytes) noexcept {
    return bytes < 0 ? metrics::not_known : static_cast<double>(bytes);
}

// Of a server whose memory we may not read nothing can be said, least of all that it is healthy.
policy::Diagnosis diagnosis_without_sight(const std::string& problem) {
    policy::Diagnosis diagnosis;
    diagnosis.health = policy::Health::at_risk;
    diagnosis.cause = policy::Cause::unknown;
    diagnosis.evidence = {
        "the guard stands aside, since the monitor cannot read this server's memory", problem};
    diagnosis.advice = {
        problem.starts_with("INFO was refused: NOPERM")
            ? "let the monitor's user run INFO (ACL +info)"
            : "give the monitor valid credentials: [monitor] user and password_file, or user and "
              "password in backend.url; then reload"};
    return diagnosis;
}

}  // namespace

admin::Sources ControlPlane::admin_sources() {
    admin::Sources sources;
    sources.metrics = [this] { return metrics_text(); };
    sources.ready = [this]() -> admin::Health {
        if (stopping_) {
            return {false, "stopping"};
        }
        if (!backend_up_) {
            return {false, "the backend does not answer"};
        }
        if (!monitor_problem_.empty()) {
            return {
                true, "listening, and the backend answers; not the monitor: " + monitor_problem_};
        }
        return {true, "listening, and the backend answers"};
    };
    sources.status = [this] { return status_json(); };
    sources.growth = [this]() -> boost::json::value {
        std::vector<policy::GrowthRow> rows = growth_rows(growth_shown_max);
        for (policy::GrowthRow& row : rows) {
            row.pattern = policy::display_pattern(row.pattern, key_display_);
        }
        return log::growth_json(rows, policy::GrowthLedger::window_default / policy::second);
    };
    sources.incidents = [this]() -> boost::json::value {
        return log::incidents_json(desk_.incidents());
    };
    sources.incident = [this](std::string_view id) -> std::optional<boost::json::value> {
        const auto incident = desk_.find(id);
        if (!incident) {
            return std::nullopt;
        }
        return log::incident_json(*incident);
    };
    sources.diagnosis = [this] {
        sample_keys({});
        return diagnosis_json();
    };
    sources.clients = [this] { return clients_json(); };
    sources.config = [this]() -> boost::json::value {
        return boost::json::object{
            {"file", loaded_.file}, {"effective", conf::render_effective(loaded_)}};
    };
    sources.set_mode = [this](policy::Mode mode) { return set_mode(mode); };
    sources.reload = [this] { return reload(); };
    return sources;
}

policy::GrowthLedger ControlPlane::growth_of_shards(policy::Nanos now) const {
    policy::GrowthLedger sum;
    for (const auto& ledger : growth_) {
        if (ledger) {
            sum.merge(*ledger, now);
        }
    }
    return sum;
}

std::vector<policy::GrowthRow> ControlPlane::growth_rows(std::size_t count, std::int64_t reached)
    const {
    const policy::Nanos now = net::monotonic_now();
    const double grown = measured_growth_.bytes(reached).value_or(HUGE_VAL);
    std::vector<policy::GrowthRow> rows = growth_of_shards(now).top(count, now, grown);
    if (grown > 0 && grown < HUGE_VAL) {
        for (policy::GrowthRow& row : rows) {
            row.of_growth = std::min(1., static_cast<double>(row.bytes) / grown);
        }
    }
    return rows;
}

void ControlPlane::remember_growth() {
    const policy::Nanos now = net::monotonic_now();
    if (now - growth_lately_at_ >= growth_interval) {
        growth_then_ = std::exchange(growth_lately_, growth_rows(growth_remembered));
        growth_lately_at_ = now;
    }
}

std::string ControlPlane::metrics_text() const {
    metrics::BackendGauges backend;
    backend.name = backend_name_;
    backend.up = backend_up_;
    if (state_.sampled) {
        backend.used_memory_bytes = known(state_.sample.used_memory);
        backend.counted_memory_bytes = static_cast<double>(state_.counted);
        backend.growth_bytes_per_second = state_.growth_bytes_per_s;
        backend.time_to_ceiling_seconds = state_.time_to_ceiling_s.value_or(metrics::never);
        backend.sample_age_seconds = static_cast<double>(sample_age_ms()) / 1000.0;
        if (state_.ceiling > 0) {
            backend.ceiling_bytes = static_cast<double>(state_.ceiling);
            backend.headroom_bytes = static_cast<double>(state_.headroom);
            backend.evictable_bytes = static_cast<double>(state_.evictable);
        }
    }
    metrics::GlobalGauges gauges;
    gauges.version = version_;
    gauges.backends.push_back(std::move(backend));
    gauges.guard_state = policy::name_of(state_.state);
    gauges.guard_mode = policy::name_of(guard_settings_.mode);
    gauges.config_reloads_applied = reloads_applied_;
    gauges.config_reloads_rejected = reloads_rejected_;
    gauges.cause_names = policy::cause_names;
    std::vector<const metrics::ShardMetrics*> cells{&metrics_};
    for (const auto& shard : shards_) {
        cells.push_back(&shard->metrics());
    }
    return metrics::render(cells, gauges);
}

boost::json::object ControlPlane::guard_json() const {
    return {
        {"mode", policy::name_of(guard_settings_.mode)},
        {"state", policy::name_of(state_.state)},
        {"reason", state_.reason},
        {"learned_ratio", state_.learned_ratio},
        {"foreign_growth_bytes_per_s", state_.foreign_growth_bytes_per_s},
        {"verdicts", log::verdicts_json(verdicts_.all(), policy::VerdictTable::rows_max)},
    };
}

boost::json::value ControlPlane::status_json() const {
    boost::json::array listeners;
    for (const auto& listener : listeners_) {
        listeners.push_back(boost::json::object{
            {"address", listener->name},
            {"name", listener->label},
            {"clients", listener->clients.load(std::memory_order_relaxed)},
            {"max_clients", listener->clients_max.load(std::memory_order_relaxed)},
        });
    }
    boost::json::object backend{
        {"address", backend_name_},
        {"up", backend_up_},
        {"server", state_.sample.server},
        {"memory", log::memory_json(state_, sample_age_ms())},
        {"keyspace", log::keyspace_json(state_.sample)},
    };
    return boost::json::object{
        {"version", version_},
        {"uptime_s", (net::monotonic_now() - started_at_) / policy::second},
        {"workers", shards_.size()},
        {"listeners", std::move(listeners)},
        {"backends", boost::json::array{std::move(backend)}},
        {"guard", guard_json()},
        {"clients", clients()},
        {"stopping", stopping_},
    };
}

std::vector<net::ClientRow> ControlPlane::client_rows() const {
    std::vector<std::future<std::vector<net::ClientRow>>> answers;
    for (const auto& shard : shards_) {
        auto promise = std::make_shared<std::promise<std::vector<net::ClientRow>>>();
        answers.push_back(promise->get_future());
        shard->collect_clients([promise](std::vector<net::ClientRow> rows) {
            promise->set_value(std::move(rows));
        });
    }
    std::vector<net::ClientRow> rows;
    const auto until = std::chrono::steady_clock::now() + clients_wait;
    for (auto& answer : answers) {
        if (answer.wait_until(until) == std::future_status::ready) {
            std::ranges::move(answer.get(), std::back_inserter(rows));
        }
    }
    return rows;
}

boost::json::value ControlPlane::clients_json() const {
    boost::json::array clients;
    for (const net::ClientRow& row : client_rows()) {
        if (clients.size() == clients_shown_max) {
            break;
        }
        clients.push_back(boost::json::object{
            {"address", log::text_json(row.address)},
            {"backend_address", log::text_json(row.backend_address)},
            {"name", log::text_json(row.name)},
            {"user", log::text_json(row.user)},
            {"library", log::text_json(row.library)},
            {"db", row.db},
            {"bytes", row.bytes_in + row.bytes_out},
            {"bytes_in", row.bytes_in},
            {"bytes_out", row.bytes_out},
            {"held", row.held},
            {"held_s", static_cast<double>(row.held_for) / policy::second},
        });
    }
    return boost::json::object{{"clients", std::move(clients)}};
}

boost::json::value ControlPlane::diagnosis_json() const {
    const policy::Nanos now = net::monotonic_now();
    // Who has grown most within ten minutes may be done with it: who grows now is named first.
    const std::vector<policy::GrowthRow> growth =
        policy::by_recent_gain(growth_rows(growth_remembered), growth_then_);
    const policy::Evidence evidence{
        .state = state_,
        .event = desk_.recent_event(now),
        .history = desk_.history().points(),
        .facts = desk_.history().facts(),
        .growth = growth,
        .keys = key_display_,
        .now = now,
        .sample = desk_.keys_sample(state_.sample, now),
        .clients = desk_.heavy_clients(now),
        .ooms_before = policy::ooms_before(desk_.history().points(), now),
        .guard_refuses = desk_.guard_refuses(),
    };
    log::DoctorReport report;
    report.target = backend_name_;
    report.state = state_;
    report.sample_age_ms = sample_age_ms();
    report.diagnosis = desk_.agreed(policy::diagnose(evidence), now);
    if (evidence.sample != nullptr) {
        report.sampled = log::sample_json(*evidence.sample, key_display_);
    }
    if (!monitor_problem_.empty()) {
        if (report.diagnosis.health == policy::Health::healthy) {
            report.diagnosis = diagnosis_without_sight(monitor_problem_);
        }
        report.unavailable.push_back("INFO: " + monitor_problem_);
    } else if (!state_.sampled || !backend_up_) {
        report.unavailable.emplace_back(
            state_.sampled ? "INFO: the backend is down, this is what it last said"
                           : "INFO: the backend has not answered yet"
        );
    }
    if (!loaded_.config.diagnosis.sample) {
        report.unavailable.emplace_back("keys: [diagnosis] sample is off");
    } else if (evidence.sample == nullptr) {
        report.unavailable.emplace_back("keys: they are being sampled, ask again in some seconds");
    } else if (!keys_problem_.empty()) {
        report.unavailable.push_back("keys: " + keys_problem_);
    }
    return log::doctor_json(report);
}

}  // namespace spillway
