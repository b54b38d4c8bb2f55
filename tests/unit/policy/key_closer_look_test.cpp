// What readings of one collection say of its size: when it is exact, and how far off it may be.
#include "policy/key_closer_look.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

std::vector<SizeReading> readings_of(const std::vector<double>& elements, std::size_t samples_max) {
    std::vector<SizeReading> readings;
    double sum = 0;
    for (std::size_t i = 0; i < std::min(elements.size(), samples_max); ++i) {
        sum += elements[i];
        const std::size_t seen = i + 1;
        if (seen >= 8 && (seen & (seen - 1)) == 0) {
            readings.push_back(
                {.samples = static_cast<std::int64_t>(seen),
                 .bytes = std::llround(
                     sum / static_cast<double>(seen) * static_cast<double>(elements.size())
                 )}
            );
        }
    }
    return readings;
}

TEST(MeasuredSize, NothingOrOneReadingIsUncertain) {
    EXPECT_EQ(measured_size({}, KeyType::hash, 9).error, -1);
    const std::vector<SizeReading> one = {{.samples = 8, .bytes = 500}};
    EXPECT_EQ(measured_size(one, KeyType::hash, 900).error, -1);
    EXPECT_EQ(measured_size(one, KeyType::hash, 900).bytes, 500);
}

TEST(MeasuredSize, AllElementsAreExact) {
    const std::vector<SizeReading> all = {
        {.samples = 8, .bytes = 100}, {.samples = 16, .bytes = 300}};
    EXPECT_EQ(measured_size(all, KeyType::hash, 12).error, 0);
    EXPECT_GT(measured_size(all, KeyType::hash, 120).error, 0);
    EXPECT_GT(measured_size(all, KeyType::hash, -1).error, 0);
}

TEST(MeasuredSize, AListThatGrowsTowardsItsEndIsNotSure) {
    std::vector<double> nodes;
    for (int i = 0; i < 100'000; ++i) {
        nodes.push_back(1000 + i / 10.);
    }
    const auto size = measured_size(readings_of(nodes, 4096), KeyType::list, 400'000);
    EXPECT_GT(size.error, size.bytes / 8);
}

// The errors must be what they say, and no wider than of use, for sizes as they occur.
TEST(MeasuredSize, IntervalsHoldTheTruth) {
    std::mt19937 random(11);
    std::lognormal_distribution<double> skewed(5, 1);
    for (const int shape : {0, 1, 2}) {
        int held = 0;
        double wide = 0;
        constexpr int rounds = 300;
        for (int round = 0; round < rounds; ++round) {
            std::vector<double> fields;
            double bytes = 0;
            for (int i = 0; i < 20'000; ++i) {
                const double size = shape == 0           ? 90 + static_cast<double>(random() % 9)
                                    : shape == 1         ? skewed(random)
                                    : random() % 20 == 0 ? 5000
                                                         : 90;
                fields.push_back(size);
                bytes += size;
            }
            const auto size = measured_size(readings_of(fields, 2048), KeyType::hash, 20'000);
            const double off = std::abs(static_cast<double>(size.bytes) - bytes);
            held += off <= static_cast<double>(size.error) ? 1 : 0;
            wide += static_cast<double>(size.error) / bytes / rounds;
        }
        EXPECT_GT(held, rounds * 93 / 100) << shape;
        EXPECT_LT(wide, .2) << shape;
    }
}

TEST(CloserLook, ARefusalEndsIt) {
    CloserLook look;
    const std::vector<SampledKey> keys = {
        {.db = 3, .key = "h", .type = KeyType::hash, .bytes = 1 << 20}};
    look.plan(keys, {}, 2 << 20, false);
    ASSERT_TRUE(look.busy());
    EXPECT_EQ(look.db(), 3);
    const auto commands = look.ask();
    EXPECT_EQ(commands.front(), (Command{"HLEN", "h"}));
    EXPECT_EQ(commands.back(), (Command{"MEMORY", "USAGE", "h", "SAMPLES", "512"}));
    const std::vector<resp::Reply> refused(
        commands.size(), resp::Reply{.type = resp::ReplyType::error, .text = "NOPERM"}
    );
    ASSERT_NE(look.take(refused), nullptr);
    EXPECT_FALSE(look.busy());
}

TEST(CloserLook, OnlyWhatMattersIsMeasuredAgain) {
    std::vector<SampledKey> keys(500);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        keys[i] = {.key = std::to_string(i), .type = KeyType::hash, .bytes = 1 << 20, .length = 4};
        keys[i].length += static_cast<std::int64_t>(i);
    }
    CloserLook look;
    look.plan(keys, {}, std::int64_t{1} << 30, false);
    EXPECT_FALSE(look.busy()) << "a thousandth each";
    look.plan(keys, {}, std::int64_t{1} << 30, true);
    EXPECT_TRUE(look.busy()) << "those of most elements, since data is missing";
    EXPECT_EQ(look.ask().front()[2], "499");
}

}  // namespace
}  // namespace spillway::policy
