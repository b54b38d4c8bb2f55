// A write that the server refused for memory: when it is sent again, and when it must not be.
#include "tests/unit/core/dialogue.hpp"

#include <gtest/gtest.h>

namespace spillway::core::test {
namespace {

const std::string refusal(Retry::refusal);
const std::string set = command("SET a b");
constexpr policy::Nanos ms = policy::millisecond;

// With room by the newest sample, since the guard must not be what refuses.
class Retrying : public ::testing::TestWithParam<std::size_t> {
  protected:
    Retrying() : dialogue(policy::Mode::protect, GetParam()) {
        dialogue.context().retries.on = true;
        room(true);
    }
    void room(bool there) {
        dialogue.sample(
            {.state = policy::GuardState::paced,
             .family = policy::EvictionFamily::noeviction,
             .steady = true,
             .ceiling = 64 << 20,
             .counted = there ? 60 << 20 : 64 << 20,
             .evictable = 0},
            {}
        );
    }
    Session::RetryStep step_after(policy::Nanos time) {
        dialogue.context().now += time;
        return dialogue.session().next_retry_step();
    }
    std::string again() {
        Output output;
        dialogue.session().send_again(output);
        return text_of(output);
    }
    std::string refused() {
        Output output;
        dialogue.session().show_refusal(output);
        return text_of(output);
    }
    static std::string text_of(const Output& output) {
        std::string text;
        for (const std::string_view piece : output.pieces()) {
            text += piece;
        }
        return text;
    }
    std::uint64_t count(metrics::RetryResult result) {
        return dialogue.context().metrics.oom_retries[result].value();
    }
    // What the client sends is answered by the refusal, which it gets at once.
    void expect_no_retry(const std::string& sent) {
        EXPECT_EQ(dialogue.client(sent), sent);
        EXPECT_EQ(dialogue.backend(refusal), refusal);
        EXPECT_FALSE(dialogue.session().retries());
        EXPECT_EQ(dialogue.context().retries.bytes, 0U);
    }

    Dialogue dialogue;
};

INSTANTIATE_TEST_SUITE_P(AtAnySplit, Retrying, ::testing::Values(0, 1, 2, 7, 30));

TEST_P(Retrying, IsSentAgainWhenThereIsRoom) {
    EXPECT_EQ(dialogue.client(set), set);
    room(false);
    EXPECT_EQ(dialogue.backend(refusal), "");
    EXPECT_TRUE(dialogue.session().held());
    EXPECT_EQ(dialogue.context().metrics.held_commands.value(), 1);
    EXPECT_EQ(step_after(20 * ms), Session::RetryStep::none);
    room(true);
    EXPECT_EQ(step_after(20 * ms), Session::RetryStep::send);
    EXPECT_EQ(again(), set);
    EXPECT_EQ(step_after(ms), Session::RetryStep::none);
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    EXPECT_FALSE(dialogue.session().held());
    EXPECT_TRUE(dialogue.session().idle());
    EXPECT_EQ(count(metrics::RetryResult::answered), 1U);
    EXPECT_EQ(dialogue.context().metrics.held_commands.value(), 0);
    EXPECT_EQ(dialogue.context().retries.bytes, 0U);
}

TEST_P(Retrying, TheRefusalIsShownWhenTimeIsOver) {
    EXPECT_EQ(dialogue.client(set), set);
    room(false);
    EXPECT_EQ(dialogue.backend(refusal), "");
    EXPECT_EQ(step_after(249 * ms), Session::RetryStep::none);
    EXPECT_EQ(step_after(ms), Session::RetryStep::refuse);
    EXPECT_EQ(refused(), refusal);
    EXPECT_TRUE(dialogue.session().idle());
    EXPECT_EQ(count(metrics::RetryResult::refused), 1U);
    EXPECT_EQ(dialogue.context().ooms.take().size(), 1U) << "it is one OOM, told once";
}

TEST_P(Retrying, AgainAndAgainWithPauses) {
    EXPECT_EQ(dialogue.client(set), set);
    int attempts = 1;
    EXPECT_EQ(dialogue.backend(refusal), "");
    Session::RetryStep step = Session::RetryStep::none;
    while (step != Session::RetryStep::refuse) {
        step = step_after(ms);
        if (step == Session::RetryStep::send) {
            EXPECT_EQ(again(), set);
            EXPECT_EQ(dialogue.backend(refusal), "");
            ++attempts;
        }
    }
    EXPECT_GT(attempts, 3);
    EXPECT_LT(attempts, 8);
    EXPECT_EQ(refused(), refusal);
    EXPECT_EQ(dialogue.context().ooms.take().size(), 1U);
}

TEST_P(Retrying, WhatFollowsWaitsAndKeepsItsOrder) {
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.backend(refusal), "");
    EXPECT_EQ(dialogue.client(command("GET a") + command("SET c d")), "");
    EXPECT_EQ(step_after(20 * ms), Session::RetryStep::send);
    EXPECT_EQ(again(), set);
    EXPECT_EQ(dialogue.resume(), "") << "nothing may be sent behind it before it is answered";
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    const std::string sent = dialogue.resume() + dialogue.client(command("PING"));
    EXPECT_EQ(sent, command("GET a") + command("SET c d") + command("PING"));
}

TEST_P(Retrying, NotWhatSomethingWasSentBehind) {
    expect_no_retry(set + command("GET a"));
    EXPECT_EQ(dialogue.backend("+b\r\n"), "+b\r\n");
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.client(command("GET a")), command("GET a"));
    EXPECT_EQ(dialogue.backend(refusal + "+b\r\n"), refusal + "+b\r\n");
}

