// What must hold of the guard whatever happens: random schedules, by seed, against a model of
// Redis.
#include "tests/sim/simulation.hpp"

#include <limits>

namespace spillway::sim {
namespace {

// 1, and 8 with it: a burst of whatever shape ends below the ceiling, and near to shed_at.
class Burst : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Burst, seeds());

TEST_P(Burst, NeverPassesTheCeilingAndUsesWhatWasPaidFor) {
    const policy::GuardSettings guard = any_guard();
    World world(any_redis(), guard, 1, seed);
    world.shards = static_cast<int>(draw.number(1, 4));
    world.redis.fill(draw.share(0.05, 0.96), draw.number(200, 4000));
    Load load = any_load();
    load.overwrites = static_cast<int>(draw.number(0, 2));
    load.removes = draw.number(0, 3) == 0 ? 1 : 0;
    load.adds = load.removes + static_cast<int>(draw.number(1, 3));
    if (draw.number(0, 4) == 0) {
        load.value_max = draw.number(40, 400) * 1024;
    }
    Load& burst = world.add(load);
    const double before = world.redis.share();
    world.must_not_run_out_of_memory();
    world.run(std::max<Nanos>(3 * guard.horizon, second) + 4 * second);
    EXPECT_GT(burst.passed, 0);
    if (burst.refused > 0 && load.value_max < large_value_bytes) {
        EXPECT_GE(world.redis.share(), std::max(0.955, before - 0.01)) << "refused too early";
    }
    if (load.value_max < large_value_bytes && world.redis.maxmemory() >= 32 * mib) {
        EXPECT_LE(world.redis.share(), 0.998) << "the reserve was eaten";
    }
}

TEST_P(Burst, ClimbsWithinThreeHorizons) {
    policy::GuardSettings guard;
    guard.horizon = draw.one_of<Nanos>({second, 2 * second});
    RedisModel::Settings redis = any_redis();
    redis.maxmemory = std::min(redis.maxmemory, 64 * mib);
    World world(redis, guard, draw.one_of<int>({1, 1, 2, 4}), seed);
    world.redis.fill(0.85, 1000);
    Load load = any_load();
    load.per_second = 0;
    load.depth = std::max(load.depth, 4);  // so that it is the guard who sets the pace
    load.value_min = 1000;
    load.value_max = 4000;
    world.add(load);
    world.run(3 * guard.horizon);
    EXPECT_GE(world.redis.share(), guard.shed_at - 0.01);
}

// 4 and 5: loads that add nothing are left alone.
class Steady : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Steady, seeds(some_seeds));

TEST_P(Steady, OverwritingIsNeitherRefusedNorHeld) {
    RedisModel::Settings redis = any_redis();
    redis.maxmemory = std::max(redis.maxmemory, 32 * mib);
    World world(redis, any_guard(), draw.one_of<int>({1, 2, 4}), seed);
    world.shards = static_cast<int>(draw.number(1, 4));
    Load load = any_load();
    load.adds = 0;
    load.overwrites = 1;
    if (draw.number(0, 1) == 0) {  // or adding and removing as much
        load.adds = load.removes = 1;
    }
    load.connections = std::min(load.connections, 4);
    load.value_min = 300;
    load.value_max = 1500;
    load.depth = std::min(load.depth, 4);
    Load& steady = world.add(load);
    world.redis.fill(draw.share(0.9, 0.98), 1000);
    world.must_not_run_out_of_memory();
    world.must("nothing is refused", [&steady] { return steady.refused == 0; });
    world.run(4 * second);
    EXPECT_GT(steady.passed, 0);
    EXPECT_LE(steady.held, steady.passed / 100 + 2);
}

TEST_P(Steady, AnAllKeysCacheAtItsLimitIsLeftAlone) {
    RedisModel::Settings redis = any_redis();
    redis.policy = draw.one_of<const char*>({"allkeys-lru", "allkeys-lfu", "allkeys-random"});
    World world(redis, any_guard(), draw.one_of<int>({1, 2, 4}), seed);
    world.redis.fill(1.0, 1000);
    Load load = any_load();
    load.depth = std::min(load.depth, 16);
    load.value_max = std::min<std::int64_t>(load.value_max, 4000);
    load.overwrites = static_cast<int>(draw.number(0, 1));
    Load& cache = world.add(load);
    world.must("Redis answers no OOM", [&world] { return world.redis.ooms() == 0; });
    world.must("nothing is refused or held", [&cache] { return cache.refused + cache.held == 0; });
    world.run(2 * second);
    EXPECT_GT(cache.passed, 0);
}

