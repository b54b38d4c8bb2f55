// What samples grant, and the real meter and guard against a small model of Redis, by seed.
#include "policy/meter.hpp"

#include "policy/guard.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;

MemorySample sample_of(std::int64_t used, Nanos at, std::string_view policy = "noeviction") {
    MemorySample sample;
    sample.asked_at = sample.answered_at = at;
    sample.used_memory = used;
    sample.used_memory_dataset = used - 2 * mib;
    sample.maxmemory = 64 * mib;
    sample.policy = policy;
    sample.family = eviction_family(policy);
    sample.keys = 1000;
    sample.evicted_keys = 0;
    sample.run_id = "a";
    return sample;
}

Meter::Reading read(Meter& meter, const MemorySample& sample) {
    return meter.on_sample(sample, {}, {}, 0, sample.asked_at);
}

TEST(Meter, ZonesFollowTheForecast) {
    Meter meter{GuardSettings{}};
    EXPECT_EQ(read(meter, sample_of(10 * mib, second)).state.state, GuardState::plenty);
    const auto reading = read(meter, sample_of(60 * mib, 600 * second));
    EXPECT_EQ(reading.state.state, GuardState::paced);
    EXPECT_TRUE(reading.steady) << "nothing was learned yet";
    EXPECT_EQ(read(meter, sample_of(63 * mib, 1200 * second)).state.state, GuardState::reserve);
}

TEST(Meter, UnaccountedGrowthComesOffTheRoom) {
    Meter meter{GuardSettings{}};
    const auto reading = meter.on_sample(
        sample_of(10 * mib, second), {.answered = 5 * mib}, {.charged = 25 * mib}, 0, second
    );
    EXPECT_EQ(reading.grant.room, 64 * mib - 10 * mib - 20 * mib);
}

TEST(Meter, AnAllKeysServerAtItsCeilingIsLeftAlone) {
    Meter meter{GuardSettings{}};
    const auto reading = read(meter, sample_of(64 * mib, second, "allkeys-lru"));
    EXPECT_EQ(reading.state.state, GuardState::plenty);
    EXPECT_GT(reading.grant.open, 40 * mib);
}

TEST(Meter, VolatileCountsOnlyKeysWithATtlAndUnlearnsThemAfterAnOom) {
    Meter meter{GuardSettings{}};
    MemorySample sample = sample_of(64 * mib, second, "volatile-lru");
    sample.expires = 800;
    EXPECT_NEAR(
        static_cast<double>(read(meter, sample).state.evictable), 62.0 * mib * 0.8 * 0.5, mib
    );
    meter.on_backend_oom(second);
    sample.asked_at += second;
    EXPECT_EQ(read(meter, sample).state.evictable, 0);
    sample.asked_at += second;
    sample.evicted_keys = 5;
    EXPECT_GT(read(meter, sample).state.evictable, 0) << "evictions are seen again";
}

TEST(Meter, StandsAsideWithAReason) {
    Meter meter{GuardSettings{}};
    EXPECT_EQ(meter.without_sample(second, "no sample yet").state.state, GuardState::blind);
    const auto blind = [&](auto change) {
        MemorySample sample = sample_of(63 * mib, second);
        change(sample);
        const auto reading = read(meter, sample);
        EXPECT_EQ(reading.grant.open, Grant::unlimited);
        EXPECT_FALSE(reading.state.reason.empty());
        return reading.state.state == GuardState::blind;
    };
    EXPECT_TRUE(blind([](MemorySample& s) { s.maxmemory = 0; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.maxmemory = -1; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.used_memory = -1; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.not_counted_for_evict = 100 * mib; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.loading = true; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.primary = false; }));
}

TEST(Meter, GoesBlindOnlyWhenTheNewestSampleIsStale) {
    Meter meter{GuardSettings{}};
    (void)read(meter, sample_of(63 * mib, second));
    EXPECT_EQ(meter.without_sample(3 * second, "late").state.state, GuardState::reserve);
    EXPECT_EQ(meter.without_sample(4 * second + 1, "late").state.state, GuardState::blind);
}

TEST(Meter, TellsTheTimeToTheCeilingWhileMemoryGrows) {
    Meter meter{GuardSettings{}};
    Meter::Reading reading;
    for (int i = 0; i <= 8; ++i) {
        reading = read(meter, sample_of(10 * mib + i * mib, second + i * 250 * millisecond));
    }
    EXPECT_NEAR(reading.state.growth_bytes_per_s, 4.0 * mib, 0.1 * mib);
    ASSERT_TRUE(reading.state.time_to_ceiling_s.has_value());
    EXPECT_NEAR(*reading.state.time_to_ceiling_s, (64.0 - 18.0) / 4.0, 0.5);
    for (int i = 0; i <= 20; ++i) {
        reading = read(meter, sample_of(18 * mib, 4 * second + i * 250 * millisecond));
    }
    EXPECT_FALSE(reading.state.time_to_ceiling_s.has_value());
}

// One shard in front of a Redis that executes each command a little after it was sent. Memory is
// counted in bytes; an adding write gains what it was estimated at or less, an overwriting one
// nothing.
struct Model {
    explicit Model(std::uint64_t seed) : random(seed) {}

