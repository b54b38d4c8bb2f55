// Feeds the ledger streams whose truth is known and checks what it promises about them.
#include "policy/growth_ledger.hpp"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

TEST(GrowthLedger, SumsByPatternClientAndCommand) {
    GrowthLedger ledger;
    ledger.add("cart:*", "checkout", "SET", 1000, true, 0);
    ledger.add("cart:*", "checkout", "SET", 500, false, 0);
    ledger.add("cart:*", "checkout", "HSET", 300, true, 0);
    ledger.add("cart:*", "batch", "SET", 200, false, 0);
    const auto rows = ledger.top(10, 0);
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0].pattern, "cart:*");
    EXPECT_EQ(rows[0].client, "checkout");
    EXPECT_EQ(rows[0].command, "SET");
    EXPECT_EQ(rows[0].bytes, 1500U);
    EXPECT_NEAR(rows[0].without_ttl, 2.0 / 3, 1e-9);
    EXPECT_EQ(rows[1].command, "HSET");
    EXPECT_EQ(rows[1].without_ttl, 1);
    EXPECT_EQ(rows[2].client, "batch");
    EXPECT_EQ(rows[2].without_ttl, 0);
    EXPECT_EQ(ledger.total_bytes(0), 2000U);
    EXPECT_EQ(ledger.top(1, 0).size(), 1U);
}

TEST(GrowthLedger, NamesDoNotRunIntoEachOther) {
    GrowthLedger ledger;
    ledger.add("ab", "c", "d", 1, true, 0);
    ledger.add("a", "bc", "d", 1, true, 0);
    ledger.add("a", "b", "cd", 1, true, 0);
    EXPECT_EQ(ledger.top(10, 0).size(), 3U);
}

