// One Redis, proxies before it that know nothing of each other, and clients that load them,
// a millisecond at a time.
#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <gtest/gtest.h>

namespace spillway::sim {
namespace {

using policy::millisecond;

constexpr Nanos step_length = millisecond;
constexpr Nanos sample_interval_min = 2 * millisecond;

// As the commands table has it for SET.
policy::Cost cost_of(const Command& command) {
    constexpr std::int64_t key_bytes = 12;
    policy::Cost cost;
    cost.lasting = (command.value_bytes + key_bytes) * 5 / 4 + 120;
    cost.charge = cost.lasting;
    if (command.kind == Command::Kind::move) {
        cost.lasting = cost.charge = 64;
    }
    if (command.value_bytes >= large_value_bytes) {
        cost.charge += command.value_bytes * 5 / 4;
        cost.large = true;
    }
    return cost;
}

}  // namespace

struct World::Connection {
    Load* load = nullptr;
    Proxy* proxy = nullptr;  // null: directly to Redis
    std::size_t shard = 0;
    policy::Waiting waiting;
    Command next;
    bool has_next = false;
    bool held = false;
    Nanos held_since = 0;
    int outstanding = 0;
    double tokens = 0;
    std::int64_t passed = 0;
};

struct World::Shard {
    Shard(policy::CreditPool& pool, const policy::GuardSettings& settings)
        : guard(pool, cells, settings) {}
    policy::TrafficCells cells;
    policy::Guard guard;
    std::vector<Connection*> held;
    bool published = false;
};

struct World::Proxy {
    explicit Proxy(const policy::GuardSettings& settings) : meter(settings) {}

    [[nodiscard]] policy::TrafficCounters counters() const {
        policy::TrafficCounters sum;
        for (const auto& shard : shards) {
            sum.charged += shard->cells.charged.load();
            sum.answered += shard->cells.answered.load();
            sum.spent += shard->cells.spent.load();
            sum.grown += shard->cells.grown.load();
            sum.refused += shard->cells.refused.load();
        }
        return sum;
    }

