// Commands as a client would send them, taken apart: keys, growth, offsets; then hostile counts.
#include "resp/command_arguments.hpp"

#include "resp/command_table.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

const CommandTable& table() {
    static const CommandTable commands;
    return commands;
}

// A command split at its spaces; "?" stands for an argument that the head did not keep.
class Sent {
  public:
    explicit Sent(std::string_view line) {
        while (!line.empty()) {
            const std::size_t end = std::min(line.find(' '), line.size());
            arguments_.push_back(line.substr(0, end));
            line.remove_prefix(std::min(end + 1, line.size()));
        }
        info_ = table().find(arguments_.front());
        if (info_ != nullptr && info_->has_subcommands && arguments_.size() > 1) {
            const CommandInfo* sub = table().find_sub(*info_, arguments_[1]);
            info_ = sub == nullptr ? info_ : sub;
        }
        EXPECT_NE(info_, nullptr) << arguments_.front();
    }

    // The keys' texts, joined by commas.
    [[nodiscard]] std::string keys() const {
        std::string out;
        for (const std::size_t index : keys_of(*info_, arguments_.size(), arg_at())) {
            EXPECT_LT(index, arguments_.size());
            out += (out.empty() ? "" : ",") + std::string(arguments_[index]);
        }
        return out;
    }
    [[nodiscard]] bool may_grow() const {
        return resp::may_grow(*info_, arguments_.size(), arg_at());
    }
    [[nodiscard]] std::uint64_t reached(std::uint64_t value_bytes = 0) const {
        return string_bytes_reached(*info_, arguments_.size(), arg_at(), value_bytes);
    }
    [[nodiscard]] std::uint64_t overhead() const {
        return overhead_bytes(info_->cost, arguments_.size());
    }

  private:
    struct ArgAt {
        const std::vector<std::string_view>& arguments;
        std::string_view operator()(std::size_t i) const {
            EXPECT_LT(i, arguments.size());
            return arguments[i] == "?" ? std::string_view() : arguments[i];
        }
    };
    [[nodiscard]] ArgAt arg_at() const { return {arguments_}; }

    std::vector<std::string_view> arguments_;
    const CommandInfo* info_ = nullptr;
};

std::string keys(std::string_view line) {
    return Sent(line).keys();
}

TEST(KeysOf, FixedPositions) {
    EXPECT_EQ(keys("GET a"), "a");
    EXPECT_EQ(keys("SET a 1 EX 5"), "a");
    EXPECT_EQ(keys("DEL a b c"), "a,b,c");
    EXPECT_EQ(keys("MSET a 1 b 2 c 3"), "a,b,c");
    EXPECT_EQ(keys("RENAME a b"), "a,b");
    EXPECT_EQ(keys("BLPOP a b 0"), "a,b");
    EXPECT_EQ(keys("BITOP AND dest a b"), "dest,a,b");
    EXPECT_EQ(keys("PING hello"), "");
    EXPECT_EQ(keys("SUBSCRIBE channel"), "");
    EXPECT_EQ(keys("MIGRATE host 6379 a 0 100"), "a");
}

TEST(KeysOf, SubcommandsCountTheirOwnNameAsAnArgument) {
    EXPECT_EQ(keys("XGROUP CREATE stream group $"), "stream");
    EXPECT_EQ(keys("OBJECT FREQ a"), "a");
    EXPECT_EQ(keys("XGROUP HELP"), "");
}

TEST(KeysOf, CountedByAnArgument) {
    EXPECT_EQ(keys("EVAL code 2 a b x y"), "a,b");
    EXPECT_EQ(keys("EVAL code 0 x y"), "");
    EXPECT_EQ(keys("FCALL_RO name 1 a"), "a");
    EXPECT_EQ(keys("ZUNIONSTORE dest 2 a b WEIGHTS 1 2"), "dest,a,b");
    EXPECT_EQ(keys("ZUNION 1 a WITHSCORES"), "a");
    EXPECT_EQ(keys("SINTERCARD 2 a b LIMIT 3"), "a,b");
    EXPECT_EQ(keys("LMPOP 2 a b LEFT"), "a,b");
    EXPECT_EQ(keys("BZMPOP 0 2 a b MIN"), "a,b");
    EXPECT_EQ(keys("MSETEX 2 a 1 b 2 EX 10"), "a,b");
    EXPECT_EQ(keys("MSETEX 1 a 1"), "a");
}

