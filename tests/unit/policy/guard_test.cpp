// The table of verdicts in each zone, for each priority.
#include "policy/guard.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr Cost small{.charge = 2000, .lasting = 2000, .large = false};

class GuardTest : public testing::Test {
  protected:
    void sample(
        GuardState state,
        bool steady,
        Grant grant,
        EvictionFamily family = EvictionFamily::noeviction
    ) {
        pool.freeze();
        pool.grant(grant);
        guard.publish(
            {.state = state,
             .family = family,
             .steady = steady,
             .ceiling = 64 * mib,
             .counted = counted,
             .evictable = evictable,
             .asked_at = asked_at}
        );
    }
    void starve() {
        sample(GuardState::paced, false, {.open = 0, .room = 6 * mib, .reserve = 2 * mib});
    }
    void shut() { sample(GuardState::reserve, false, {.open = 0, .room = mib, .reserve = mib}); }
    Judgement judge(const Cost& cost, Priority priority, Nanos now = second) {
        return guard.judge(cost, 1000, priority, now, waiting);
    }

    CreditPool pool;
    TrafficCells cells;
    GuardSettings settings;
    Guard guard{pool, cells, settings};
    Waiting waiting;
    std::int64_t counted = 60 * mib;
    std::int64_t evictable = 0;
    Nanos asked_at = second;
};

TEST_F(GuardTest, PlentyIsASubtraction) {
    sample(GuardState::plenty, true, {.open = 40 * mib, .room = 50 * mib, .reserve = 2 * mib});
    EXPECT_TRUE(guard.quick(small));
    EXPECT_GE(cells.charged.load(), small.charge);
    EXPECT_LT(cells.charged.load(), 2 * mib) << "a shard holds one lot, not all";
}

TEST_F(GuardTest, WhatWasNotSpentGoesBackWithTheNextSample) {
    sample(GuardState::plenty, true, {.open = 40 * mib, .room = 50 * mib, .reserve = 0});
    ASSERT_TRUE(guard.quick(small));
    starve();
    EXPECT_EQ(cells.charged.load(), small.charge);
    EXPECT_FALSE(guard.quick(small));
}

TEST_F(GuardTest, PacedWaitsThenPassesNormalAndRefusesSheddable) {
    starve();
    EXPECT_EQ(judge(small, Priority::critical).verdict, Verdict::pass);
    EXPECT_EQ(judge(small, Priority::normal).verdict, Verdict::hold);
    EXPECT_TRUE(guard.take_sample_wish());
    EXPECT_EQ(judge(small, Priority::normal, second + 249 * millisecond).verdict, Verdict::hold);
    EXPECT_EQ(
        judge(small, Priority::sheddable, second + 250 * millisecond).verdict, Verdict::refuse
    );
    EXPECT_EQ(judge(small, Priority::normal, second + 250 * millisecond).verdict, Verdict::pass);
}

TEST_F(GuardTest, HoldMaxBoundsTheConnectionNotTheCommand) {
    starve();
    ASSERT_EQ(judge(small, Priority::normal).verdict, Verdict::hold);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(judge(small, Priority::normal, second + 250 * millisecond).verdict, Verdict::pass)
            << "the pipeline has waited once";
    }
}

TEST_F(GuardTest, EvenAfterItsWaitANormalWriteDoesNotTouchTheReserve) {
    sample(GuardState::paced, false, {.open = 0, .room = 2 * mib + 100, .reserve = 2 * mib});
    ASSERT_EQ(judge(small, Priority::normal).verdict, Verdict::hold);
    EXPECT_EQ(judge(small, Priority::normal, 2 * second).verdict, Verdict::refuse);
}

TEST_F(GuardTest, GrowthInTheReserveIsForCriticalCommandsAlone) {
    shut();
    EXPECT_EQ(judge(small, Priority::critical).verdict, Verdict::pass);
    EXPECT_EQ(judge(small, Priority::normal).verdict, Verdict::refuse);
    EXPECT_EQ(judge(small, Priority::sheddable).verdict, Verdict::refuse);
    EXPECT_EQ(waiting.since, 0) << "a refusal here costs no waiting";
}

