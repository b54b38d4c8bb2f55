// Commands found in client bytes: tables of input that give the same commands at every split, then
// the rules of the head.
#include "resp/command_reader.hpp"

#include "tests/unit/resp/command_trace.hpp"
#include "tests/unit/resp/splits.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

using namespace std::string_literals;
using test::CommandTrace;
using test::InputEnd;
using test::Pieces;
using test::SeenCommand;

using Words = std::vector<std::string>;

std::string bulk(std::string_view text) {
    return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}

std::string command(const Words& words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
        bytes += bulk(word);
    }
    return bytes;
}

struct Case {
    std::string_view name;
    std::string input;
    std::vector<Words> commands = {};
    InputEnd end = InputEnd::boundary;
    std::size_t blanks = 0;
};

// What of a command must have been seen at any split: all of its words, unless it is long enough to
// be judged before.
void expect_command(const SeenCommand& seen, const Words& words) {
    ASSERT_EQ(seen.count, words.size());
    std::uint64_t bytes = 0;
    for (const std::string& word : words) {
        bytes += word.size();
    }
    EXPECT_EQ(seen.argument_bytes, bytes);
    for (std::size_t i = 0; i < seen.arguments.size(); ++i) {
        EXPECT_EQ(seen.arguments[i].length, words[i].size());
        EXPECT_EQ(seen.arguments[i].text, words[i].substr(0, seen.arguments[i].text.size()));
        if (words[i].size() <= gathered_argument_bytes_max && seen.size < head_bytes_max) {
            EXPECT_EQ(seen.arguments[i].text, words[i]);
        }
    }
    if (bytes <= gathered_argument_bytes_max && seen.size < head_bytes_max) {
        EXPECT_EQ(seen.arguments.size(), std::min(words.size(), arguments_kept_max));
        EXPECT_EQ(seen.announced, words.size());
    }
}

void expect_at_every_split(const Case& c) {
    SCOPED_TRACE(c.name);
    test::at_every_split(c.input, [&](const Pieces& pieces) {
        CommandTrace trace;
        for (const std::string_view piece : pieces) {
            trace.feed(piece);
        }
        EXPECT_EQ(trace.broken_promise(), "");
        ASSERT_EQ(trace.commands().size(), c.commands.size());
        for (std::size_t i = 0; i < c.commands.size(); ++i) {
            expect_command(trace.commands()[i], c.commands[i]);
        }
        EXPECT_EQ(trace.blanks(), c.blanks);
        EXPECT_EQ(trace.end(), c.end);
        if (c.end == InputEnd::boundary) {
            EXPECT_EQ(trace.settled(), c.input.size());
        }
    });
}

void expect_at_every_split(std::initializer_list<Case> cases) {
    for (const Case& c : cases) {
        expect_at_every_split(c);
        if (testing::Test::HasFatalFailure()) {
            return;
        }
    }
}

TEST(CommandReader, FindsCommandsAtEverySplit) {
    const std::string thousand(1000, 'v');
    expect_at_every_split({
        {"one", "*1\r\n$4\r\nPING\r\n", {{"PING"}}},
        {"pipeline",
         command({"SET", "key", thousand}) + command({"GET", "key"}) +
             command({"DEL", "a", "b", "c", "d", "e"}),
         {{"SET", "key", thousand}, {"GET", "key"}, {"DEL", "a", "b", "c", "d", "e"}}},
        {"empty arguments",
         command({"", "", ""}) + command({"SET", "", ""}),
         {{"", "", ""}, {"SET", "", ""}}},
        {"header lookalikes inside arguments",
         command({"SET", "*1\r\n$4\r\nPING\r\n", "\r\n$3\r\n"}) + command({"PING"}),
         {{"SET", "*1\r\n$4\r\nPING\r\n", "\r\n$3\r\n"}, {"PING"}}},
        {"every byte",
         command({"SET", std::string("\0\r\n\xff\x80", 5)}),
         {{"SET", std::string("\0\r\n\xff\x80", 5)}}},
        {"lengths of three and four digits",
         command({"X", std::string(100, 'a'), thousand}),
         {{"X", std::string(100, 'a'), thousand}}},
    });
}

