// What may be pushed out, by policy, and how a disproof begins and ends.
#include "policy/evictable.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;

MemorySample sample_at(Nanos at, std::int64_t expires) {
    MemorySample sample;
    sample.asked_at = sample.answered_at = at;
    sample.used_memory = 64 * mib;
    sample.used_memory_dataset = 60 * mib;
    sample.keys = 1000;
    sample.expires = expires;
    sample.evicted_keys = 0;
    return sample;
}

TEST(Evictable, FollowsThePolicy) {
    EvictableEstimate estimate;
    const MemorySample sample = sample_at(second, 500);
    EXPECT_EQ(estimate.take(sample, EvictionFamily::noeviction), 0);
    EXPECT_EQ(estimate.take(sample, EvictionFamily::volatile_keys), 15 * mib);
    EXPECT_EQ(estimate.take(sample, EvictionFamily::all_keys), 57 * mib);
}

TEST(Evictable, EvictionsFromBeforeTheOomDoNotRestoreIt) {
    EvictableEstimate estimate;
    (void)estimate.take(sample_at(second, 500), EvictionFamily::volatile_keys);
    estimate.disprove(second + 50 * millisecond);
    MemorySample sample = sample_at(second + 100 * millisecond, 500);
    sample.evicted_keys = 10;  // it may have evicted until then
    EXPECT_EQ(estimate.take(sample, EvictionFamily::volatile_keys), 0);
    sample.asked_at += 100 * millisecond;
    EXPECT_EQ(estimate.take(sample, EvictionFamily::volatile_keys), 0);
    sample.asked_at += 100 * millisecond;
    sample.evicted_keys = 11;
    EXPECT_GT(estimate.take(sample, EvictionFamily::volatile_keys), 0);
}

TEST(Evictable, KeysThatCameAfterTheOomCount) {
    EvictableEstimate estimate;
    estimate.disprove(second);
    EXPECT_EQ(
        estimate.take(sample_at(second + millisecond, 100), EvictionFamily::volatile_keys), 0
    );
    EXPECT_EQ(
        estimate.take(sample_at(second + 2 * millisecond, 600), EvictionFamily::volatile_keys),
        15 * mib
    );
}

// While writes are refused nothing is evicted, so nothing would ever restore it.
TEST(Evictable, ADisproofEndsByItselfLaterEachTimeThatItWasRight) {
    EvictableEstimate estimate;
    const auto value_at = [&](Nanos at) {
        return estimate.take(sample_at(at, 500), EvictionFamily::all_keys);
    };
    estimate.disprove(second);
    EXPECT_EQ(value_at(second + 400 * millisecond), 0);
    EXPECT_GT(value_at(second + 600 * millisecond), 0);
    estimate.disprove(2 * second);
    EXPECT_EQ(value_at(2 * second + 900 * millisecond), 0);
    EXPECT_GT(value_at(2 * second + 1'100 * millisecond), 0);
}

}  // namespace
}  // namespace spillway::policy