TEST(KeysOf, BehindAWord) {
    EXPECT_EQ(keys("XREAD COUNT 2 STREAMS a b 0 0"), "a,b");
    EXPECT_EQ(keys("xread streams a $"), "a");
    EXPECT_EQ(keys("XREADGROUP GROUP g c COUNT 1 BLOCK 0 NOACK STREAMS a b > >"), "a,b");
    EXPECT_EQ(keys("XREADGROUP GROUP streams streams STREAMS a >"), "a") << "not among the names";
    EXPECT_EQ(keys("XREAD STREAMS streams 0"), "streams") << "the first word counts";
    EXPECT_EQ(keys("XREAD COUNT 2"), "");
    EXPECT_EQ(keys("XREAD STREAMS"), "");
    EXPECT_EQ(keys("XREAD STREAMS a"), "");
    EXPECT_EQ(keys("SORT a STORE dest"), "a,dest");
    EXPECT_EQ(keys("SORT a BY w_* LIMIT 0 5 GET # store dest"), "a,dest");
    EXPECT_EQ(keys("SORT a STORE first STORE last"), "a,last") << "the last word counts";
    EXPECT_EQ(keys("SORT a STORE"), "a");
    EXPECT_EQ(keys("SORT STORE ALPHA"), "STORE");
    EXPECT_EQ(keys("GEORADIUS a 1 2 3 km STOREDIST dest"), "a,dest");
    EXPECT_EQ(keys("GEORADIUSBYMEMBER a m 3 km ASC STORE dest"), "a,dest");
    EXPECT_EQ(keys("GEORADIUSBYMEMBER a STORE 3 km"), "a") << "a member may be called STORE";
}

TEST(KeysOf, CountsThatCannotBeNameNoKey) {
    for (const char* count :
         {"3",
          "-1",
          "0",
          "",
          "x",
          "1x",
          " 1",
          "+1",
          "01",
          "1.0",
          "2147483647",
          "4294967297",
          "9223372036854775807",
          "9223372036854775808",
          "18446744073709551617",
          "99999999999999999999999999",
          "-9223372036854775808"}) {
        EXPECT_EQ(keys("ZUNION " + std::string(count) + " a b"), "") << count;
        EXPECT_EQ(keys("ZUNIONSTORE dest " + std::string(count) + " a b"), "dest") << count;
    }
    EXPECT_EQ(keys("ZUNION ? a b"), "") << "a count that the head did not keep";
    EXPECT_EQ(keys("MSETEX 3 a 1 b 2"), "") << "the third pair is missing";
    EXPECT_EQ(keys("MSETEX 9223372036854775807 a 1 b 2"), "");
}

TEST(KeysOf, CommandsThatStopShort) {
    for (const CommandInfo& info : table().commands()) {
        for (std::size_t argc = 1; argc <= 6; ++argc) {
            const auto one = [](std::size_t) { return std::string_view("1"); };
            for (const std::size_t index : keys_of(info, argc, one)) {
                EXPECT_LT(index, argc) << info.name();
                EXPECT_GT(index, 0U) << info.name();
            }
        }
    }
    EXPECT_EQ(keys("EVAL code"), "");
    EXPECT_EQ(keys("EVAL"), "");
    EXPECT_EQ(keys("ZUNIONSTORE dest"), "dest");
    EXPECT_EQ(keys("BLPOP a"), "");
}

TEST(KeysOf, AsksForFewArgumentsWhateverTheirNumber) {
    constexpr std::size_t argc = std::numeric_limits<std::int32_t>::max();
    for (const CommandInfo& info : table().commands()) {
        std::size_t asked = 0;
        const auto arg_at = [&asked](std::size_t) {
            ++asked;
            return std::string_view("7");
        };
        const KeyIndexes found = keys_of(info, argc, arg_at);
        EXPECT_LE(asked, arguments_searched_max) << info.name();
        if (!found.empty()) {
            EXPECT_LT(found[found.size() - 1], argc) << info.name();
        }
        asked = 0;
        (void)may_grow(info, argc, arg_at);
        (void)string_bytes_reached(info, argc, arg_at);
        EXPECT_LE(asked, 2 * arguments_searched_max) << info.name();
    }
    EXPECT_EQ(
        keys_of(*table().find("DEL"), argc, [](std::size_t) { return std::string_view(); }).size(),
        argc - 1
    );
}

