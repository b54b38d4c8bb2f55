// Figures in sentences.
#include "policy/wording.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;

TEST(Wording, Bytes) {
    EXPECT_EQ(bytes_text(0), "0 B");
    EXPECT_EQ(bytes_text(999), "999 B");
    EXPECT_EQ(bytes_text(1000), "1 KiB");
    EXPECT_EQ(bytes_text(1536), "1.5 KiB");
    EXPECT_EQ(bytes_text(64 * mib), "64 MiB");
    EXPECT_EQ(bytes_text(1023 * mib), "1 GiB") << "never four digits";
    EXPECT_EQ(bytes_text(-11 * mib), "-11 MiB");
    EXPECT_EQ(bytes_text(std::numeric_limits<std::int64_t>::max()), "8192 PiB");
    EXPECT_EQ(bytes_text(std::numeric_limits<std::int64_t>::min()), "-8192 PiB");
}

TEST(Wording, Percent) {
    EXPECT_EQ(percent_text(0), "0 %");
    EXPECT_EQ(percent_text(.0001), "under 0.1 %");
    EXPECT_EQ(percent_text(.004), "0.4 %");
    EXPECT_EQ(percent_text(.97), "97 %");
    EXPECT_EQ(percent_text(2.25), "225 %");
    EXPECT_EQ(percent_text(-1), "0 %");
    EXPECT_EQ(percent_text(std::nan("")), "0 %");
}

TEST(Wording, Counts) {
    EXPECT_EQ(count_text(0), "0");
    EXPECT_EQ(count_text(999), "999");
    EXPECT_EQ(count_text(1000), "1,000");
    EXPECT_EQ(count_text(1'234'567), "1,234,567");
    EXPECT_EQ(count_text(-1000), "-1,000");
    EXPECT_EQ(count_text(-100), "-100");
}

TEST(Wording, Durations) {
    EXPECT_EQ(duration_text(.0004), "0 ms");
    EXPECT_EQ(duration_text(.25), "250 ms");
    EXPECT_EQ(duration_text(2.5), "2.5 s");
    EXPECT_EQ(duration_text(90), "90 s");
    EXPECT_EQ(duration_text(600), "10 min");
    EXPECT_EQ(duration_text(5 * 3600), "5 h");
    EXPECT_EQ(duration_text(30 * 86'400 - 60), "30 days");
    EXPECT_EQ(duration_text(-1), "0 ms");
    EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "0 ms");
}

// What CONFIG SET is given is never less than what was meant, and round.
TEST(Wording, Settings) {
    EXPECT_EQ(setting_text(1), "1mb");
    EXPECT_EQ(setting_text(40 * mib), "40mb");
    EXPECT_EQ(setting_text(41 * mib), "42mb");
    EXPECT_EQ(setting_text(125 * mib), "128mb");
    EXPECT_EQ(setting_text(1024 * mib), "1gb");
    EXPECT_EQ(setting_text(1025 * mib), "1088mb");
    EXPECT_EQ(setting_text(9 * 1024 * mib + 1), "10gb");
    EXPECT_EQ(exact_setting(64 * mib), "64mb");
    EXPECT_EQ(exact_setting(2048 * mib), "2gb");
    EXPECT_EQ(exact_setting(64 * mib + 1), "67108865");
    EXPECT_EQ(exact_setting(0), "0");
}

}  // namespace
}  // namespace spillway::policy