// The server skips the byte after a CR and the two after a bulk without looking at them.
TEST(CommandReader, SkipsTerminatorsUnseen) {
    expect_at_every_split({
        {"any byte after a CR", "*1\rX$4\rYPING\r\n*1\r\r$4\r\rPONG\r\n", {{"PING"}, {"PONG"}}},
        {"any two bytes after a bulk",
         "*2\r\n$4\r\nPINGXX$1\r\na*1*1\r\n$4\r\nPING\r\n",
         {{"PING", "a"}, {"PING"}}},
        {"NUL for each", "*1\r\0$4\r\0PING\0\0"s, {{"PING"}}},
        {"a lone LF is data", "*1\r\n$1\r\n\n\r\n", {{"\n"}}},
    });
}

TEST(CommandReader, PassesBlanksOver) {
    expect_at_every_split({
        {"no elements", "*0\r\n*-1\r\n*-9223372036854775808\r\n*0\rX", {}, InputEnd::boundary, 4},
        {"empty lines", "\r\n\n \t\r\n", {}, InputEnd::boundary, 3},
        {"between commands",
         "*0\r\n" + command({"PING"}) + "\r\n" + command({"PING"}) + "\n",
         {{"PING"}, {"PING"}},
         InputEnd::boundary,
         3},
    });
}

TEST(CommandReader, ReadsInlineCommands) {
    const std::string long_line(5000, 'x');
    expect_at_every_split({
        {"words", "PING\r\nSET  k\tv\nget k\r\n", {{"PING"}, {"SET", "k", "v"}, {"get", "k"}}},
        {"quotes", "set k \"a \\x41\\n\" 'b c'\r\n", {{"set", "k", "a A\n", "b c"}}},
        {"an empty word", "\"\"\r\n", {{""}}},
        {"five words", "a b c d e\r\n", {{"a", "b", "c", "d", "e"}}},
        {"CR inside the line", "a\rb\r\r\n", {{"a", "b"}}},
        {"other types' bytes", "$4\r\n+PING\r\n%1\r\n-x\r\n", {{"$4"}, {"+PING"}, {"%1"}, {"-x"}}},
        {"a star later in the line", "a *1\r\n *1\r\n", {{"a", "*1"}, {"*1"}}},
        {"NUL behind the newline", "PING\n" + command({"\0"s}), {{"PING"}, {"\0"s}}},
        {"longer than what is gathered of an argument",
         "ECHO " + long_line + "\r\nPING\r\n",
         {{"ECHO", long_line}, {"PING"}}},
        {"mixed with multibulk",
         "PING\r\n" + command({"PING"}) + "PING\n",
         {{"PING"}, {"PING"}, {"PING"}}},
        {"unfinished", "PING\r\nPING", {{"PING"}}, InputEnd::head},
    });
}

TEST(CommandReader, WaitsForWhatHasNotCome) {
    expect_at_every_split({
        {"nothing yet", ""},
        {"type byte", "*", {}, InputEnd::head},
        {"count without CR", "*12", {}, InputEnd::head},
        {"count without the byte after its CR", "*0\r", {}, InputEnd::head},
        {"no argument", "*1\r\n", {}, InputEnd::head},
        {"two billion arguments and none comes", "*2147483647\r\n", {}, InputEnd::head},
        {"two billion arguments and one comes", "*2147483647\r\n$1\r\na\r\n", {}, InputEnd::head},
        {"length without CR", "*1\r\n$4", {}, InputEnd::head},
        {"length without the byte after its CR", "*1\r\n$4\r", {}, InputEnd::head},
        {"argument without its end", "*1\r\n$4\r\nPING\r", {}, InputEnd::head},
        {"behind a command", command({"PING"}) + "*2\r\n$3\r\nGET\r\n", {{"PING"}}, InputEnd::head},
        {"a large argument", "*2\r\n$1\r\na\r\n$4097\r\n", {}, InputEnd::body},
        {"the largest number", "*1\r\n$9223372036854775807\r\nabc", {}, InputEnd::body},
    });
}