TEST(KeysOf, PositionsOfAServerThatMakeNoSense) {
    const auto none = [](std::size_t) { return std::string_view(); };
    CommandInfo info;
    for (const KeyRange& range :
         {KeyRange{.first = 3, .last = 1, .step = 1},
          KeyRange{.first = 1, .last = -128, .step = 1},
          KeyRange{.first = -1, .last = -1, .step = 1},
          KeyRange{.first = 1, .last = -1, .step = 0},
          KeyRange{.first = 1, .last = -1, .step = -1},
          KeyRange{.first = 9, .last = 9, .step = 1}}) {
        info.keys = range;
        EXPECT_EQ(keys_of(info, 5, none).size(), 0U) << int{range.first} << ' ' << int{range.last};
    }
    info.keys = {.first = 2, .last = 127, .step = 100};
    EXPECT_EQ(keys_of(info, 5, none).size(), 1U);
    EXPECT_EQ(keys_of(info, 0, none).size(), 0U);
}

TEST(MayGrow, TellsReadingFormsOfGatedCommands) {
    EXPECT_FALSE(Sent("SORT a BY w_* LIMIT 0 5 GET #").may_grow());
    EXPECT_TRUE(Sent("SORT a STORE dest").may_grow());
    EXPECT_FALSE(Sent("GEORADIUS a 1 2 3 km WITHDIST").may_grow());
    EXPECT_TRUE(Sent("GEORADIUS a 1 2 3 km STORE dest").may_grow());
    EXPECT_TRUE(Sent("GEORADIUS a 1 2 3 km storedist dest").may_grow());
    EXPECT_FALSE(Sent("BITFIELD a GET u8 0 GET i5 100").may_grow());
    EXPECT_TRUE(Sent("BITFIELD a GET u8 0 SET u8 0 1").may_grow());
    EXPECT_TRUE(Sent("BITFIELD a overflow fail incrby i5 100 1").may_grow());
    EXPECT_FALSE(Sent("BITFIELD a SET u8 0 1 SET u65 0 1").may_grow()) << "refused as a whole";
    EXPECT_TRUE(Sent("SET a 1").may_grow());
    EXPECT_TRUE(Sent("EVAL code 0").may_grow());
    EXPECT_TRUE(Sent("EXPIRE a 5").may_grow());
    EXPECT_FALSE(Sent("GET a").may_grow());
    EXPECT_FALSE(Sent("DEL a").may_grow());
}

TEST(MayGrow, IsTrueWhileTheArgumentsLeaveItOpen) {
    EXPECT_TRUE(Sent("SORT a ? ?").may_grow());
    EXPECT_TRUE(Sent("SORT a BY ?").may_grow());
    EXPECT_TRUE(Sent("BITFIELD a GET u8 0 ? u8 0 1").may_grow());
    std::string fields = "BITFIELD a";
    for (std::size_t i = 0; i < arguments_searched_max / 3; ++i) {
        fields += " GET u8 0";
    }
    EXPECT_FALSE(Sent(fields).may_grow());
    EXPECT_TRUE(Sent(fields + " GET u8 0").may_grow()) << "beyond what is read";
    std::string endless = "SORT a";
    for (std::size_t i = 0; i < arguments_searched_max; ++i) {
        endless += " ALPHA";
    }
    EXPECT_FALSE(Sent(endless).may_grow());
    EXPECT_TRUE(Sent(endless + " ALPHA").may_grow()) << "beyond what is searched";
}

TEST(StringBytesReached, IsNothingWhereTheServerAllowsNoSuchString) {
    EXPECT_EQ(Sent("SETBIT a 4294967296 1").reached(), 0U);
    EXPECT_EQ(Sent("SETRANGE a 536870911 x").reached(1), 512U << 20U);
    EXPECT_EQ(Sent("SETRANGE a 536870911 xy").reached(2), 0U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 4294967288 1").reached(), 512U << 20U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 4294967295 1").reached(), (512U << 20U) + 1)
        << "this it allows";
    EXPECT_EQ(Sent("BITFIELD a SET u8 4294967296 1").reached(), 0U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 #2305843009213693953 1").reached(), 2U) << "2^64 and 8 bits";
    EXPECT_EQ(Sent("BITFIELD a SET u8 0 1 GET u8 4294967296").reached(), 0U);
}

