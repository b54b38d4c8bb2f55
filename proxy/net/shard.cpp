// One worker thread: its sockets, its read buffer, its sessions, and its share of the credit.
#include "proxy/net/shard.hpp"

#include "proxy/net/clock.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace spillway::net {
namespace {

constexpr int accepts_max = 64;  // in a row before clients that stand have their turn
constexpr policy::Nanos tick_interval = 10 * policy::millisecond;
constexpr policy::Nanos accept_pause = 100 * policy::millisecond;
constexpr policy::Nanos ooms_interval = 20 * policy::millisecond;
constexpr policy::Nanos growth_interval = policy::second;
constexpr policy::Nanos refusal_interval = policy::second;
constexpr policy::Nanos verdicts_interval = policy::second;

}  // namespace

Shard::Shard(
    policy::CreditPool& pool,
    policy::TrafficCells& cells,
    std::shared_ptr<const ShardSettings> settings,
    ShardBalance& balance,
    std::size_t index,
    ShardHooks hooks
)
    : context_(pool, cells, settings->guard),
      settings_(std::move(settings)),
      balance_(balance),
      index_(index),
      hooks_(std::move(hooks)),
      target_(std::make_shared<const Target>()),
      buffer_(new char[stash_bytes_max + read_bytes]) {
    context_.rules = settings_->rules;
    context_.annotate_replies = settings_->annotate_replies;
    context_.retries.on = settings_->retry_oom;
    context_.now = monotonic_now();
}

Shard::~Shard() {
    finish();
    join();
    sessions_.clear();
    graveyard_.clear();
}

void Shard::add_listener(ListenerShare& listener, Fd fd) {
    accepting_.push_back(std::make_unique<Accepting>(*this, listener, std::move(fd)));
    if (!poller_.add_listening(accepting_.back()->fd.get(), *accepting_.back())) {
        throw std::system_error(errno, std::generic_category(), "cannot wait for connections");
    }
}

void Shard::start() {
    thread_ = std::thread([this] { run(); });
}

void Shard::run() {
    run_posts();  // what was told it before it started: where the backend is
    end_batch();
    while (!finished_.load(std::memory_order_relaxed)) {
        if (poller_.wait(wait_ms())) {
            run_posts();
        }
        poller_.run_batch();
        end_batch();
        if (!turns_.empty()) {
            run_turns();
        }
        if (tick_at_ != 0 && monotonic_now() >= tick_at_) {
            tick();
        }
    }
}

void Shard::run_posts() {
    posts_.restart();
    posts_.poll();
}

// -1 = until something happens.
int Shard::wait_ms() const noexcept {
    if (!turns_.empty()) {
        return 0;
    }
    if (tick_at_ == 0) {
        return -1;
    }
    const policy::Nanos left = std::max<policy::Nanos>(tick_at_ - monotonic_now(), 0);
    return static_cast<int>((left + policy::millisecond - 1) / policy::millisecond);
}

void Shard::touch_clock() noexcept {
    context_.now = monotonic_now();
}

void Shard::accept_waiting(Accepting& accepting) {
    if (!accepts_) {
        return;
    }
    touch_clock();
    for (int i = 0; i < accepts_max; ++i) {
        Accepted accepted = accept_one(accepting.fd.get());
        if (accepted.status == IoStatus::blocked) {
            return;
        }
        if (accepted.status == IoStatus::closed) {
            continue;
        }
        if (accepted.status == IoStatus::failed) {
            // No descriptors or no memory: asking again at once would only spin.
            const bool descriptors = report_no_descriptors(accepted.error);
            // Whoever is first in the queue is one client, however often we look.
            if (!descriptors || !std::exchange(accepting.lets_wait, true)) {
                context_.metrics
                    .connections_refused
                        [descriptors ? metrics::RefusedReason::descriptors
                                     : metrics::RefusedReason::error]
                    .add();
            }
            poller_.remove(accepting.fd.get());
            accepting.paused_until = context_.now + accept_pause;
            arm_tick();
            return;
        }
        accepting.lets_wait = false;
        admit(accepting.listener, std::move(accepted.fd), accepted.peer);
    }
}

void Shard::end_pauses() {
    for (const auto& accepting : accepting_) {
        if (accepting->paused_until == 0 || !accepts_) {
            continue;
        }
        if (context_.now >= accepting->paused_until &&
            poller_.add_listening(accepting->fd.get(), *accepting)) {
            accepting->paused_until = 0;
        } else {
            arm_tick();
        }
    }
}

