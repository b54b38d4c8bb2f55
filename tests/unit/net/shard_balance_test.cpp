// Tests which shard a new client goes to.
#include "proxy/net/shard_balance.hpp"

#include <gtest/gtest.h>

namespace spillway::net {
namespace {

TEST(ShardBalance, AHandfulOfClientsSharesTheFirst) {
    ShardBalance balance(4);
    for (std::uint32_t i = 0; i < ShardBalance::lead_max; ++i) {
        EXPECT_EQ(balance.take(), 0U);
    }
    EXPECT_EQ(balance.take(), 1U);
}

TEST(ShardBalance, ManySpreadEvenly) {
    ShardBalance balance(3);
    for (int i = 0; i < 1000; ++i) {
        (void)balance.take();
    }
    for (std::size_t shard = 0; shard < 3; ++shard) {
        EXPECT_NEAR(balance.clients(shard), 1000.0 / 3, ShardBalance::lead_max);
    }
}

TEST(ShardBalance, WhatLeavesIsFilledAgain) {
    ShardBalance balance(2);
    for (std::uint32_t i = 0; i < 10 * ShardBalance::lead_max; ++i) {
        (void)balance.take();
    }
    const std::uint32_t before = balance.clients(1);
    for (std::uint32_t i = 0; i < before; ++i) {
        balance.give_back(1);
    }
    EXPECT_EQ(balance.take(), 1U);
}

TEST(ShardBalance, OneShardTakesAll) {
    ShardBalance balance(1);
    for (std::uint32_t i = 0; i < 3 * ShardBalance::lead_max; ++i) {
        EXPECT_EQ(balance.take(), 0U);
    }
}

}  // namespace
}  // namespace spillway::net
