// Who was held and refused, by rule and client: exact sums, bounded rows, and a summary a minute.
#include "policy/verdict_table.hpp"

#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

TEST(VerdictTable, CountsByRuleAndClient) {
    VerdictTable table;
    EXPECT_TRUE(table.empty());
    table.count("drain", "web", Outcome::would_hold, 10);
    table.count("drain", "web", Outcome::would_refuse, 20);
    table.count("drain", "web", Outcome::would_refuse, 5);
    table.count("drain", "", Outcome::refused, 7);
    table.count("", "web", Outcome::held, 9);
    const auto rows = table.rows();
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].rule, "drain");
    EXPECT_EQ(rows[0].client, "web");
    EXPECT_EQ(rows[0].would_hold, 1U);
    EXPECT_EQ(rows[0].would_refuse, 2U);
    EXPECT_EQ(rows[0].bytes, 25U) << "what is only held is not counted in bytes";
    EXPECT_EQ(table.total().commands(), 5U);
    EXPECT_EQ(table.total().bytes, 32U);
    table.count("x", "y", Outcome::refused, UINT64_MAX);
    EXPECT_EQ(table.total().bytes, UINT64_MAX);
}

TEST(VerdictTable, IsBoundedAndKeepsTheHeavy) {
    VerdictTable table;
    for (int i = 0; i < 10'000; ++i) {
        table.count("", "heavy", Outcome::refused, 1);
        table.count("", "light-" + std::to_string(i), Outcome::refused, 1);
    }
    EXPECT_EQ(table.rows().size(), VerdictTable::rows_max);
    EXPECT_EQ(table.rows()[0].client, "heavy");
    EXPECT_EQ(table.rows()[0].refused, 10'000U);
    EXPECT_EQ(table.total().refused, 20'000U) << "sums stay exact";
    EXPECT_EQ(table.other().refused, 10'000U - (VerdictTable::rows_max - 1));
}

TEST(VerdictTable, AddsUpTablesOfSeveralShards) {
    VerdictTable sum;
    for (int shard = 0; shard < 3; ++shard) {
        VerdictTable table;
        for (int i = 0; i < 100; ++i) {
            table.count("r", "c" + std::to_string(i % 70), Outcome::would_hold, 0);
        }
        sum.add(table);
    }
    EXPECT_EQ(sum.rows().size(), VerdictTable::rows_max);
    EXPECT_EQ(sum.total().would_hold, 300U);
}

TEST(VerdictHistory, SummarisesAMinuteAndOnlyWhenThereIsSomethingToSay) {
    VerdictHistory history;
    VerdictTable one;
    one.count("r", "c", Outcome::would_refuse, 5);
    Nanos now = 1000 * second;
    EXPECT_FALSE(history.take_summary(now));
    EXPECT_FALSE(history.take_summary(now, true));
    history.add({}, now);
    EXPECT_FALSE(history.take_summary(now + 2 * VerdictHistory::interval));
    history.add(one, now);
    history.add(one, now + 30 * second);
    EXPECT_FALSE(history.take_summary(now + 59 * second));
    const auto summary = history.take_summary(now + 60 * second);
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->total().would_refuse, 2U);
    EXPECT_FALSE(history.take_summary(now + 300 * second));
    history.add(one, now + 300 * second);
    EXPECT_FALSE(history.take_summary(now + 301 * second));
    EXPECT_TRUE(history.take_summary(now + 301 * second, true));
    EXPECT_EQ(history.all().total().would_refuse, 3U);
}

}  // namespace
}  // namespace spillway::policy
