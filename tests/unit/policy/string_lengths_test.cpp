// How long strings are believed to be, and what ends that belief.
#include "policy/string_lengths.hpp"

#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;

class StringLengthsTest : public testing::Test {
  protected:
    static std::uint64_t key(std::string_view name, std::int32_t db = 0) {
        return StringLengths::key_of(name, db);
    }
    void write(std::uint64_t string, std::uint64_t bytes) {
        strings.learn(strings.sent(string, bytes), now);
    }
    std::uint64_t growth(std::uint64_t string, std::uint64_t bytes) {
        return strings.growth(string, bytes, now);
    }

    CreditPool pool;
    StringLengths strings{pool};
    Nanos now = second;
};

TEST_F(StringLengthsTest, ChargesWholeWhatIsNotKnown) {
    EXPECT_FALSE(strings.in_use());
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
    write(key("a"), 5 * mib);
    EXPECT_TRUE(strings.in_use());
    EXPECT_EQ(growth(key("a"), 5 * mib), 0U);
    EXPECT_EQ(growth(key("a"), 100), 0U);
    EXPECT_EQ(growth(key("b"), 5 * mib), 5U * mib);
    EXPECT_EQ(growth(key("a", 1), 5 * mib), 5U * mib) << "another database";
}

TEST_F(StringLengthsTest, NothingIsLearntBeforeTheServerHasAnswered) {
    (void)strings.sent(key("a"), 5 * mib);
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
}

// The server gives a string that grows room for as much again, up to a megabyte.
TEST_F(StringLengthsTest, GrowthBeyondWhatIsKnownIsChargedWithItsSlack) {
    write(key("a"), 1000);
    EXPECT_EQ(growth(key("a"), 1500), 2U * 1500 - 1000);
    write(key("a"), 1500);
    EXPECT_EQ(growth(key("a"), 2900), 0U) << "within the slack";
    write(key("a"), 2900);
    EXPECT_EQ(growth(key("a"), 3001), 2U * 3001 - 3000);
    write(key("b"), 4 * mib);
    EXPECT_EQ(growth(key("b"), 6 * mib), 3U * mib);
}

TEST_F(StringLengthsTest, AShorterWriteUnlearnsNothing) {
    write(key("a"), 5 * mib);
    write(key("a"), 10);
    EXPECT_EQ(growth(key("a"), 5 * mib), 0U);
}

TEST_F(StringLengthsTest, WhatMayRemoveAKeyEndsTheBelief) {
    write(key("a"), 5 * mib);
    write(key("b"), 5 * mib);
    strings.forget(key("a"));
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
    EXPECT_EQ(growth(key("b"), 5 * mib), 0U);
    strings.forget_all();
    EXPECT_EQ(growth(key("b"), 5 * mib), 5U * mib);
}

TEST_F(StringLengthsTest, WhatWasRemovedMeanwhileIsNotLearnt) {
    const StringLengths::Reach reach = strings.sent(key("a"), 5 * mib);
    strings.forget(key("a"));
    strings.learn(reach, now);
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
    const StringLengths::Reach other = strings.sent(key("a"), 5 * mib);
    strings.forget_all();
    strings.learn(other, now);
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
}

// RENAME leaves memory as it is, so no sample tells of it.
TEST_F(StringLengthsTest, KeysThatMoveInAnyShardEndAllBelief) {
    StringLengths other(pool);
    write(key("a"), 5 * mib);
    const StringLengths::Reach reach = strings.sent(key("b"), 5 * mib);
    pool.note_key_move();
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
    strings.learn(reach, now);
    EXPECT_EQ(growth(key("b"), 5 * mib), 5U * mib);
    write(key("a"), 5 * mib);
    EXPECT_EQ(growth(key("a"), 5 * mib), 0U) << "learnt after it";
}

// Whoever removed it: other clients, other proxies, a TTL, eviction.
TEST_F(StringLengthsTest, AFallOfMemoryByAStringsLengthEndsTheBelief) {
    strings.note_memory(60 * mib, 64 * mib);
    write(key("large"), 5 * mib);
    write(key("small"), 1000);
    strings.note_memory(62 * mib, 64 * mib);
    strings.note_memory(60 * mib, 64 * mib);
    EXPECT_EQ(growth(key("large"), 5 * mib), 0U) << "it cannot be gone";
    EXPECT_EQ(growth(key("small"), 1000), 1000U);
    strings.note_memory(58 * mib, 64 * mib);  // a string of the least length of its kind is 4 MB
    EXPECT_EQ(growth(key("large"), 5 * mib), 5U * mib);
}

TEST_F(StringLengthsTest, WhatComesAndGoesIsNoFall) {
    strings.note_memory(60 * mib, 64 * mib);
    write(key("a"), 1000);
    for (int i = 0; i < 100; ++i) {
        strings.note_memory(60 * mib - (i % 2) * 100 * 1024, 64 * mib);
    }
    EXPECT_EQ(growth(key("a"), 1000), 0U);
}

TEST_F(StringLengthsTest, ABeliefHasAnEnd) {
    write(key("a"), 5 * mib);
    now += StringLengths::believed_for;
    EXPECT_EQ(growth(key("a"), 5 * mib), 0U);
    write(key("a"), 10);  // it was there a moment ago
    now += StringLengths::believed_for + 1;
    EXPECT_EQ(growth(key("a"), 5 * mib), 5U * mib);
}

TEST_F(StringLengthsTest, PlacesAreBoundedAndTheNewestKept) {
    const std::size_t many = 4 * StringLengths::entries_max;
    for (std::size_t i = 0; i < many; ++i) {
        ++now;
        write(key(std::to_string(i)), 5 * mib);
    }
    std::size_t known = 0;
    for (std::size_t i = 0; i < many; ++i) {
        known += growth(key(std::to_string(i)), 5 * mib) == 0 ? 1 : 0;
    }
    EXPECT_LE(known, StringLengths::entries_max);
    EXPECT_GT(known, StringLengths::entries_max * 9 / 10);
    EXPECT_EQ(growth(key(std::to_string(many - 1)), 5 * mib), 0U);
}

// An offset may say anything.
TEST_F(StringLengthsTest, NoLengthIsTooLong) {
    constexpr auto longest = std::uint64_t{1} << 62;
    write(key("a"), longest);
    strings.note_memory(60 * mib, 64 * mib);
    EXPECT_EQ(growth(key("a"), longest), 0U);
    write(key("b"), 0);
    EXPECT_EQ(growth(key("b"), 1), 1U);
}

}  // namespace
}  // namespace spillway::policy
