// What a sample says of all keys: shares, their errors, and what it does not account for.
#include "policy/key_sample.hpp"

#include <algorithm>
#include <random>
#include <span>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

SampledKey key(std::string name, std::int64_t bytes, std::int64_t ttl_ms = -1) {
    return {.key = std::move(name), .type = KeyType::string, .bytes = bytes, .ttl_ms = ttl_ms};
}

TEST(KeySample, NothingSampledSaysNothing) {
    const KeySummary none = summarize({}, {}, 1000, 1 << 20, 0);
    EXPECT_FALSE(none.known());
    EXPECT_FALSE(none.complete);
    EXPECT_EQ(none.unexplained, 0);
    EXPECT_TRUE(none.groups.empty());
}

TEST(KeySample, AllKeysAreNoSample) {
    const std::vector<SampledKey> keys = {
        key("cart:1", 300), key("cart:2", 100), key("session:9", 600, 5000)};
    const KeySummary all = summarize(keys, {}, 3, 1000, 0);
    EXPECT_TRUE(all.complete);
    EXPECT_EQ(all.bytes.value, 1000);
    EXPECT_EQ(all.bytes.low, all.bytes.high);
    EXPECT_EQ(all.with_ttl_bytes.value, .6);
    EXPECT_EQ(all.with_ttl_bytes.low, .6);
    EXPECT_NEAR(all.with_ttl_keys.value, 1 / 3., 1e-9);
    ASSERT_EQ(all.groups.size(), 2U);
    EXPECT_EQ(all.groups[0].pattern, "session:*");
    EXPECT_EQ(all.groups[0].without_ttl, 0);
    EXPECT_EQ(all.groups[1].pattern, "cart:*");
    EXPECT_EQ(all.groups[1].keys, 2);
    EXPECT_EQ(all.groups[1].without_ttl, 1);
    EXPECT_EQ(all.biggest.front().key, "session:9");
}

TEST(KeySample, AKeyDrawnTwiceCountsOnce) {
    const std::vector<SampledKey> keys = {key("a", 100), key("a", 100), key("b", 100)};
    const KeySummary all = summarize(keys, {}, 2, 200, 0);
    EXPECT_EQ(all.sampled, 2);
    EXPECT_EQ(all.bytes.value, 200);
}

// The errors must be what they say: about 95 of 100 samples hold the truth.
TEST(KeySample, IntervalsHoldTheTruth) {
    std::mt19937 random(7);
    std::vector<SampledKey> all;
    double bytes = 0;
    double lasting = 0;
    for (int i = 0; i < 20'000; ++i) {
        const bool session = random() % 3 == 0;
        const auto size = static_cast<std::int64_t>(session ? 50 + random() % 1500 : 200);
        all.push_back(
            key((session ? "session:" : "cart:") + std::to_string(i), size, session ? 9 : -1)
        );
        bytes += static_cast<double>(size);
        lasting += session ? 0 : static_cast<double>(size);
    }
    constexpr double tables = 20'000 * (32 + 64 / 3.);  // as INFO has them
    int bytes_held = 0;
    int share_held = 0;
    constexpr int rounds = 200;
    for (int round = 0; round < rounds; ++round) {
        std::shuffle(all.begin(), all.end(), random);
        const KeySummary seen = summarize(
            std::span(all).first(500), {}, 20'000, static_cast<std::int64_t>(bytes + tables), 0
        );
        bytes_held += seen.bytes.low <= bytes && bytes <= seen.bytes.high ? 1 : 0;
        const double share = 1 - lasting / bytes;
        share_held += seen.with_ttl_bytes.low <= share && share <= seen.with_ttl_bytes.high ? 1 : 0;
        EXPECT_EQ(seen.unexplained, 0);
    }
    EXPECT_GT(bytes_held, rounds * 90 / 100);
    EXPECT_GT(share_held, rounds * 90 / 100);
    EXPECT_LT(bytes_held, rounds) << "an interval that is always right is too wide to say anything";
}

TEST(KeySample, AnAllAlikeSampleIsNotCertain) {
    std::vector<SampledKey> many;
    for (int i = 0; i < 300; ++i) {
        many.push_back(key("a:" + std::to_string(i), 100));
    }
    const KeySummary seen = summarize(many, {}, 1'000'000, 100'000'000, 0);
    EXPECT_EQ(seen.with_ttl_keys.value, 0);
    EXPECT_NEAR(seen.with_ttl_keys.high, .01, 1e-9);
}

