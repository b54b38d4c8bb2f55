// Cells alone: bucket bounds, runs, and a reader on another thread.
#include "proxy/metrics/cells.hpp"

#include "proxy/metrics/labels.hpp"
#include "proxy/metrics/shard_metrics.hpp"
#include "resp/command_facts.hpp"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

namespace spillway::metrics {
namespace {

std::size_t bucket_by_search(std::uint64_t nanoseconds) {
    const auto* const at =
        std::lower_bound(bucket_bounds_ns.begin(), bucket_bounds_ns.end(), nanoseconds);
    return static_cast<std::size_t>(at - bucket_bounds_ns.begin());
}

TEST(BucketOf, AgreesWithASearchAroundEachBoundAndPowerOfTwo) {
    for (const std::uint64_t bound : bucket_bounds_ns) {
        for (const std::uint64_t value : {bound - 1, bound, bound + 1}) {
            EXPECT_EQ(bucket_of(value), bucket_by_search(value)) << value;
        }
    }
    for (int shift = 0; shift < 64; ++shift) {
        const std::uint64_t power = std::uint64_t{1} << shift;
        for (const std::uint64_t value : {power - 1, power, power + 1}) {
            EXPECT_EQ(bucket_of(value), bucket_by_search(value)) << value;
        }
    }
    EXPECT_EQ(bucket_of(0), 0U);
    EXPECT_EQ(bucket_of(~std::uint64_t{0}), bucket_count - 1);
}

// A wait that ends at hold_max is seen a moment later: it must not be taken for one twice as long.
TEST(BucketOf, IsNarrowJustAboveARoundTime) {
    for (const std::uint64_t ms : {100U, 250U, 500U, 1'000U, 2'500U, 5'000U}) {
        const std::size_t bucket = bucket_of(ms * 1'000'000 + 900'000);
        EXPECT_LE(bucket_bounds_ns[bucket], ms * 1'050'000) << ms;
    }
}

TEST(Histogram, CountsARunAsThatManyObservations) {
    Histogram run;
    Histogram single;
    run.observe(300'000, 1000);
    for (int i = 0; i < 1000; ++i) {
        single.observe(300'000);
    }
    EXPECT_EQ(run.bucket(3), 1000U);
    EXPECT_EQ(run.sum_ns(), 300'000'000U);
    for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
        EXPECT_EQ(run.bucket(bucket), single.bucket(bucket)) << bucket;
    }
    EXPECT_EQ(run.sum_ns(), single.sum_ns());
}

TEST(Gauge, GoesBelowZeroAndBack) {
    Gauge gauge;
    gauge.add(5);
    gauge.sub(7);
    EXPECT_EQ(gauge.value(), -2);
    gauge.set(3);
    EXPECT_EQ(gauge.value(), 3);
}

// Run under the thread sanitizer this also shows that reading while the shard writes is no race.
TEST(Counter, NeverRunsBackwardsForAReaderOnAnotherThread) {
    constexpr std::uint64_t count = 200'000;
    ShardMetrics shard;
    std::thread writer([&shard] {
        for (std::uint64_t i = 0; i < count; ++i) {
            shard.client_connections.add();
            shard.hold_seconds.observe(i);
        }
    });
    std::uint64_t seen = 0;
    while (seen < count) {
        const std::uint64_t now = shard.client_connections.value();
        ASSERT_GE(now, seen);
        seen = now;
    }
    writer.join();
    EXPECT_EQ(
        shard.hold_seconds.bucket(0) + shard.hold_seconds.bucket(1) + shard.hold_seconds.bucket(2),
        count
    );
}

TEST(ShardMetrics, FillsWholeCacheLinesOfItsOwn) {
    EXPECT_EQ(alignof(ShardMetrics), 64U);
    EXPECT_EQ(sizeof(ShardMetrics) % 64, 0U);
}

TEST(CommandClass, MapsEachGrowthToItsLabel) {
    using resp::Growth;
    EXPECT_EQ(class_of(Growth::proportional), CommandClass::growing);
    EXPECT_EQ(class_of(Growth::offset), CommandClass::growing);
    EXPECT_EQ(class_of(Growth::unbounded), CommandClass::unbounded);
    EXPECT_EQ(class_of(Growth::script), CommandClass::script);
    EXPECT_EQ(class_of(Growth::ungated), CommandClass::ungated);
    EXPECT_EQ(class_of(Growth::freeing), CommandClass::freeing);
    EXPECT_EQ(class_of(Growth::other), CommandClass::other);
}

}  // namespace
}  // namespace spillway::metrics
