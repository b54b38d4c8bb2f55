// Replies and pushes found in a backend's bytes: tables of streams that give the same events at
// every split.
#include "resp/reply_reader.hpp"

#include "tests/unit/resp/reply_trace.hpp"
#include "tests/unit/resp/splits.hpp"

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

using namespace std::string_literals;
using test::Pieces;
using test::ReplyTrace;

enum class End { boundary, inside, lost };

struct Case {
    std::string_view name;
    std::string input;
    std::vector<std::string> events;
    End end = End::boundary;
};

void expect_at_every_split(const Case& c) {
    SCOPED_TRACE(c.name);
    test::at_every_split(c.input, [&](const Pieces& pieces) {
        ReplyTrace trace;
        for (const std::string_view piece : pieces) {
            trace.feed(piece);
        }
        EXPECT_EQ(trace.broken_promise(), "");
        EXPECT_EQ(trace.lines(), c.events);
        EXPECT_EQ(trace.lost(), c.end == End::lost);
        if (c.end != End::lost) {
            EXPECT_EQ(trace.at_boundary(), c.end == End::boundary);
        }
    });
}

void expect_at_every_split(std::initializer_list<Case> cases) {
    for (const Case& c : cases) {
        expect_at_every_split(c);
    }
}

TEST(ReplyReader, FindsRepliesAtEverySplit) {
    expect_at_every_split({
        {"nothing", "", {}},
        {"lines",
         "+OK\r\n:12\r\n:-1\r\n+\r\n",
         {"reply 5 +", "reply 10 :", "reply 15 :", "reply 18 +"}},
        {"bulks", "$3\r\nabc\r\n$0\r\n\r\n", {"reply 9 $", "reply 15 $"}},
        {"nulls of RESP2", "$-1\r\n*-1\r\n", {"reply 5 $", "reply 10 *  0"}},
        {"empty aggregates", "*0\r\n%0\r\n~0\r\n", {"reply 4 *  0", "reply 8 %", "reply 12 ~"}},
        {"lines of RESP3",
         "_\r\n#t\r\n,-inf\r\n(123456789012345678901234567890\r\n",
         {"reply 3 _", "reply 7 #", "reply 14 ,", "reply 47 ("}},
        {"verbatim", "=7\r\ntxt:a\r\n\r\n+\r\n", {"reply 13 =", "reply 16 +"}},
        {"header lookalikes inside a bulk",
         "$13\r\n$1\r\na\r\n*1\r\n+\r\r\n+OK\r\n",
         {"reply 20 $", "reply 25 +"}},
        {"a bulk's end is skipped unseen", "$1\r\naXY+OK\r\n", {"reply 7 $", "reply 12 +"}},
        {"CR inside a line", "+a\rb\r\r\n+\r\r\n", {"reply 7 +", "reply 11 +"}},
        {"LF inside a line", "+a\nb\r\n", {"reply 6 +"}},
        {"a hundred bytes",
         "$100\r\n" + std::string(100, '\r') + "\r\n:0\r\n",
         {"reply 108 $", "reply 112 :"}},
        {"an integer longer than any", ":" + std::string(60, '1') + "\r\n", {"reply 63 :"}},
    });
}

TEST(ReplyReader, SkipsPlainRepliesAndNoOthers) {
    const auto skipped = [](std::string_view bytes, std::uint64_t count_max, bool aggregates = false
                         ) {
        const auto [count, size] = ReplyReader().skip_plain(bytes, count_max, aggregates);
        return std::pair(count, size);
    };
    using Skipped = std::pair<std::uint64_t, std::size_t>;
    const std::string plain = "+OK\r\n$3\r\nabc\r\n:12\r\n$-1\r\n_\r\n,1.5\r\n";
    EXPECT_EQ(skipped(plain, 100), Skipped(6, plain.size()));
    EXPECT_EQ(skipped(plain, 2), Skipped(2, 14));
    EXPECT_EQ(skipped(plain, 0), Skipped(0, 0));
    for (const std::string_view other :
         {"-ERR no\r\n",
          "*1\r\n:1\r\n",
          ">1\r\n:1\r\n",
          "%0\r\n",
          "!3\r\nabc\r\n",
          "$3\r\nab",
          "+O",
          "$3\rXabc\r\n",
          "+a\rb\r\n",
          "?\r\n"}) {
        EXPECT_EQ(skipped(plain + std::string(other), 100), Skipped(6, plain.size())) << other;
    }
}