TEST_F(GuardTest, WhereGrowthIsRefusedOnlyNormalWritesAreLearnedFrom) {
    sample(GuardState::reserve, false, {.open = mib / 16, .room = mib, .reserve = mib - mib / 16});
    EXPECT_FALSE(guard.quick(small)) << "a probe is not for whoever comes first";
    const std::int64_t open = pool.open();
    EXPECT_FALSE(judge(small, Priority::critical).teaches);
    EXPECT_EQ(pool.open(), open);
    const Judgement probe = judge(small, Priority::normal);
    EXPECT_EQ(probe.verdict, Verdict::pass);
    EXPECT_TRUE(probe.teaches);
}

TEST_F(GuardTest, ASteadyLoadPassesInTheReserve) {
    sample(GuardState::reserve, true, {.open = mib / 2, .room = mib, .reserve = 100'000});
    EXPECT_TRUE(guard.quick(small));
}

TEST_F(GuardTest, BlindAndOffPassEverything) {
    settings.write_max_bytes = 10;
    guard.change(settings);
    for (const GuardState state : {GuardState::blind, GuardState::off}) {
        sample(state, false, {});
        EXPECT_EQ(
            judge({.charge = 500 * mib, .lasting = 500 * mib, .large = true}, Priority::sheddable)
                .verdict,
            Verdict::pass
        );
    }
}

TEST_F(GuardTest, WhatASampleSaidBeforeAFlushHoldsNobodyBack) {
    shut();
    Guard other(pool, cells, settings);
    EXPECT_EQ(judge(small, Priority::normal).verdict, Verdict::refuse);
    (void)guard.take_sample_wish();
    other.forget_sample(second + millisecond);
    EXPECT_EQ(judge(small, Priority::normal).verdict, Verdict::pass);
    EXPECT_TRUE(guard.take_sample_wish());
    asked_at = second + 2 * millisecond;
    shut();
    EXPECT_EQ(judge(small, Priority::normal).verdict, Verdict::refuse);
}

TEST_F(GuardTest, OneFlushASecondCounts) {
    shut();
    guard.forget_data(second + millisecond);
    EXPECT_EQ(pool.outdated_at(), second + millisecond);
    guard.forget_data(second + 500 * millisecond);
    EXPECT_EQ(pool.outdated_at(), second + millisecond);
    guard.forget_data(2 * second + millisecond);
    EXPECT_EQ(pool.outdated_at(), 2 * second + millisecond);
}

TEST_F(GuardTest, AWriteLargerThanTheRoomIsRefusedWhoeverSendsIt) {
    sample(GuardState::plenty, true, {.open = 20 * mib, .room = 30 * mib, .reserve = 2 * mib});
    const Cost large{.charge = 31 * mib, .lasting = 15 * mib, .large = true};
    EXPECT_FALSE(guard.quick(large));
    EXPECT_EQ(judge(large, Priority::critical).verdict, Verdict::refuse);
    EXPECT_EQ(judge(large, Priority::normal).cause, Cause::oversized_write);
    const Cost fits{.charge = 19 * mib, .lasting = 8 * mib, .large = true};
    EXPECT_EQ(judge(fits, Priority::normal).verdict, Verdict::pass);
}

TEST_F(GuardTest, WriteMaxHoldsInEveryZone) {
    settings.write_max_bytes = 900;
    guard.change(settings);
    sample(GuardState::plenty, true, {.open = 20 * mib, .room = 30 * mib, .reserve = 0});
    EXPECT_FALSE(guard.quick(small));
    EXPECT_EQ(judge(small, Priority::critical).cause, Cause::write_max);
}

TEST_F(GuardTest, OneWriteMayNotPushOutHalfOfACache) {
    counted = 64 * mib;
    evictable = 60 * mib;
    sample(
        GuardState::plenty,
        true,
        {.open = 50 * mib, .room = 60 * mib, .reserve = 0},
        EvictionFamily::all_keys
    );
    EXPECT_EQ(
        judge({.charge = 31 * mib, .lasting = 15 * mib, .large = true}, Priority::normal).cause,
        Cause::evict_max
    );
    EXPECT_EQ(
        judge({.charge = 29 * mib, .lasting = 15 * mib, .large = true}, Priority::normal).verdict,
        Verdict::pass
    );
}

TEST_F(GuardTest, AFullCacheRefusesNoSmallWriteForWhatIsUnderWay) {
    const Grant none{.open = 0, .room = 0, .reserve = 0};
    for (const Priority priority : {Priority::normal, Priority::sheddable}) {
        waiting = {};
        sample(GuardState::plenty, true, none, EvictionFamily::all_keys);
        EXPECT_EQ(judge(small, priority).verdict, Verdict::hold);
        EXPECT_EQ(judge(small, priority, second + settings.hold_max).verdict, Verdict::pass);
        waiting = {};
        sample(GuardState::plenty, true, none, EvictionFamily::volatile_keys);
        EXPECT_EQ(judge(small, priority).verdict, Verdict::hold);
        EXPECT_EQ(judge(small, priority, second + settings.hold_max).verdict, Verdict::refuse);
    }
}

TEST_F(GuardTest, AFullCacheIsNotTakenForOneThatCannotPushOut) {
    const Grant none{.open = 0, .room = 0, .reserve = 0};
    const Cost large{.charge = mib, .lasting = mib / 2, .large = true};
    const auto verdict_of = [&](const Cost& cost, std::int64_t pushed_out, bool steady) {
        counted = 64 * mib;
        evictable = pushed_out;
        for (const Priority priority : {Priority::sheddable, Priority::normal}) {
            waiting = {};
            sample(GuardState::paced, steady, none, EvictionFamily::all_keys);
            EXPECT_EQ(judge(cost, priority).verdict, Verdict::hold);
        }
        return judge(cost, Priority::normal, second + settings.hold_max).verdict;
    };
    for (const bool steady : {true, false}) {
        EXPECT_EQ(verdict_of(small, 30 * mib, steady), Verdict::pass)
            << "what is under way takes the forecast to where growth is paced";
        EXPECT_EQ(verdict_of(small, 0, steady), Verdict::refuse) << "nothing can be pushed out";
        EXPECT_EQ(verdict_of(small, 9 * mib, steady), Verdict::refuse) << "next to nothing can";
        EXPECT_EQ(verdict_of(large, 30 * mib, steady), Verdict::refuse)
            << "its buffers cannot be pushed out";
    }
}

TEST_F(GuardTest, CreditGoesRoundByClientNotByCommand) {
    starve();
    Waiting greedy;
    Waiting modest;
    for (Waiting* client : {&greedy, &modest}) {
        ASSERT_EQ(
            guard.judge(small, 1000, Priority::normal, second, *client).verdict, Verdict::hold
        );
    }
    sample(
        GuardState::paced, false, {.open = 8 * small.charge, .room = 6 * mib, .reserve = 2 * mib}
    );
    EXPECT_FALSE(guard.quick(small)) << "nobody passes by those who wait";
    int passed = 0;
    while (guard.judge(small, 1000, Priority::normal, second, greedy).verdict == Verdict::pass) {
        ++passed;
    }
    EXPECT_EQ(passed, 4);
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(
            guard.judge(small, 1000, Priority::normal, second, modest).verdict, Verdict::pass
        );
    }
    sample(GuardState::plenty, true, {.open = 40 * mib, .room = 50 * mib, .reserve = 0});
    EXPECT_TRUE(guard.quick(small)) << "one waits no longer, so nothing needs to be shared";
}

TEST_F(GuardTest, ALargeCommandIsNotStarvedByItsShare) {
    starve();
    Waiting clients[3];
    for (Waiting& client : clients) {
        ASSERT_EQ(
            guard.judge(small, 1000, Priority::normal, second, client).verdict, Verdict::hold
        );
    }
    sample(GuardState::paced, false, {.open = small.charge, .room = 6 * mib, .reserve = 2 * mib});
    EXPECT_EQ(
        guard.judge(small, 1000, Priority::normal, second, clients[0]).verdict, Verdict::pass
    );
}

}  // namespace
}  // namespace spillway::policy