TEST(CommandReader, RefusesWhatTheServerRefuses) {
    const std::string ping = command({"PING"});
    expect_at_every_split({
        {"empty count", "*\r\n", {}, InputEnd::malformed},
        {"minus alone", "*-\r\n", {}, InputEnd::malformed},
        {"minus zero", "*-0\r\n", {}, InputEnd::malformed},
        {"plus", "*+1\r\n", {}, InputEnd::malformed},
        {"leading zero", "*01\r\n", {}, InputEnd::malformed},
        {"leading space", "* 1\r\n", {}, InputEnd::malformed},
        {"trailing space", "*1 \r\n", {}, InputEnd::malformed},
        {"LF without CR", "*1\n$4\nPING\n\r\n", {}, InputEnd::malformed},
        {"NUL", "*1\0\r\n"s, {}, InputEnd::malformed},
        {"one more than the most", "*2147483648\r\n", {}, InputEnd::malformed},
        {"20 digits", "*99999999999999999999\r\n", {}, InputEnd::malformed},
        {"one less than the least", "*-9223372036854775809\r\n", {}, InputEnd::malformed},
        {"a count without end", "*0000000000000000000000", {}, InputEnd::malformed},
        {"no $", ping + "*1\r\n:4\r\nPING\r\n", {{"PING"}}, InputEnd::malformed},
        {"an argument too few", "*2\r\n$4\r\nPING\r\n" + ping, {}, InputEnd::malformed},
        {"an argument's end too short", "*2\r\n$4\r\nPING\r$1\r\na\r\n", {}, InputEnd::malformed},
        {"empty length", "*1\r\n$\r\n", {}, InputEnd::malformed},
        {"null argument", "*1\r\n$-1\r\n", {}, InputEnd::malformed},
        {"length minus zero", "*1\r\n$-0\r\n", {}, InputEnd::malformed},
        {"length with plus", "*1\r\n$+5\r\n", {}, InputEnd::malformed},
        {"length with leading zero", "*1\r\n$04\r\nPING\r\n", {}, InputEnd::malformed},
        {"streamed length", "*1\r\n$?\r\n", {}, InputEnd::malformed},
        {"length out of range", "*1\r\n$9223372036854775808\r\n", {}, InputEnd::malformed},
        {"length of 2^64", "*1\r\n$18446744073709551616\r\n", {}, InputEnd::malformed},
        {"a length without end", "*1\r\n$1111111111111111111111", {}, InputEnd::malformed},
        {"open quotes", "PING\r\nSET k \"v\r\n", {{"PING"}}, InputEnd::malformed},
        {"a quote inside a word's end", "SET k \"v\"x\r\n", {}, InputEnd::malformed},
        {"NUL in an inline command", "PI\0NG\r\n"s, {}, InputEnd::malformed},
    });
}

// Behind a large argument the lengths stand in the body, where they are held to the same rules.
TEST(CommandReader, HoldsTheBodyToTheSameRules) {
    const std::string large = bulk(std::string(5000, 'v'));
    const Words whole = {"A", std::string(5000, 'v'), "b", "", std::string(300, 'c')};
    expect_at_every_split({
        {"valid", command(whole) + command({"PING"}), {whole, {"PING"}}},
        {"terminators unseen",
         "*2\r\n$5000\r\n" + std::string(5000, 'v') + "ab$1\rXcyz" + command({"PING"}),
         {{std::string(5000, 'v'), "c"}, {"PING"}}},
        {"no $", "*2\r\n" + large + ":1\r\n", {}, InputEnd::malformed},
        {"empty length", "*2\r\n" + large + "$\r\n", {}, InputEnd::malformed},
        {"negative length", "*2\r\n" + large + "$-1\r\n", {}, InputEnd::malformed},
        {"leading zero", "*2\r\n" + large + "$01\r\n", {}, InputEnd::malformed},
        {"length out of range",
         "*2\r\n" + large + "$9223372036854775808\r\n",
         {},
         InputEnd::malformed},
        {"a length without end",
         "*2\r\n" + large + "$1111111111111111111111",
         {},
         InputEnd::malformed},
        {"the largest number",
         "*2\r\n" + large + "$9223372036854775807\r\nabc",
         {},
         InputEnd::body},
        {"behind valid ones",
         command({"PING"}) + "*3\r\n" + large + "$1\r\na\r\n$1a\r\n",
         {{"PING"}},
         InputEnd::malformed},
    });
}

