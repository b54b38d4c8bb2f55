// Every kind of reply, whole and at every split point; then what no server should send.
#include "resp/reply_tree.hpp"

#include "tests/unit/resp/command_fixture.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

constexpr std::string_view type_names[] = {
    "null",
    "simple",
    "error",
    "int",
    "bool",
    "number",
    "bulk",
    "verbatim",
    "array",
    "map",
    "set",
    "push"};

// The tree in one line: array(simple(a) null()).
std::string show(const Reply& reply) {
    std::string out(type_names[static_cast<std::size_t>(reply.type)]);
    out += "(";
    if (reply.type == ReplyType::integer || reply.type == ReplyType::boolean) {
        out += std::to_string(reply.integer);
    }
    out += reply.text;
    for (std::size_t i = 0; i < reply.elements.size(); ++i) {
        out += (i == 0 ? "" : " ") + show(reply.elements[i]);
    }
    return out + ")";
}

std::string parsed(std::string_view bytes, const ReplyLimits& limits = {}) {
    Reply reply;
    const ReplyParseResult result = parse_reply(bytes, reply, limits);
    switch (result.state) {
        case ReplyParse::complete:
            EXPECT_EQ(result.bytes, bytes.size());
            return show(reply);
        case ReplyParse::need_more:
            EXPECT_GT(result.bytes, bytes.size());
            EXPECT_LE(result.bytes, limits.bytes_max);
            break;
        case ReplyParse::malformed:
        case ReplyParse::too_large:
            EXPECT_EQ(result.bytes, 0U);
            break;
    }
    EXPECT_EQ(show(reply), "null()") << "nothing is left of a reply that is not complete";
    return result.state == ReplyParse::need_more   ? "need more"
           : result.state == ReplyParse::malformed ? "malformed"
                                                   : "too large";
}

TEST(ReplyTree, ReadsEveryTypeOfBothProtocols) {
    EXPECT_EQ(parsed("+OK\r\n"), "simple(OK)");
    EXPECT_EQ(parsed("+\r\n"), "simple()");
    EXPECT_EQ(parsed("-ERR no\r\n"), "error(ERR no)");
    EXPECT_EQ(parsed(":-42\r\n"), "int(-42)");
    EXPECT_EQ(parsed("$5\r\na\r\nbc\r\n"), "bulk(a\r\nbc)");
    EXPECT_EQ(parsed("$0\r\n\r\n"), "bulk()");
    EXPECT_EQ(parsed("$-1\r\n"), "null()");
    EXPECT_EQ(parsed("*-1\r\n"), "null()");
    EXPECT_EQ(parsed("_\r\n"), "null()");
    EXPECT_EQ(parsed("*0\r\n"), "array()");
    EXPECT_EQ(parsed("*2\r\n:1\r\n*1\r\n+a\r\n"), "array(int(1) array(simple(a)))");
    EXPECT_EQ(parsed("%1\r\n+k\r\n:1\r\n"), "map(simple(k) int(1))");
    EXPECT_EQ(parsed("~2\r\n+a\r\n+b\r\n"), "set(simple(a) simple(b))");
    EXPECT_EQ(parsed("#t\r\n"), "bool(1)");
    EXPECT_EQ(parsed("#f\r\n"), "bool(0)");
    EXPECT_EQ(parsed(",-inf\r\n"), "number(-inf)");
    EXPECT_EQ(parsed("(12345678901234567890123\r\n"), "number(12345678901234567890123)");
    EXPECT_EQ(parsed("=8\r\ntxt:ab\r\n\r\n"), "verbatim(ab\r\n)");
    EXPECT_EQ(parsed("!6\r\nERR no\r\n"), "error(ERR no)");
    EXPECT_EQ(parsed(">2\r\n+invalidate\r\n_\r\n"), "push(simple(invalidate) null())");
}

TEST(ReplyTree, StopsBehindTheFirstReply) {
    Reply reply;
    const ReplyParseResult result = parse_reply("*1\r\n:1\r\n+next\r\n", reply);
    EXPECT_EQ(result.state, ReplyParse::complete);
    EXPECT_EQ(result.bytes, 8U);
    EXPECT_EQ(show(reply), "array(int(1))");
}