TEST(ReplyReader, SkipsAggregatesOfFewValuesWhereAskedTo) {
    const auto size_of = [](std::string_view bytes) {
        return ReplyReader().skip_plain(bytes, 1, true).size;
    };
    const auto array_of = [](int count) {
        std::string bytes = "*" + std::to_string(count) + "\r\n";
        for (int i = 0; i < count; ++i) {
            bytes += ":1\r\n";
        }
        return bytes;
    };
    for (const std::string& whole :
         {std::string("*0\r\n"),
          std::string("*2\r\n$3\r\nabc\r\n$-1\r\n"),
          std::string("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n"),
          std::string("~1\r\n*1\r\n%1\r\n+k\r\n~2\r\n#t\r\n#f\r\n"),
          array_of(63)}) {
        EXPECT_EQ(size_of(whole + ":1\r\n"), whole.size()) << whole;
        for (std::size_t cut = 1; cut < whole.size(); ++cut) {
            EXPECT_EQ(size_of(std::string_view(whole).substr(0, cut)), 0U) << whole << cut;
        }
    }
    for (const std::string& other :
         {std::string("*-1\r\n"),
          std::string("*1\r\n-ERR\r\n"),
          std::string("*2\r\n:1\r\n!3\r\nabc\r\n"),
          std::string("*1\r\n>1\r\n:1\r\n"),
          std::string("*1\r\n|1\r\n:1\r\n:2\r\n:3\r\n"),
          std::string("*1\r\n*-1\r\n"),
          std::string("*01\r\n:1\r\n"),
          std::string("*1\rX:1\r\n"),
          array_of(65)}) {
        EXPECT_EQ(size_of(other), 0U) << other;
    }
}

TEST(ReplyReader, CountsElementsWhateverTheNesting) {
    expect_at_every_split({
        {"flat", "*3\r\n:1\r\n$1\r\na\r\n+b\r\n+OK\r\n", {"reply 19 *  1", "reply 24 +"}},
        {"nested", "*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n$-1\r\n+OK\r\n", {"reply 25 *  1", "reply 30 +"}},
        {"nulls as elements", "*3\r\n$-1\r\n*-1\r\n_\r\n", {"reply 17 *  0"}},
        {"map", "%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n+OK\r\n", {"reply 24 %", "reply 29 +"}},
        {"map in array in set",
         "~1\r\n*1\r\n%1\r\n+k\r\n~2\r\n#t\r\n#f\r\n+OK\r\n",
         {"reply 28 ~", "reply 33 +"}},
        {"empty ones as last elements",
         "*2\r\n%0\r\n*1\r\n~0\r\n+OK\r\n",
         {"reply 16 *  0", "reply 21 +"}},
        {"unfinished", "*2\r\n:1\r\n", {}, End::inside},
        {"unfinished deep inside",
         "+OK\r\n*1\r\n%1\r\n+k\r\n*2\r\n:1\r\n",
         {"reply 5 +"},
         End::inside},
        {"EXEC with a HELLO 3 in it",
         "*2\r\n%1\r\n$5\r\nproto\r\n:3\r\n+OK\r\n_\r\n",
         {"reply 28 *  3", "reply 31 _"}},
    });
}

TEST(ReplyReader, KeepsNoMemoryForDepth) {
    std::string deep;
    for (int i = 0; i < 1500; ++i) {
        deep += i % 2 == 0 ? "*1\r\n" : "%1\r\n+k\r\n";
    }
    expect_at_every_split({
        {"deep", deep + "+v\r\n:1\r\n", {"reply 9004 *  0", "reply 9008 :"}},
        {"deep and unfinished", deep, {}, End::inside},
    });
}