TEST(GrowthLedger, FadesByHalfInLn2Windows) {
    GrowthLedger ledger;
    ledger.add("a", "", "SET", 1'000'000, true, 0);
    EXPECT_NEAR(static_cast<double>(ledger.top(1, 416 * second).at(0).bytes), 500'000, 500);
    EXPECT_NEAR(static_cast<double>(ledger.total_bytes(416 * second)), 500'000, 500);
    EXPECT_TRUE(ledger.top(1, 24 * 3600 * second).empty()) << "less than a byte is left";
}

TEST(GrowthLedger, ASteadyWriterShowsAboutItsLastWindow) {
    GrowthLedger ledger;
    for (int s = 0; s < 7200; ++s) {
        ledger.add("a", "", "SET", 1000, true, s * second);
    }
    EXPECT_NEAR(static_cast<double>(ledger.top(1, 7199 * second).at(0).bytes), 600'000, 1'000);
}

TEST(GrowthLedger, NewBytesOutweighOldOnes) {
    GrowthLedger ledger;
    ledger.add("old", "", "SET", 1000, true, 0);
    ledger.add("new", "", "SET", 900, true, 600 * second);
    EXPECT_EQ(ledger.top(2, 600 * second).at(0).pattern, "new");
}

TEST(GrowthLedger, KeepsItsFiguresOverAYear) {
    GrowthLedger ledger;
    constexpr Nanos hour = 3600 * second;
    for (Nanos now = 0; now < 365 * 24 * hour; now += hour) {
        ledger.add("a", "", "SET", 1000, true, now);
    }
    const Nanos end = (365 * 24 - 1) * hour;
    EXPECT_NEAR(static_cast<double>(ledger.top(1, end).at(0).bytes), 1002.5, 1);
    EXPECT_NEAR(static_cast<double>(ledger.total_bytes(end)), 1002.5, 1);
}

TEST(GrowthLedger, TimeThatRunsBackwardsStandsStill) {
    GrowthLedger ledger;
    ledger.add("a", "", "SET", 1000, true, 600 * second);
    ledger.add("a", "", "SET", 1000, true, 0);
    EXPECT_EQ(ledger.top(1, 0).at(0).bytes, 2000U);
}

TEST(GrowthLedger, LongNamesAreCutAndStaySeparate) {
    GrowthLedger ledger;
    const std::string pattern(500, 'p');
    ledger.add(pattern, std::string(500, 'c'), std::string(500, 'x'), 10, true, 0);
    ledger.add(pattern + "more", std::string(500, 'c'), std::string(500, 'x'), 10, true, 0);
    const auto rows = ledger.top(10, 0);
    ASSERT_EQ(rows.size(), 1U) << "the same after the cut";
    EXPECT_EQ(rows[0].pattern.size(), pattern_bytes_max);
    EXPECT_EQ(rows[0].client.size(), GrowthLedger::client_bytes_max);
    EXPECT_EQ(rows[0].command.size(), GrowthLedger::command_bytes_max);
    EXPECT_EQ(rows[0].bytes, 20U);
}

// Space-saving's promises, on a stream with a long tail: no row shows more than is true, and
// whoever wrote more than 1/rows of all bytes has a row that misses no more than that.
TEST(GrowthLedger, HeavyWritersSurviveAFloodOfRareOnes) {
    constexpr std::size_t rows_max = 32;
    GrowthLedger ledger(rows_max);
    std::map<std::string, std::uint64_t> truth;
    std::mt19937 random(7);
    std::uint64_t total = 0;
    for (int i = 0; i < 200'000; ++i) {
        const auto draw = random() % 100;
        const std::string pattern = draw < 10   ? "heavy-a"
                                    : draw < 16 ? "heavy-b"
                                                : "rare-" + std::to_string(random() % 50'000);
        const std::uint64_t bytes = 1 + random() % 1000;
        ledger.add(pattern, "", "SET", bytes, true, 0);
        truth[pattern] += bytes;
        truth["rare-*"] += draw < 16 ? 0 : bytes;
        total += bytes;
    }
    EXPECT_EQ(ledger.total_bytes(0), total);
    const auto rows = ledger.top(1000, 0);
    EXPECT_LE(rows.size(), rows_max);
    EXPECT_EQ(rows.at(0).pattern, "rare-*") << "together they are the most";
    EXPECT_EQ(rows.at(1).pattern, "heavy-a");
    EXPECT_EQ(rows.at(2).pattern, "heavy-b");
    for (const auto& row : rows) {
        EXPECT_LE(row.bytes, truth[row.pattern]) << row.pattern;
    }
    for (const std::size_t i : {1U, 2U}) {
        EXPECT_GE(rows[i].bytes + total / rows_max, truth[rows[i].pattern]);
    }
}

// No pattern has much, and no row lasts: their beginning tells, and who wrote.
TEST(GrowthLedger, KeysThatDifferInWordsAreToldByTheirBeginning) {
    for (const int writes : {100, 1000, 20'000}) {
        GrowthLedger ledger;
        std::mt19937 random(3);
        const auto word = [&random] {
            std::string text;
            for (int i = 0; i < 6; ++i) {
                text += static_cast<char>('a' + random() % 26);
            }
            return text;
        };
        for (int i = 0; i < writes; ++i) {
            ledger.add("profile:" + word() + ":" + word() + ":x", "web", "SET", 65'536, true, 0);
            if (i % 10 == 0) {
                ledger.add("session:*", "login", "SET", 65'536, false, 0);
            }
        }
        const auto rows = ledger.top(5, 0);
        ASSERT_GE(rows.size(), 2U);
        EXPECT_TRUE(rows[0].pattern.starts_with("profile:*")) << rows[0].pattern;
        EXPECT_EQ(rows[0].client, "web");
        EXPECT_EQ(rows[0].without_ttl, 1);
        EXPECT_GT(static_cast<double>(rows[0].bytes), .97 * writes * 65'536);
        EXPECT_EQ(rows[1].pattern, "session:*");
    }
}

TEST(GrowthLedger, WhatLostItsRowIsCorrectedInThatOfItsBeginning) {
    GrowthLedger ledger(4);
    const std::uint64_t first = ledger.put({"a:first", "", "SET"}, {.bytes = 1000}, 0);
    for (int i = 0; i < 20; ++i) {
        ledger.put(
            {"a:" + std::string(1, static_cast<char>('b' + i)), "", "SET"}, {.bytes = 2000}, 0
        );
    }
    ledger.correct(first, {.bytes = -1000}, 0);
    std::uint64_t all = 0;
    for (const auto& row : ledger.top(10, 0)) {
        all += row.bytes;
    }
    EXPECT_EQ(all, 40'000U);
}

TEST(GrowthLedger, LateHeavyWritersGetIn) {
    GrowthLedger ledger(8);
    for (int i = 0; i < 1000; ++i) {
        ledger.add("early-" + std::to_string(i), "", "SET", 100, true, 0);
    }
    ledger.add("late", "", "SET", 1'000'000, true, 0);
    EXPECT_EQ(ledger.top(1, 0).at(0).pattern, "late");
    EXPECT_EQ(ledger.top(1, 0).at(0).bytes, 1'000'000U) << "not what it inherited";
}

// Half of all bytes, in small writes, between newcomers of the same size: only what a newcomer
// inherits lets it stay.
TEST(GrowthLedger, LateSteadyWritersGetInAmongNewcomers) {
    constexpr std::size_t rows_max = 8;
    GrowthLedger ledger(rows_max);
    for (std::size_t i = 0; i < rows_max; ++i) {
        ledger.add("early-" + std::to_string(i), "", "SET", 100, true, 0);
    }
    for (int i = 0; i < 1000; ++i) {
        ledger.add("late", "", "SET", 10, true, 0);
        ledger.add("once-" + std::to_string(i), "", "SET", 10, true, 0);
    }
    const auto top = ledger.top(2, 0);
    const auto& late = top.at(0).pattern == "late" ? top[0] : top.at(1);
    EXPECT_EQ(late.pattern, "late") << "the others together have as much";
    EXPECT_GE(late.bytes + ledger.total_bytes(0) / rows_max, 10'000U);
}

TEST(GrowthLedger, MergesShardsAsOfNow) {
    GrowthLedger a;
    GrowthLedger b;
    a.add("cart:*", "x", "SET", 1000, true, 0);
    b.add("cart:*", "x", "SET", 1000, false, 600 * second);
    b.add("user:*", "x", "SET", 5000, false, 600 * second);
    GrowthLedger all;
    all.merge(a, 600 * second);
    all.merge(b, 600 * second);
    all.merge(GrowthLedger{}, 600 * second);
    const auto rows = all.top(10, 600 * second);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].bytes, 5000U);
    EXPECT_NEAR(static_cast<double>(rows[1].bytes), 1000 + 1000 / 2.718281828, 1);
    EXPECT_NEAR(rows[1].without_ttl, 367.9 / 1367.9, .001);
    EXPECT_NEAR(static_cast<double>(all.total_bytes(600 * second)), 6367.9, 1);
}

TEST(GrowthLedger, MergedBoundsHold) {
    GrowthLedger all(16);
    std::map<std::string, std::uint64_t> truth;
    std::uint64_t total = 0;
    std::mt19937 random(11);
    for (int shard = 0; shard < 4; ++shard) {
        GrowthLedger one(16);
        for (int i = 0; i < 10'000; ++i) {
            const std::string pattern =
                random() % 4 == 0 ? "heavy" : "rare-" + std::to_string(random() % 5000);
            one.add(pattern, "", "SET", 100, true, 0);
            truth[pattern] += 100;
            truth["rare-*"] += pattern == "heavy" ? 0 : 100;
            total += 100;
        }
        all.merge(one, 0);
    }
    EXPECT_EQ(all.total_bytes(0), total);
    const auto rows = all.top(100, 0);
    EXPECT_LE(rows.size(), 16U);
    EXPECT_EQ(rows.at(0).pattern, "rare-*");
    EXPECT_EQ(rows.at(1).pattern, "heavy");
    for (const auto& row : rows) {
        EXPECT_LE(row.bytes, truth[row.pattern] + 1);
    }
}

TEST(GrowthLedger, TellsNoMoreThanMemoryGrew) {
    GrowthLedger ledger;
    ledger.add("a:*", "", "SET", 3000, true, 0);
    ledger.add("b:*", "", "SET", 1000, true, 0);
    auto rows = ledger.top(1, 0, 2000);
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].bytes, 1500U) << "scaled with what is not shown";
    EXPECT_EQ(ledger.top(1, 0, 8000).at(0).bytes, 3000U) << "but never up";
    EXPECT_TRUE(ledger.top(1, 0, -5).empty());
    ledger.remove("c:*", {.removed = 1000}, 0);
    EXPECT_EQ(ledger.top(1, 0, 2000).at(0).bytes, 2250U) << "what others lost made room";
}

TEST(GrowthLedger, RemovalsCountAgainstAllRowsOfThePattern) {
    GrowthLedger ledger;
    ledger.put(
        {"q:*", "a", "LPUSH"},
        {.bytes = 6000, .lasting = 6000, .keys = 6, .units = 60, .unit_bytes = 6000},
        0
    );
    ledger.put(
        {"q:*", "b", "RPUSH"},
        {.bytes = 2000, .lasting = 0, .keys = 2, .units = 20, .unit_bytes = 2000},
        0
    );
    ledger.add("other", "", "SET", 500, true, 0);
    ledger.remove("q:*", {.removed_units = 40}, 0);
    auto rows = ledger.top(10, 0);
    ASSERT_EQ(rows.size(), 3U) << "a removal is no row of its own";
    EXPECT_EQ(rows[0].bytes, 3000U);
    EXPECT_EQ(rows[1].bytes, 1000U);
    EXPECT_EQ(rows[2].bytes, 500U);
    ledger.remove("q:*", {.removed_keys = 2}, 0);
    EXPECT_EQ(ledger.top(1, 0).at(0).bytes, 1500U);
    ledger.remove("q:*", {.removed = 5000}, 0);
    rows = ledger.top(10, 0);
    ASSERT_EQ(rows.size(), 1U) << "never below nothing";
    EXPECT_EQ(rows[0].pattern, "other");
}

TEST(GrowthLedger, RemovalsOnOneShardMeetWhatAnotherAdded) {
    GrowthLedger adds;
    GrowthLedger removes;
    adds.put({"q", "a", "LPUSH"}, {.bytes = 6000, .units = 60, .unit_bytes = 6000}, 0);
    removes.remove("q", {.removed_units = 50}, 0);
    GrowthLedger all;
    all.merge(removes, 0);
    all.merge(adds, 0);
    EXPECT_EQ(all.top(1, 0).at(0).bytes, 1000U);
}

TEST(GrowthLedger, CorrectsWhereItWasTold) {
    GrowthLedger ledger;
    const auto row = ledger.put({"a", "", "SET"}, {.bytes = 1000, .lasting = 1000}, 0);
    ledger.correct(row, {.bytes = -900, .lasting = -900}, 0);
    ledger.correct(row + 1, {.bytes = -900}, 0);
    EXPECT_EQ(ledger.top(1, 0).at(0).bytes, 100U);
    EXPECT_EQ(ledger.total_bytes(0), 100U);
    ledger.add("a", "", "SET", 1000, true, 600 * second);
    ledger.correct(row, {.bytes = -100, .lasting = -100}, 0);
    EXPECT_EQ(ledger.top(1, 600 * second).at(0).bytes, 1000U) << "as of then";
}

TEST(GrowthLedger, ClearAndNothing) {
    GrowthLedger ledger;
    ledger.add("a", "", "SET", 0, true, 0);
    EXPECT_TRUE(ledger.top(5, 0).empty());
    ledger.add("a", "", "SET", 5, true, 0);
    ledger.clear();
    EXPECT_TRUE(ledger.top(5, 0).empty());
    EXPECT_EQ(ledger.total_bytes(0), 0U);
    EXPECT_EQ(GrowthLedger(0).rows_max(), 1U);
}

}  // namespace
}  // namespace spillway::policy