// Others fill the server while or until we only overwrite: their growth is not ours.
TEST_P(Steady, OverwritingAfterOthersFilledTheServerIsNotRefused) {
    RedisModel::Settings redis = any_redis();
    redis.maxmemory = std::max(redis.maxmemory, 32 * mib);
    World world(redis, any_guard(), 1, seed);
    world.redis.fill(0.6, 1000);
    Load& others =
        world.add({.connections = 4, .depth = 32, .per_second = 15'000, .bypasses = true});
    Load load = any_load();
    load.adds = 0;
    load.overwrites = 1;
    load.value_min = 300;
    load.value_max = 1500;
    load.active = false;
    Load& ours = world.add(load);
    ours.depth = std::min(ours.depth, 16);
    const double until = draw.share(0.9, 0.98);
    while (world.redis.share() < until) {
        world.run(millisecond);
    }
    others.active = false;
    world.run(draw.number(0, 300) * millisecond);
    ours.active = true;
    world.must("nothing is refused", [&ours] { return ours.refused == 0; });
    world.run(2 * second);
    EXPECT_GT(ours.passed, 0);
    EXPECT_LE(ours.longest_hold, 50 * millisecond);
}

// 6: consumers are critical, producers come at twice their rate.
class Queue : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Queue, seeds(some_seeds));

TEST_P(Queue, ConsumersNeverFailAndTheBacklogShrinks) {
    RedisModel::Settings redis = any_redis();
    redis.maxmemory = std::max(redis.maxmemory, 64 * mib);
    World world(redis, any_guard(), draw.one_of<int>({1, 2}), seed);
    world.redis.fill(draw.share(0.5, 0.98), 2000);
    const double drain = draw.share(1000, 8000);
    // Takes one element off and notes that it did: a move costs next to nothing.
    Load& consumers = world.add(
        {.connections = 4,
         .depth = 8,
         .per_second = 2 * drain,
         .adds = 0,
         .removes = 1,
         .moves = 1,
         .priority = policy::Priority::critical}
    );
    Load& producers = world.add(
        {.connections = 8,
         .depth = 16,
         .per_second = 2 * drain,
         .value_min = 1500,
         .value_max = 2500}
    );
    world.must("Redis answers no OOM", [&world] { return world.redis.ooms() == 0; });
    world.must("no consumer fails", [&consumers] {
        return consumers.refused + consumers.failed + consumers.held == 0;
    });
    world.run(8 * second);
    const std::size_t backlog = world.redis.keys();
    producers.per_second = drain / 4;
    world.run(2 * second);
    EXPECT_LT(world.redis.keys(), backlog);
}

// 7: relief of whatever kind.
class Relief : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Relief, seeds());

TEST_P(Relief, ServiceReturnsWithinASecondAndStays) {
    const int proxies = draw.one_of<int>({1, 1, 2, 4});
    RedisModel::Settings redis = any_redis();
    redis.maxmemory = std::max(redis.maxmemory, proxies * 16 * mib);
    World world(redis, any_guard(), proxies, seed);
    world.redis.fill(0.9, 1000);
    Load& burst = world.add(any_load());
    burst.per_second = 0;
    burst.depth = std::min(burst.depth, 16);
    // What it adds in all this time is a twentieth of the ceiling, or less.
    const double per_second =
        std::min(2000.0, 0.05 * static_cast<double>(world.redis.maxmemory()) / 1500 / 4 / proxies);
    Load& after = world.add(
        {.connections = 4,
         .depth = 4,
         .per_second = per_second,
         .value_min = 300,
         .value_max = 1500}
    );
    after.active = false;
    world.run(5 * second);
    burst.active = false;
    world.run(700 * millisecond);
    after.active = true;
    Nanos until_served = second;
    // At the ceiling itself nothing may pass before something is freed.
    switch (draw.number(0, world.redis.share() < 0.99 ? 2 : 1)) {
        case 0:  // what filled memory is removed
            world.redis.free_share(draw.share(0.3, 0.8));
            break;
        case 1:  // more memory is given
            world.redis.set_maxmemory(2 * world.redis.maxmemory());
            break;
        case 2:  // those who come now only overwrite
            after.adds = 0;
            after.overwrites = 1;
            after.per_second = 2000;
            // Each proxy has to find out by itself, by probes that look like the others' growth.
            until_served = proxies > 1 ? 3 * second : second;
            break;
    }
    world.run(until_served);
    after.reset();
    world.run(3 * second);
    EXPECT_GT(after.passed, 0);
    EXPECT_EQ(after.refused, 0);
    EXPECT_LE(after.held, after.passed / 20 + 2);
}