TEST_P(Retrying, NotWhenSomethingIsSentWhileTheRefusalComes) {
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.backend(refusal.substr(0, 20)), "");
    EXPECT_EQ(dialogue.client(command("GET a")), command("GET a"));
    EXPECT_EQ(dialogue.backend(refusal.substr(20)), refusal);
    EXPECT_FALSE(dialogue.session().retries());
}

TEST_P(Retrying, OnlyTheLastOfAPipeline) {
    EXPECT_EQ(dialogue.client(set + set), set + set);
    EXPECT_EQ(dialogue.backend("+OK\r\n" + refusal), "+OK\r\n");
    EXPECT_TRUE(dialogue.session().retry_waits());
    EXPECT_EQ(dialogue.client(set), "");
    EXPECT_EQ(step_after(20 * ms), Session::RetryStep::send);
    EXPECT_EQ(again(), set);
}

TEST_P(Retrying, OtherErrorsPassByteForByte) {
    for (const std::string_view error :
         {"-OOM command not allowed when used memory > 'maxmemory'. script: f, on "
          "@user_script:1.\r\n",
          "-OOM command not allowed under OOM prevention.\r\n",
          "-OOM\r\n",
          "-WRONGTYPE no\r\n",
          "-OOM command not allowed when used memory > 'maxmemory'\r\n"}) {
        EXPECT_EQ(dialogue.client(set), set);
        EXPECT_EQ(dialogue.backend(error), error);
        EXPECT_FALSE(dialogue.session().retries()) << error;
        EXPECT_TRUE(dialogue.session().idle());
    }
}

TEST_P(Retrying, NotWhatMayHaveRunOrIsAnsweredOtherwise) {
    expect_no_retry(command("EVAL x 0"));
    expect_no_retry(command("MSET a 1 b 2"));  // a service may have run half of it
    expect_no_retry(command("LMOVE a b LEFT LEFT"));
    expect_no_retry(command("JSON.SET a $ 1"));  // a module may have run before it refused
    expect_no_retry(command("GET a"));
    EXPECT_EQ(dialogue.client(command("MULTI") + set), command("MULTI") + set);
    EXPECT_EQ(dialogue.backend("+OK\r\n" + refusal), "+OK\r\n" + refusal);
    EXPECT_FALSE(dialogue.session().retries());
}

TEST_P(Retrying, NotWithoutRepliesNorBehindAModifier) {
    const std::string skip = command("CLIENT REPLY SKIP");
    EXPECT_EQ(dialogue.client(skip + set), skip + set);
    expect_no_retry(command("GET a"));
    const std::string asking = command("ASKING");
    EXPECT_EQ(dialogue.client(asking + set), asking + set);
    EXPECT_EQ(dialogue.backend("+OK\r\n" + refusal), "+OK\r\n" + refusal);
    EXPECT_FALSE(dialogue.session().retries());
}

TEST_P(Retrying, NotWhenItIsOffOrTheGuardStandsAside) {
    dialogue.context().retries.on = false;
    expect_no_retry(set);
    dialogue.context().retries.on = true;
    dialogue.sample({.state = policy::GuardState::blind}, {});
    expect_no_retry(set);
    room(true);
    dialogue.settings().mode = policy::Mode::observe;
    expect_no_retry(set);
}

TEST_P(Retrying, TheGuardGoingBlindEndsTheWait) {
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.backend(refusal), "");
    dialogue.sample({.state = policy::GuardState::blind}, {});
    EXPECT_EQ(step_after(ms), Session::RetryStep::refuse);
}

TEST_P(Retrying, WhatIsKeptIsBounded) {
    const auto value = [](std::size_t bytes) {
        return "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$" + std::to_string(bytes) + "\r\n" +
               std::string(bytes, 'x') + "\r\n";
    };
    EXPECT_EQ(dialogue.client(value(60'000)), value(60'000));
    EXPECT_GT(dialogue.context().retries.bytes, 60'000U);
    EXPECT_EQ(dialogue.backend(refusal), "");
    EXPECT_EQ(step_after(20 * ms), Session::RetryStep::send);
    EXPECT_EQ(again(), value(60'000));
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    expect_no_retry(value(Retry::command_bytes_max));
    dialogue.context().retries.bytes = RetryBudget::bytes_max - 5;
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.backend(refusal), refusal);
    dialogue.context().retries.bytes = 0;
}

TEST_P(Retrying, TheTimeBeforeItWasSentCounts) {
    dialogue.starve();
    EXPECT_EQ(dialogue.client(set), "");
    dialogue.context().now += 200 * ms;
    room(true);
    EXPECT_EQ(dialogue.resume(), set);
    room(false);
    EXPECT_EQ(dialogue.backend(refusal), "");
    EXPECT_EQ(step_after(50 * ms), Session::RetryStep::refuse);
}

TEST_P(Retrying, LeavingEndsIt) {
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.backend(refusal), "");
    dialogue.end();
    EXPECT_EQ(count(metrics::RetryResult::abandoned), 1U);
    EXPECT_EQ(dialogue.context().metrics.held_commands.value(), 0);
    EXPECT_EQ(dialogue.context().retries.bytes, 0U);
}

TEST_P(Retrying, ItsRefusalIsAnnotatedLikeAnyOther) {
    dialogue.context().annotate_replies = true;
    dialogue.context().annotation = " [spillway]";
    EXPECT_EQ(dialogue.client(set), set);
    EXPECT_EQ(dialogue.backend(refusal), "");
    EXPECT_EQ(refused(), refusal.substr(0, refusal.size() - 2) + " [spillway]\r\n");
}

}  // namespace
}  // namespace spillway::core::test
