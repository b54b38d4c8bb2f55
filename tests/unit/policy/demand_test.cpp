// Signs that those who are refused now may be others.
#include "policy/demand.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr Nanos pause = 600 * millisecond;

class DemandTest : public testing::Test {
  protected:
    // `each` refusals in every 10 ms; how often a change was noticed.
    int run(std::int64_t each, Nanos duration) {
        int changes = 0;
        for (const Nanos end = now + duration; now < end; now += 10 * millisecond) {
            refused += each;
            const Demand::Sign sign = demand.observe(refused, now, pause);
            changes += sign != Demand::Sign::none ? 1 : 0;
            returns += sign == Demand::Sign::returned ? 1 : 0;
        }
        return changes;
    }
    Demand demand;
    int returns = 0;
    std::int64_t refused = 0;
    Nanos now = 10 * second;
};

TEST_F(DemandTest, APauseIsASign) {
    (void)run(10, 2 * second);
    returns = 0;
    EXPECT_EQ(run(10, 5 * second), 0);
    EXPECT_EQ(run(0, second), 0);
    EXPECT_EQ(run(10, second), 1);
    EXPECT_EQ(run(0, 300 * millisecond), 0);
    EXPECT_EQ(run(10, 200 * millisecond), 0) << "too short";
    EXPECT_EQ(returns, 1);
}

TEST_F(DemandTest, SoIsMuchMoreOrMuchLess) {
    (void)run(10, 2 * second);
    returns = 0;
    EXPECT_EQ(run(30, 2 * second), 1);
    EXPECT_EQ(run(10, 2 * second), 1);
    EXPECT_EQ(run(12, 2 * second), 0);
    EXPECT_EQ(returns, 0);
}

}  // namespace
}  // namespace spillway::policy
