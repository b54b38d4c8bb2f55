// Bytes from anywhere, as JSON and for a terminal.
#include "proxy/log/encode.hpp"

#include "policy/utf8.hpp"

#include <limits>
#include <random>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace spillway::log {
namespace {

std::string shown(std::string_view bytes) {
    return std::string(text_json(bytes));
}

TEST(TextJson, KeepsUtf8AndEscapesTheRest) {
    EXPECT_EQ(
        shown("caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\n"),
        "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x98\x80\n"
    );
    EXPECT_EQ(
        shown("a\xff"
              "b"),
        "a\\xffb"
    );
    EXPECT_EQ(shown("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
    EXPECT_EQ(shown("\xe0\x80\xaf"), "\\xe0\\x80\\xaf") << "overlong";
    EXPECT_EQ(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
    EXPECT_EQ(shown("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
    EXPECT_EQ(shown("\xe2\x82"), "\\xe2\\x82") << "cut";
    EXPECT_EQ(shown(std::string_view("\0x", 2)), std::string("\0x", 2)) << "JSON escapes it";
}

TEST(TextJson, AnyBytesAreOneValidJsonLine) {
    std::mt19937 random(3);
    for (int round = 0; round < 5000; ++round) {
        std::string bytes(random() % 40, '\0');
        for (char& c : bytes) {
            c = static_cast<char>(random());
        }
        const std::string line = to_line(boost::json::object{{"key", text_json(bytes)}});
        ASSERT_EQ(line.find('\n'), std::string::npos);
        for (std::string_view rest = line; !rest.empty();) {
            const auto length = policy::utf8_character(rest);
            ASSERT_GT(length, 0U);
            rest.remove_prefix(length);
        }
        boost::json::error_code error;
        boost::json::parse(line, error);
        ASSERT_FALSE(error) << line;
    }
}

TEST(TerminalText, KeepsLettersAndEscapesWhatMovesTheCursorOrTurnsText) {
    EXPECT_EQ(terminal_text("caf\xc3\xa9 \xe6\x97\xa5"), "caf\xc3\xa9 \xe6\x97\xa5");
    EXPECT_EQ(terminal_text("a\x1b[31mb\r\nc\x7f"), "a\\x1b[31mb\\x0d\\x0ac\\x7f");
    EXPECT_EQ(
        terminal_text("\xc2\x9b"
                      "31m"),
        "\\xc2\\x9b31m"
    ) << "the C1 form of ESC [";
    EXPECT_EQ(
        terminal_text("\xe2\x80\xae"
                      "evil"),
        "\\xe2\\x80\\xaeevil"
    ) << "right-to-left override";
    EXPECT_EQ(terminal_text("\xe2\x81\xa6"), "\\xe2\\x81\\xa6") << "isolate";
    EXPECT_EQ(terminal_text("\xe2\x80\xa8"), "\\xe2\\x80\\xa8") << "line separator";
    EXPECT_EQ(terminal_text("\xe2\x82\xac"), "\xe2\x82\xac") << "a euro sign is fine";
    EXPECT_EQ(terminal_text("\xff"), "\\xff");
}

TEST(ToLine, NumbersReadAsPeopleWriteThem) {
    const boost::json::array numbers = {
        0.95, 1.0, 0.0, -2.5, 1e22, 1e-9, 123456.789, -7, 18446744073709551615U};
    EXPECT_EQ(to_line(numbers), "[0.95,1,0,-2.5,1e+22,1e-09,123456.789,-7,18446744073709551615]");
    EXPECT_EQ(
        to_line(boost::json::array{
            std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}),
        "[null,null]"
    );
}

TEST(ToLine, KeepsOrderAndEscapes) {
    const boost::json::object value = {
        {"z", 1},
        {"a\"", nullptr},
        {"m", {true, "q\"\n\\", boost::json::object{}}},
        {"e", boost::json::array{}}};
    EXPECT_EQ(to_line(value), R"({"z":1,"a\"":null,"m":[true,"q\"\n\\",{}],"e":[]})");
}

TEST(ToLine, DepthIsBounded) {
    boost::json::value value = 1;
    for (int i = 0; i < 100; ++i) {
        value = boost::json::array{std::move(value)};
    }
    const std::string line = to_line(value);
    EXPECT_EQ(line, std::string(32, '[') + "null" + std::string(32, ']'));
}

TEST(TimeText, IsRfc3339InUtcWithMilliseconds) {
    EXPECT_EQ(time_text(0), "1970-01-01T00:00:00.000Z");
    EXPECT_EQ(time_text(1'709'210'096'007), "2024-02-29T12:34:56.007Z");
    EXPECT_EQ(time_text(1'735'689'599'999), "2024-12-31T23:59:59.999Z");
    EXPECT_EQ(time_text(-1), "1969-12-31T23:59:59.999Z");
    EXPECT_EQ(time_text(std::numeric_limits<std::int64_t>::max()), "9999-12-31T23:59:59.999Z");
    EXPECT_EQ(time_text(std::numeric_limits<std::int64_t>::min()), "0000-01-01T00:00:00.000Z");
}

}  // namespace
}  // namespace spillway::log