// 9: whatever INFO says or does not say.
class Info : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Info, seeds());

TEST_P(Info, IsSilentAndTheGuardStandsAside) {
    policy::GuardSettings guard = any_guard();
    guard.stale_after = draw.number(200, 3000) * millisecond;
    World world(any_redis(), guard, 1, seed);
    world.redis.fill(0.99, 1000);
    Load& burst = world.add(any_load());
    world.run(second);
    world.probe.hangs = true;
    world.run(world.settings.stale_after + 200 * millisecond);
    EXPECT_EQ(world.state(), policy::GuardState::blind);
    burst.reset();
    world.run(500 * millisecond);
    EXPECT_EQ(burst.refused + burst.held, 0);
    world.probe.hangs = false;
    world.run(200 * millisecond);
    EXPECT_NE(world.state(), policy::GuardState::blind);
}

TEST_P(Info, LiesAndTheWallFallsWithTheLie) {
    World world(any_redis(), any_guard(), 1, seed);
    world.redis.fill(draw.share(0.1, 0.6), 1000);
    Load load = any_load();
    load.per_second = 1000;
    load.adds = 0;
    load.overwrites = 1;
    Load& clients = world.add(load);
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    world.probe.lie = [this](policy::MemorySample& sample) {
        const auto wild = [this] {
            return draw.one_of<std::int64_t>({0, 1, -1, 1 << 20, most, most / 2, most / 1000});
        };
        for (std::int64_t* field :
             {&sample.used_memory,
              &sample.maxmemory,
              &sample.not_counted_for_evict,
              &sample.keys,
              &sample.expires,
              &sample.evicted_keys,
              &sample.clients_normal_bytes,
              &sample.connected_clients,
              &sample.used_memory_dataset}) {
            if (draw.number(0, 9) == 0) {
                *field = wild();
            }
        }
    };
    world.run(2 * second);
    world.probe.lie = nullptr;
    world.run(second);
    clients.reset();
    world.run(second);
    EXPECT_EQ(clients.refused + clients.held, 0);
}

TEST_P(Info, IsSlowAndNobodyPaysForIt) {
    World world(any_redis(), any_guard(), 1, seed);
    world.probe.latency_min = 20 * millisecond;
    world.probe.latency_max = draw.number(50, 400) * millisecond;
    world.redis.fill(draw.share(0.85, 0.97), 1000);
    Load load = any_load();
    Load& burst = world.add(load);
    world.must("memory stays below the ceiling", [&world] {
        return world.redis.peak() <= world.redis.maxmemory();
    });
    world.run(4 * second);
    EXPECT_GT(burst.passed, 0);
}

