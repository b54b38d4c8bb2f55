// What grows now comes before what has grown most within ten minutes.
#include "policy/growth_recent.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

TEST(GrowthRecent, WhatGainedMostComesFirst) {
    const std::vector<GrowthRow> then = {
        {"old:*", "loader", "SET", 80'000'000, 1.0}, {"a:*", "web", "SET", 5'000'000, 1.0}};
    const std::vector<GrowthRow> now = {
        {"old:*", "loader", "SET", 79'500'000, 1.0},  // it decays
        {"a:*", "web", "SET", 5'000'500, 1.0},
        {"import:*", "batch", "HSET", 3'000'000, 1.0}};
    const auto rows = by_recent_gain(now, then);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].pattern, "import:*");
    EXPECT_EQ(rows[0].bytes, now[2].bytes);
    EXPECT_EQ(rows[1].pattern, "a:*");
    EXPECT_EQ(rows[2].pattern, "old:*");
}

TEST(GrowthRecent, WhereNothingGainedTheOrderStays) {
    const std::vector<GrowthRow> rows = {{"a", "", "SET", 9, 1.0}, {"b", "", "SET", 5, 1.0}};
    EXPECT_EQ(by_recent_gain(rows, rows)[0].pattern, "a");
    EXPECT_EQ(by_recent_gain(rows, {})[0].pattern, "a");
    EXPECT_TRUE(by_recent_gain({}, rows).empty());
}

}  // namespace
}  // namespace spillway::policy