    policy::CreditPool pool;
    policy::Meter meter;
    std::vector<std::unique_ptr<Shard>> shards;
    policy::MemoryState memory;
    bool steady = true;
    Nanos asked_at = 0;
    Nanos next_ask = 0;
    Nanos read_at = -1;  // when Redis reads INFO; -1 = none is under way
    Nanos answer_at = -1;
    Nanos looked_for_staleness = 0;
    policy::TrafficCounters at_ask;
    policy::MemorySample answer;
    bool answered = false;
    std::int64_t lasting = 0;
    std::int64_t under_way = 0;  // charges of what was sent and is not answered
};

World::World(
    RedisModel::Settings redis_settings,
    policy::GuardSettings guard,
    int proxies,
    std::uint64_t seed
)
    : redis(std::move(redis_settings), seed),
      settings(std::move(guard)),
      random_(seed ^ 0x5157),
      traces_(std::getenv("SPILLWAY_SIM_TRACE") != nullptr) {
    trace_every_ = millisecond * (traces_ ? std::atoll(std::getenv("SPILLWAY_SIM_TRACE")) : 1);
    for (int i = 0; i < proxies; ++i) {
        proxies_.push_back(std::make_unique<Proxy>(settings));
        proxies_.back()->next_ask = now_ + random_.number(0, 50 * millisecond);
    }
}

World::~World() = default;

Load& World::add(const Load& load) {
    loads_.push_back(std::make_unique<Load>(load));
    Load* const added = loads_.back().get();
    const std::size_t places = added->bypasses ? 1 : proxies_.size();
    for (std::size_t place = 0; place < places; ++place) {
        for (int i = 0; i < added->connections; ++i) {
            auto connection = std::make_unique<Connection>();
            connection->load = added;
            connection->proxy = added->bypasses ? nullptr : proxies_[place].get();
            connection->shard = static_cast<std::size_t>(i % shards);
            connections_.push_back(std::move(connection));
        }
    }
    redis.set_connections(static_cast<std::int64_t>(connections_.size()));
    return *added;
}

void World::start() {
    started_ = true;
    for (auto& proxy : proxies_) {
        for (int i = 0; i < shards; ++i) {
            proxy->shards.push_back(std::make_unique<Shard>(proxy->pool, settings));
        }
    }
    // Nobody is there before the first sample: without one everything passes.
    const auto blind = [](const auto& proxy) { return !proxy->memory.sampled; };
    while (std::any_of(proxies_.begin(), proxies_.end(), blind)) {
        step();
    }
    for (int i = 0; i < 10; ++i) {  // the news reaches all shards
        step();
    }
    redis.reset_peak();
    clients_come_ = true;
}

void World::run(Nanos duration) {
    if (!started_) {
        start();
    }
    for (const Nanos end = now_ + duration; now_ < end && !failed_;) {
        step();
        look_at_everything();
    }
}

void World::must(std::string what, std::function<bool()> holds) {
    musts_.push_back({std::move(what), std::move(holds)});
}

void World::must_not_run_out_of_memory() {
    must("Redis answers no OOM", [this] { return redis.ooms() == 0; });
    must("memory stays below the ceiling", [this] { return redis.peak() <= redis.maxmemory(); });
}

void World::fail(const std::string& what) {
    failed_ = true;
    ADD_FAILURE() << "does not hold at " << now_ / millisecond << " ms: " << what;
}

void World::look_at_everything() {
    for (const auto& proxy : proxies_) {
        const policy::TrafficCounters sum = proxy->counters();
        if (sum.spent - sum.answered != proxy->under_way) {
            return fail("charges that are not answered are what is under way");
        }
    }
    for (const auto& load : loads_) {
        if (load->longest_hold > settings.hold_max + 2 * step_length) {
            return fail("no command waits longer than hold_max");
        }
        if (load->priority == policy::Priority::critical && load->held > 0) {
            return fail("critical commands do not wait");
        }
    }
    for (const Must& must : musts_) {
        if (!must.holds()) {
            return fail(must.what);
        }
    }
}

void World::note_refusal(Load& load, const Shard& shard, policy::Cause cause) {
    ++load.refused;
    ++load.refused_for[static_cast<std::size_t>(cause)];
    if (shard.guard.view().state <= policy::GuardState::blind) {
        fail("a guard that is blind refuses nothing");
    }
    if (load.priority == policy::Priority::critical && cause == policy::Cause::near_ceiling) {
        fail("critical commands are not refused for the lack of credit");
    }
}

void World::step() {
    now_ += step_length;
    redis.tick(now_);
    deliver_replies();
    forget_answered();
    for (auto& proxy : proxies_) {
        sample(*proxy);
        for (std::size_t i = 0; i < proxy->shards.size(); ++i) {
            Shard& shard = *proxy->shards[i];
            const bool due = std::any_of(shard.held.begin(), shard.held.end(), [&](auto* held) {
                return held->waiting.since + settings.hold_max <= now_;
            });
            // The news of a sample reaches some shards a little later.
            if (shard.published && random_.next() % 4 != 0) {
                shard.published = false;
                shard.guard.publish(
                    {.state = proxy->memory.state,
                     .family = proxy->memory.sample.family,
                     .steady = proxy->steady,
                     .ceiling = proxy->memory.ceiling,
                     .counted = proxy->memory.counted,
                     .evictable = proxy->memory.evictable,
                     .asked_at = proxy->memory.sample.asked_at}
                );
                resume(*proxy, i);
            } else if (due) {
                resume(*proxy, i);
            }
        }
    }
    give_tokens();
    let_clients_write();
    for (auto& proxy : proxies_) {
        for (auto& shard : proxy->shards) {
            shard->guard.flush();
            if (shard->guard.take_sample_wish()) {
                proxy->next_ask = std::min(
                    proxy->next_ask, std::max(now_, proxy->asked_at + sample_interval_min)
                );
            }
        }
    }
    serve();
    if (traces_ && now_ % trace_every_ == 0) {
        trace();
    }
}

// The connections of a load stand side by side.
void World::give_tokens() {
    const Load* load = nullptr;
    double more = 0;
    double most = 0;
    for (auto& connection : connections_) {
        if (connection->load != load) {
            load = connection->load;
            more = load->per_second / load->connections / 1000.0;
            most = 4.0 * load->depth;
        }
        connection->tokens = std::min(connection->tokens + more, most);
    }
}

// Each in turn, beginning with any.
void World::let_clients_write() {
    const std::size_t first = connections_.empty() ? 0 : random_.next() % connections_.size();
    if (!clients_come_) {
        return;
    }
    for (std::size_t i = first; i < connections_.size(); ++i) {
        issue(*connections_[i]);
    }
    for (std::size_t i = 0; i < first; ++i) {
        issue(*connections_[i]);
    }
}

void World::trace() const {
    std::printf(
        "%6lld ms  %6.2f %%  keys %zu  ooms %lld  queue %zu",
        static_cast<long long>(now_ / millisecond),
        100 * redis.share(),
        redis.keys(),
        static_cast<long long>(redis.ooms()),
        arrived_.size() - served_
    );
    for (const auto& proxy : proxies_) {
        std::printf(
            "  |  %s %s ratio %.2f open %lld room %lld",
            std::string(policy::name_of(proxy->memory.state)).c_str(),
            proxy->steady ? "steady" : "growing",
            proxy->memory.learned_ratio,
            static_cast<long long>(proxy->pool.open()),
            static_cast<long long>(proxy->pool.room())
        );
    }
    for (const auto& load : loads_) {
        std::printf(
            "  |  passed %lld held %lld refused %lld",
            static_cast<long long>(load->passed),
            static_cast<long long>(load->held),
            static_cast<long long>(load->refused)
        );
    }
    std::printf("\n");
}

void World::deliver_replies() {
    for (; answered_ < served_; ++answered_) {
        const Arrived& reply = arrived_[answered_];
        Connection& connection = *reply.from;
        --connection.outstanding;
        if (connection.proxy != nullptr) {
            Shard& shard = *connection.proxy->shards[connection.shard];
            shard.guard.settle(reply.charged, reply.ran ? reply.lasting : 0);
            connection.proxy->under_way -= reply.charged;
            connection.proxy->lasting += reply.ran ? reply.lasting : 0;
        }
        if (!reply.ran) {
            ++connection.load->failed;
            if (connection.proxy != nullptr) {
                connection.proxy->meter.on_backend_oom(now_);
            }
        }
    }
}

void World::sample(Proxy& proxy) {
    const bool idle = proxy.read_at < 0 && proxy.answer_at < 0;
    if (idle && now_ >= proxy.next_ask) {
        proxy.asked_at = now_;
        proxy.at_ask = proxy.counters();
        const Nanos latency = random_.number(probe.latency_min, probe.latency_max);
        proxy.read_at = now_ + latency / 2;
        proxy.answer_at = now_ + latency;
    }
    if (proxy.read_at >= 0 && now_ >= proxy.read_at && !probe.hangs) {
        proxy.answer = redis.info();
        if (probe.lie) {
            probe.lie(proxy.answer);
        }
        proxy.read_at = -1;
    }
    if (proxy.read_at < 0 && proxy.answer_at >= 0 && now_ >= proxy.answer_at) {
        proxy.answer_at = -1;
        proxy.answer.asked_at = proxy.asked_at;
        proxy.answer.answered_at = now_;
        take(proxy, proxy.answer);
        proxy.next_ask = proxy.asked_at + proxy.meter.next_interval(interval);
    }
    if (now_ - proxy.looked_for_staleness >= 50 * millisecond) {
        proxy.looked_for_staleness = now_;
        if (proxy.memory.state > policy::GuardState::blind) {
            const auto reading = proxy.meter.without_sample(now_, "stale");
            if (reading.state.state == policy::GuardState::blind) {
                proxy.pool.grant(reading.grant);
                proxy.memory = reading.state;
                proxy.steady = reading.steady;
                publish(proxy);
            }
        }
    }
}

void World::take(Proxy& proxy, const policy::MemorySample& sample) {
    const std::int64_t open_left = proxy.pool.open();
    proxy.pool.freeze();
    const auto reading =
        proxy.meter.on_sample(sample, proxy.at_ask, proxy.counters(), open_left, now_);
    proxy.pool.grant(reading.grant);
    proxy.memory = reading.state;
    proxy.steady = reading.steady;
    publish(proxy);
}

void World::publish(Proxy& proxy) {
    for (auto& shard : proxy.shards) {
        shard->published = true;
    }
}

// As a shard does it: in the order of waiting, each in turn, as far as it gets.
void World::resume(Proxy& proxy, std::size_t shard) {
    std::vector<Connection*>& held = proxy.shards[shard]->held;
    resuming_.swap(held);
    for (Connection* connection : resuming_) {
        connection->held = false;
        issue(*connection);
    }
    resuming_.clear();
}

Command World::draw(const Load& load) {
    const int all = load.adds + load.overwrites + load.removes + load.moves;
    auto pick = static_cast<int>(random_.number(0, all - 1));
    Command command;
    command.ttl = load.ttl;
    command.value_bytes = random_.number(load.value_min, load.value_max);
    if (pick < load.adds) {
        command.kind = Command::Kind::add;
    } else if ((pick -= load.adds) < load.overwrites) {
        command.kind = Command::Kind::overwrite;
    } else if ((pick -= load.overwrites) < load.removes) {
        command.kind = Command::Kind::remove;
    } else {
        command.kind = Command::Kind::move;
    }
    if (command.kind == Command::Kind::remove || command.kind == Command::Kind::move) {
        command.value_bytes = 10;
    }
    return command;
}

void World::issue(Connection& connection) {
    const Load& load = *connection.load;
    if (connection.held) {
        return;
    }
    bool refused_one = false;
    while (connection.outstanding < load.depth && !refused_one) {
        if (!connection.has_next) {
            if (!load.active || (load.per_second > 0 && connection.tokens < 1.0)) {
                break;
            }
            connection.tokens -= load.per_second > 0 ? 1.0 : 0.0;
            connection.next = draw(load);
            connection.has_next = true;
        }
        const std::int64_t refused_before = load.refused;
        if (!judge(connection)) {
            return;
        }
        // A refused client looks at its reply before it goes on.
        refused_one = load.refused != refused_before;
    }
    if (!connection.has_next) {
        connection.waiting.since = 0;
    }
}

// False when the command must wait.
bool World::judge(Connection& connection) {
    Load& load = *connection.load;
    const Command& command = connection.next;
    const policy::Cost cost = cost_of(command);
    if (connection.proxy == nullptr || command.kind == Command::Kind::remove) {
        send(connection, 0, 0);
        return true;
    }
    Shard& shard = *connection.proxy->shards[connection.shard];
    std::int64_t lasting = cost.lasting;
    if (!shard.guard.quick(cost)) {
        const policy::Judgement judgement = shard.guard.judge(
            cost,
            static_cast<std::uint64_t>(command.value_bytes),
            load.priority,
            now_,
            connection.waiting
        );
        if (judgement.verdict == policy::Verdict::hold) {
            if (connection.held_since == 0) {
                connection.held_since = now_;
                ++load.held;
            }
            connection.held = true;
            shard.held.push_back(&connection);
            return false;
        }
        if (judgement.verdict == policy::Verdict::refuse) {
            note_refusal(load, shard, judgement.cause);
            connection.has_next = false;
            connection.held_since = 0;
            return true;
        }
        lasting = judgement.teaches ? cost.lasting : 0;
    }
    if (connection.held_since != 0) {
        load.longest_hold = std::max(load.longest_hold, now_ - connection.held_since);
        connection.held_since = 0;
    }
    ++load.passed;
    ++connection.passed;
    load.lasting += cost.lasting;
    send(connection, cost.charge, lasting);
    return true;
}

void World::send(Connection& connection, std::int64_t charged, std::int64_t lasting) {
    redis.receive(connection.next);
    if (connection.proxy != nullptr) {
        connection.proxy->under_way += charged;
    }
    arrived_.push_back({&connection, connection.next, charged, lasting});
    connection.has_next = false;
    ++connection.outstanding;
}

void World::serve() {
    const std::size_t waiting = arrived_.size() - served_;
    const std::size_t most = static_cast<std::size_t>(commands_per_step);
    for (const std::size_t end = served_ + std::min(waiting, most); served_ < end; ++served_) {
        Arrived& arrived = arrived_[served_];
        arrived.ran = redis.execute(arrived.command, now_);
    }
}

// Now and then: each is moved about once.
void World::forget_answered() {
    if (answered_ >= 1024 && answered_ >= arrived_.size() / 2) {
        arrived_.erase(arrived_.begin(), arrived_.begin() + static_cast<std::ptrdiff_t>(answered_));
        served_ -= answered_;
        answered_ = 0;
    }
}

policy::GuardState World::state(std::size_t proxy) const {
    return proxies_[proxy]->memory.state;
}

bool World::steady(std::size_t proxy) const {
    return proxies_[proxy]->steady;
}

const policy::MemoryState& World::memory(std::size_t proxy) const {
    return proxies_[proxy]->memory;
}

std::int64_t World::lasting_of(std::size_t proxy) const {
    return proxies_[proxy]->lasting;
}

std::vector<std::int64_t> World::passed_by_connection() const {
    std::vector<std::int64_t> passed;
    for (const auto& connection : connections_) {
        passed.push_back(connection->passed);
    }
    return passed;
}

}  // namespace spillway::sim
