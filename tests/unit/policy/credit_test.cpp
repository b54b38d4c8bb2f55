// Credit is taken by many threads at once and never twice.
#include "policy/credit.hpp"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

TEST(Credit, OpenCreditIsPartOfTheRoom) {
    CreditPool pool;
    pool.grant({.open = 100, .room = 1000, .reserve = 300});
    EXPECT_TRUE(pool.take_open(60));
    EXPECT_FALSE(pool.take_open(60));
    EXPECT_EQ(pool.room(), 940);
    EXPECT_TRUE(pool.take_room(640)) << "normal commands may use all but the reserve";
    EXPECT_FALSE(pool.take_room(1));
    pool.take_anyway(400);
    EXPECT_EQ(pool.room(), -100) << "critical commands pass whatever is left";
}

TEST(Credit, NothingIsOpenWhileItIsFrozen) {
    CreditPool pool;
    EXPECT_TRUE(pool.take_open(1)) << "before the first sample all passes";
    pool.freeze();
    EXPECT_FALSE(pool.take_open(1));
    pool.grant({});
    EXPECT_TRUE(pool.take_open(std::int64_t{1} << 40));
}

TEST(Credit, WhatIsTakenOfTheRoomWhileItIsFrozenComesOffTheNewOne) {
    CreditPool pool;
    pool.grant({.open = 100, .room = 1000, .reserve = 300});
    pool.freeze();
    ASSERT_TRUE(pool.take_room(50)) << "those who have waited are not refused for it";
    pool.take_anyway(7);
    pool.grant({.open = 100, .room = 800, .reserve = 300});
    EXPECT_EQ(pool.room(), 743);
    pool.grant({});
    EXPECT_EQ(pool.room(), Grant::unlimited);
}

TEST(Credit, RunsLowWhenHalfOfTheGrantIsSpent) {
    CreditPool pool;
    pool.grant({.open = 100, .room = 1000, .reserve = 0});
    ASSERT_TRUE(pool.take_open(50));
    EXPECT_FALSE(pool.running_low());
    ASSERT_TRUE(pool.take_open(1));
    EXPECT_TRUE(pool.running_low());
}

TEST(Credit, ThreadsTakeItNoMoreThanOnce) {
    CreditPool pool;
    constexpr std::int64_t granted = 100'000;
    pool.grant({.open = granted, .room = 2 * granted, .reserve = 0});
    std::atomic<std::int64_t> taken{0};
    const auto take_all = [&] {
        while (pool.take_open(7)) {
            taken.fetch_add(7);
        }
    };
    std::vector<std::thread> threads;  // tree-allow(threads): the very thing that is tested
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back(take_all);
    }
    for (auto& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(taken.load(), granted / 7 * 7);
    EXPECT_EQ(pool.room(), 2 * granted - taken.load());
}

}  // namespace
}  // namespace spillway::policy
