// What samples leave behind, and when it is forgotten.
#include "policy/memory_history.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

MemorySample sample(Nanos at, std::int64_t used, std::int64_t maxmemory) {
    MemorySample s;
    s.answered_at = at;
    s.used_memory = used;
    s.maxmemory = maxmemory;
    s.run_id = "a";
    return s;
}

TEST(MemoryHistory, KeepsTheNewestPointsInOrder) {
    MemoryHistory history;
    for (Nanos at = 1; at <= 1000; ++at) {
        history.add(sample(at, at, 0));
        history.add(sample(at, 7, 0));       // not newer
        history.add(sample(at + 1, -1, 0));  // INFO without memory
    }
    ASSERT_EQ(history.points().size(), MemoryHistory::points_max);
    EXPECT_EQ(history.points().back().counted, 1000);
    EXPECT_EQ(
        history.points().front().counted,
        1001 - static_cast<std::int64_t>(MemoryHistory::points_max)
    );
}

TEST(MemoryHistory, RemembersTheMostKeysWithATtlAndTheLastEviction) {
    MemoryHistory history;
    MemorySample s = sample(1, 1, 0);
    s.expires = 3000;
    s.evicted_keys = 5;
    history.add(s);
    EXPECT_FALSE(history.facts().last_eviction_at) << "one reading shows no eviction";
    s.answered_at = 2;
    s.expires = 10;
    s.evicted_keys = 6;
    history.add(s);
    s.answered_at = 3;
    history.add(s);
    EXPECT_EQ(history.facts().expires_high, 3000);
    EXPECT_EQ(history.facts().last_eviction_at, 2);
}

TEST(MemoryHistory, ALoweredCeilingIsKnownWhileUseIsAboveIt) {
    MemoryHistory history;
    history.add(sample(1, 60, 100));
    history.add(sample(2, 60, 80));
    EXPECT_FALSE(history.facts().ceiling_lowered_at) << "there is room below the new one too";
    history.add(sample(3, 60, 50));
    history.add(sample(4, 61, 40));
    EXPECT_EQ(history.facts().ceiling_lowered_at, 4);
    EXPECT_EQ(history.facts().ceiling_before, 80) << "lowered in steps";
    history.add(sample(5, 61, 40));
    EXPECT_EQ(history.facts().ceiling_lowered_at, 4);
    history.add(sample(6, 40, 40));
    EXPECT_FALSE(history.facts().ceiling_lowered_at);
    history.add(sample(7, 61, 40));
    EXPECT_FALSE(history.facts().ceiling_lowered_at) << "it grew back by itself";
    history.add(sample(8, 61, 60));
    EXPECT_FALSE(history.facts().ceiling_lowered_at) << "raised";
}

TEST(MemoryHistory, KnowsWhetherUseWasWithinTheLimitOfToday) {
    MemoryHistory history;
    history.add(sample(1, 90, 80));
    EXPECT_FALSE(history.facts().within_limit_at) << "nobody saw how it got there";
    history.add(sample(2, 70, 80));
    EXPECT_EQ(history.facts().within_limit_at, 2);
    history.add(sample(3, 120, 80));
    EXPECT_EQ(history.facts().within_limit_at, 2) << "written past the limit";
    history.add(sample(4, 120, 60));
    EXPECT_FALSE(history.facts().within_limit_at) << "not of this limit";
}

TEST(MemoryHistory, RefusalsBeforeAreThoseOfSomeSecondsAgo) {
    MemoryHistory history;
    EXPECT_FALSE(ooms_before(history.points(), second));
    for (int i = 1; i <= 20; ++i) {
        MemorySample s = sample(i * second, 1, 100);
        s.oom_errors = i;
        history.add(s);
    }
    EXPECT_EQ(ooms_before(history.points(), 20 * second), 17);
    EXPECT_FALSE(ooms_before(history.points(), 40 * second)) << "of so long ago nothing is said";
}

TEST(MemoryHistory, APromotionMattersWhileMemoryIsAboveTheLimit) {
    MemoryHistory history;
    MemorySample s = sample(1, 60, 50);
    s.primary = false;
    history.add(s);
    s.answered_at = 2;
    s.primary = true;
    history.add(s);
    EXPECT_EQ(history.facts().promoted_at, 2);
    s.answered_at = 3;
    s.used_memory = 40;
    history.add(s);
    EXPECT_FALSE(history.facts().promoted_at);
}

TEST(MemoryHistory, AnotherServerIsAnotherStory) {
    MemoryHistory history;
    MemorySample s = sample(1, 60, 100);
    s.expires = 9;
    history.add(s);
    s = sample(2, 60, 50);
    s.run_id = "b";
    history.add(s);
    EXPECT_EQ(history.points().size(), 1U);
    EXPECT_EQ(history.facts().expires_high, 0);
    EXPECT_FALSE(history.facts().ceiling_lowered_at);
    s = sample(3, 60, 40);
    s.run_id.clear();  // a server that does not say
    history.add(s);
    EXPECT_EQ(history.points().size(), 2U);
}

}  // namespace
}  // namespace spillway::policy
