// Priorities by rule, the patterns in them, and what commands are estimated to cost.
#include "policy/rules.hpp"

#include "policy/cost.hpp"
#include "policy/glob.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

TEST(Glob, MatchesAsRedisDoes) {
    const struct {
        std::string_view pattern;
        std::string_view text;
        bool matches;
    } cases[] = {
        {"*", "", true},
        {"queue:*", "queue:1", true},
        {"queue:*", "queu:1", false},
        {"*:job:*", "a:job:b", true},
        {"h?llo", "hello", true},
        {"h[ae]llo", "hallo", true},
        {"h[^e]llo", "hello", false},
        {"h[a-c]llo", "hbllo", true},
        {"h[c-a]llo", "hbllo", true},
        {"a\\*b", "a*b", true},
        {"a\\*b", "axb", false},
        {"a[bc", "ab", true},
        {"", "", true},
        {"", "a", false},
        {"**a**", "bab", true},
        {"a*b*c", "axxbyyc", true},
        {"a*b*c", "axxbyyd", false},
    };
    for (const auto& c : cases) {
        EXPECT_EQ(glob_match(c.pattern, c.text), c.matches) << c.pattern << " against " << c.text;
    }
}

TEST(Glob, HostilePatternsAreNotSlow) {
    const std::string text(5'000, 'a');
    std::string pattern;
    for (int i = 0; i < 50; ++i) {
        pattern += "*a";
    }
    EXPECT_FALSE(glob_match(pattern + "b", text));
}

TEST(Rules, SayWhatKeepsThemFromMatching) {
    const resp::CommandTable table;
    const Rule rule{
        .name = "r",
        .commands = {"SET"},
        .keys = {"cart:*"},
        .clients = {"web*"},
        .users = {"shop"},
        .listeners = {"batch", "127.0.0.1:1"},
        .priority = Priority::critical};
    const struct {
        std::string_view command;
        Caller caller;
        std::string_view key;
        Mismatch expected;
    } cases[] = {
        {"SET", {"web-1", "shop", "batch"}, "cart:1", Mismatch::none},
        {"SET", {"web-1", "shop", "127.0.0.1:1"}, "cart:1", Mismatch::none},
        {"GET", {"web-1", "shop", "batch"}, "cart:1", Mismatch::command},
        {"SET", {"web-1", "shop", "batch2"}, "cart:1", Mismatch::listener},
        {"SET", {"web-1", "shop", ""}, "cart:1", Mismatch::listener},
        {"SET", {"job", "shop", "batch"}, "cart:1", Mismatch::client},
        {"SET", {"web-1", "default", "batch"}, "cart:1", Mismatch::user},
        {"SET", {"web-1", "shop", "batch"}, "card", Mismatch::key},
    };
    for (const auto& c : cases) {
        const auto found =
            Rules::mismatch(rule, *table.find(c.command), c.caller, [&c](const auto& matches) {
                return matches(c.key);
            });
        EXPECT_EQ(found, c.expected) << c.command << " " << c.caller.client_name << " " << c.key;
    }
}

TEST(Rules, FirstMatchWinsAndAllGivenFieldsMustMatch) {
    const resp::CommandTable table;
    const Rules rules({
        {.name = "drain",
         .commands = {"lmove", "XGROUP"},
         .keys = {"queue:*"},
         .clients = {},
         .users = {},
         .priority = Priority::critical},
        {.name = "web",
         .commands = {"@growing"},
         .keys = {},
         .clients = {"web-*"},
         .users = {"shop"},
         .priority = Priority::sheddable},
    });
    const auto match = [&](std::string_view name, std::string_view key, Caller caller) {
        const Rule* rule = rules.match(*table.find(name), caller, [&](const auto& matches) {
            return matches(key);
        });
        return rule == nullptr ? std::string_view("none") : std::string_view(rule->name);
    };
    EXPECT_EQ(match("LMOVE", "queue:1", {}), "drain");
    EXPECT_EQ(match("LMOVE", "other", {}), "none");
    EXPECT_EQ(match("SET", "a", {.client_name = "web-1", .user = "shop"}), "web");
    EXPECT_EQ(match("SET", "a", {.client_name = "web-1", .user = "default"}), "none");
    EXPECT_EQ(match("GET", "a", {.client_name = "web-1", .user = "shop"}), "none");
    const resp::CommandInfo* create = table.find_sub(*table.find("XGROUP"), "CREATE");
    ASSERT_NE(create, nullptr);
    EXPECT_NE(
        rules.match(*create, {}, [](const auto& matches) { return matches("queue:9"); }), nullptr
    ) << "a container means its subcommands";
}

// Measured on Redis 7.0: bytes gained by SET of a new key with a 12-byte name.
TEST(Cost, BoundsWhatSetWasMeasuredToGain) {
    const resp::CommandTable table;
    const struct {
        std::uint64_t value;
        std::int64_t gained;
    } rows[] = {
        {1, 80},
        {44, 112},
        {100, 176},
        {500, 576},
        {1'000, 1'088},
        {1'024, 1'344},
        {4'096, 5'184},
        {10'000, 10'304},
        {16'384, 20'544},
        {65'536, 81'984},
        {262'144, 327'744},
        {1'048'576, 1'310'784}};
    for (const auto& row : rows) {
        const Cost cost = cost_of(
            *table.find("SET"),
            {.argument_bytes = row.value + 15,
             .largest_argument_bytes = row.value,
             .argument_count = 3}
        );
        EXPECT_GE(cost.lasting, row.gained) << row.value;
        EXPECT_LE(cost.lasting, row.gained * 3 / 2 + 200) << row.value;
    }
}

TEST(Cost, LargeArgumentsNeedTwoAndAHalfTimesTheirSize) {
    const resp::CommandTable table;
    const Cost cost = cost_of(
        *table.find("SET"),
        {.argument_bytes = 10'000'000, .largest_argument_bytes = 10'000'000, .argument_count = 3}
    );
    EXPECT_TRUE(cost.large);
    EXPECT_GE(cost.charge, 25'000'000);
}

TEST(Cost, AnOffsetDecides) {
    const resp::CommandTable table;
    const Cost cost = cost_of(
        *table.find("SETRANGE"),
        {.argument_bytes = 20,
         .largest_argument_bytes = 9,
         .argument_count = 4,
         .string_bytes_added = 200'000'000}
    );
    EXPECT_TRUE(cost.large);
    EXPECT_GE(cost.lasting, 200'000'000);
}

TEST(Cost, HostileLengthsDoNotOverflow) {
    const resp::CommandTable table;
    const Cost cost = cost_of(
        *table.find("SET"),
        {.argument_bytes = UINT64_MAX,
         .largest_argument_bytes = UINT64_MAX,
         .argument_count = UINT32_MAX}
    );
    EXPECT_GT(cost.charge, 0);
    EXPECT_LE(cost.charge, std::int64_t{1} << 44);
}

}  // namespace
}  // namespace spillway::policy
