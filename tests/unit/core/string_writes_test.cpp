// SETBIT, SETRANGE and BITFIELD are charged for what they add to a string, as far as a session can
// know it.
#include "tests/unit/core/dialogue.hpp"

#include <gtest/gtest.h>

namespace spillway::core::test {
namespace {

constexpr std::string_view far = "SETBIT bits 80000000 1";  // 10 MB

class StringWrites : public testing::TestWithParam<std::size_t> {
  protected:
    // The same of a write that is answered.
    std::int64_t charge_answered(std::string_view line, std::string_view reply = ":0\r\n") {
        const std::int64_t charged = dialogue.charge(line);
        dialogue.backend(reply);
        return charged;
    }
    void run(std::string_view line, std::string_view reply) {
        dialogue.client(command(line));
        dialogue.backend(reply);
    }
    void expect_unknown(std::string_view line = far) {
        EXPECT_GT(dialogue.charge(line), 10'000'000);
    }
    void expect_known(std::string_view line = far) { EXPECT_LT(dialogue.charge(line), 1000); }

    Dialogue dialogue{policy::Mode::protect, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Pieces, StringWrites, testing::Values(0, 1, 7));

TEST_P(StringWrites, ASecondWriteIsChargedForNothingNew) {
    EXPECT_GT(charge_answered(far), 10'000'000);
    expect_known();
    expect_known("SETRANGE bits 9000000 abc");
    expect_known("BITFIELD bits SET u8 #9000000 1");
    expect_unknown("SETBIT other 80000000 1");
}

TEST_P(StringWrites, NothingIsKnownBeforeTheAnswer) {
    dialogue.charge(far);
    expect_unknown();
    dialogue.backend(":0\r\n:0\r\n");
    expect_known();
}

TEST_P(StringWrites, ARefusalOfTheServerTeachesNothing) {
    charge_answered(far, "-WRONGTYPE no\r\n");
    expect_unknown();
}

// Nor what was answered beside it: a run of commands is accounted together.
TEST_P(StringWrites, AFailureInAPipelineTeachesNothing) {
    dialogue.client(command(far) + command("SET a b") + command(far));
    dialogue.backend(":0\r\n-OOM no\r\n:0\r\n");
    dialogue.client(command(far));
    dialogue.backend(":0\r\n");
    expect_known();
}

TEST_P(StringWrites, PairsAnswersAmongOtherReplies) {
    dialogue.client(
        command("GET x") + command(far) + command("LPUSH l 1") + command("SETBIT b2 80000000 1")
    );
    dialogue.backend("$1\r\na\r\n:0\r\n");
    expect_known();
    expect_unknown("SETBIT b2 80000000 1");
    dialogue.backend(":1\r\n:0\r\n");
    expect_known("SETBIT b2 80000000 1");
}

TEST_P(StringWrites, AnEmptySetrangeWritesNothing) {
    charge_answered("SETRANGE bits 20000000 ");
    expect_unknown("SETRANGE bits 20000000 x");
}

TEST_P(StringWrites, WhatRemovesTheKeyIsSeen) {
    for (const auto& [line, reply] : std::initializer_list<std::pair<const char*, const char*>>{
             {"DEL a bits", ":1\r\n"},
             {"UNLINK bits", ":1\r\n"},
             {"GETDEL bits", "$1\r\na\r\n"},
             {"SET bits 1", "+OK\r\n"},
             {"MSET a 1 bits 1", "+OK\r\n"},
             {"RENAME bits a", "+OK\r\n"},
             {"RENAME a bits", "+OK\r\n"},
             {"MOVE bits 1", ":1\r\n"},
             {"SWAPDB 0 1", "+OK\r\n"},
             {"COPY a bits REPLACE", ":1\r\n"},
             {"BITOP NOT bits a", ":1\r\n"},
             {"EVAL return 1 bits", ":1\r\n"},
             {"FLUSHDB", "+OK\r\n"},
             {"FLUSHALL", "+OK\r\n"}}) {
        SCOPED_TRACE(line);
        run(far, ":0\r\n");
        expect_known();
        dialogue.backend(":0\r\n");
        run(line, reply);
        EXPECT_GT(charge_answered(far), 10'000'000);
    }
}

TEST_P(StringWrites, WhatRemovesNothingChangesNothing) {
    run(far, ":0\r\n");
    run("GET bits", "$1\r\na\r\n");
    run("EXPIRE bits 1000", ":1\r\n");
    run("APPEND bits abc", ":1\r\n");
    run("SET a b", "+OK\r\n");
    run("DEL a", ":1\r\n");
    expect_known();
}

TEST_P(StringWrites, AWriteThatWasSentBeforeARemovalTeachesNothing) {
    dialogue.client(command(far) + command("DEL bits"));
    dialogue.backend(":0\r\n:1\r\n");
    expect_unknown();
}

TEST_P(StringWrites, DatabasesAreToldApart) {
    run(far, ":0\r\n");
    run("SELECT 1", "+OK\r\n");
    EXPECT_GT(charge_answered(far), 10'000'000);
    expect_known();
}

// Until SELECT is answered nobody knows which database it is.
TEST_P(StringWrites, ASelectUnderWayTeachesNothing) {
    dialogue.client(command("SELECT 1") + command(far));
    dialogue.backend("-ERR no\r\n:0\r\n");
    expect_unknown();
}

TEST_P(StringWrites, ASelectInATransactionThatWasDiscardedIsNotBelieved) {
    run(far, ":0\r\n");
    run("MULTI", "+OK\r\n");
    run("SELECT 1", "+QUEUED\r\n");
    run("DISCARD", "+OK\r\n");
    EXPECT_GT(charge_answered(far), 10'000'000);
    run("SELECT 0", "+OK\r\n");
    EXPECT_LT(charge_answered(far), 1000);
}

TEST_P(StringWrites, InATransactionEachIsChargedWhole) {
    run(far, ":0\r\n");
    run("MULTI", "+OK\r\n");
    expect_unknown();
}

TEST_P(StringWrites, ALargeStringNearTheCeilingIsNoOversizedWriteOnceKnown) {
    run(far, ":0\r\n");
    dialogue.starve();  // 6 MB are left
    dialogue.sample(
        {.state = policy::GuardState::reserve,
         .family = policy::EvictionFamily::noeviction,
         .steady = true,
         .ceiling = 64 << 20,
         .counted = 58 << 20,
         .evictable = 0},
        {.open = 1 << 20, .room = 6 << 20, .reserve = 0}
    );
    EXPECT_EQ(dialogue.client(command(far)), command(far));
    EXPECT_EQ(dialogue.client(command("SETBIT other 80000000 1")), "");
}

// Reaches that await their answers have a bound, and what comes beyond it is only not learnt.
TEST_P(StringWrites, APipelineBeyondTheBoundIsFollowed) {
    std::string asked;
    std::string answers;
    for (std::size_t i = 0; i < ReplyLedger::reaches_max + 10; ++i) {
        asked += command("SETBIT b" + std::to_string(i) + " 80000000 1");
        answers += ":0\r\n";
    }
    EXPECT_EQ(dialogue.client(asked), asked);
    EXPECT_EQ(dialogue.backend(answers), answers);
    expect_known("SETBIT b5 80000000 1");
    expect_unknown("SETBIT b" + std::to_string(ReplyLedger::reaches_max + 5) + " 80000000 1");
    EXPECT_TRUE(dialogue.backend(":0\r\n:0\r\n") == ":0\r\n:0\r\n");
}

}  // namespace
}  // namespace spillway::core::test