    // A millisecond of demand: `writes` of about a kilobyte.
    void step(int writes, bool adds) {
        now += millisecond;
        for (const Sent& done : under_way) {
            used += done.gain;
            guard.settle(done.charged, done.charged);
        }
        under_way.clear();
        peak = std::max(peak, used);
        if (now >= next_sample) {
            take_sample();
        }
        for (int i = 0; i < writes; ++i) {
            const Cost cost{
                .charge = std::uniform_int_distribution<std::int64_t>(800, 2000)(random),
                .lasting = 0,
                .large = false};
            const bool passes =
                guard.quick(cost) ||
                guard.judge(cost, 1000, Priority::normal, now, waiting).verdict == Verdict::pass;
            ++(passes ? passed : stopped);
            if (!passes) {
                continue;
            }
            const double share = std::uniform_real_distribution<double>(0.6, 1.0)(random);
            under_way.push_back(
                {cost.charge,
                 adds ? static_cast<std::int64_t>(static_cast<double>(cost.charge) * share) : 0}
            );
        }
        guard.flush();
        if (waiting.since != 0 && now - waiting.since >= settings.hold_max) {
            waiting.since = 0;
        }
        if (guard.take_sample_wish()) {
            next_sample = std::min(next_sample, now + 2 * millisecond);
        }
    }
    void take_sample() {
        const TrafficCounters at_ask = counters();
        const std::int64_t open_left = pool.open();
        pool.freeze();
        const std::int64_t noise = std::uniform_int_distribution<std::int64_t>(-40'000, 0)(random);
        const auto reading =
            meter.on_sample(sample_of(used + noise, now), at_ask, counters(), open_left, now);
        pool.grant(reading.grant);
        guard.publish(
            {.state = reading.state.state,
             .family = EvictionFamily::noeviction,
             .steady = reading.steady,
             .ceiling = reading.state.ceiling,
             .counted = reading.state.counted,
             .evictable = 0}
        );
        next_sample = now + meter.next_interval(100 * millisecond);
    }
    [[nodiscard]] TrafficCounters counters() const {
        return {
            .charged = cells.charged.load(),
            .answered = cells.answered.load(),
            .spent = cells.spent.load(),
            .grown = cells.grown.load(),
            .refused = cells.refused.load()};
    }
    void reset_counts() { passed = stopped = 0; }

    struct Sent {
        std::int64_t charged;
        std::int64_t gain;
    };
    std::mt19937_64 random;
    GuardSettings settings;
    CreditPool pool;
    TrafficCells cells;
    Guard guard{pool, cells, settings};
    Meter meter{settings};
    Waiting waiting;
    std::vector<Sent> under_way;
    Nanos now = second;
    Nanos next_sample = second;
    std::int64_t used = 3 * mib;
    std::int64_t peak = 0;
    std::int64_t passed = 0;
    std::int64_t stopped = 0;
};

class MeterModel : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, MeterModel, testing::Range<std::uint64_t>(1, 21));

TEST_P(MeterModel, ABurstNeverPassesTheCeilingAndUsesWhatWasPaidFor) {
    Model model(GetParam());
    for (int i = 0; i < 30'000; ++i) {
        model.step(20, true);
    }
    EXPECT_LE(model.peak, 64 * mib);
    EXPECT_GE(model.used, static_cast<std::int64_t>(0.96 * 64 * mib)) << "within three horizons";
    EXPECT_LE(model.used, static_cast<std::int64_t>(0.99 * 64 * mib)) << "the reserve is kept";
}

TEST_P(MeterModel, OverwritingAt98PercentIsNotRefused) {
    Model model(GetParam());
    model.used = static_cast<std::int64_t>(0.98 * 64 * mib);
    for (int i = 0; i < 5'000; ++i) {
        model.step(20, false);
    }
    EXPECT_GT(model.passed, 0);
    EXPECT_LT(static_cast<double>(model.stopped), 0.01 * static_cast<double>(model.passed));
}

TEST_P(MeterModel, ServiceReturnsWithinASecondAfterABurst) {
    Model model(GetParam());
    for (int i = 0; i < 40'000; ++i) {
        model.step(20, true);
    }
    for (int i = 0; i < 500; ++i) {
        model.step(0, false);
    }
    for (int i = 0; i < 1'000; ++i) {
        model.step(5, false);
    }
    model.reset_counts();
    for (int i = 0; i < 1'000; ++i) {
        model.step(5, false);
    }
    EXPECT_LT(static_cast<double>(model.stopped), 0.01 * static_cast<double>(model.passed));
}

TEST_P(MeterModel, ServiceReturnsAtOnceWhenMemoryIsFreed) {
    Model model(GetParam());
    for (int i = 0; i < 40'000; ++i) {
        model.step(20, true);
    }
    model.used = 20 * mib;
    for (int i = 0; i < 200; ++i) {
        model.step(5, true);
    }
    model.reset_counts();
    for (int i = 0; i < 500; ++i) {
        model.step(5, true);
    }
    EXPECT_EQ(model.stopped, 0);
}

}  // namespace
}  // namespace spillway::policy