TEST(ReplyReader, TellsErrorsAtTopLevelBeforeTheirLineEnds) {
    const std::string oom = "OOM command not allowed when used memory > 'maxmemory'.";
    expect_at_every_split({
        {"one", "-ERR no\r\n", {"line_ending 7 \"ERR no\"", "reply 9 - \"ERR no\""}},
        {"OOM between others",
         "+OK\r\n-" + oom + "\r\n+OK\r\n",
         {"reply 5 +",
          "line_ending 61 \"" + oom + "\"",
          "reply 63 - \"" + oom + "\"",
          "reply 68 +"}},
        {"two",
         "-A\r\n-B\r\n",
         {"line_ending 2 \"A\"", "reply 4 - \"A\"", "line_ending 6 \"B\"", "reply 8 - \"B\""}},
        {"empty", "-\r\n", {"line_ending 1 \"\"", "reply 3 - \"\""}},
        {"told once, before the first CR",
         "-a\rb\r\r\n+OK\r\n",
         {"line_ending 2 \"a\"", "reply 7 - \"a\rb\r\"", "reply 12 +"}},
        {"a bulk error has no line",
         "!6\r\nERR no\r\n+OK\r\n",
         {"reply 12 ! \"ERR no\"", "reply 17 +"}},
        {"an empty bulk error",
         "-A\r\n!0\r\n\r\n",
         {"line_ending 2 \"A\"", "reply 4 - \"A\"", "reply 10 ! \"\""}},
        {"unfinished", "-ERR no", {}, End::inside},
        {"its end unfinished", "-ERR no\r", {"line_ending 7 \"ERR no\""}, End::inside},
    });
}

TEST(ReplyReader, TellsErrorsInsideAggregates) {
    expect_at_every_split({
        {"in the middle",
         "*3\r\n+OK\r\n-OOM x\r\n:1\r\n",
         {"nested_error 17 \"OOM x\"", "reply 21 * OK 1"}},
        {"as the last element",
         "*2\r\n+OK\r\n-OOM x\r\n+OK\r\n",
         {"reply 17 * OK 0 last \"OOM x\"", "reply 22 +"}},
        {"several",
         "*3\r\n-A\r\n-B\r\n-C\r\n",
         {"nested_error 8 \"A\"", "nested_error 12 \"B\"", "reply 16 *  0 last \"C\""}},
        {"as the last element of the last element",
         "*1\r\n*2\r\n:1\r\n-A\r\n",
         {"reply 16 *  1 last \"A\""}},
        {"before an empty last element",
         "*2\r\n-A\r\n*0\r\n",
         {"nested_error 8 \"A\"", "reply 12 *  0"}},
        {"bulk errors",
         "*2\r\n!3\r\nERR\r\n!2\r\nno\r\n",
         {"nested_error 13 \"ERR\"", "reply 21 *  0 last \"no\""}},
        {"in a map",
         "%1\r\n+k\r\n-A\r\n-B\r\n",
         {"reply 12 % last \"A\"", "line_ending 14 \"B\"", "reply 16 - \"B\""}},
        {"forgotten by the next reply",
         "*1\r\n-A\r\n*1\r\n+x\r\n:1\r\n",
         {"reply 8 *  0 last \"A\"", "reply 16 * x 0", "reply 20 :"}},
        {"text like an error is none", "*2\r\n$4\r\n-ERR\r\n+-x\r\n", {"reply 19 * -ERR 0"}},
    });
}

TEST(ReplyReader, KeepsABoundedPartOfErrors) {
    const std::string kept(error_line_bytes_max, 'e');
    const std::string longer = kept + "xyz";
    expect_at_every_split({
        {"as long as the bound",
         "-" + kept + "\r\n",
         {"line_ending 513 \"" + kept + "\"", "reply 515 - \"" + kept + "\""}},
        {"longer",
         "-" + longer + "\r\n+OK\r\n",
         {"line_ending 516 \"" + kept + "\"", "reply 518 - \"" + kept + "\"", "reply 523 +"}},
        {"a longer bulk error", "!515\r\n" + longer + "\r\n", {"reply 523 ! \"" + kept + "\""}},
        {"a longer nested error",
         "*2\r\n-" + longer + "\r\n:1\r\n",
         {"nested_error 522 \"" + kept + "\"", "reply 526 *  1"}},
        {"CRs beyond the bound",
         "-" + kept + "\r\r\r\n",
         {"line_ending 513 \"" + kept + "\"", "reply 517 - \"" + kept + "\""}},
    });
}

