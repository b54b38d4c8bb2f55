// Near the ceiling a SET in the place of a value as large is charged a part, as long as nothing was
// seen that may have removed the value.
#include "tests/unit/core/dialogue.hpp"

#include <gtest/gtest.h>

namespace spillway::core::test {
namespace {

class SetAgain : public testing::Test {
  protected:
    void sample(policy::GuardState state, bool steady, std::int64_t counted = 61 << 20) {
        dialogue.sample(
            {.state = state,
             .family = policy::EvictionFamily::noeviction,
             .steady = steady,
             .ceiling = 64 << 20,
             .counted = counted,
             .evictable = 0},
            {.open = 8 << 20, .room = 8 << 20, .reserve = 0}
        );
    }
    void SetUp() override { sample(policy::GuardState::paced, true); }

    void run(std::string_view line, std::string_view reply = "+OK\r\n") {
        dialogue.client(command(line));
        dialogue.backend(reply);
    }
    void expect_full(const std::string& line) { EXPECT_GT(dialogue.charge(line), 1000) << line; }
    void expect_part(const std::string& line) { EXPECT_LT(dialogue.charge(line), 100) << line; }

    Dialogue dialogue{policy::Mode::protect};
    const std::string value = std::string(1000, 'v');
    const std::string set = "SET k " + value;
};

TEST_F(SetAgain, IsChargedAPart) {
    expect_full(set);
    expect_part(set);
    expect_part("SET k " + value.substr(1));
    expect_full(set);  // it had become smaller
    expect_full("SET k " + value + "more");
    expect_full("SET other " + value);
}

TEST_F(SetAgain, IsChargedInFullAfterWhatMayHaveRemovedIt) {
    for (const char* line :
         {"DEL k",
          "UNLINK a k",
          "GETDEL k",
          "EXPIRE k 1",
          "PEXPIRE k 1",
          "RENAME k k2",
          "FLUSHALL",
          "FLUSHDB",
          "SET k v EX 10",
          "SETEX k 10 v",
          "LTRIM k 0 1",
          "EVAL x 1 k",
          "EVAL x 0",
          "COPY a k DB 1 REPLACE",
          "RENAME x y"}) {
        run(set);
        run(set);
        expect_part(set);
        dialogue.backend("+OK\r\n");
        run(line);
        expect_full(set);
        dialogue.backend("+OK\r\n");
    }
}

TEST_F(SetAgain, IsChargedInFullWhereTheValueMayHaveExpired) {
    run(set);
    run(set + " PX 10");
    expect_full(set);
}

TEST_F(SetAgain, IsChargedAPartAfterWhatLeavesIt) {
    for (const char* line : {"GET k", "DEL other", "EXPIRE other 1", "APPEND k v", "STRLEN k"}) {
        run(set);
        run(line);
        expect_part(set);
        dialogue.backend("+OK\r\n");
    }
}

TEST_F(SetAgain, IsChargedInFullWhereTheKeyIsNotCertain) {
    run(set);
    run("SELECT 1");
    expect_full(set);
    dialogue.backend("+OK\r\n");
    run("MULTI");
    expect_full(set);
    dialogue.backend("+QUEUED\r\n");
    run("EXEC", "*1\r\n+OK\r\n");
    expect_full(set);
}

TEST_F(SetAgain, IsChargedInFullAfterTheServerDidNotSetIt) {
    for (const char* error :
         {"-OOM command not allowed when used memory > 'maxmemory'.\r\n", "-MISCONF no\r\n"}) {
        run(set, error);
        expect_full(set);
        dialogue.backend("+OK\r\n");
        run("DEL k", ":1\r\n");
    }
}

TEST_F(SetAgain, IsChargedInFullAfterATransactionThatRemovedIt) {
    run("MULTI");
    run("DEL k", "+QUEUED\r\n");
    dialogue.context().guard.values().note(policy::StringLengths::key_of("k", 0), 1000);
    run("EXEC", "*1\r\n:1\r\n");
    expect_full(set);
}

TEST_F(SetAgain, NeverPassesWriteMax) {
    dialogue.settings().write_max_bytes = 500;
    dialogue.context().guard.change(dialogue.settings());
    dialogue.context().guard.values().note(policy::StringLengths::key_of("k", 0), 1000);
    EXPECT_EQ(dialogue.client(command(set)), "");
}

TEST_F(SetAgain, IsChargedInFullWhereMemoryGrows) {
    run(set);
    sample(policy::GuardState::paced, false);
    expect_full(set);
}

TEST_F(SetAgain, IsForgottenWhenMuchOfMemoryIsGone) {
    policy::SetValues& values = dialogue.context().guard.values();
    values.note_memory(61 << 20, 64 << 20);
    run(set);
    values.note_memory((61 << 20) - (900 << 10), 64 << 20);
    expect_part(set);
    dialogue.backend("+OK\r\n");
    values.note_memory((61 << 20) - (1100 << 10), 64 << 20);  // in two steps
    expect_full(set);
}

TEST_F(SetAgain, IsRememberedWhileMemoryIsFarFromTheCeiling) {
    run(set);
    sample(policy::GuardState::plenty, true);
    run("SET j " + value);
    run(set);
    sample(policy::GuardState::paced, true);
    expect_part(set);
    expect_part("SET j " + value);
}

TEST_F(SetAgain, CostsNothingToKnowBeforeTheCeilingIsNear) {
    Dialogue other{policy::Mode::protect};
    other.client(command(set));
    EXPECT_FALSE(other.context().guard.values().in_use());
}

}  // namespace
}  // namespace spillway::core::test
