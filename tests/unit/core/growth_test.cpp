// The growth ledger hears of each command that it looks at what its own reply says, and nothing of
// the replies beside it.
#include "tests/unit/core/dialogue.hpp"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace spillway::core::test {
namespace {

class Growth : public testing::TestWithParam<std::size_t> {
  protected:
    // As many rounds as it takes to look at every command of them often.
    void run(std::string_view commands, std::string_view replies, int rounds = 2000) {
        for (int i = 0; i < rounds; ++i) {
            dialogue.client(commands);
            shown += dialogue.backend(replies);
        }
    }
    [[nodiscard]] std::map<std::string, std::uint64_t> told() {
        std::map<std::string, std::uint64_t> bytes;
        for (const auto& row : dialogue.context().growth.ledger().top(99, policy::second)) {
            bytes[row.pattern] += row.bytes;
        }
        return bytes;
    }

    const std::string value = std::string(600, 'v');
    std::string shown;
    Dialogue dialogue{policy::Mode::observe, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Pieces, Growth, testing::Values(0, 64));

TEST_P(Growth, EachCommandIsToldItsOwnReply) {
    const std::string replies =
        "+OK\r\n:0\r\n$3\r\nabc\r\n:1\r\n-OOM no\r\n*2\r\n:1\r\n:2\r\n:0\r\n";
    run(command("CLIENT SETNAME app") + command("SADD known " + value) + command("GET x") +
            command("SADD fresh " + value) + command("SADD refused " + value) +
            command("SMISMEMBER s a b") + command("HSET same f " + value),
        replies);
    const auto bytes = told();
    ASSERT_TRUE(bytes.contains("fresh"));
    EXPECT_EQ(bytes.size(), 1U);
    EXPECT_NEAR(static_cast<double>(bytes.at("fresh")), 2000 * 680, 300'000);
    EXPECT_EQ(shown.size(), 2000 * replies.size()) << "not a byte of the replies is lost";
}

TEST_P(Growth, PushesInBetweenAreNoReplies) {
    run(command("SADD known " + value) + command("SADD fresh " + value),
        ">2\r\n+invalidate\r\n:1\r\n:0\r\n>2\r\n+invalidate\r\n:1\r\n:1\r\n");
    EXPECT_FALSE(told().contains("known"));
    EXPECT_TRUE(told().contains("fresh"));
}

TEST_P(Growth, WhatIsTakenOutAgainIsNoGrowth) {
    std::string commands;
    for (int i = 0; i < 16; ++i) {
        commands += command("SADD jobs " + value) + command("SREM jobs " + value);
    }
    std::string replies;
    for (int i = 0; i < 32; ++i) {
        replies += ":1\r\n";
    }
    run(commands, replies, 1000);
    EXPECT_LT(told()["jobs"], 16'000U * 680 / 8);
}

TEST_P(Growth, ATransactionCountsAsSent) {
    run(command("MULTI") + command("SADD s " + value) + command("EXEC"),
        "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n");
    EXPECT_GT(told()["s"], 1'000'000U);
}

}  // namespace
}  // namespace spillway::core::test
