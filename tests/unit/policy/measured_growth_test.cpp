// What memory really grew by within the window, from samples whose story is known.
#include "policy/measured_growth.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

MemorySample at(int seconds, std::int64_t used, std::int64_t evicted = 0) {
    MemorySample sample;
    sample.answered_at = seconds * second;
    sample.used_memory = used;
    sample.used_memory_dataset = 1000;
    sample.keys = 10;
    sample.evicted_keys = evicted;
    sample.run_id = "a";
    return sample;
}

TEST(MeasuredGrowth, KnowsNothingBeforeTheFirstSample) {
    MeasuredGrowth growth;
    EXPECT_FALSE(growth.bytes());
    growth.add(MemorySample{});
    EXPECT_FALSE(growth.bytes()) << "a server that hides its memory";
    growth.add(at(0, 5000));
    EXPECT_EQ(growth.bytes(), 0);
}

TEST(MeasuredGrowth, IsTheRiseFromTheLowestPoint) {
    MeasuredGrowth growth;
    growth.add(at(0, 5000));
    growth.add(at(10, 2000));
    growth.add(at(20, 9000));
    growth.add(at(100, 8000));
    EXPECT_EQ(growth.bytes(), 6000);
    EXPECT_EQ(growth.bytes(12'000), 10'000) << "it is full by now, though no sample says so yet";
    EXPECT_EQ(growth.bytes(7000), 6000);
    growth.add(at(110, 1000));
    EXPECT_EQ(growth.bytes(), 0);
}

TEST(MeasuredGrowth, FollowsAServerThatLies) {
    MeasuredGrowth growth;
    MemorySample low = at(0, 0);
    low.not_counted_for_evict = INT64_MAX;
    growth.add(low);
    growth.add(at(1, INT64_MAX));
    EXPECT_GT(growth.bytes(), 1.8e19);
}

TEST(MeasuredGrowth, ForgetsWhatIsOlderThanTheWindow) {
    MeasuredGrowth growth;
    growth.add(at(0, 1000));
    for (int s = 60; s <= 1200; s += 60) {
        growth.add(at(s, 9000));
    }
    EXPECT_EQ(growth.bytes(), 0);
}

TEST(MeasuredGrowth, WhatIsEvictedHasGrown) {
    MeasuredGrowth growth;
    growth.add(at(0, 5000, 100));
    growth.add(at(1, 5000, 130));
    EXPECT_EQ(growth.bytes(), 30 * 100);
}

TEST(MeasuredGrowth, AnotherServerStartsAnew) {
    MeasuredGrowth growth;
    growth.add(at(0, 1000));
    MemorySample other = at(1, 9000);
    other.run_id = "b";
    growth.add(other);
    EXPECT_EQ(growth.bytes(), 0);
}

}  // namespace
}  // namespace spillway::policy
