// Whose growth it is, and how equal proxies settle on a common pace.
#include "policy/foreign_growth.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr double noise = 64 * 1024;

TEST(ForeignGrowth, WhatGrewWhileWeDidNothingIsKnown) {
    ForeignGrowth foreign;
    const Interval quiet{.seen = 100'000, .gained = 100'000, .seconds = 0.01};
    for (int i = 0; i < 300; ++i) {
        foreign.observe(quiet, noise);
    }
    EXPECT_NEAR(foreign.bytes_per_s(), 10e6, 1e6);
    const Interval busy{
        .seen = 100'000,
        .gained = 100'000,
        .estimated = 50'000,
        .seconds = 0.01,
        .possible = 50'000};
    EXPECT_GT(foreign.known_bytes(busy, noise), 90'000);
    for (int i = 0; i < 200; ++i) {
        foreign.observe(busy, noise);
    }
    EXPECT_LT(foreign.known_bytes(busy, noise), 20'000) << "it is not known for ever";
}

TEST(ForeignGrowth, ThatItEndedIsSeenAtOnce) {
    ForeignGrowth foreign;
    for (int i = 0; i < 30; ++i) {
        foreign.observe({.seen = 2'000'000, .gained = 2'000'000, .seconds = 0.01}, noise);
    }
    const Interval ours{
        .seen = 100'000,
        .gained = 100'000,
        .estimated = 120'000,
        .seconds = 0.01,
        .possible = 120'000};
    foreign.observe(ours, noise);
    EXPECT_EQ(foreign.known_bytes(ours, noise), 0) << "these 10 MB a second are no part of 200";
}

TEST(ForeignGrowth, TheShareIsWhatWeMayHaveCaused) {
    ForeignGrowth foreign;
    EXPECT_EQ(foreign.share(), 1.0);
    const Interval quarter{
        .seen = 600'000, .gained = 600'000, .estimated = 100'000, .seconds = 0.1};
    for (int i = 0; i < 3; ++i) {
        foreign.compare(quarter, noise);
    }
    EXPECT_NEAR(foreign.share(), 0.25, 0.01);
    const Interval idle{.seen = 600'000, .gained = 600'000, .estimated = 0, .seconds = 0.1};
    for (int i = 0; i < 3; ++i) {
        foreign.compare(idle, noise);
    }
    EXPECT_NEAR(foreign.share(), 0.25, 0.01) << "who does nothing learns nothing of it";
}

// Each sees only the sum, and answers it in the same way.
class Settling : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Proxies, Settling, testing::Values(1, 2, 4, 16));

TEST_P(Settling, EqualProxiesKeepTheCommonPace) {
    std::array<ForeignGrowth, 16> proxies;
    const int count = GetParam();
    constexpr double wanted_per_s = 8e6;
    constexpr double seconds = 0.01;
    double gained = 0;
    double last = 0;
    double widest = 0;
    for (int step = 0; step < 600; ++step) {
        gained = 0;
        for (int i = 0; i < count; ++i) {
            gained += proxies[static_cast<std::size_t>(i)].pace_factor() * wanted_per_s * seconds;
        }
        if (step > 400) {
            widest = std::max(widest, std::abs(gained - last) / gained);
        }
        last = gained;
        Interval interval;
        interval.seen = interval.gained = static_cast<std::int64_t>(gained);
        interval.seconds = seconds;
        for (int i = 0; i < count; ++i) {
            proxies[static_cast<std::size_t>(i)].pace(
                interval, wanted_per_s * seconds, noise, 10 * second
            );
        }
    }
    EXPECT_NEAR(gained / seconds / wanted_per_s, 1.0, 0.25);
    EXPECT_LT(widest, 0.05) << "it does not swing";
}

}  // namespace
}  // namespace spillway::policy
