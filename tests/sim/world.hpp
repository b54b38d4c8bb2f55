// One Redis, proxies before it that know nothing of each other, and clients that load them,
// a millisecond at a time.
#pragma once

#include "policy/guard.hpp"
#include "tests/sim/redis_model.hpp"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace spillway::sim {

// Clients that do the same. Weights say how often they send which command.
struct Load {
    int connections = 4;    // through each proxy
    int depth = 16;         // commands that a connection sends before it waits for replies
    double per_second = 0;  // of all of them together, through each proxy; 0 = as fast as they can
    int adds = 1;
    int overwrites = 0;
    int removes = 0;
    int moves = 0;
    std::int64_t value_min = 500;
    std::int64_t value_max = 3000;
    Nanos ttl = 0;
    policy::Priority priority = policy::Priority::normal;
    bool bypasses = false;  // writes to Redis itself: a foreign writer
    bool active = true;

    // What became of the commands that grow memory, since reset().
    std::int64_t passed = 0;
    std::int64_t held = 0;
    std::int64_t refused = 0;
    std::int64_t failed = 0;   // refused by Redis
    std::int64_t lasting = 0;  // bytes estimated of those that passed
    Nanos longest_hold = 0;
    std::array<std::int64_t, policy::cause_names.size()> refused_for{};

    [[nodiscard]] std::int64_t refused_because(policy::Cause cause) const {
        return refused_for[static_cast<std::size_t>(cause)];
    }
    void reset() {
        passed = held = refused = failed = lasting = longest_hold = 0;
        refused_for = {};
    }
};

// How INFO misbehaves.
struct Probe {
    Nanos latency_min = 0;
    Nanos latency_max = 2 * policy::millisecond;
    bool hangs = false;
    std::function<void(policy::MemorySample&)> lie;
};

class World {
  public:
    World(RedisModel::Settings redis, policy::GuardSettings guard, int proxies, std::uint64_t seed);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    Load& add(const Load& load);
    // Ends early when something that must hold does not; that is told to the test.
    void run(Nanos duration);
    // From now on, looked at each millisecond, beside what must hold in every world:
    //   nobody is refused or held by a guard that is blind
    //   critical commands are refused for the size of one write alone, and never held
    //   no command waits longer than hold_max
    //   what guards were charged and had not answered is exactly what is under way
    void must(std::string what, std::function<bool()> holds);
    void must_not_run_out_of_memory();
    void forget_musts() { musts_.clear(); }
    [[nodiscard]] bool failed() const noexcept { return failed_; }

    RedisModel redis;
    Probe probe;
    policy::GuardSettings settings;
    int shards = 2;                              // of each proxy; set before the first run()
    Nanos interval = 100 * policy::millisecond;  // of samples, as configured
    int commands_per_step = 80;                  // that Redis can execute

    [[nodiscard]] Nanos now() const noexcept { return now_; }
    [[nodiscard]] policy::GuardState state(std::size_t proxy = 0) const;
    [[nodiscard]] bool steady(std::size_t proxy = 0) const;
    [[nodiscard]] const policy::MemoryState& memory(std::size_t proxy = 0) const;
    [[nodiscard]] std::int64_t lasting_of(std::size_t proxy) const;
    [[nodiscard]] std::vector<std::int64_t> passed_by_connection() const;

  private:
    struct Connection;
    struct Shard;
    struct Proxy;
    struct Arrived {
        Connection* from = nullptr;
        Command command;
        std::int64_t charged = 0;
        std::int64_t lasting = 0;
        bool ran = false;
    };

    void start();
    void step();
    void deliver_replies();
    void sample(Proxy& proxy);
    void take(Proxy& proxy, const policy::MemorySample& sample);
    void publish(Proxy& proxy);
    void resume(Proxy& proxy, std::size_t shard);
    void issue(Connection& connection);
    [[nodiscard]] bool judge(Connection& connection);
    void send(Connection& connection, std::int64_t charged, std::int64_t lasting);
    void give_tokens();
    void let_clients_write();
    void serve();
    void forget_answered();
    void trace() const;
    [[nodiscard]] Command draw(const Load& load);
    void note_refusal(Load& load, const Shard& shard, policy::Cause cause);
    void look_at_everything();
    void fail(const std::string& what);

    struct Must {
        std::string what;
        std::function<bool()> holds;
    };
    std::vector<Must> musts_;
    bool failed_ = false;

    Random random_;
    std::vector<std::unique_ptr<Load>> loads_;
    std::vector<std::unique_ptr<Proxy>> proxies_;
    std::vector<std::unique_ptr<Connection>> connections_;
    // What has arrived at Redis; those before `served_` have run, and those before `answered_` were
    // answered.
    std::vector<Arrived> arrived_;
    std::size_t served_ = 0;
    std::size_t answered_ = 0;
    std::vector<Connection*> resuming_;
    Nanos now_ = policy::second;
    bool started_ = false;
    bool clients_come_ = false;
    bool traces_;  // SPILLWAY_SIM_TRACE is set: a line each so many milliseconds
    Nanos trace_every_ = 1;
};

}  // namespace spillway::sim