TEST(ReplyTree, ReplacesWhatTheTreeHeldBefore) {
    Reply reply;
    ASSERT_EQ(parse_reply("*2\r\n:1\r\n:2\r\n", reply).state, ReplyParse::complete);
    ASSERT_EQ(parse_reply("+OK\r\n", reply).state, ReplyParse::complete);
    EXPECT_EQ(show(reply), "simple(OK)");
}

TEST(ReplyTree, LeavesOutAttributesAndPushesWithin) {
    EXPECT_EQ(parsed("|1\r\n+ttl\r\n:5\r\n+OK\r\n"), "simple(OK)");
    EXPECT_EQ(parsed("|0\r\n|0\r\n+OK\r\n"), "simple(OK)");
    EXPECT_EQ(parsed("*2\r\n|1\r\n+a\r\n*1\r\n:9\r\n:1\r\n:2\r\n"), "array(int(1) int(2))");
    EXPECT_EQ(parsed("*2\r\n:1\r\n>1\r\n+news\r\n:2\r\n"), "array(int(1) int(2))");
    EXPECT_EQ(parsed("*1\r\n>1\r\n>0\r\n|0\r\n+news\r\n*0\r\n"), "array(array())");
    EXPECT_EQ(parsed("*1\r\n>0\r\n"), "need more") << "a push is not the element";
    EXPECT_EQ(parsed("|1\r\n+a\r\n+b\r\n"), "need more") << "an attribute is no reply";
    EXPECT_EQ(parsed("|1\r\n+a\r\n>0\r\n+b\r\n+OK\r\n"), "simple(OK)");
}

// Every prefix needs more, and no more than there is.
void expect_complete_only_at_the_end(std::string_view bytes, std::size_t stride) {
    Reply reply;
    for (std::size_t size = 0; size < bytes.size(); size += stride) {
        // Exactly as long on the heap, so that a sanitizer sees a byte read too many.
        const std::vector<char> prefix(
            bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)
        );
        const ReplyParseResult result = parse_reply({prefix.data(), prefix.size()}, reply);
        ASSERT_EQ(result.state, ReplyParse::need_more) << size;
        ASSERT_GT(result.bytes, size);
        ASSERT_LE(result.bytes, bytes.size());
    }
    const ReplyParseResult result = parse_reply(bytes, reply);
    EXPECT_EQ(result.state, ReplyParse::complete);
    EXPECT_EQ(result.bytes, bytes.size());
}

TEST(ReplyTree, NeedsMoreAtEverySplitPoint) {
    expect_complete_only_at_the_end(
        "|1\r\n+why\r\n$2\r\nno\r\n*11\r\n+OK\r\n-ERR\r\n:12\r\n$5\r\nhello\r\n$-1\r\n_\r\n#t\r\n,"
        "1.5\r\n"
        "=7\r\ntxt:abc\r\n>2\r\n+push\r\n~1\r\n:1\r\n%1\r\n$1\r\nk\r\n*-1\r\n!3\r\nERR\r\n",
        1
    );
}

TEST(ReplyTree, ReadsACommandReplyOfARealServer) {
    expect_complete_only_at_the_end(test::command_reply_bytes(), 4099);
    const Reply& reply = test::command_reply();
    EXPECT_EQ(reply.elements.size(), 240U);
    for (const Reply& command : reply.elements) {
        EXPECT_EQ(command.elements.size(), 10U);
    }
}

TEST(ReplyTree, WaitsForAnAnnouncedBulkAtOnce) {
    Reply reply;
    const ReplyParseResult result = parse_reply("*1\r\n$1000\r\nabc", reply);
    EXPECT_EQ(result.state, ReplyParse::need_more);
    EXPECT_EQ(result.bytes, 4U + 7U + 1000U + 2U);
}

TEST(ReplyTree, RefusesWhatIsNoReply) {
    for (const std::string_view bytes :
         {"PING\r\n",
          "\r\n",
          "?",
          "*?\r\n",
          "$?\r\n",
          ".\r\n",
          ";4\r\n",
          ":\r\n",
          ":1x\r\n",
          ":+1\r\n",
          ":01\r\n",
          ":9223372036854775808\r\n",
          "$-2\r\n",
          "$+5\r\n",
          "$05\r\nhello\r\n",
          "$ 5\r\n",
          "*-2\r\n",
          "%-1\r\n",
          "~-1\r\n",
          ">-1\r\n",
          "|-1\r\n",
          "=-1\r\n",
          "!-1\r\n",
          "_x\r\n",
          "#x\r\n",
          "#\r\n",
          "$5\r\nhelloXX",
          "$5\r\nhello\rX",
          "+a\rb\r\n",
          ":1\rX",
          "*1\r:1\r\n",
          "=3\r\ntxt\r\n",
          "=4\r\ntxt;\r\n",
          "$99999999999999999999999\r\n",
          "*1\r\n*?\r\n"}) {
        EXPECT_EQ(parsed(bytes), "malformed") << bytes;
    }
    EXPECT_EQ(parsed(":" + std::string(40, '1')), "malformed") << "no number is that long";
    EXPECT_EQ(parsed("$" + std::string(40, '0')), "malformed");
}