TEST_P(Info, TellsOfARestartOrAnotherRole) {
    World world(any_redis(), any_guard(), 1, seed);
    world.redis.fill(0.95, 1000);
    Load& burst = world.add(any_load());
    world.run(2 * second);
    burst.active = false;
    const bool restarts = draw.number(0, 1) == 0;
    if (restarts) {
        world.redis.restart(world.now(), draw.number(0, 500) * millisecond, false);
        world.run(600 * millisecond);
    } else {
        world.redis.set_primary(false);
        world.run(300 * millisecond);
        EXPECT_EQ(world.state(), policy::GuardState::blind);
    }
    burst.active = true;
    burst.reset();
    burst.per_second = 2000;
    // Each connection has saved up a few pipelines, which may fill a small server again: from then
    // on, as a sample can show it, growth is refused for what there is and not for what was.
    const auto shed = static_cast<std::int64_t>(
        world.settings.shed_at * static_cast<double>(world.redis.maxmemory())
    );
    world.redis.reset_peak();
    world.must("nothing is refused for what was", [&] {
        return burst.refused == 0 || (restarts && world.redis.peak() >= shed);
    });
    world.run(200 * millisecond);
    EXPECT_GT(burst.passed, 0);
}

// Several proxies know nothing of each other, and there may be writers that pass none.
class Shared : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Shared, seeds(some_seeds));

TEST_P(Shared, EqualProxiesSettleBelowTheCeilingAndShareAlike) {
    policy::GuardSettings guard;
    guard.horizon = draw.one_of<Nanos>({second, 2 * second});
    const auto proxies = draw.one_of<std::size_t>({1, 2, 4, 16});
    RedisModel::Settings redis;
    redis.maxmemory = 64 * mib;
    World world(redis, guard, static_cast<int>(proxies), seed);
    world.shards = 1;
    world.redis.fill(draw.share(0.7, 0.86), 1000);
    Load load = any_load();
    load.connections = static_cast<int>(draw.number(1, 4));
    load.depth = std::clamp(load.depth, 4, 16);
    load.per_second = 0;
    load.value_min = 500;
    load.value_max = 2000;
    Load& burst = world.add(load);
    while (world.redis.share() < guard.throttle_at) {
        world.run(millisecond);
    }
    world.run(3 * guard.horizon + second);
    // What many proxies have under way is more than each of them can know of.
    const double tolerated = proxies <= 4 ? 1.0 : 1.002;
    EXPECT_LE(
        static_cast<double>(world.redis.peak()),
        tolerated * static_cast<double>(world.redis.maxmemory())
    );
    EXPECT_LE(burst.failed, proxies <= 4 ? 0 : burst.passed / 40);
    EXPECT_GE(world.redis.share(), guard.shed_at - 0.015);
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    std::int64_t most = 0;
    for (std::size_t i = 0; i < proxies; ++i) {
        least = std::min(least, world.lasting_of(i));
        most = std::max(most, world.lasting_of(i));
    }
    EXPECT_LE(most, 3 * least + 64 * 1024);
}

TEST_P(Shared, AForeignWriterIsMadeRoomFor) {
    policy::GuardSettings guard;
    guard.horizon = 2 * second;
    RedisModel::Settings redis;
    redis.maxmemory = 64 * mib;
    World world(redis, guard, 1, seed);
    world.redis.fill(0.85, 1000);
    Load load = any_load();
    load.per_second = 0;
    world.add(load);
    // In all this time it adds a hundredth of the ceiling: a third of the reserve.
    world.add(
        {.connections = 1,
         .depth = 4,
         .per_second = 0.01 * 64 * mib / 6 / 1200,
         .value_min = 1000,
         .value_max = 1000,
         .bypasses = true}
    );
    world.must_not_run_out_of_memory();
    world.run(6 * second);
}

// However long one client's pipeline is.
TEST_P(Shared, NoBurstStarvesAnotherClient) {
    policy::GuardSettings guard;
    guard.horizon = 4 * second;
    RedisModel::Settings redis;
    redis.maxmemory = 64 * mib;
    World world(redis, guard, 1, seed);
    world.shards = 1;
    world.redis.fill(0.86, 1000);
    Load& greedy =
        world.add({.connections = 1, .depth = 400, .value_min = 1000, .value_max = 1000});
    Load& modest = world.add({.connections = 3, .depth = 1, .value_min = 1000, .value_max = 1000});
    world.run(500 * millisecond);
    EXPECT_GT(modest.passed, 0);
    EXPECT_LE(modest.longest_hold, guard.hold_max + 10 * millisecond);
    EXPECT_LE(greedy.longest_hold, guard.hold_max + 10 * millisecond);
}

}  // namespace
}  // namespace spillway::sim