TEST(StringBytesReached, FollowsTheOffset) {
    EXPECT_EQ(Sent("SETRANGE a 1000 xyz").reached(3), 1003U);
    EXPECT_EQ(Sent("SETRANGE a 0 xyz").reached(3), 3U);
    EXPECT_EQ(Sent("SETBIT a 0 1").reached(), 1U);
    EXPECT_EQ(Sent("SETBIT a 7 1").reached(), 1U);
    EXPECT_EQ(Sent("SETBIT a 8 1").reached(), 2U);
    EXPECT_EQ(Sent("SETBIT a 4294967295 1").reached(), 512U << 20U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 0 1").reached(), 1U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 1 1").reached(), 2U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 #10000000 1").reached(), 10'000'001U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 #3 1 GET u8 #900 INCRBY i16 #2 1").reached(), 6U)
        << "the farthest write, and no read, counts";
    EXPECT_EQ(Sent("BITFIELD a SET u8 100 1 SET u8 0 1").reached(), 14U);
    EXPECT_EQ(Sent("BITFIELD a OVERFLOW SAT GET u8 0 SET u8 80 1").reached(), 11U);
}

TEST(StringBytesReached, IsNothingWhereTheServerRefuses) {
    for (const char* offset : {"-1", "x", "01", "", "9223372036854775808", "1e9", "?"}) {
        EXPECT_EQ(Sent("SETRANGE a " + std::string(offset) + " xyz").reached(3), 0U) << offset;
        EXPECT_EQ(Sent("SETBIT a " + std::string(offset) + " 1").reached(), 0U) << offset;
        EXPECT_EQ(Sent("BITFIELD a SET u8 " + std::string(offset) + " 1").reached(), 0U) << offset;
    }
    for (const char* encoding : {"u64", "i65", "u0", "i-1", "8", "f8", "u", "", "u08"}) {
        EXPECT_EQ(Sent("BITFIELD a SET " + std::string(encoding) + " 100 1").reached(), 0U);
    }
    EXPECT_EQ(Sent("BITFIELD a SET u63 1 1").reached(), 8U);
    EXPECT_EQ(Sent("BITFIELD a SET i64 0 1").reached(), 8U);
    EXPECT_EQ(Sent("BITFIELD a SET u8 100 1 FROB u8 0").reached(), 0U) << "refused as a whole";
    EXPECT_EQ(Sent("SETRANGE a").reached(), 0U);
    EXPECT_EQ(Sent("SET a 1000").reached(), 0U);
}

TEST(StringBytesReached, DoesNotOverflow) {
    constexpr std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
    EXPECT_EQ(Sent("SETRANGE a 9223372036854775807 x").reached(max), 0U);
    EXPECT_EQ(Sent("SETRANGE a 1 x").reached(max), 0U);
    EXPECT_EQ(Sent("SETBIT a 9223372036854775807 1").reached(), 0U);
    for (const char* encoding : {"i64", "u8", "i5"}) {
        const std::string line = "BITFIELD a SET " + std::string(encoding);
        EXPECT_EQ(Sent(line + " #9223372036854775807 1").reached(), 0U) << encoding;
        EXPECT_EQ(Sent(line + " #144115188075855871 1").reached(), 0U) << encoding;
    }
}

TEST(OverheadBytes, CountsElements) {
    EXPECT_EQ(Sent("SET a 1").overhead(), 120U);
    EXPECT_EQ(Sent("MSET a 1 b 2 c 3").overhead(), 300U);
    EXPECT_EQ(Sent("MSET a 1 b").overhead(), 200U) << "half an element counts as one";
    EXPECT_EQ(Sent("MSET").overhead(), 0U);
    EXPECT_EQ(Sent("RPUSH").overhead(), 200U);
    EXPECT_EQ(Sent("RPUSH a x y").overhead(), 200U + 2 * 12U);
    EXPECT_EQ(Sent("GET a").overhead(), 0U);
    constexpr std::uint64_t many = std::numeric_limits<std::int32_t>::max();
    EXPECT_EQ(
        overhead_bytes({.per_element = 65535, .first_element = 1, .element_stride = 1}, many + 1),
        many * 65535
    );
}

}  // namespace
}  // namespace spillway::resp
