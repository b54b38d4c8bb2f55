// Quoting, listing, spelling and UTF-8.
#include "conf/text.hpp"

#include <array>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

constexpr std::array<std::string_view, 4> modes = {"off", "observe", "protect", "throttle_at"};

TEST(Quoted, EscapesWhatTomlWouldMisread) {
    EXPECT_EQ(quoted("a \"b\" \\ c"), R"("a \"b\" \\ c")");
    EXPECT_EQ(quoted(std::string_view("\n\x7f\0", 3)), R"("\u000A\u007F\u0000")");
    EXPECT_EQ(quoted("ünïcode"), "\"ünïcode\"");
}

TEST(Quoted, CutsLongTextsBetweenCharacters) {
    EXPECT_EQ(quoted("abcd", 4), "\"abcd\"");
    EXPECT_EQ(quoted("abcde", 4), "\"abcd…\"");
    EXPECT_EQ(quoted("abcü", 4), "\"abc…\"");
    EXPECT_EQ(quoted("aü", 3), "\"aü\"");
}

TEST(Joined, PutsOrBeforeTheLast) {
    EXPECT_EQ(joined_quoted({}), "");
    EXPECT_EQ(joined_quoted(std::array<std::string_view, 1>{"a"}), R"("a")");
    EXPECT_EQ(joined_quoted(std::array<std::string_view, 3>{"a", "b", "c"}), R"("a", "b" or "c")");
}

TEST(Nearest, FindsSlipsOfTheKeyboard) {
    EXPECT_EQ(nearest("throtle_at", modes), "throttle_at");    // left out
    EXPECT_EQ(nearest("tthrottle_at", modes), "throttle_at");  // added
    EXPECT_EQ(nearest("throttle-at", modes), "throttle_at");   // wrong
    EXPECT_EQ(nearest("porotect", modes), "protect");
    EXPECT_EQ(nearest("fof", modes), "off");  // swapped
}

TEST(Nearest, DoesNotGuessWildly) {
    EXPECT_EQ(nearest("", modes), std::nullopt);
    EXPECT_EQ(nearest("xx", modes), std::nullopt);
    EXPECT_EQ(nearest("window", modes), std::nullopt);
    EXPECT_EQ(nearest(std::string(10'000, 'o'), modes), std::nullopt);
}

TEST(IsUtf8, FollowsTheStandardsTable) {
    for (const std::string_view text :
         {"",
          "abc",
          "\xc2\x80",
          "\xdf\xbf",
          "\xe0\xa0\x80",
          "\xed\x9f\xbf",
          "\xee\x80\x80",
          "\xf0\x90\x80\x80",
          "\xf4\x8f\xbf\xbf",
          "a\xc3\xbcz"}) {
        EXPECT_TRUE(is_utf8(text)) << quoted(text);
    }
    for (const std::string_view text :
         {"\x80",
          "\xc0\x80",
          "\xc1\xbf",
          "\xc2",
          "\xc2z",
          "\xe0\x9f\xbf",
          "\xed\xa0\x80",
          "\xf0\x8f\xbf\xbf",
          "\xf4\x90\x80\x80",
          "\xf5\x80\x80\x80",
          "\xff",
          "\xe2\x82",
          "ok\xe2\x82z"}) {
        EXPECT_FALSE(is_utf8(text)) << quoted(text);
    }
}

}  // namespace
}  // namespace spillway::conf
