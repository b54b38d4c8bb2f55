// Which commands of a batch wait for replies to those before them, and which need not.
#include "tests/unit/core/dialogue.hpp"

#include <gtest/gtest.h>

namespace spillway::core::test {
namespace {

class Flights : public testing::TestWithParam<std::size_t> {
  protected:
    Dialogue dialogue{policy::Mode::protect, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Pieces, Flights, testing::Values(0, 1, 7, 16));

TEST(FlightsInSession, ReleasesAPipelineInFlightsWhenRoomIsShort) {
    Dialogue dialogue;
    dialogue.starve();
    const std::string get = command("GET a");
    // A sixteenth of the ceiling is 4 MiB, and a reply nobody has seen is taken for an eighth of
    // it.
    EXPECT_EQ(dialogue.client(times(40, get)), times(9, get));
    const std::string reply = "$1048576\r\n" + std::string(1048576, 'x') + "\r\n";
    dialogue.backend(reply);
    EXPECT_EQ(dialogue.sent(), "") << "eight replies of 1 MB are more than that";
    for (int under_way = 8; under_way > 2; --under_way) {
        dialogue.backend(reply);
    }
    EXPECT_EQ(dialogue.sent(), "") << "two still are";
    dialogue.backend(reply);
    EXPECT_EQ(dialogue.sent(), get) << "one is under way, and one may join it";
    EXPECT_TRUE(dialogue.session().awaits_replies());
    EXPECT_EQ(dialogue.client(command("PING")), "");
    dialogue.sample({}, {});  // blind: only the spool bounds them, 16 replies of 1 MB at a time
    dialogue.backend(reply);
    EXPECT_EQ(dialogue.sent(), times(15, get));
    for (int i = 0; i < 40 && dialogue.session().awaits_replies(); ++i) {
        dialogue.backend(reply);
    }
    EXPECT_EQ(dialogue.sent(), times(15, get) + command("PING"));
    EXPECT_FALSE(dialogue.session().awaits_replies());
}

TEST_P(Flights, LetsSmallRepliesFlyTogether) {
    dialogue.starve();
    dialogue.client(command("GET a"));
    dialogue.backend("$2\r\nab\r\n");
    const auto flight = [](int gets) { return times(gets, command("GET a")); };
    EXPECT_EQ(dialogue.client(flight(200)), flight(16));
    dialogue.backend(times(16, "$2\r\nab\r\n"));
    EXPECT_EQ(dialogue.sent(), flight(32));
    dialogue.backend(times(32, "$2\r\nab\r\n"));
    EXPECT_EQ(dialogue.sent(), flight(64));
    dialogue.backend(times(64, "$2\r\nab\r\n"));
    EXPECT_EQ(dialogue.sent(), flight(200 - 16 - 32 - 64));
}

// Nor do they open a flight for what comes behind them.
TEST_P(Flights, WordsAndNumbersNeedNoPlaceInAFlight) {
    dialogue.context().flight.bytes_max = 1 << 20;
    const std::string small = times(100, command("PING")) + times(100, command("SET a 1 EX 10"));
    const std::string answers = times(100, "+PONG\r\n") + times(100, "+OK\r\n");
    EXPECT_EQ(dialogue.client(small), small);
    EXPECT_EQ(dialogue.backend(answers), answers);
    EXPECT_EQ(dialogue.client(times(100, command("GET a"))), times(16, command("GET a")));
    for (int i = 0; i < 100; ++i) {
        (void)dialogue.backend("$1\r\n1\r\n");
    }
    for (const std::string large : {"SET a 1 GET", "GETDEL a", "NOSUCH"}) {
        (void)dialogue.sent();
        const std::string many = times(5, small);
        EXPECT_EQ(dialogue.client(many), many);
        EXPECT_EQ(dialogue.client(command(large) + small), "") << "it waits, and all behind it";
        (void)dialogue.backend(times(5, answers));
        EXPECT_EQ(dialogue.sent(), command(large) + small);
        (void)dialogue.backend("$1\r\n1\r\n" + answers);
        for (int i = 0; i < 60; ++i) {  // until the width that was gained has faded
            (void)dialogue.client(command("PING"));
            (void)dialogue.backend("+PONG\r\n");
        }
    }
}

TEST(FlightsInSession, ObserveHoldsNoFlightBack) {
    Dialogue dialogue(policy::Mode::observe);
    dialogue.starve();
    const std::string pipeline = times(1000, command("GET a"));
    EXPECT_EQ(dialogue.client(pipeline), pipeline);
}

}  // namespace
}  // namespace spillway::core::test