void Shard::admit(ListenerShare& listener, Fd client, const Endpoint& peer) {
    if (listener.clients.fetch_add(1, std::memory_order_relaxed) >=
        listener.clients_max.load(std::memory_order_relaxed)) {
        listener.clients.fetch_sub(1, std::memory_order_relaxed);
        context_.metrics.connections_refused[metrics::RefusedReason::max_clients].add();
        report_refusal(
            text_of(peer), "the listener has as many clients already as ", "max_clients allows"
        );
        if (tls_of(listener) == nullptr) {  // who expects TLS could not read it
            refuse_client(client.get(), "-ERR max number of clients reached\r\n");
        }
        return;
    }
    const std::size_t chosen = balance_.take();
    if (chosen == index_) {
        start_session(listener, std::move(client), peer);
    } else {
        hooks_.hand_over(chosen, listener, std::move(client), peer);
    }
}

void Shard::adopt(ListenerShare& listener, Fd client, const Endpoint& peer) {
    post([this, &listener, client = std::move(client), peer]() mutable {
        touch_clock();
        start_session(listener, std::move(client), peer);
    });
}

void Shard::start_session(ListenerShare& listener, Fd client, const Endpoint& peer) {
    auto driver = std::make_unique<SessionDriver>(
        *this, listener, std::move(client), text_of(peer), next_id_++
    );
    SessionDriver& started = *driver;
    started.index = sessions_.size();
    sessions_.push_back(std::move(driver));
    started.start();
    if (draining_ && !started.dead()) {
        started.drain();
    }
}

void Shard::refuse_client(int fd, std::string_view line) noexcept {
    (void)write_some(fd, {&line, 1});
    finish_writing(fd);
}

void Shard::end_batch() {
    graveyard_.clear();
    context_.guard.flush();
    if (context_.guard.take_sample_wish() || context_.sample_wished) {
        context_.sample_wished = false;
        hooks_.wish_sample();
    }
    if (!context_.ooms.empty()) {
        report_ooms();
    }
    if (!context_.opaque_notes.empty()) {
        hooks_.on_opaque(std::exchange(context_.opaque_notes, {}));
    }
    report_growth(growth_interval);
    report_verdicts();
    if (!timed_.empty() || !held_.empty() || !context_.ooms.empty()) {
        arm_tick();
    }
}

void Shard::report_ooms() {
    if (context_.now - ooms_reported_at_ < ooms_interval) {
        return;
    }
    ooms_reported_at_ = context_.now;
    report_growth(ooms_interval);  // who filled memory belongs to the story
    hooks_.on_ooms(context_.ooms.take());
}

void Shard::report_growth(policy::Nanos interval) {
    if (context_.now - growth_reported_at_ < interval) {
        return;
    }
    growth_reported_at_ = context_.now;
    context_.growth.expire(context_.now);
    if (context_.growth.take_news()) {
        hooks_.on_growth(context_.growth.ledger());
    }
}

void Shard::report_verdicts() {
    if (context_.verdicts.empty() || context_.now - verdicts_reported_at_ < verdicts_interval) {
        return;
    }
    verdicts_reported_at_ = context_.now;
    hooks_.on_verdicts(std::exchange(context_.verdicts, {}));
}

void Shard::wait_for_turn(SessionDriver& driver) {
    if (driver.waits_for_turn) {
        return;
    }
    driver.waits_for_turn = true;
    turns_.push_back(&driver);
}

void Shard::run_turns() {
    touch_clock();
    const std::vector<SessionDriver*> turns = std::exchange(turns_, {});
    for (SessionDriver* driver : turns) {
        driver->waits_for_turn = false;
        if (!driver->dead()) {
            driver->go_on();
        }
    }
    end_batch();
}

void Shard::list_held(SessionDriver& driver) {
    if (driver.listed_held) {
        return;
    }
    driver.listed_held = true;
    held_.push_back(&driver);
}

void Shard::list_timed(SessionDriver& driver) {
    if (driver.listed_timed) {
        return;
    }
    driver.listed_timed = true;
    timed_.push_back(&driver);
}

// The driver stays until the batch is over: events for it may still be in hand.
void Shard::bury(SessionDriver& driver) {
    if (driver.listed_held) {
        std::erase(held_, &driver);
    }
    if (driver.listed_timed) {
        std::erase(timed_, &driver);
    }
    if (driver.waits_for_turn) {
        std::erase(turns_, &driver);
    }
    balance_.give_back(index_);
    const std::size_t index = driver.index;
    std::swap(sessions_[index], sessions_.back());
    sessions_[index]->index = index;
    graveyard_.push_back(std::move(sessions_.back()));
    sessions_.pop_back();
}

void Shard::report_refusal(
    const std::string& peer, std::string_view what, std::string_view problem
) {
    if (refusal_reported_at_ == 0 || context_.now - refusal_reported_at_ >= refusal_interval) {
        refusal_reported_at_ = context_.now;
        hooks_.on_refusal(peer, what, std::string(problem));
    }
}

bool Shard::report_no_descriptors(int error) {
    if (error != EMFILE && error != ENFILE) {
        return false;
    }
    if (descriptors_reported_at_ == 0 ||
        context_.now - descriptors_reported_at_ >= refusal_interval) {
        descriptors_reported_at_ = context_.now;
        hooks_.on_no_descriptors(error);
    }
    return true;
}

