// How many replies may be under way, as a client's batches were answered so far.
#include "policy/flight.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

// Sends as many as the window takes, of at most `wanted`; returns how many that were.
std::uint64_t send(FlightWindow& window, std::uint64_t under_way, std::uint64_t wanted) {
    std::uint64_t sent = 0;
    while (sent < wanted && window.takes(under_way + sent)) {
        ++sent;
    }
    if (sent < wanted) {
        window.filled(under_way + sent);
    }
    return sent;
}

TEST(FlightWindow, DoublesWithEachFlightThatWasAnswered) {
    FlightWindow window;
    EXPECT_EQ(send(window, 0, 1000), 16U);
    EXPECT_EQ(send(window, 0, 1000), 32U);
    EXPECT_EQ(send(window, 0, 1000), 64U);
}

TEST(FlightWindow, GrowsByWhatWasAnswered) {
    FlightWindow window;
    EXPECT_EQ(send(window, 0, 1000), 16U);
    EXPECT_EQ(send(window, 16, 1000), 0U);
    EXPECT_EQ(send(window, 12, 1000), 8U);  // 4 were answered: 4 in their place, and 4 more
    EXPECT_EQ(send(window, 20, 1000), 0U);
}

TEST(FlightWindow, StaysAsWideAsItIsUsed) {
    FlightWindow window;
    std::uint64_t waits = 0;
    for (int batch = 0; batch < 100; ++batch) {
        std::uint64_t sent = send(window, 0, 64);
        while (sent < 64) {
            ++waits;
            sent += send(window, 0, 64 - sent);
        }
    }
    EXPECT_EQ(waits, 3U);
}

TEST(FlightWindow, ShrinksWhereItIsNotUsed) {
    FlightWindow window;
    while (send(window, 0, 1000) < 1000) {
    }
    for (int command = 0; command < 40; ++command) {
        EXPECT_EQ(send(window, 0, 1), 1U);
    }
    EXPECT_EQ(send(window, 0, 1000), 16U);
}

TEST(Flight, IsBoundedInRepliesOnlyWhereItIsInBytes) {
    FlightWindow window;
    EXPECT_TRUE(Flight{}.takes(1'000'000, 1, window));
    EXPECT_FALSE((Flight{.bytes_max = 1 << 20}.takes(16, 1, window)));
}

}  // namespace
}  // namespace spillway::policy
