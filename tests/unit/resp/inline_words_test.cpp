// Inline commands split into words: a table of what Redis 7.0.15 answered, and words that come back
// from behind quotes.
#include "resp/inline_words.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

using Words = std::vector<std::string>;

std::optional<Words> split(std::string_view line) {
    InlineWords split{.text = "left over", .ends = {4, 9}};
    if (!split_inline(line, split)) {
        return std::nullopt;
    }
    Words words;
    std::size_t begin = 0;
    for (const std::size_t end : split.ends) {
        words.push_back(split.text.substr(begin, end - begin));
        begin = end;
    }
    EXPECT_EQ(begin, split.text.size());
    return words;
}

struct Case {
    std::string_view line;
    Words words;
};

TEST(SplitInline, SplitsAsTheServerDoes) {
    const Case cases[] = {
        {"", {}},
        {" \t\r\v\f ", {}},
        {"PING", {"PING"}},
        {"PING\r", {"PING"}},
        {"  SET\tk\r v  ", {"SET", "k", "v"}},
        // VT and FF are skipped before a word, but do not end one.
        {"ECHO\va", {"ECHO\va"}},
        {"a\fb \v\fc", {"a\fb", "c"}},
        {"'a'\vb", {"a", "b"}},
        // Quotes
        {R"(SET k "a b")", {"SET", "k", "a b"}},
        {R"("" '')", {"", ""}},
        {R"(ab"c d" e)", {"abc d", "e"}},
        {R"(ab'c d')", {"abc d"}},
        {R"("it's" 'say "no"')", {"it's", R"(say "no")"}},
        {"\"a\nb\"", {"a\nb"}},
        // Escapes
        {R"("\n\r\t\b\a")", {"\n\r\t\b\a"}},
        {R"("\"\\\q\x")", {"\"\\qx"}},
        {R"("\x41\xfF\x0a")", {"A\xff\n"}},
        {R"("\x4" "\x4g" "\xg1")", {"x4", "x4g", "xg1"}},
        {R"("\x00" b)", {std::string(1, '\0'), "b"}},
        {R"('\'' '\n' '\\x')", {"'", "\\n", "\\\\x"}},
        {R"(a\n "b")", {"a\\n", "b"}},
        {R"(a\"b c")", {"a\\b c"}},
        // Bytes that are no ASCII are no blanks.
        {"caf\xc3\xa9 \xa0\x85", {"caf\xc3\xa9", "\xa0\x85"}},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(split(c.line), c.words) << c.line;
    }
}

TEST(SplitInline, RefusesQuotesThatDoNotEndOrDoNotEndTheWord) {
    for (const std::string_view line : {
             R"(")",
             R"(')",
             R"(SET k "a)",
             R"(SET k 'a)",
             R"("a\")",
             R"("a\)",
             R"("\x4)",
             R"("\x41)",
             R"('a\')",
             R"('\)",
             R"('\\')",
             R"("abc"def)",
             R"('abc'def)",
             R"("a""b")",
             R"('a''b')",
             R"("a"'b')",
             R"(a"b"c)",
         }) {
        EXPECT_EQ(split(line), std::nullopt) << line;
    }
}

// Written as redis-cli quotes them, any bytes come back.
TEST(SplitInline, GivesEveryByteBack) {
    constexpr std::string_view hex = "0123456789abcdef";
    std::string all;
    std::string quoted = "\"";
    std::string in_hex = "\"";
    for (int i = 0; i < 256; ++i) {
        const char c = static_cast<char>(i);
        all.push_back(c);
        quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
        in_hex +=
            {'\\',
             'x',
             hex[static_cast<std::size_t>(i) / 16],
             hex[static_cast<std::size_t>(i) % 16]};
    }
    EXPECT_EQ(split(quoted + "\" " + in_hex + "\""), (Words{all, all}));
}

}  // namespace
}  // namespace spillway::resp