TEST(KeySample, AHugeKeyThatNoSampleHoldsLeavesBytesUnexplained) {
    std::vector<SampledKey> many;
    for (int i = 0; i < 2000; ++i) {
        many.push_back(key("k:" + std::to_string(i), 100));
    }
    const KeySummary seen = summarize(many, {}, 1'000'000, 250'000'000, 0);
    EXPECT_NEAR(seen.unexplained, 150'000'000 - 32'000'000, 1e6) << "but for the tables";

    SampledKey huge = key("sessions", 150'000'000);
    huge.type = KeyType::hash;
    const std::vector<SampledKey> found = {huge, key("small", 100)};
    const KeySummary told = summarize(many, found, 1'000'000, 250'000'000, 1);
    EXPECT_EQ(told.unexplained, 0);
    EXPECT_EQ(told.biggest.front().key, "sessions");
    EXPECT_NEAR(told.groups.front().share.value, .6, .01);
    EXPECT_EQ(told.groups.front().keys, 1) << "it stands for itself only";
}

TEST(KeySample, ASmallPartThatIsInNoKeyIsMissed) {
    std::vector<SampledKey> many;
    for (int i = 0; i < 2000; ++i) {
        many.push_back(key("cache:page:" + std::to_string(i), 1250));
    }
    constexpr std::int64_t tables = 45'000 * 32;
    const KeySummary seen = summarize(many, {}, 45'000, 45'000 * 1250 + 7'200'000 + tables, 0);
    EXPECT_NEAR(seen.unexplained, 7'200'000, 1000);
    EXPECT_LT(seen.groups.front().share.value, .9) << "of all bytes, not of those seen";
    EXPECT_EQ(summarize(many, {}, 45'000, 45'000 * 1250 + 1'000'000 + tables, 0).unexplained, 0);
}

