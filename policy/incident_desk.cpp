// Turns a storm of OOM replies and refusals into a few records and one story an incident.
#include "policy/incident_desk.hpp"

#include <algorithm>
#include <utility>

namespace spillway::policy {
namespace {

constexpr unsigned revisions_max = 3;
constexpr double revision_confidence_min = .5;
constexpr std::size_t report_rows_max = 5;
constexpr Nanos curve_lead = 10 * second;
constexpr std::size_t name_bytes_max = 64;

[[nodiscard]] std::size_t index_of(OomOrigin origin) noexcept {
    return static_cast<std::size_t>(origin);
}

[[nodiscard]] std::int64_t unix_ms_at(Nanos at, Moment now) noexcept {
    return now.unix_ms - (now.at - at) / millisecond;
}

// Ports differ with every connection: a client without a name is known by its host.
[[nodiscard]] std::string_view client_name(const ClientFacts& client) noexcept {
    const std::string_view address = client.address;
    const auto port = address.rfind(':');
    const auto name = client.name.empty() ? address.substr(0, port) : std::string_view(client.name);
    return name.substr(0, name_bytes_max);
}

// Figures of a server that has room again explain no refusal of a second ago.
[[nodiscard]] bool is_pressed(const MemoryState& state) noexcept {
    return state.ceiling <= 0 ||
           static_cast<double>(state.counted) >= .97 * static_cast<double>(state.ceiling);
}

}  // namespace

IncidentDesk::IncidentDesk(KeyDisplay keys, std::uint16_t id_seed)
    : keys_(keys), next_id_(id_seed) {}

void IncidentDesk::on_event(
    const OomEvent& event, const MemoryState& state, std::span<const GrowthRow> growth, Moment now
) {
    if (event.count == 0) {
        return;
    }
    if (event.origin == OomOrigin::guard && event.would_refuse) {
        if (open_) {
            open_->incident.would_refuse += event.count;
            open_snapshot_.reset();
        }
        write_later_event(event, state, growth, now);
        return;
    }
    if (!open_) {
        open(
            now,
            {.at = std::min(event.at, now.at),
             .unix_ms = unix_ms_at(std::min(event.at, now.at), now)}
        );
    }
    count(event);
    open_->last_at = std::max(open_->last_at, now.at);
    open_snapshot_.reset();

    const std::size_t origin = index_of(event.origin);
    if (std::exchange(open_->seen[origin], true)) {
        write_later_event(event, state, growth, now);
        return;
    }
    const auto rows = growth.first(std::min(growth.size(), report_rows_max));
    open_->pending[origin] = Pending{
        .event = event,
        .state = state,
        .fresh = {},
        .growth = {rows.begin(), rows.end()},
        .since = now};
    if (open_->growth.empty()) {
        open_->growth.assign(rows.begin(), rows.end());
    }
    if (!open_->announced && open_->incident.report.event.command.empty()) {
        // What can be said already, for whoever looks before the first record is written.
        open_->incident.report =
            report(event, state, rows, diagnose(evidence(event, state, rows, now)), now);
    }
}

void IncidentDesk::on_sample(const MemoryState& state, Moment now) {
    history_.add(state.sample);
    if (!open_) {
        return;
    }
    open_->curve.add(
        {.unix_s = now.unix_ms / 1000, .counted = state.counted, .ceiling = state.ceiling}
    );
    open_snapshot_.reset();
    for (auto& pending : open_->pending) {
        if (pending && !pending->fresh && state.sample.asked_at >= pending->event.at) {
            pending->fresh = state;
        }
    }
    revise(state, now);
}

bool IncidentDesk::wants_sample() const noexcept {
    const auto waits = [](const std::optional<Pending>& pending) {
        return pending && !pending->fresh;
    };
    return open_ && std::any_of(open_->pending.begin(), open_->pending.end(), waits);
}

bool IncidentDesk::write_pending(Moment now, bool all) {
    bool waiting = false;
    for (auto& pending : open_->pending) {
        const bool told = pending && pending->fresh && now.at >= keys_expected_until_;
        if (pending && (all || told || now.at - pending->since.at >= sample_wait)) {
            write_first(std::move(*std::exchange(pending, std::nullopt)), now);
        }
        waiting = waiting || pending;
    }
    return waiting;
}

std::vector<Record> IncidentDesk::tick(Moment now) {
    if (open_) {
        const bool waiting = write_pending(now, false);
        if (!waiting && now.at - open_->last_at >= quiet_close) {
            close(now);
        }
    }
    return std::exchange(records_, {});
}

std::vector<Record> IncidentDesk::finish(Moment now) {
    if (open_) {
        (void)write_pending(now, true);
        close(now);
    }
    return std::exchange(records_, {});
}

std::optional<Nanos> IncidentDesk::next_tick() const noexcept {
    if (!open_) {
        return std::nullopt;
    }
    Nanos next = open_->last_at + quiet_close;
    for (const auto& pending : open_->pending) {
        if (pending) {
            next = std::min(next, pending->since.at + sample_wait);
            if (pending->fresh) {
                next = std::min(next, keys_expected_until_);
            }
        }
    }
    return next;
}

std::vector<std::shared_ptr<const Incident>> IncidentDesk::incidents() {
    std::vector<std::shared_ptr<const Incident>> all;
    if (open_) {
        all.push_back(snapshot());
    }
    all.insert(all.end(), closed_.rbegin(), closed_.rend());
    return all;
}

std::shared_ptr<const Incident> IncidentDesk::find(std::string_view id) {
    for (auto& incident : incidents()) {
        if (incident->id == id) {
            return incident;
        }
    }
    return nullptr;
}

void IncidentDesk::open(Moment now, Moment event) {
    open_ = std::make_unique<Open>();
    open_->incident.id = next_id();
    open_->incident.opened_unix_ms = event.unix_ms;
    open_->opened_at = event.at;
    open_->last_at = event.at;
    for (auto& by_cause : limiters_) {
        by_cause.fill({});
    }
    for (const HistoryPoint& point : history_.points()) {
        if (point.at >= event.at - curve_lead) {
            open_->curve.add(
                {.unix_s = unix_ms_at(point.at, now) / 1000,
                 .counted = point.counted,
                 .ceiling = std::max<std::int64_t>(point.maxmemory, 0)}
            );
        }
    }
}

void IncidentDesk::count(const OomEvent& event) {
    CountRow row;
    const bool backend = event.origin == OomOrigin::backend;
    (backend ? row.oom_replies : row.refusals) = event.count;
    row.bytes = event.bytes > UINT64_MAX / event.count ? UINT64_MAX : event.bytes * event.count;
    open_->incident.oom_replies += row.oom_replies;
    open_->incident.refusals += row.refusals;

    PatternBuffer buffer;
    open_->commands.add(std::string_view(event.command).substr(0, name_bytes_max), row);
    open_->clients.add(client_name(event.client), row);
    open_->patterns.add(display_pattern(key_pattern(event.key, buffer), keys_), row);
}

// The cause is judged for every event, which is cheap; the report only for the one that is written.
void IncidentDesk::write_later_event(
    const OomEvent& event, const MemoryState& state, std::span<const GrowthRow> growth, Moment now
) {
    const Evidence what = evidence(event, state, growth, now);
    const Cause cause = event.origin == OomOrigin::guard ? event.guard_cause : likely_cause(what);
    Limiter& limit = limiter(event.origin, cause);
    const bool waits =
        open_ && open_->pending[index_of(event.origin)].has_value() && !event.would_refuse;
    const bool too_soon = limit.last && now.at - *limit.last < record_interval;
    if (waits || too_soon || records_.size() >= records_max) {
        limit.suppressed += event.count;
        return;
    }
    limit.last = now.at;
    Record record;
    record.kind = event.origin == OomOrigin::backend ? RecordKind::oom : RecordKind::refused;
    record.incident_id = open_ ? open_->incident.id : std::string{};
    record.report = report(event, state, growth, diagnose(what), now);
    record.suppressed = std::exchange(limit.suppressed, 0) + event.count - 1;
    put(std::move(record));
}

void IncidentDesk::write_first(Pending pending, Moment now) {
    // The sample from after the event says more, unless the pressure had passed by then: trust in
    // the older one is less, so that it wins only where the newer explains nothing.
    const MemoryState* state = pending.fresh ? &*pending.fresh : &pending.state;
    Diagnosis diagnosis = diagnose(evidence(pending.event, *state, pending.growth, now));
    if (pending.fresh) {
        Diagnosis before = diagnose(evidence(pending.event, pending.state, pending.growth, now));
        if (before.confidence > diagnosis.confidence) {
            diagnosis = std::move(before);
            state = &pending.state;
        }
    }
    Report told = report(pending.event, *state, pending.growth, std::move(diagnosis), now);

    const bool backend = pending.event.origin == OomOrigin::backend;
    if (backend) {
        open_->explained = pending.event;
    }
    if (!open_->announced) {
        open_->announced = true;
        open_->incident.report = told;
        open_snapshot_.reset();
        Record opened;
        opened.kind = RecordKind::incident_opened;
        opened.incident_id = open_->incident.id;
        opened.incident = snapshot();
        put(std::move(opened));
    } else if (backend && told.diagnosis.cause != open_->incident.report.diagnosis.cause) {
        change_cause(told.diagnosis);  // refusals opened it; what the server says counts more
    }

    Limiter& limit = limiter(pending.event.origin, told.diagnosis.cause);
    limit.last = now.at;
    Record record;
    record.kind = backend ? RecordKind::oom : RecordKind::refused;
    record.incident_id = open_->incident.id;
    record.suppressed = std::exchange(limit.suppressed, 0) + pending.event.count - 1;
    record.report = std::move(told);
    put(std::move(record));
}

// INFO's client figures lag by up to a second, and some memory is given back within it: the first
// cause may be wrong.
void IncidentDesk::revise(const MemoryState& state, Moment now) {
    if (!open_->explained || !open_->announced || now.at - open_->opened_at > revise_window ||
        open_->revisions >= revisions_max || !is_pressed(state)) {
        return;
    }
    Diagnosis again = diagnose(evidence(*open_->explained, state, open_->growth, now));
    if (again.cause != open_->incident.report.diagnosis.cause &&
        again.confidence >= revision_confidence_min) {
        open_->incident.report.state = state;
        change_cause(again);
    }
}

void IncidentDesk::on_keys(const KeySummary& keys, const MemoryState& state, Moment now) {
    keys_expected_until_ = 0;
    sampled_keys_ = keys;
    sampled_keys_at_ = now.at;
    look_again(state, now);
}

void IncidentDesk::on_clients(
    std::vector<HeavyClient> clients, const MemoryState& state, Moment now
) {
    heavy_clients_ = std::move(clients);
    heavy_clients_at_ = now.at;
    look_again(state, now);
}

std::span<const HeavyClient> IncidentDesk::heavy_clients(Nanos now) const noexcept {
    const bool lately = now - heavy_clients_at_ < clients_last;
    return lately ? heavy_clients_ : std::span<const HeavyClient>{};
}

const OomEvent* IncidentDesk::recent_event(Nanos now) const noexcept {
    const bool lately = open_ && open_->explained && now - open_->last_at < recent;
    return lately ? &*open_->explained : nullptr;
}

Diagnosis IncidentDesk::agreed(Diagnosis diagnosis, Nanos now) const {
    if (recent_event(now) == nullptr || !open_->announced) {
        return diagnosis;
    }
    const Diagnosis& told = open_->incident.report.diagnosis;
    const bool better = told.cause != diagnosis.cause && told.confidence >= diagnosis.confidence;
    return better ? told : diagnosis;
}

bool IncidentDesk::guard_refuses() const noexcept {
    return open_ && open_->incident.refusals > 0;
}

void IncidentDesk::forget_server() noexcept {
    sampled_keys_.reset();
    heavy_clients_.clear();
    keys_expected_until_ = 0;
}

// With names and figures that were not known when the incident was explained; its cause may change.
void IncidentDesk::look_again(const MemoryState& state, Moment now) {
    if (!open_ || !open_->explained || !open_->announced || !is_pressed(state)) {
        return;
    }
    Diagnosis again = diagnose(evidence(*open_->explained, state, open_->growth, now));
    if (again.confidence < revision_confidence_min) {
        return;
    }
    if (again.cause == open_->incident.report.diagnosis.cause) {
        open_->incident.report.diagnosis = std::move(again);
        open_snapshot_.reset();
    } else if (open_->revisions < revisions_max) {
        open_->incident.report.state = state;
        change_cause(again);
    }
}

const KeySummary* IncidentDesk::keys_sample(const MemorySample& server, Nanos now) const noexcept {
    const bool holds =
        sampled_keys_ && now - sampled_keys_at_ < keys_last && still_holds(*sampled_keys_, server);
    return holds ? &*sampled_keys_ : nullptr;
}

void IncidentDesk::change_cause(const Diagnosis& diagnosis) {
    ++open_->revisions;
    Record record;
    record.kind = RecordKind::incident_updated;
    record.incident_id = open_->incident.id;
    record.cause_before = open_->incident.report.diagnosis.cause;
    open_->incident.report.diagnosis = diagnosis;
    open_snapshot_.reset();
    record.incident = snapshot();
    put(std::move(record));
}

void IncidentDesk::close(Moment now) {
    open_->incident.closed_unix_ms = now.unix_ms;
    open_snapshot_.reset();
    auto told = snapshot();
    closed_.push_back(told);
    if (closed_.size() > incidents_max) {
        closed_.pop_front();
    }
    Record record;
    record.kind = RecordKind::incident_closed;
    record.incident_id = told->id;
    record.incident = std::move(told);
    put(std::move(record));
    open_.reset();
    open_snapshot_.reset();
}

void IncidentDesk::put(Record record) {
    if (records_.size() < records_max) {
        records_.push_back(std::move(record));
    }
}

Evidence IncidentDesk::evidence(
    const OomEvent& event, const MemoryState& state, std::span<const GrowthRow> growth, Moment now
) const {
    return {
        .state = state,
        .event = &event,
        .history = history_.points(),
        .facts = history_.facts(),
        .growth = growth,
        .keys = keys_,
        .now = now.at,
        .sample = keys_sample(state.sample, now.at),
        .clients = heavy_clients(now.at)};
}

Report IncidentDesk::report(
    const OomEvent& event,
    const MemoryState& state,
    std::span<const GrowthRow> growth,
    Diagnosis diagnosis,
    Moment now
) const {
    Report out;
    out.event = event;
    out.event.key = display_key(event.key, keys_);
    out.unix_ms = unix_ms_at(event.at, now);
    out.state = state;
    out.sample_age_ms =
        state.sampled ? std::max<Nanos>(now.at - state.sample.answered_at, 0) / millisecond : -1;
    out.diagnosis = std::move(diagnosis);
    for (const GrowthRow& row : growth.first(std::min(growth.size(), report_rows_max))) {
        out.top_growth.push_back(row);
        out.top_growth.back().pattern = display_pattern(row.pattern, keys_);
    }
    return out;
}

IncidentDesk::Limiter& IncidentDesk::limiter(OomOrigin origin, Cause cause) noexcept {
    return limiters_[index_of(origin)][static_cast<std::size_t>(cause)];
}

// An odd step visits every number of 16 bits once before the first comes again.
std::string IncidentDesk::next_id() {
    constexpr std::string_view hex = "0123456789abcdef";
    const std::uint16_t id = next_id_;
    next_id_ = static_cast<std::uint16_t>(next_id_ + 40503U);
    std::string text;
    for (const unsigned shift : {12U, 8U, 4U, 0U}) {
        text.push_back(hex[(id >> shift) & 15U]);
    }
    return text;
}

std::shared_ptr<const Incident> IncidentDesk::snapshot() {
    if (!open_snapshot_) {
        auto copy = std::make_shared<Incident>(open_->incident);
        copy->duration_s =
            static_cast<double>(open_->last_at - open_->opened_at) / static_cast<double>(second);
        copy->by_command = open_->commands.rows();
        copy->by_client = open_->clients.rows();
        copy->by_pattern = open_->patterns.rows();
        copy->curve = open_->curve.points();
        open_snapshot_ = std::move(copy);
    }
    return open_snapshot_;
}

}  // namespace spillway::policy