TEST(ReplyTree, BoundsBytes) {
    const ReplyLimits limits{.bytes_max = 16};
    EXPECT_EQ(parsed("$9\r\nninebytes", limits), "need more");
    EXPECT_EQ(parsed("$10\r\ntenletters", limits), "too large");
    EXPECT_EQ(parsed("$9\r\nninebytes\r\n", limits), "bulk(ninebytes)");
    EXPECT_EQ(parsed("$10\r\n", limits), "too large") << "known before it has arrived";
    EXPECT_EQ(parsed("$9223372036854775807\r\n", limits), "too large");
    EXPECT_EQ(parsed("+thirteen bytes", limits), "need more");
    EXPECT_EQ(parsed("+fifteen letters", limits), "too large");
    EXPECT_EQ(parsed("+" + std::string(100, 'x') + "\r\n", limits), "too large");
    EXPECT_EQ(parsed("*3\r\n:1\r\n:2\r\n:3\r\n", limits), "array(int(1) int(2) int(3))");
    EXPECT_EQ(parsed("*3\r\n:1\r\n:2\r\n:33\r\n", limits), "too large");
    EXPECT_EQ(parsed("|0\r\n|0\r\n|0\r\n|0\r\n|0\r\n", limits), "too large");
}

TEST(ReplyTree, BoundsDepth) {
    const auto nested = [](std::size_t depth) {
        std::string bytes;
        for (std::size_t i = 0; i < depth; ++i) {
            bytes += "*1\r\n";
        }
        return bytes + "_\r\n";
    };
    EXPECT_NE(parsed(nested(16)), "too large");
    EXPECT_EQ(parsed(nested(17)), "too large");
    EXPECT_NE(parsed(nested(3), {.depth_max = 3}), "too large");
    EXPECT_EQ(parsed(nested(4), {.depth_max = 3}), "too large");
    EXPECT_NE(parsed(nested(64), {.depth_max = 1000}), "too large");
    EXPECT_EQ(parsed(nested(65), {.depth_max = 1000}), "too large");
    EXPECT_EQ(parsed(nested(100'000)), "too large");
    EXPECT_EQ(parsed("*0\r\n", {.depth_max = 0}), "too large");
    EXPECT_EQ(parsed("+OK\r\n", {.depth_max = 0}), "simple(OK)");
}

TEST(ReplyTree, BoundsElements) {
    const ReplyLimits limits{.elements_max = 3};
    EXPECT_EQ(parsed("*3\r\n:1\r\n:2\r\n:3\r\n", limits), "array(int(1) int(2) int(3))");
    EXPECT_EQ(parsed("*4\r\n", limits), "too large") << "known before they have arrived";
    EXPECT_EQ(parsed("*2\r\n*2\r\n:1\r\n:2\r\n:3\r\n", limits), "too large") << "all levels count";
    EXPECT_EQ(parsed("%2\r\n:1\r\n:2\r\n:3\r\n:4\r\n", limits), "too large");
    EXPECT_EQ(parsed("*1\r\n|1\r\n:1\r\n:2\r\n:3\r\n", limits), "too large")
        << "set aside is not free";
}

TEST(ReplyTree, TakesNoMemoryForAnnouncedElements) {
    EXPECT_EQ(parsed("*2147483647\r\n"), "too large");
    EXPECT_EQ(parsed("*9223372036854775807\r\n"), "too large");
    EXPECT_EQ(parsed("%9223372036854775807\r\n"), "too large");
    // Sixteen levels that announce a million each would take gigabytes if they were believed.
    std::string bytes;
    for (int i = 0; i < 16; ++i) {
        bytes += "*1000000\r\n";
    }
    EXPECT_EQ(parsed(bytes), "need more");
}

}  // namespace
}  // namespace spillway::resp