TEST(ReplyReader, TellsPushesBetweenReplies) {
    expect_at_every_split({
        {"message",
         ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n+OK\r\n",
         {"push 31 > message 0", "reply 36 +"}},
        {"first word as a line",
         ">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n:1\r\n",
         {"push 28 > invalidate 0", "reply 32 :"}},
        {"invalidation of all", ">2\r\n$10\r\ninvalidate\r\n_\r\n", {"push 24 > invalidate 0"}},
        {"empty", ">0\r\n+OK\r\n", {"push 4 >  0", "reply 9 +"}},
        {"nothing between them", ">1\r\n+a\r\n>1\r\n+b\r\n", {"push 8 > a 0", "push 16 > b 0"}},
        {"an error in it", ">2\r\n+a\r\n-E\r\n", {"push 12 > a 0 last \"E\""}},
    });
}

// Redis 7.0 writes a client's own push inside the EXEC array, and does not count it.
TEST(ReplyReader, CountsNoPushInsideAnAggregate) {
    const std::string push = ">3\r\n+message\r\n+c\r\n+x\r\n";
    expect_at_every_split({
        {"before the first element",
         "*2\r\n" + push + ":1\r\n:2\r\n+OK\r\n",
         {"reply 34 *  2", "reply 39 +"}},
        {"before the last element",
         "*2\r\n:1\r\n" + push + ":2\r\n+OK\r\n",
         {"reply 34 *  2", "reply 39 +"}},
        {"two in a row", "*1\r\n" + push + push + ":2\r\n+OK\r\n", {"reply 52 *  2", "reply 57 +"}},
        {"deeper inside", "*2\r\n*1\r\n" + push + ":1\r\n" + push + ":2\r\n", {"reply 60 *  2"}},
        {"between a key and its value",
         "%1\r\n+k\r\n" + push + "+v\r\n+OK\r\n",
         {"reply 34 %", "reply 39 +"}},
        {"empty", "*1\r\n>0\r\n:1\r\n+OK\r\n", {"reply 12 *  1", "reply 17 +"}},
        {"with an aggregate in it",
         "*1\r\n>2\r\n+invalidate\r\n*2\r\n+a\r\n+b\r\n:1\r\n",
         {"reply 37 *  1"}},
        {"with an error in it",
         "*1\r\n>1\r\n-E\r\n:1\r\n",
         {"nested_error 12 \"E\"", "reply 16 *  1"}},
        {"inside a push", ">2\r\n+a\r\n" + push + "+b\r\n+OK\r\n", {"push 34 > a 0", "reply 39 +"}},
        {"as the last thing owed by a push",
         ">1\r\n" + push + "+a\r\n+OK\r\n",
         {"push 30 >  0", "reply 35 +"}},
        {"the reply still waits", "*1\r\n" + push, {}, End::inside},
    });
}

TEST(ReplyReader, FollowsFourPushesInsideEachOther) {
    const std::string open = ">2\r\n+a\r\n";
    const std::string close = "+b\r\n+b\r\n+b\r\n+b\r\n";
    expect_at_every_split({
        {"four",
         "*1\r\n" + open + open + open + open + close + ":1\r\n+OK\r\n",
         {"reply 56 *  1", "reply 61 +"}},
        {"five", "*1\r\n" + open + open + open + open + open, {"unfollowable 40"}, End::lost},
    });
}