TEST(CommandReader, FollowsCommandsLargerThanAnyWindow) {
    Words many = {"MSET"};
    for (int i = 0; i < 2000; ++i) {
        many.push_back("key:" + std::to_string(i));
        many.emplace_back(static_cast<std::size_t>(i % 23), 'v');
    }
    const Words large = {"SET", "key", std::string(100'000, 'v'), "EX", "100"};
    expect_at_every_split({
        {"many small arguments", command(many) + command({"PING"}), {many, {"PING"}}},
        {"one large argument", command(large) + command({"PING"}), {large, {"PING"}}},
    });
}

// --- The rules of the head ---

HeadResult read(CommandReader& reader, std::string_view window) {
    const HeadResult result = reader.read_head(window);
    EXPECT_LE(reader.consumed(), window.size());
    return result;
}

TEST(CommandHead, GathersAnArgumentUpToTheBound) {
    const std::string begin =
        "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" + std::to_string(gathered_argument_bytes_max) + "\r\n";
    const std::string value(gathered_argument_bytes_max, 'v');
    CommandReader reader;
    EXPECT_EQ(read(reader, begin), HeadResult::need_more);
    EXPECT_EQ(read(reader, begin + value), HeadResult::need_more);
    EXPECT_EQ(read(reader, begin + value + "\r"), HeadResult::need_more);
    const std::string whole = begin + value + "\r\n";
    ASSERT_EQ(read(reader, whole), HeadResult::head);
    EXPECT_EQ(reader.argument(2), value);
    EXPECT_EQ(reader.consumed(), whole.size());
    EXPECT_FALSE(reader.in_body());
}

TEST(CommandHead, EndsWhereALongerArgumentBegins) {
    const std::string begin = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$" +
                              std::to_string(gathered_argument_bytes_max + 1) + "\r\n";
    for (const std::string_view in_hand : {"", "v", "vvvv"}) {
        const std::string window = begin + std::string(in_hand);
        CommandReader reader;
        EXPECT_EQ(
            read(reader, std::string_view(window).substr(0, begin.size() - 1)),
            HeadResult::need_more
        );
        ASSERT_EQ(read(reader, window), HeadResult::head);
        EXPECT_EQ(reader.argument_count(), 3U);
        EXPECT_EQ(reader.arguments_announced(), 3U);
        EXPECT_EQ(reader.argument(0), "SET");
        EXPECT_EQ(reader.argument(1), "k");
        EXPECT_EQ(reader.argument(2), in_hand);
        EXPECT_NE(reader.argument(2).data(), nullptr);
        EXPECT_EQ(reader.argument_length(2), gathered_argument_bytes_max + 1);
        EXPECT_EQ(reader.argument_bytes(), gathered_argument_bytes_max + 5);
        EXPECT_EQ(reader.largest_argument_bytes(), gathered_argument_bytes_max + 1);
        EXPECT_EQ(reader.consumed(), window.size());
        EXPECT_TRUE(reader.in_body());
    }
}

TEST(CommandHead, EndsInAWindowOfTheBound) {
    const std::string argument = "$2\r\nab\r\n";
    std::string window = "*9000\r\n";
    while (window.size() + argument.size() < head_bytes_max) {
        window += argument;
    }
    const std::size_t arguments = (window.size() - 7) / argument.size();
    const std::size_t next_length_at = window.size();
    window += argument;
    window.resize(head_bytes_max - 1);

    CommandReader reader;
    EXPECT_EQ(read(reader, window), HeadResult::need_more);
    window.push_back(argument[window.size() - next_length_at]);
    ASSERT_EQ(window.size(), head_bytes_max);
    ASSERT_EQ(read(reader, window), HeadResult::head);
    EXPECT_EQ(reader.argument_count(), 9000U);
    EXPECT_TRUE(reader.in_body());
    EXPECT_GE(reader.arguments_announced(), arguments);
    EXPECT_EQ(reader.argument(arguments_kept_max - 1), "ab");
}

// 16,384 bytes that end inside a length line, exactly before one, and inside a short argument.
TEST(CommandHead, LeavesAnUnfinishedLengthToTheBody) {
    for (const std::string_view cut :
         {"", "$", "$5", "$5\r", "$5\r\n", "$5\r\nabc", "$5\r\nabcde\r"}) {
        std::string window = "*4\r\n";
        const std::size_t filler = (head_bytes_max - 4 - cut.size()) / 2;
        // Two arguments of "$dddd\r\n…\r\n", nine bytes more than their text.
        const std::size_t odd = (head_bytes_max - 4 - cut.size()) % 2;
        window += bulk(std::string(filler - 9, 'a')) + bulk(std::string(filler - 9 + odd, 'b'));
        window += cut;
        ASSERT_EQ(window.size(), head_bytes_max);

        CommandReader reader;
        ASSERT_EQ(read(reader, window), HeadResult::head) << cut;
        EXPECT_TRUE(reader.in_body());
        const bool length_is_known = cut.size() >= 4;
        EXPECT_EQ(reader.arguments_announced(), length_is_known ? 3U : 2U) << cut;
        EXPECT_EQ(reader.consumed(), window.size() - (length_is_known ? 0 : cut.size())) << cut;
        EXPECT_EQ(reader.argument(2), cut.substr(std::min<std::size_t>(cut.size(), 4)).substr(0, 5))
            << cut;

        const std::string rest = window.substr(reader.consumed()) +
                                 std::string("$5\r\nabcde\r\n").substr(cut.size()) + bulk("z") +
                                 command({"PING"});
        EXPECT_EQ(reader.read_body(rest), rest.size() - command({"PING"}).size()) << cut;
        EXPECT_FALSE(reader.in_body());
        EXPECT_FALSE(reader.body_malformed());
        EXPECT_EQ(reader.take_late_bytes(), length_is_known ? 1U : 6U) << cut;
        EXPECT_EQ(reader.take_late_bytes(), 0U);
    }
}

TEST(CommandHead, TakesAWholeCommandOfAnySizeFromTheWindow) {
    const Words words = {"SET", "k", std::string(4 * head_bytes_max, 'v'), "NX"};
    const std::string input = command(words) + "*1";
    CommandReader reader;
    ASSERT_EQ(read(reader, input), HeadResult::head);
    EXPECT_FALSE(reader.in_body());
    EXPECT_EQ(reader.consumed(), input.size() - 2);
    EXPECT_EQ(reader.argument(2), words[2]);
    EXPECT_EQ(reader.argument(3), "NX");
}

TEST(CommandHead, KeepsABoundedNumberOfArguments) {
    Words words(arguments_kept_max + 2, "ab");
    words[arguments_kept_max - 1] = "last kept";
    words[arguments_kept_max] = std::string(50, 'x');
    const std::string input = command(words);
    CommandReader reader;
    ASSERT_EQ(read(reader, input), HeadResult::head);
    EXPECT_EQ(reader.arguments_announced(), words.size());
    EXPECT_EQ(reader.argument(arguments_kept_max - 1), "last kept");
    EXPECT_EQ(reader.argument_length(arguments_kept_max - 1), 9U);
    EXPECT_EQ(reader.argument(arguments_kept_max).data(), nullptr);
    EXPECT_EQ(reader.argument_length(arguments_kept_max), 0U);
    EXPECT_EQ(reader.argument_bytes(), (words.size() - 2) * 2 + 9 + 50);
    EXPECT_EQ(reader.largest_argument_bytes(), 50U);
}

TEST(CommandHead, CountsAnAnnouncedLengthUpToABound) {
    CommandReader reader;
    ASSERT_EQ(read(reader, "*2\r\n$1\r\na\r\n$9223372036854775807\r\n"), HeadResult::head);
    EXPECT_EQ(reader.argument_length(1), 9223372036854775807U);
    EXPECT_EQ(reader.largest_argument_bytes(), 9223372036854775807U);
    EXPECT_EQ(reader.argument_bytes(), (std::uint64_t{1} << 48) + 1);
}

TEST(CommandHead, BeginsAnewBehindEachCommand) {
    const std::string six = command({"SET", "a", "b", "c", "d", "the largest"});
    const std::string seven = command({"MSET", "one", "two", "three", "four", "five", "six"});
    const std::string one = command({"PING"});
    CommandReader reader;
    ASSERT_EQ(read(reader, six), HeadResult::head);
    EXPECT_EQ(reader.argument(4), "d");
    EXPECT_EQ(reader.argument(6).data(), nullptr);
    ASSERT_EQ(read(reader, seven), HeadResult::head);
    EXPECT_EQ(reader.argument(4), "four");
    EXPECT_EQ(reader.argument(6), "six");
    EXPECT_EQ(reader.largest_argument_bytes(), 5U);
    ASSERT_EQ(read(reader, one), HeadResult::head);
    EXPECT_EQ(reader.argument_count(), 1U);
    EXPECT_EQ(reader.arguments_announced(), 1U);
    EXPECT_EQ(reader.argument(1).data(), nullptr);
    EXPECT_EQ(reader.argument(4).data(), nullptr);
    EXPECT_EQ(reader.argument_bytes(), 4U);
    EXPECT_EQ(reader.largest_argument_bytes(), 4U);
    ASSERT_EQ(read(reader, "*0\r\n"), HeadResult::blank);
    EXPECT_EQ(reader.argument_count(), 0U);
    EXPECT_EQ(reader.consumed(), 4U);
}

TEST(CommandHead, IsReadAgainAfterRewind) {
    const std::string window = "*2\r\n$3\r\nSET\r\n$5000\r\nvvv";
    CommandReader reader;
    for (int i = 0; i < 2; ++i) {
        ASSERT_EQ(
            read(reader, window + std::string(static_cast<std::size_t>(i), 'v')), HeadResult::head
        );
        EXPECT_EQ(reader.argument_count(), 2U);
        EXPECT_EQ(reader.argument(1).size(), 3U + static_cast<std::size_t>(i));
        EXPECT_EQ(reader.argument_bytes(), 5003U);
        EXPECT_TRUE(reader.in_body());
        reader.rewind();
        EXPECT_FALSE(reader.in_body());
    }
    EXPECT_EQ(reader.take_late_bytes(), 0U);
}

// Words of an inline command live in the reader, and go along when it is copied.
TEST(CommandHead, KeepsInlineWordsInACopy) {
    CommandReader reader;
    ASSERT_EQ(read(reader, "ECHO 'a b'\r\n"), HeadResult::head);
    const CommandReader copy = reader;
    ASSERT_EQ(read(reader, "QUIT\r\n"), HeadResult::head);
    EXPECT_EQ(copy.argument(0), "ECHO");
    EXPECT_EQ(copy.argument(1), "a b");
    EXPECT_EQ(reader.argument(0), "QUIT");
}

// The server refuses a line without newline only when it is longer than 64 KB.
TEST(CommandHead, WaitsForAnInlineNewlineAsLongAsTheServer) {
    const std::string line = "ECHO " + std::string(inline_bytes_max - 5, 'x');
    ASSERT_EQ(line.size(), inline_bytes_max);
    CommandReader reader;
    EXPECT_EQ(read(reader, line), HeadResult::need_more);
    EXPECT_EQ(read(reader, line + "x"), HeadResult::malformed);

    CommandReader longer;
    ASSERT_EQ(read(longer, line + "x\r\n"), HeadResult::head);
    EXPECT_EQ(longer.argument(1).size(), inline_bytes_max - 4);
    EXPECT_EQ(longer.consumed(), inline_bytes_max + 3);
}

TEST(CommandBody, EndsWithTheCommandAndLeavesTheRest) {
    CommandReader reader;
    ASSERT_EQ(read(reader, "*2\r\n$5000\r\n"), HeadResult::head);
    const std::string rest = std::string(5000, 'v') + "\r\n$0\r\n\r\n";
    EXPECT_EQ(reader.read_body(""), 0U);
    EXPECT_TRUE(reader.in_body());
    EXPECT_EQ(reader.read_body(rest + "*1\r\n"), rest.size());
    EXPECT_FALSE(reader.in_body());
    EXPECT_EQ(reader.take_late_bytes(), 0U);
    EXPECT_EQ(read(reader, "*1\r\n$4\r\nPING\r\n"), HeadResult::head);
    EXPECT_EQ(reader.argument(0), "PING");
}

TEST(CommandBody, ConsumesUpToTheByteThatBreaksTheProtocol) {
    CommandReader reader;
    ASSERT_EQ(read(reader, "*2\r\n$5000\r\n"), HeadResult::head);
    const std::string rest = std::string(5000, 'v') + "\r\n";
    EXPECT_EQ(reader.read_body(rest + "X1\r\n"), rest.size() + 1);
    EXPECT_TRUE(reader.body_malformed());
    EXPECT_FALSE(reader.in_body());
}

}  // namespace
}  // namespace spillway::resp