// In the order of waiting, each session in turn; those that must wait on go to the end of the line,
// and behind those that got nothing.
void Shard::resume_held() {
    const std::vector<SessionDriver*> held = std::exchange(held_, {});
    for (SessionDriver* driver : held) {
        driver->listed_held = false;
    }
    for (SessionDriver* driver : held) {
        if (!driver->dead()) {
            driver->moved = driver->resume();
        }
    }
    // Where credit is for few at a time, it is not always for the same.
    std::stable_partition(held_.begin(), held_.end(), [](const SessionDriver* driver) {
        return !driver->moved;
    });
}

void Shard::arm_tick() noexcept {
    if (tick_at_ == 0) {
        tick_at_ = monotonic_now() + tick_interval;
    }
}

void Shard::tick() {
    tick_at_ = 0;
    touch_clock();
    end_pauses();
    const bool due = std::any_of(held_.begin(), held_.end(), [this](const SessionDriver* driver) {
        return driver->hold_until() <= context_.now;
    });
    if (due) {
        resume_held();
    }
    const std::vector<SessionDriver*> timed = std::exchange(timed_, {});
    for (SessionDriver* driver : timed) {
        driver->listed_timed = false;
    }
    for (SessionDriver* driver : timed) {
        if (driver->dead()) {
            continue;
        }
        driver->tick();
        if (!driver->dead() && driver->has_deadline()) {
            list_timed(*driver);
        }
    }
    end_batch();
}

void Shard::publish(BackendSnapshot snapshot) {
    post([this, snapshot = std::move(snapshot)]() mutable {
        const policy::MemoryState& state = *snapshot.state;
        context_.guard.publish({
            .state = state.state,
            .family = state.sample.family,
            .steady = snapshot.steady,
            .ceiling = state.ceiling,
            .counted = state.counted,
            .evictable = state.evictable,
            .asked_at = state.sample.asked_at,
        });
        size_flights();
        if (context_.policy_name != state.sample.policy) {
            context_.policy_name = state.sample.policy.empty() ? "unknown" : state.sample.policy;
        }
        context_.annotation = std::move(snapshot.annotation);
        touch_clock();
        if (!held_.empty()) {
            resume_held();
        }
    });
}

void Shard::size_flights() {
    context_.flight = policy::flight_of(
        context_.guard.view(), context_.guard.mode(), settings_->spool_client_bytes_max
    );
}

void Shard::publish_commands(std::shared_ptr<const resp::CommandTable> commands) {
    post([this, commands = std::move(commands)]() mutable {
        context_.commands = resp::CommandLookup(std::move(commands));
    });
}

void Shard::publish_target(std::shared_ptr<const Target> target) {
    post([this, target = std::move(target)]() mutable { target_ = std::move(target); });
}

void Shard::publish_settings(std::shared_ptr<const ShardSettings> settings) {
    post([this, settings = std::move(settings)]() mutable {
        settings_ = std::move(settings);
        context_.guard.change(settings_->guard);
        size_flights();
        context_.rules = settings_->rules;
        context_.annotate_replies = settings_->annotate_replies;
        context_.retries.on = settings_->retry_oom;
        touch_clock();
        resume_held();
    });
}

void Shard::collect_clients(std::function<void(std::vector<ClientRow>)> done) {
    post([this, done = std::move(done)] {
        touch_clock();
        std::vector<ClientRow> rows;
        rows.reserve(sessions_.size());
        for (const auto& driver : sessions_) {
            const core::SessionShared& shared = driver->session().shared();
            rows.push_back({
                .id = shared.id,
                .address = shared.address,
                .backend_address = driver->backend_address(),
                .name = shared.state.name(),
                .user = shared.state.user(),
                .library = shared.state.library(),
                .db = shared.state.db(),
                .bytes_in = driver->bytes_in(),
                .bytes_out = driver->bytes_out(),
                .held = driver->session().held(),
                .held_for = driver->session().held_for(context_.now),
            });
        }
        done(std::move(rows));
    });
}

void Shard::stop_accepting() {
    post([this] { close_listeners(); });
}

void Shard::close_listeners() {
    accepts_ = false;
    for (const auto& accepting : accepting_) {
        poller_.remove(accepting->fd.get());
        accepting->fd.reset();
    }
}

void Shard::drain() {
    end_sessions(&SessionDriver::drain);
}

void Shard::leave() {
    end_sessions(&SessionDriver::leave);
}

void Shard::end_sessions(void (SessionDriver::*how)()) {
    post([this, how] {
        draining_ = true;
        close_listeners();
        touch_clock();
        for (const auto& driver : sessions_) {
            (driver.get()->*how)();
        }
    });
}

void Shard::finish() {
    finished_.store(true, std::memory_order_relaxed);
    poller_.wake();
}

void Shard::join() {
    if (thread_.joinable()) {
        thread_.join();
    }
}

}  // namespace spillway::net
