// What samples mean and grant; tests/sim/ drives the meter through whole schedules.
#include "policy/meter.hpp"

#include <limits>

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
    meter.on_backend_oom(second + millisecond);
    sample.asked_at += 100 * millisecond;
    EXPECT_EQ(read(meter, sample).state.evictable, 0);
    sample.asked_at += 100 * millisecond;
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
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    EXPECT_TRUE(blind([](MemorySample& s) { s.used_memory = most; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.maxmemory = most; }));
    EXPECT_TRUE(blind([](MemorySample& s) { s.total_system_memory = mib; }));
}

TEST(Meter, GoesBlindOnlyWhenTheNewestSampleIsStale) {
    Meter meter{GuardSettings{}};
    (void)read(meter, sample_of(63 * mib, second));
    EXPECT_EQ(meter.without_sample(3 * second, "late").state.state, GuardState::reserve);
    EXPECT_EQ(meter.without_sample(4 * second + 1, "late").state.state, GuardState::blind);
}

TEST(Meter, KnowsNothingOfANewServer) {
    Meter meter{GuardSettings{}};
    EXPECT_EQ(read(meter, sample_of(64 * mib, second)).state.state, GuardState::ceiling);
    meter.change_server();
    const auto reading = meter.without_sample(second + millisecond, "the backend has changed");
    EXPECT_EQ(reading.state.state, GuardState::blind);
    EXPECT_EQ(reading.state.reason, "the backend has changed");
    EXPECT_FALSE(reading.state.sampled);
    EXPECT_EQ(reading.grant.open, Grant::unlimited);
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

// What others wrote while we did nothing is theirs for the first moments in which we do something.
TEST(Meter, GrowthOfOthersIsNotHeldAgainstThoseWhoComeAfterThem) {
    Meter meter{GuardSettings{}};
    TrafficCounters ours;
    Nanos at = second;
    std::int64_t used = 55 * mib;
    Meter::Reading reading;
    for (int i = 0; i < 20; ++i, at += 50 * millisecond) {
        used += mib / 4;
        reading = meter.on_sample(sample_of(used, at), ours, ours, 0, at);
    }
    EXPECT_GT(reading.state.foreign_growth_bytes_per_s, 4.0 * mib);
    for (int i = 0; i < 4; ++i, at += 50 * millisecond) {
        used += i < 2 ? mib / 4 : 0;  // they end, and we overwrite
        ours.charged = ours.spent = ours.answered = ours.grown += 100'000;
        reading = meter.on_sample(sample_of(used, at), ours, ours, 0, at);
        EXPECT_TRUE(reading.steady) << i;
    }
}

TEST(Meter, TheSameGrowthIsOursWhenItComesWithOurCommands) {
    Meter meter{GuardSettings{}};
    TrafficCounters ours;
    Nanos at = second;
    std::int64_t used = 55 * mib;
    Meter::Reading reading;
    for (int i = 0; i < 20; ++i, at += 50 * millisecond) {
        used += mib / 4;
        ours.charged = ours.spent = ours.answered = ours.grown += mib / 4;
        reading = meter.on_sample(sample_of(used, at), ours, ours, 0, at);
    }
    EXPECT_FALSE(reading.steady);
    EXPECT_NEAR(reading.state.learned_ratio, 1.0, 0.1);
}

// However long it goes on, which is when doubt in its favour would weigh least.
TEST(Meter, ALoadThatAddsASeventhIsNotSteady) {
    for (const std::int64_t gain : {16'000, 30'000}) {
        Meter meter{GuardSettings{}};
        TrafficCounters ours;
        Nanos at = second;
        std::int64_t used = 55 * mib;
        Meter::Reading reading;
        for (int i = 0; i < 100; ++i, at += 50 * millisecond) {
            used += gain;
            ours.charged = ours.spent = ours.answered = ours.grown += 200'000;
            reading = meter.on_sample(sample_of(used, at), ours, ours, 0, at);
        }
        EXPECT_EQ(reading.steady, gain == 16'000) << gain;
    }
}

// The server runs commands before it answers them: neither what is gained nor what is estimated may
// be lost in between.
TEST(Meter, GainsThatAreSeenBeforeTheAnswersCountAllTheSame) {
    Meter meter{GuardSettings{}};
    TrafficCounters at_ask;
    Nanos at = second;
    std::int64_t used = 55 * mib;
    (void)meter.on_sample(sample_of(used, at), at_ask, at_ask, 0, at);
    Meter::Reading reading;
    for (int i = 0; i < 6; ++i) {
        TrafficCounters sent = at_ask;
        sent.charged = sent.spent += 500'000;
        used += 450'000;
        at += 2 * millisecond;
        (void)meter.on_sample(sample_of(used, at), at_ask, sent, 0, at);
        at_ask = sent;
        at_ask.answered = at_ask.grown = sent.spent;
        at += 2 * millisecond;
        reading = meter.on_sample(sample_of(used, at), at_ask, at_ask, 0, at);
    }
    EXPECT_FALSE(reading.steady);
    EXPECT_NEAR(reading.state.learned_ratio, 0.9, 0.15);
}

TEST(Meter, ALoadThatCeasedToAddIsFoundOutEvenWhereLittlePasses) {
    Meter meter{GuardSettings{}};
    TrafficCounters ours;
    Nanos at = second;
    std::int64_t used = 50 * mib;
    for (int i = 0; i < 40; ++i, at += 50 * millisecond) {
        used += mib / 4;
        ours.charged = ours.spent = ours.answered = ours.grown += mib / 4;
        (void)meter.on_sample(sample_of(used, at), ours, ours, 0, at);
    }
    Meter::Reading reading;
    for (int i = 0; i < 20; ++i, at += 50 * millisecond) {
        ours.charged = ours.spent = ours.answered = ours.grown += 20'000;
        reading = meter.on_sample(sample_of(used, at), ours, ours, 0, at);
    }
    EXPECT_TRUE(reading.steady);
}

TEST(Meter, ATableThatIsAboutToDoubleComesOffTheRoom) {
    Meter meter{GuardSettings{}};
    TrafficCounters ours;
    Meter::Reading reading;
    for (int i = 0; i < 10; ++i) {
        const Nanos at = second + i * 100 * millisecond;
        MemorySample sample = sample_of(50 * mib + i * mib / 8, at);
        sample.server = "redis 7.0.15";
        sample.keys = sample.databases[0].keys = 65'000 - (9 - i) * 500;
        ours.charged = ours.spent = ours.answered = ours.grown += mib / 8;
        reading = meter.on_sample(sample, ours, ours, 0, at);
    }
    EXPECT_EQ(reading.grant.room, 64 * mib - reading.state.counted - mib)
        << "the table of 65536 keys doubles within a quarter of a second";
}

TEST(Meter, ASampleThatTookTooLongIsNoEvidence) {
    Meter meter{GuardSettings{}};
    const MemorySample sample = sample_of(63 * mib, second);
    const auto reading = meter.on_sample(sample, {}, {}, 0, 5 * second);
    EXPECT_EQ(reading.state.state, GuardState::blind);
    EXPECT_EQ(reading.grant.open, Grant::unlimited);
}

TEST(Meter, RefusingForLongNeedsFreshEvidence) {
    GuardSettings settings;
    settings.stale_after = 30 * second;
    Meter meter{settings};
    Nanos at = second;
    for (; at < 55 * second; at += second) {
        (void)read(meter, sample_of(64 * mib, at));
    }
    EXPECT_EQ(meter.without_sample(at + second, "late").state.state, GuardState::ceiling);
    for (; at < 70 * second; at += second) {
        (void)read(meter, sample_of(64 * mib, at));
    }
    EXPECT_EQ(meter.without_sample(at + second, "late").state.state, GuardState::blind);
}

TEST(Meter, ALimitBelowAnEmptyServerIsNoneThatCouldBeGuarded) {
    GuardSettings settings;
    Meter meter{settings};
    MemorySample sample = sample_of(2 * mib, second);
    sample.used_memory_startup = mib;
    sample.maxmemory = mib - 1;
    EXPECT_EQ(read(meter, sample).state.state, GuardState::blind);
    sample.maxmemory = mib;
    EXPECT_EQ(read(meter, sample).state.state, GuardState::ceiling);
}

TEST(Meter, AServerWithoutALimitIsAskedSeldom) {
    GuardSettings settings;
    Meter meter{settings};
    MemorySample sample = sample_of(2 * mib, second);
    (void)read(meter, sample);
    EXPECT_EQ(meter.next_interval(100 * millisecond), 100 * millisecond);
    sample.maxmemory = 0;
    (void)read(meter, sample);
    EXPECT_EQ(meter.next_interval(100 * millisecond), second);
}

TEST(Meter, ASampleIsAskedForBeforeTheLastOneIsStale) {
    GuardSettings settings;
    settings.stale_after = second;
    Meter meter{settings};
    (void)read(meter, sample_of(10 * mib, second));
    EXPECT_LE(meter.next_interval(10 * second), second / 2);
    (void)read(meter, sample_of(10 * mib, 100 * second));
    EXPECT_LE(meter.next_interval(100 * millisecond), second / 2) << "even when nothing happens";
}

// An overwriting load lives on what is left, however little: only what a few buffers need is kept.
TEST(Meter, NearlyAtTheCeilingASteadyLoadStillPasses) {
    Meter meter{GuardSettings{}};
    const auto reading = read(meter, sample_of(64 * mib - 150'000, second));
    EXPECT_EQ(reading.state.state, GuardState::reserve);
    EXPECT_GT(reading.grant.room - reading.grant.reserve, 0);
    EXPECT_EQ(
        read(meter, sample_of(64 * mib - 50'000, 2 * second)).state.state, GuardState::ceiling
    );
}

}  // namespace
}  // namespace spillway::policy
