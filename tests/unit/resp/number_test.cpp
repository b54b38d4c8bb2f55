// Numbers of header lines: a table of traps, and every short text held against a plain restatement
// of the rule.
#include "resp/number.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t smallest = std::numeric_limits<std::int64_t>::min();

TEST(ParseCanonical, ReadsWhatTheServerWouldWrite) {
    for (const std::int64_t value :
         {std::int64_t{0},
          std::int64_t{1},
          std::int64_t{-1},
          std::int64_t{10},
          std::int64_t{512} << 20,
          largest,
          largest - 1,
          smallest,
          smallest + 1}) {
        EXPECT_EQ(parse_canonical(std::to_string(value)), value);
    }
}

TEST(ParseCanonical, RefusesEverythingElse) {
    for (const std::string_view text : {
             "",
             "-",
             "+",
             "-0",
             "+5",
             "01",
             "00",
             "-01",
             " 1",
             "1 ",
             "1\r",
             "0x1",
             "1.0",
             "1e3",
             "--1",
             "$?",
             "?",
             "9223372036854775808",    // one too large
             "-9223372036854775809",   // one too small
             "9223372036854775810",    // ten times nine hundred and so on, plus none
             "18446744073709551616",   // 2^64 must not come round to 0
             "18446744073709551617",   //
             "99999999999999999999",   // 20 digits
             "100000000000000000000",  // 21 digits
             "-9223372036854775808 ",  //
         }) {
        EXPECT_EQ(parse_canonical(text), std::nullopt) << '"' << text << '"';
    }
    EXPECT_EQ(parse_canonical(std::string_view("1\0", 2)), std::nullopt);
}

// All texts of up to five characters out of those that matter.
template <typename Check>
void each_short_text(const Check& check) {
    constexpr std::string_view alphabet = "0159-+ \r\n";
    constexpr std::size_t size_max = 5;
    std::string text;
    const auto extend = [&](const auto& self) -> void {
        check(text);
        if (text.size() == size_max) {
            return;
        }
        for (const char c : alphabet) {
            text.push_back(c);
            self(self);
            text.pop_back();
        }
    };
    extend(extend);
}

TEST(ParseCanonical, TakesATextOnlyIfTheNumberIsWrittenLikeThat) {
    int numbers = 0;
    each_short_text([&](const std::string& text) {
        const std::int64_t value = std::strtoll(text.c_str(), nullptr, 10);
        const bool canonical = std::to_string(value) == text;
        const auto parsed = parse_canonical(text);
        ASSERT_EQ(parsed.has_value(), canonical) << '"' << text << '"';
        if (parsed) {
            ++numbers;
            ASSERT_EQ(*parsed, value);
        }
    });
    EXPECT_EQ(numbers, 1 + 3 * (1 + 4 + 16 + 64 + 256) + 3 * (1 + 4 + 16 + 64));
}

TEST(ShortNumber, AgreesWithTheLongWayOrLeavesTheLineToIt) {
    int found = 0;
    each_short_text([&](const std::string& text) {
        const std::string line = "$" + text;
        const ShortNumber number = short_number(line, 1);
        const std::size_t cr = line.find('\r');
        const bool whole = cr != std::string::npos && cr + 1 < line.size();
        const auto expected =
            whole ? parse_canonical(std::string_view(line).substr(1, cr - 1)) : std::nullopt;
        if (expected && *expected >= 0) {
            ++found;
            ASSERT_EQ(number.end, cr + 2) << '"' << text << '"';
            ASSERT_EQ(number.value, static_cast<std::uint64_t>(*expected));
        } else {
            ASSERT_EQ(number.end, 0U) << '"' << text << '"';
        }
    });
    EXPECT_GT(found, 1000);
}

TEST(ShortNumber, LeavesTenDigitsToTheLongWay) {
    EXPECT_EQ(short_number("999999999\r\n", 0).value, 999'999'999U);
    EXPECT_EQ(short_number("999999999\r\n", 0).end, 11U);
    EXPECT_EQ(short_number("1000000000\r\n", 0).end, 0U);
    EXPECT_EQ(short_number("", 0).end, 0U);
    EXPECT_EQ(short_number("7", 1).end, 0U);
}

}  // namespace
}  // namespace spillway::resp
