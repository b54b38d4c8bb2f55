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
            changes += demand.observe(refused, now, pause) ? 1 : 0;
        }
        return changes;
    }
    Demand demand;
    std::int64_t refused = 0;
    Nanos now = 10 * second;
};

TEST_F(DemandTest, APauseIsASign) {
    (void)run(10, 2 * second);
    EXPECT_EQ(run(10, 5 * second), 0);
    EXPECT_EQ(run(0, second), 0);
    EXPECT_EQ(run(10, second), 1);
    EXPECT_EQ(run(0, 300 * millisecond), 0);
    EXPECT_EQ(run(10, 200 * millisecond), 0) << "too short";
}

TEST_F(DemandTest, SoIsMuchMoreOrMuchLess) {
    (void)run(10, 2 * second);
    EXPECT_EQ(run(30, 2 * second), 1);
    EXPECT_EQ(run(10, 2 * second), 1);
    EXPECT_EQ(run(12, 2 * second), 0);
}

}  // namespace
}  // namespace spillway::policy
