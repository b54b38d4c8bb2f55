// What is let through while growth is refused: it grows while memory does not, costs no more than
// its budget, and notices a load that has changed.
#include "policy/probes.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;

// A server within its reserve, seen every ten milliseconds by a load that takes all it is given.
class ProbesTest : public testing::Test {
  protected:
    ProbesTest() {
        sighting.ceiling = 64 * mib;
        sighting.shed = 62 * mib;
        sighting.settled = 61 * mib;
        sighting.noise = 64 * 1024;
        sighting.probing = true;
        sighting.steady = false;
        sighting.pause = 600 * millisecond;
        sighting.now = 10 * second;
        (void)step(0);  // memory has been below the reserve: there is a budget
        sighting.settled = 62 * mib + mib / 2;
    }
    // One sample later: of what was granted all was answered, and memory gained `ratio` of it.
    bool step(double ratio) {
        sighting.now += 10 * millisecond;
        sighting.estimated = static_cast<double>(spent + paced);
        sighting.seen = ratio * sighting.estimated;
        gained += sighting.seen;
        sighting.settled += static_cast<std::int64_t>(sighting.seen);
        sighting.refused += refusing ? 1 : 0;
        const bool adds_nothing = probes.observe(sighting);
        granted = probes.grant(0, sighting.now);
        largest = std::max(largest, granted);
        spent = taking ? granted : 0;
        total += spent;
        return adds_nothing;
    }
    // True as soon as the load is found out to add nothing.
    bool run(Nanos duration, double ratio) {
        for (const Nanos end = sighting.now + duration; sighting.now < end;) {
            if (step(ratio)) {
                return true;
            }
        }
        return false;
    }

    Probes probes;
    Probes::Sighting sighting;
    std::int64_t granted = 0;
    std::int64_t largest = 0;
    std::int64_t spent = 0;
    std::int64_t paced = 0;  // passes beside what is granted here
    std::int64_t total = 0;
    double gained = 0;
    bool taking = true;
    bool refusing = true;
};

TEST_F(ProbesTest, BeginSmall) {
    while (granted == 0) {
        (void)step(0);
    }
    EXPECT_EQ(granted, 4 * 1024);
}

TEST_F(ProbesTest, GrowWhileMemoryDoesNotUntilTheLoadIsFoundToAddNothing) {
    const Nanos from = sighting.now;
    EXPECT_TRUE(run(5 * second, 0));
    EXPECT_LT(sighting.now - from, 2 * second);
    EXPECT_GT(largest, 16 * 1024);
    EXPECT_GT(probes.tried(), 0);
}

TEST_F(ProbesTest, ALoadThatAddsIsNeverFoundToAddNothing) {
    EXPECT_FALSE(run(60 * second, 0.8));
}

// The reserve is 2 MB: an eighth of it, and a trickle ever more seldom.
TEST_F(ProbesTest, WhatTheyLetInIsBounded) {
    (void)run(10 * second, 0.8);
    EXPECT_LT(gained, 0.125 * 2 * mib + 10 * 64 * 1024);
    const double before = gained;
    (void)run(60 * second, 0.8);
    EXPECT_LT(gained - before, 0.5 * mib);
    EXPECT_LT(sighting.settled, sighting.ceiling);
}

TEST_F(ProbesTest, ARoundIsOverWhenMemoryRises) {
    while (granted <= 8 * 1024) {
        (void)step(0);
    }
    sighting.settled += mib / 8;
    sighting.now += 10 * millisecond;
    sighting.estimated = 0;
    sighting.seen = mib / 8.0;
    for (int i = 0; i < 10; ++i) {  // the look that it is in ends
        (void)probes.observe(sighting);
        granted = probes.grant(0, sighting.now);
        sighting.seen = 0;
        sighting.now += 10 * millisecond;
    }
    EXPECT_EQ(granted, 0) << "it rests";
    largest = 0;
    for (int i = 0; i < 100 && granted == 0; ++i) {
        (void)step(0);
    }
    EXPECT_EQ(granted, 4 * 1024) << "and begins anew";
}

TEST_F(ProbesTest, WhatNobodyWantsDoesNotGrow) {
    taking = refusing = false;
    (void)run(5 * second, 0);
    EXPECT_LE(largest, 8 * 1024);
}

// What was not used of a grant is what is left of it, until the next look.
TEST_F(ProbesTest, BetweenLooksOnlyTheRestIsGranted) {
    while (granted == 0) {
        (void)step(0);
    }
    sighting.now += millisecond;
    sighting.estimated = sighting.seen = 0;
    EXPECT_FALSE(probes.observe(sighting));
    EXPECT_EQ(probes.grant(1000, sighting.now), 1000);
    EXPECT_EQ(probes.grant(100'000, sighting.now), granted);
    EXPECT_EQ(probes.grant(-5, sighting.now), 0);
}

TEST_F(ProbesTest, ThoseWhoComeBackAfterAPauseGetARound) {
    (void)run(20 * second, 0.8);  // the budget is spent
    refusing = taking = false;
    (void)run(second, 0);
    (void)probes.take_newcomers();
    refusing = taking = true;
    EXPECT_TRUE(run(3 * second, 0)) << "these add nothing";
    EXPECT_TRUE(probes.take_newcomers());
    EXPECT_FALSE(probes.take_newcomers()) << "once for each sign";
}

// Where growth is paced nobody is refused.
TEST_F(ProbesTest, SoDoThoseWhoComeBackToWait) {
    (void)run(20 * second, 0.8);  // the budget is spent
    refusing = taking = false;
    (void)run(second, 0);
    taking = true;
    paced = 100;
    EXPECT_TRUE(run(second, 0));
}

TEST_F(ProbesTest, WhatARoundCostBeforeAPauseIsNotHeldAgainstThoseAfterIt) {
    while (gained < 20.0 * 1024) {
        (void)step(0.8);
    }
    ASSERT_LT(gained, sighting.noise / 2);
    refusing = taking = false;
    (void)run(second, 0);
    refusing = taking = true;
    sighting.now += 10 * millisecond;
    sighting.estimated = 0;
    sighting.seen = 20.0 * 1024;  // their buffers
    ++sighting.refused;
    EXPECT_FALSE(probes.observe(sighting));
    EXPECT_TRUE(run(700 * millisecond, 0));
}

TEST_F(ProbesTest, PausesDoNotMakeRoundsCheaper) {
    for (int i = 0; i < 60; ++i) {
        refusing = taking = true;
        (void)run(200 * millisecond, 0.8);  // over before the round is
        refusing = taking = false;
        (void)run(700 * millisecond, 0.8);
    }
    EXPECT_LT(gained, mib);
}

TEST_F(ProbesTest, WhatOthersFreeHidesNoGrowth) {
    sighting.seen = -10.0 * mib;
    sighting.now += 10 * millisecond;
    (void)probes.observe(sighting);
    EXPECT_FALSE(run(20 * second, 0.8));
}

}  // namespace
}  // namespace spillway::policy
