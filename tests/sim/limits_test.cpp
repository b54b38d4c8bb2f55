// Limits on single writes, keys that may be evicted, and everything at once: by seed, against a
// model of Redis.
#include "tests/sim/simulation.hpp"

#include <string>

namespace spillway::sim {
namespace {

using policy::Cause;

class Limits : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Limits, seeds());

// Whatever the state of memory, what is larger is refused for that, and nothing else is.
TEST_P(Limits, WritesLargerThanWriteMaxAreRefusedAndNoOthers) {
    policy::GuardSettings guard = any_guard();
    guard.write_max_bytes = draw.number(1, 200) * 1024;
    RedisModel::Settings redis = any_redis();
    redis.policy = draw.one_of<const char*>({"noeviction", "allkeys-lru", "volatile-ttl"});
    World world(redis, guard, 1, seed);
    world.redis.fill(draw.share(0.1, 0.9), 2000);
    Load load = any_load();
    load.per_second = 2000;
    load.priority = draw.one_of({policy::Priority::normal, policy::Priority::critical});
    load.value_min = load.value_max = guard.write_max_bytes;
    Load& fits = world.add(load);
    load.value_min = guard.write_max_bytes + 1;
    load.value_max = 2 * guard.write_max_bytes;
    Load& does_not = world.add(load);
    world.must("only what is larger is refused for its size", [&] {
        return fits.refused_because(Cause::write_max) == 0 && does_not.passed == 0 &&
               does_not.refused == does_not.refused_because(Cause::write_max);
    });
    world.run(2 * second);
    EXPECT_GT(fits.passed, 0);
    EXPECT_GT(does_not.refused, 0);
}

// A cache at its limit: one write may not push out more than its share of the data.
TEST_P(Limits, AllKeysEvictsNoMoreThanItsShareForOneWrite) {
    policy::GuardSettings guard = any_guard();
    guard.evict_max = draw.share(0.05, 0.5);
    RedisModel::Settings redis = any_redis();
    redis.policy = draw.one_of<const char*>({"allkeys-lru", "allkeys-lfu", "allkeys-random"});
    World world(redis, guard, 1, seed);
    world.redis.fill(1.0, 1000);
    const auto data = static_cast<double>(redis.maxmemory - redis.base_bytes);
    const auto share = guard.evict_max * data;
    Load large{.connections = 1, .depth = 1, .per_second = 20};
    // Charged at twice and a half their size. What was evicted may have left room that is free.
    large.value_min = static_cast<std::int64_t>(share / 2.5 * 2.2);
    large.value_max = static_cast<std::int64_t>(share);
    Load& too_large = world.add(large);
    large.value_min = static_cast<std::int64_t>(share / 2.5 * 0.15);
    large.value_max = static_cast<std::int64_t>(share / 2.5 * 0.3);
    Load& fits = world.add(large);
    Load& small = world.add(any_load());
    world.must("what is too large is refused", [&] {
        return too_large.passed == 0 &&
               too_large.refused == too_large.refused_because(Cause::evict_max);
    });
    world.must("what fits is not refused", [&fits] { return fits.refused == 0; });
    world.must("small writes are not refused", [&small] { return small.refused == 0; });
    world.must("Redis answers no OOM", [&world] { return world.redis.ooms() == 0; });
    world.run(2 * second);
    EXPECT_GT(fits.passed, 0);
    EXPECT_GT(small.passed, 0);
    EXPECT_GT(too_large.refused, 0);
}

class Volatile : public Simulation {};
INSTANTIATE_TEST_SUITE_P(Seeds, Volatile, seeds());

// Memory is pinned at its limit while keys with a TTL last: growth is paced before they are gone.
TEST_P(Volatile, RunningOutOfKeysWithATtlIsPacedBeforeTheFirstOom) {
    policy::GuardSettings guard;
    guard.horizon = draw.one_of<Nanos>({second, 2 * second});
    RedisModel::Settings redis = any_redis();
    redis.maxmemory = std::min<std::int64_t>(redis.maxmemory, 64 * mib);
    redis.policy = draw.one_of<const char*>({"volatile-lru", "volatile-lfu", "volatile-random"});
    World world(redis, guard, 1, seed);
    const double lasting = draw.share(0.55, 0.8);
    world.redis.fill(lasting, 1000);
    world.redis.fill(1.0, 1000, 1000 * second);
    Load load = any_load();
    load.per_second = 0;
    load.value_min = 500;
    load.value_max = 2000;
    load.depth = std::min(load.depth, 16);
    Load& burst = world.add(load);
    bool paced = false;
    world.must("growth is slowed before the first OOM", [&] {
        paced = paced || burst.held + burst.refused > 0;
        return paced || world.redis.ooms() == 0;
    });
    for (int i = 0; i < 60 && !paced && !world.failed(); ++i) {  // one slow client takes its time
        world.run(second);
    }
    world.run(2 * second);
    EXPECT_TRUE(paced);
    EXPECT_GT(burst.passed, 0);
}

// Enough of them and a load that adds none but such: nobody is in the way.
TEST_P(Volatile, ACacheOfKeysWithATtlIsLeftAlone) {
    RedisModel::Settings redis = any_redis();
    redis.policy = draw.one_of<const char*>({"volatile-lru", "volatile-ttl"});
    World world(redis, any_guard(), draw.one_of<int>({1, 2}), seed);
    world.redis.fill(0.1, 1000);
    world.redis.fill(1.0, 1000, 1000 * second);
    Load load = any_load();
    load.ttl = draw.number(500, 5000) * second;
    load.depth = std::min(load.depth, 16);
    load.value_max = std::min<std::int64_t>(load.value_max, 4000);
    Load& cache = world.add(load);
    world.must("nothing is refused", [&] { return cache.refused == 0; });
    world.must("Redis answers no OOM", [&world] { return world.redis.ooms() == 0; });
    world.run(2 * second);
    EXPECT_GT(cache.passed, 0);
    EXPECT_LE(cache.held, cache.passed / 100 + 2);
}

// Whatever comes, one thing after another: what must hold in every world does, and when it is over
// service is back.
class Anything : public Simulation {
  protected:
    void turn(World& world, std::vector<Load*>& loads) {
        Load& load = *loads[static_cast<std::size_t>(
            draw.number(0, static_cast<std::int64_t>(loads.size()) - 1)
        )];
        switch (draw.number(0, 9)) {
            case 0:
            case 1:
                load.active = !load.active;
                break;
            case 2:
                load.adds = static_cast<int>(draw.number(0, 2));
                load.overwrites = static_cast<int>(draw.number(0, 2));
                load.removes = load.adds + load.overwrites == 0 ? 1 : 0;
                break;
            case 3:
                load.ttl = draw.number(0, 1) * draw.number(50, 3000) * millisecond;
                break;
            case 4:
                world.redis.free_share(draw.share(0.0, 0.7));
                break;
            case 5:
                world.redis.set_maxmemory(draw.number(8, 64) * mib);
                break;
            case 6:
                world.probe.hangs = draw.number(0, 2) == 0;
                break;
            case 7:
                world.probe.latency_max = draw.number(0, 100) * millisecond;
                break;
            case 8:
                world.redis.set_primary(draw.number(0, 2) != 0);
                break;
            case 9:
                world.redis.restart(
                    world.now(), draw.number(0, 300) * millisecond, draw.number(0, 1) == 0
                );
                break;
        }
    }
};
INSTANTIATE_TEST_SUITE_P(Seeds, Anything, seeds());

TEST_P(Anything, MayHappen) {
    policy::GuardSettings guard = any_guard();
    guard.stale_after = draw.number(200, 1000) * millisecond;
    guard.write_max_bytes = draw.number(0, 1) * draw.number(8, 400) * 1024;
    RedisModel::Settings redis = any_redis();
    redis.policy = draw.one_of<const char*>(
        {"noeviction", "noeviction", "allkeys-lru", "volatile-lru", "volatile-ttl"}
    );
    World world(redis, guard, draw.one_of<int>({1, 1, 2}), seed);
    world.redis.fill(draw.share(0.1, 0.98), draw.number(300, 3000), draw.number(0, 1) * second);
    std::vector<Load*> loads;
    for (int i = 0; i < 4; ++i) {
        Load load = any_load();
        load.priority = draw.one_of(
            {policy::Priority::normal, policy::Priority::critical, policy::Priority::sheddable}
        );
        load.bypasses = draw.number(0, 4) == 0;
        loads.push_back(&world.add(load));
    }
    for (int turns = 0; turns < 12 && !world.failed(); ++turns) {
        world.run(draw.number(1, 300) * millisecond);
        turn(world, loads);
    }
    // All is well again: a server that answers, with room.
    world.probe.hangs = false;
    world.probe.latency_max = millisecond;
    world.redis.set_primary(true);
    world.redis.set_maxmemory(128 * mib);
    world.redis.free_share(1.0);
    for (Load* load : loads) {
        load->active = false;
    }
    Load& after = world.add({.connections = 2, .depth = 4, .per_second = 1000});
    world.run(second);
    after.reset();
    world.run(second / 2);
    EXPECT_GT(after.passed, 0);
    EXPECT_EQ(after.refused + after.held + after.failed, 0);
    EXPECT_EQ(world.state(), policy::GuardState::plenty);
}

// Memory near a large ceiling that comes and goes by more than a small load writes: by clients that
// connect, replies, values of others.
TEST_P(Anything, MemoryThatWobblesIsNotHeldAgainstASmallLoad) {
    RedisModel::Settings redis;
    redis.maxmemory = 4096 * mib;
    redis.base_bytes = static_cast<std::int64_t>(draw.share(0.975, 0.985) * 4096) * mib;
    redis.noise_bytes = 0;
    redis.wobble_bytes = draw.one_of<std::int64_t>({1, 2, 2}) * mib;
    redis.wobble_every = draw.one_of<Nanos>({10, 50, 200, 1000}) * millisecond;
    World world(redis, policy::GuardSettings{}, 1, seed);
    world.redis.fill(0.0, 1000);
    Load& small = world.add(
        {.connections = 2,
         .depth = 1,
         .per_second = 10,
         .adds = 0,
         .overwrites = 1,
         .value_min = 900,
         .value_max = 1100}
    );
    world.must("nothing is refused", [&] { return small.refused == 0; });
    world.must("nothing is held", [&] { return small.held == 0; });
    world.run(20 * second);
    EXPECT_GT(small.passed, 100);
}

}  // namespace
}  // namespace spillway::sim
