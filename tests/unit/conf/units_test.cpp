// Sizes and durations: what is taken, what is refused, and that writing and reading agree.
#include "conf/units.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

using namespace std::chrono_literals;

TEST(Size, TakesPowersOfTwoInAnyCaseAndBareBytes) {
    EXPECT_EQ(parse_size("0"), 0U);
    EXPECT_EQ(parse_size("17"), 17U);
    EXPECT_EQ(parse_size("17b"), 17U);
    EXPECT_EQ(parse_size("1kb"), 1024U);
    EXPECT_EQ(parse_size("64mb"), 67'108'864U);
    EXPECT_EQ(parse_size("64Mb"), 67'108'864U);
    EXPECT_EQ(parse_size("1GB"), 1'073'741'824U);
    EXPECT_EQ(parse_size("2tb"), 2'199'023'255'552U);
}

TEST(Size, EndsWhereSignedArithmeticDoes) {
    EXPECT_EQ(parse_size("9223372036854775807"), size_bytes_max);
    EXPECT_EQ(parse_size("9223372036854775808"), std::nullopt);
    EXPECT_EQ(parse_size("8388607tb"), 8'388'607ULL << 40U);
    EXPECT_EQ(parse_size("8388608tb"), std::nullopt);
    EXPECT_EQ(parse_size("18446744073709551616"), std::nullopt);
}

TEST(Size, RefusesWhatIsNotDigitsAndAUnit) {
    for (const std::string_view text :
         {"",
          "mb",
          "-1",
          "+1",
          " 1",
          "1 mb",
          "1mb ",
          "1.5gb",
          "1m",
          "1mib",
          "0x10",
          "1e3",
          "1mbb"}) {
        EXPECT_EQ(parse_size(text), std::nullopt) << text;
    }
}

TEST(Size, IsWrittenInItsLargestWholeUnit) {
    EXPECT_EQ(format_size(0), "0");
    EXPECT_EQ(format_size(1'000), "1000b");
    EXPECT_EQ(format_size(1'024), "1kb");
    EXPECT_EQ(format_size(1'536), "1536b");
    EXPECT_EQ(format_size(67'108'864), "64mb");
    EXPECT_EQ(format_size(1ULL << 30U), "1gb");
}

TEST(Duration, TakesEachUnitAndNoOther) {
    EXPECT_EQ(parse_duration("500us"), 500us);
    EXPECT_EQ(parse_duration("250ms"), 250ms);
    EXPECT_EQ(parse_duration("3s"), 3s);
    EXPECT_EQ(parse_duration("5m"), 5min);
    EXPECT_EQ(parse_duration("1h"), 1h);
    EXPECT_EQ(parse_duration("0s"), 0s);
    for (const std::string_view text :
         {"", "s", "10", "-1s", "1.5s", "1 s", "1S", "1m30s", "1d", "1sec"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

TEST(Duration, RefusesWhatWouldOverflow) {
    EXPECT_EQ(parse_duration("9223372036854775807us"), std::chrono::microseconds::max());
    EXPECT_EQ(parse_duration("9223372036854775808us"), std::nullopt);
    EXPECT_EQ(parse_duration("2562047789h"), std::nullopt);
}

TEST(Duration, IsWrittenInItsLargestWholeUnit) {
    EXPECT_EQ(format_duration(0us), "0s");
    EXPECT_EQ(format_duration(1s), "1s");
    EXPECT_EQ(format_duration(60s), "1m");
    EXPECT_EQ(format_duration(90s), "90s");
    EXPECT_EQ(format_duration(24h), "24h");
    EXPECT_EQ(format_duration(1'500us), "1500us");
}

TEST(Units, ReadBackWhatTheyWrite) {
    for (std::uint64_t bit = 0; bit < 63; ++bit) {
        for (const std::uint64_t amount : {1ULL << bit, (1ULL << bit) - 1, (1ULL << bit) + 1}) {
            EXPECT_EQ(parse_size(format_size(amount)), amount);
            const std::chrono::microseconds duration(static_cast<std::int64_t>(amount));
            EXPECT_EQ(parse_duration(format_duration(duration)), duration);
        }
    }
}

}  // namespace
}  // namespace spillway::conf