TEST(ReplyReader, TakesAttributesForWhatTheyDescribe) {
    const std::string attribute = "|1\r\n+ttl\r\n:3600\r\n";
    expect_at_every_split({
        {"a line", attribute + "+OK\r\n+OK\r\n", {"reply 22 +", "reply 27 +"}},
        {"an integer", attribute + ":7\r\n", {"reply 21 :"}},
        {"a bulk", attribute + "$2\r\nab\r\n", {"reply 25 $"}},
        {"an array", attribute + "*2\r\n+a\r\n:5\r\n", {"reply 29 * a 5"}},
        {"a map", attribute + "%1\r\n+a\r\n:5\r\n", {"reply 29 %"}},
        {"an error",
         attribute + "-ERR no\r\n",
         {"line_ending 24 \"ERR no\"", "reply 26 - \"ERR no\""}},
        {"a null", attribute + "_\r\n", {"reply 20 _"}},
        {"another attribute", attribute + attribute + "#t\r\n", {"reply 38 #"}},
        {"empty", "|0\r\n+OK\r\n", {"reply 9 +"}},
        {"an aggregate in it", "|1\r\n+k\r\n*2\r\n:1\r\n%1\r\n+a\r\n+b\r\n+OK\r\n", {"reply 33 +"}},
        {"an error in it", "|1\r\n+k\r\n-E\r\n+OK\r\n", {"nested_error 12 \"E\"", "reply 17 +"}},
        {"before elements",
         "*2\r\n" + attribute + ":1\r\n" + attribute + ":2\r\n",
         {"reply 46 *  2"}},
        {"before a first word", "*2\r\n|0\r\n+a\r\n:2\r\n", {"reply 16 *  2"}},
        {"a push between it and its reply", attribute + ">1\r\n+a\r\n" + "+OK\r\n", {"reply 30 +"}},
        {"inside a push", ">1\r\n" + attribute + "+a\r\n", {"push 25 >  3600"}},
        {"nothing follows", attribute, {}, End::inside},
    });
}