// A few large strings were drawn, by chance fewer than there are: the data says how many.
TEST(KeySample, WhatTheDataIsSaysHowManyLargeOnesThereAre) {
    std::vector<SampledKey> many = {key("out:1", 1'000'000), key("out:2", 1'000'000)};
    for (int i = 0; i < 1498; ++i) {
        many.push_back(key("doc:" + std::to_string(i), 750));
    }
    constexpr std::int64_t keys = 60'150;
    const KeySummary seen =
        summarize(many, {}, keys, 150 * 1'000'000 + 60'000 * 750 + keys * 32, 0);
    EXPECT_EQ(seen.unexplained, 0);
    EXPECT_EQ(seen.groups.front().pattern, "out:*");
    EXPECT_NEAR(seen.groups.front().keys, 150, 3);
    EXPECT_NEAR(seen.groups.front().bytes, 150e6, 3e6);
}

TEST(KeySample, AStreamHoldsNoMoreThanThereIs) {
    std::vector<SampledKey> keys = {key("cfg", 2'000'000)};
    keys.push_back(
        {.key = "audit", .type = KeyType::stream, .bytes = 71'000'000, .length = 9, .error = 0}
    );
    const KeySummary seen = summarize(keys, {}, 2, 62'000'000, 0);
    EXPECT_NEAR(static_cast<double>(seen.biggest.front().bytes), 60e6, 1e3);
}

TEST(KeySample, WordsThatDifferFromKeyToKeyAreOnePattern) {
    std::vector<SampledKey> keys;
    const auto word = [](int i) {
        return std::string{static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26 % 26)};
    };
    for (int i = 0; i < 600; ++i) {
        keys.push_back(key("profile:" + word(i) + ":" + word(7 * i) + ":settings", 800));
        keys.push_back(key("blog/how-to-" + word(i) + "/html", 300));
        keys.push_back(key("page_" + word(i) + (i % 2 == 0 ? "_x" : ""), 100));
    }
    for (int i = 0; i < 3; ++i) {
        keys.push_back(key("tenant:" + word(i) + ":cart", 50'000));
    }
    const KeySummary all = summarize(keys, {}, 1803, 870'000, 0);
    std::vector<std::string> patterns;
    for (const KeyGroup& row : all.groups) {
        patterns.push_back(row.pattern);
    }
    ASSERT_GE(patterns.size(), 4U);
    EXPECT_EQ(patterns[0], "profile:*:*:settings");
    EXPECT_EQ(patterns[1], "blog/*/html");
    EXPECT_NE(std::find(patterns.begin(), patterns.end(), "page_*"), patterns.end());
    EXPECT_NE(std::find(patterns.begin(), patterns.end(), "tenant:ba:cart"), patterns.end())
        << "few words are kinds of keys";
}

TEST(KeySample, AHugeKeyDrawnByChanceDoesNotStandForHundreds) {
    std::vector<SampledKey> many = {key("huge", 150'000'000)};
    for (int i = 0; i < 1999; ++i) {
        many.push_back(key("k:" + std::to_string(i), 100));
    }
    const KeySummary seen = summarize(many, {}, 1'000'000, 250'000'000, 0);
    EXPECT_NEAR(seen.bytes.value, 250'000'000, 1e6);
}

// Five fields out of many may be the large ones.
TEST(KeySample, NoKeyHoldsMoreThanThereIs) {
    std::vector<SampledKey> many;
    for (int i = 0; i < 2000; ++i) {
        many.push_back(key("k:" + std::to_string(i), 584));
    }
    SampledKey huge{.key = "h", .type = KeyType::hash, .bytes = 132'000'000, .length = 126'000};
    constexpr double others = 8000 * 584;
    for (const std::int64_t error : {-1, 140'000'000}) {
        huge.error = error;
        const KeySummary seen = summarize(many, std::span(&huge, 1), 8001, 48'000'000, 0);
        EXPECT_NEAR(static_cast<double>(seen.biggest.front().bytes), 48e6 - others, 1e6);
        EXPECT_NEAR(seen.bytes.value, 48e6, 1e6);
        EXPECT_NEAR(error_of(seen.biggest.front()), 1.5e6, 1.2e6) << "the data bounds it";
    }
    const KeySummary alone = summarize({}, std::span(&huge, 1), 8001, 48'000'000, 0);
    EXPECT_LE(alone.biggest.front().bytes, 48'000'000) << "nothing is known of the others";
}

TEST(KeySample, WhatIsMissingIsNotForcedOnAKeyThatIsSure) {
    std::vector<SampledKey> many;
    for (int i = 0; i < 2000; ++i) {
        many.push_back(key("k:" + std::to_string(i), 584));
    }
    const SampledKey list{
        .key = "q", .type = KeyType::list, .bytes = 20'000'000, .length = 9, .error = 200'000};
    const KeySummary seen = summarize(many, std::span(&list, 1), 8001, 48'000'000, 0);
    EXPECT_EQ(seen.biggest.front().bytes, 20'000'000);
    EXPECT_NEAR(seen.unexplained, 48e6 - 20e6 - 8000 * (584 + 32), 1e5) << "but for tables";
}

TEST(KeySample, IdleBytesOnlyWhereEveryKeySaysSo) {
    std::vector<SampledKey> keys = {key("a", 100), key("b", 300)};
    keys[0].idle_s = 10;
    EXPECT_EQ(summarize(keys, {}, 2, 400, 0).idle_hour_bytes, -1);
    keys[1].idle_s = 7200;
    EXPECT_EQ(summarize(keys, {}, 2, 400, 0).idle_hour_bytes, .75);
}

TEST(KeySample, ListsAreBounded) {
    std::vector<SampledKey> keys;
    for (char c = 'a'; c <= 'z'; ++c) {
        keys.push_back(key(std::string(1, c), 100));
    }
    const KeySummary all = summarize(keys, {}, 26, 2600, 0);
    EXPECT_EQ(all.groups.size(), KeySummary::groups_max);
    EXPECT_EQ(all.biggest.size(), KeySummary::biggest_max);
}

TEST(KeySample, Types) {
    EXPECT_EQ(key_type("stream"), KeyType::stream);
    EXPECT_EQ(key_type("ReJSON-RL"), KeyType::other);
    EXPECT_EQ(key_type("other"), KeyType::other);
}

}  // namespace
}  // namespace spillway::policy