TEST(ReplyReader, TellsWhatAFrameOfASubscriptionSays) {
    expect_at_every_split({
        {"subscribe", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:12\r\n", {"reply 31 * subscribe 12"}},
        {"of RESP3", ">3\r\n$12\r\npunsubscribe\r\n_\r\n:0\r\n", {"push 30 > punsubscribe 0"}},
        {"cut at the bound",
         "*1\r\n$20\r\naaaaaaaaaabbbbbbbbbb\r\n",
         {"reply 31 * aaaaaaaaaabbbbbb 0"}},
        {"cut at the bound, a line",
         "*1\r\n+aaaaaaaaaabbbbbbbbbb\r\n",
         {"reply 27 * aaaaaaaaaabbbbbb 0"}},
        {"as long as the bound",
         "*1\r\n$16\r\naaaaaaaaaabbbbbb\r\n",
         {"reply 27 * aaaaaaaaaabbbbbb 0"}},
        {"no string first", "*2\r\n:1\r\n+b\r\n", {"reply 12 *  1"}},
        {"null first", "*2\r\n$-1\r\n+b\r\n", {"reply 13 *  0"}},
        {"a double first", "*2\r\n,1.5\r\n+b\r\n", {"reply 14 *  0"}},
        {"a verbatim string first", "*2\r\n=5\r\ntxt:a\r\n+b\r\n", {"reply 19 *  0"}},
        {"an array first", "*2\r\n*1\r\n+a\r\n+b\r\n", {"reply 16 *  0"}},
        {"empty first", "*2\r\n$0\r\n\r\n+b\r\n", {"reply 14 *  0"}},
        {"CR in it", "*1\r\n+a\rb\r\n", {"reply 10 * a\rb 0"}},
        {"forgotten by the next", "*2\r\n+a\r\n:1\r\n*0\r\n", {"reply 12 * a 1", "reply 16 *  0"}},
        {"an integer out of range", "*2\r\n+a\r\n:99999999999999999999\r\n", {"reply 31 * a 0"}},
        {"an integer longer than any",
         "*2\r\n+a\r\n:" + std::string(40, '1') + "\r\n",
         {"reply 51 * a 0"}},
        {"an integer that is none", "*2\r\n:7\r\n:x\r\n", {"reply 12 *  0"}},
        {"the least integer",
         "*1\r\n:-9223372036854775808\r\n",
         {"reply 27 *  -9223372036854775808"}},
    });
}

TEST(ReplyReader, GivesUpOnWhatTheServerNeverSends) {
    expect_at_every_split({
        {"no type", "OK\r\n", {"unfollowable 0"}, End::lost},
        {"an empty line", "+OK\r\n\r\n", {"reply 5 +", "unfollowable 5"}, End::lost},
        {"a NUL", "\0"s, {"unfollowable 0"}, End::lost},
        {"streamed string", "$?\r\n", {"unfollowable 4"}, End::lost},
        {"streamed array", "*?\r\n", {"unfollowable 4"}, End::lost},
        {"end of a stream", "*1\r\n.\r\n", {"unfollowable 4"}, End::lost},
        {"part of a stream", ";4\r\n", {"unfollowable 0"}, End::lost},
        {"no type inside", "*2\r\n:1\r\nx", {"unfollowable 8"}, End::lost},
        {"empty length", "$\r\n", {"unfollowable 3"}, End::lost},
        {"length below null", "$-2\r\n", {"unfollowable 5"}, End::lost},
        {"minus zero", "*-0\r\n", {"unfollowable 5"}, End::lost},
        {"plus", "*+1\r\n", {"unfollowable 5"}, End::lost},
        {"leading zero", "$01\r\na\r\n", {"unfollowable 5"}, End::lost},
        {"leading zero of an element", "*2\r\n+a\r\n$01\r\na\r\n", {"unfollowable 13"}, End::lost},
        {"space", "$1 \r\n", {"unfollowable 5"}, End::lost},
        {"CR without LF", "$1\ra\r\n", {"unfollowable 6"}, End::lost},
        {"CR without LF of an element", "*2\r\n+a\r\n$1\rXa\r\n", {"unfollowable 15"}, End::lost},
        {"a length longer than any",
         "$" + std::string(24, '1') + "5\r\n",
         {"unfollowable 25"},
         End::lost},
        {"a CR beyond any length",
         "$" + std::string(24, '1') + "\r5\r\n",
         {"unfollowable 26"},
         End::lost},
        {"length out of range", "$9223372036854775808\r\n", {"unfollowable 22"}, End::lost},
        {"20 digits", "*99999999999999999999\r\n", {"unfollowable 23"}, End::lost},
        {"more elements than can be real", "*1099511627777\r\n", {"unfollowable 16"}, End::lost},
        {"twice the largest number", "%9223372036854775807\r\n", {"unfollowable 22"}, End::lost},
    });
}

TEST(ReplyReader, FollowsHugeLengths) {
    expect_at_every_split({
        {"the largest bulk", "$9223372036854775807\r\nabc", {}, End::inside},
        {"the largest array", "*1099511627776\r\n:1\r\n", {}, End::inside},
        {"the largest map, of such maps",
         "%1099511627776\r\n%1099511627776\r\n|1099511627776\r\n",
         {},
         End::inside},
        {"a billion elements and none comes", "*1000000000\r\n", {}, End::inside},
    });
}

// Elements owed add up only as fast as bytes come: not even a stream of the largest headers
// overflows the sum.
TEST(ReplyReader, GivesUpBeforeTheSumOfElementsOverflows) {
    const std::string header = "%1099511627776\r\n";
    ReplyReader reader;
    std::size_t headers = 0;
    ReplyReader::Step step;
    while (step.event == ReplyEvent::need_more && headers < 600'000) {
        step = reader.read(header);
        ++headers;
    }
    EXPECT_EQ(step.event, ReplyEvent::unfollowable);
    EXPECT_GT(headers, 500'000U);
}

TEST(ReplyReader, TellsHowLongTheBulkIsThatIsBeingPassed) {
    ReplyReader reader;
    EXPECT_EQ(reader.bulk_bytes(), 0U);
    EXPECT_EQ(reader.read("$10\r\nabc").event, ReplyEvent::need_more);
    EXPECT_EQ(reader.bulk_bytes(), 12U);
    EXPECT_EQ(reader.read("defghij\r").event, ReplyEvent::need_more);
    EXPECT_EQ(reader.bulk_bytes(), 12U);
    EXPECT_EQ(reader.read("\n").event, ReplyEvent::reply);
    EXPECT_EQ(reader.bulk_bytes(), 0U);
}

}  // namespace
}  // namespace spillway::resp
