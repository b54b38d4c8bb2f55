// A session's dialogues: each is held at once and byte by byte, and must come out the same.
#include "proxy/core/session.hpp"

#include "tests/unit/core/dialogue.hpp"

#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::core::test {
namespace {

constexpr std::string_view refusal =
    "-OOM spillway refused this write: near-ceiling (policy noeviction, priority normal)\r\n";
constexpr std::string_view poison = "*1\r\n$16\r\nSPILLWAY.REFUSED\r\n";

class SessionDialogue : public testing::TestWithParam<std::size_t> {
  protected:
    Dialogue dialogue{policy::Mode::protect, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Pieces, SessionDialogue, testing::Values(0, 1, 2, 3, 7, 16));

TEST_P(SessionDialogue, PassesEveryByteWhileCreditLasts) {
    const std::string asked = command("SET a b") + command("GET a") + "PING\r\n" + "*0\r\n\r\n" +
                              command("LPUSH l 1 2 3");
    EXPECT_EQ(dialogue.client(asked), asked);
    const std::string answered = "+OK\r\n$1\r\nb\r\n+PONG\r\n:3\r\n";
    EXPECT_EQ(dialogue.backend(answered), answered);
    EXPECT_TRUE(dialogue.session().idle());
}

TEST_P(SessionDialogue, PutsRefusalsInTheirPlaces) {
    dialogue.close_the_gate();
    const std::string sent = dialogue.client(
        command("GET a") + command("SET a 1") + command("GET b") + command("DEL a") +
        command("SET c 2")
    );
    EXPECT_EQ(sent, command("GET a") + command("GET b") + command("DEL a"));
    EXPECT_EQ(dialogue.shown(), "");
    EXPECT_EQ(dialogue.backend("$1\r\nx\r\n"), "$1\r\nx\r\n" + std::string(refusal));
    EXPECT_EQ(dialogue.backend("$-1\r\n:1\r\n"), "$-1\r\n:1\r\n" + std::string(refusal));
}

TEST_P(SessionDialogue, AnswersARefusalAtOnceWhenNothingIsUnderWay) {
    dialogue.close_the_gate();
    EXPECT_EQ(dialogue.client(command("SET a 1")), "");
    EXPECT_EQ(dialogue.shown(), refusal);
}

TEST_P(SessionDialogue, KeepsRefusalsBehindPushesAndOutOfReplies) {
    dialogue.client(command("HELLO 3"));
    dialogue.backend("%1\r\n$5\r\nproto\r\n:3\r\n");
    dialogue.close_the_gate();
    dialogue.client(command("LRANGE l 0 -1") + command("SET a 1"));
    const std::string push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
    EXPECT_EQ(dialogue.backend(push), push);
    EXPECT_EQ(dialogue.backend("*2\r\n$1\r\na\r\n"), "*2\r\n$1\r\na\r\n");
    EXPECT_EQ(dialogue.backend("$1\r\nb\r\n" + push), "$1\r\nb\r\n" + std::string(refusal) + push);
}

TEST_P(SessionDialogue, PoisonsATransactionWhereItRefuses) {
    EXPECT_EQ(dialogue.client(command("MULTI")), command("MULTI"));
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    dialogue.close_the_gate();
    EXPECT_EQ(
        dialogue.client(command("SET a 1") + command("EXEC")), std::string(poison) + command("EXEC")
    );
    const std::string aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    EXPECT_EQ(
        dialogue.backend("-ERR unknown command 'SPILLWAY.REFUSED'\r\n" + aborted),
        std::string(refusal) + aborted
    );
    EXPECT_EQ(dialogue.client(command("SET a 1")), "")
        << "the transaction is over: refused here again";
}

TEST_P(SessionDialogue, AnswersNothingWhereRedisAnswersNothing) {
    dialogue.client(command("CLIENT REPLY OFF"));
    dialogue.close_the_gate();
    EXPECT_EQ(dialogue.client(command("SET a 1") + command("GET a")), command("GET a"));
    EXPECT_EQ(dialogue.shown(), "");
    dialogue.client(command("CLIENT REPLY ON"));
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    EXPECT_EQ(dialogue.client(command("SET a 1")), "");
    EXPECT_EQ(dialogue.shown(), refusal);
}

// Whether replies are on again is only known when there is one.
TEST_P(SessionDialogue, WhatIsRefusedInSilenceTurnsNoRepliesOn) {
    std::string pings;
    for (int i = 0; i < 100; ++i) {
        pings += command("PING");
    }
    const std::string write = command("SET a 1");
    for (const std::string refused : {"RESET x", "CLIENT REPLY ON x", "CLIENT REPLY OFF x"}) {
        dialogue.client(command("CLIENT REPLY OFF") + command(refused));
        EXPECT_EQ(dialogue.client(pings), pings) << refused;
        EXPECT_TRUE(dialogue.session().idle()) << refused;
    }
    dialogue.close_the_gate();
    for (const std::string denied : {"CLIENT REPLY ON", "RESET"}) {
        dialogue.client(command("CLIENT REPLY OFF") + command(denied));
        EXPECT_EQ(dialogue.client(pings + write), pings + write) << denied;
    }
}

TEST_P(SessionDialogue, LetsTheServerConsumeReplySkip) {
    dialogue.close_the_gate();
    const std::string skip = command("CLIENT REPLY SKIP");
    EXPECT_EQ(
        dialogue.client(skip + command("SET a 1") + command("PING")),
        skip + std::string(poison) + command("PING")
    );
    EXPECT_EQ(dialogue.backend("+PONG\r\n"), "+PONG\r\n");
    EXPECT_TRUE(dialogue.session().idle());
}

TEST_P(SessionDialogue, DoesNotGuessWhetherABlankLineUsesUpReplySkip) {
    dialogue.close_the_gate();
    const std::string mixed =
        command("CLIENT REPLY SKIP") + "*0\r\n" + command("PING") + command("SET a 1");
    EXPECT_EQ(dialogue.client(mixed), mixed);
    EXPECT_TRUE(dialogue.session().shared().opaque);
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
}

TEST_P(SessionDialogue, AFailedAuthenticationBehindOthersMayGoUnanswered) {
    dialogue.close_the_gate();
    const std::string mixed = command("PING") + command("AUTH a b") + command("SET a 1");
    EXPECT_EQ(dialogue.client(mixed), mixed) << "its refusal would have no place";
    EXPECT_EQ(dialogue.backend("+PONG\r\n+OK\r\n"), "+PONG\r\n+OK\r\n");
    EXPECT_EQ(dialogue.client(command("SET b 1")), command("SET b 1"));
    EXPECT_EQ(dialogue.backend("+OK\r\n+OK\r\n"), "+OK\r\n+OK\r\n");
    EXPECT_EQ(dialogue.client(command("SET c 1")), "") << "all is answered";
    EXPECT_FALSE(dialogue.session().shared().opaque);
}

TEST_P(SessionDialogue, DoesNotGuessWhatFollowsALineOfBlanks) {
    dialogue.close_the_gate();
    const std::string mixed = "\r\n\n \t\r\n*1\r\n$7\r\nSET k v\r\n" + command("SET a 1");
    EXPECT_EQ(dialogue.client(mixed), mixed);
    EXPECT_TRUE(dialogue.session().shared().opaque);
    const std::string answers = "-ERR unknown command '*1'\r\n-ERR unknown command '$7'\r\n+OK\r\n";
    EXPECT_EQ(dialogue.backend(answers), answers);
}

TEST_P(SessionDialogue, ReplyOnEndsASkip) {
    dialogue.client(command("CLIENT REPLY SKIP") + command("CLIENT REPLY ON") + command("PING"));
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    EXPECT_FALSE(dialogue.session().idle());
    dialogue.backend("+PONG\r\n");
    EXPECT_TRUE(dialogue.session().idle());
}

TEST_P(SessionDialogue, ResetBehindASkipIsSilent) {
    dialogue.client(command("CLIENT REPLY SKIP") + command("RESET") + command("PING"));
    EXPECT_EQ(dialogue.backend("+PONG\r\n"), "+PONG\r\n");
    EXPECT_TRUE(dialogue.session().idle());
}

TEST_P(SessionDialogue, HoldsAndReleasesInOrder) {
    dialogue.starve();
    EXPECT_EQ(
        dialogue.client(command("GET a") + command("SET a 1") + command("GET b")), command("GET a")
    );
    EXPECT_TRUE(dialogue.session().held());
    dialogue.context().now += 100 * policy::millisecond;
    EXPECT_EQ(dialogue.resume(), "") << "no credit, and its time is not over";
    EXPECT_EQ(dialogue.session().held_for(dialogue.context().now), 100 * policy::millisecond);
    dialogue.context().now += 200 * policy::millisecond;
    EXPECT_EQ(dialogue.resume(), command("SET a 1") + command("GET b"))
        << "a normal write passes when hold_max is over";
    EXPECT_FALSE(dialogue.session().held());
    EXPECT_EQ(
        dialogue.session().held_for(dialogue.context().now + policy::second),
        300 * policy::millisecond
    );
    EXPECT_EQ(dialogue.context().metrics.held_commands.value(), 0);
    EXPECT_EQ(dialogue.backend("$-1\r\n+OK\r\n$-1\r\n"), "$-1\r\n+OK\r\n$-1\r\n");
}

TEST_P(SessionDialogue, RefusesALargeWriteAtItsHeaderAndSkipsItsBody) {
    dialogue.sample(
        {.state = policy::GuardState::plenty,
         .family = policy::EvictionFamily::noeviction,
         .steady = true,
         .ceiling = 64 << 20,
         .counted = 10 << 20,
         .evictable = 0},
        {.open = 40 << 20, .room = 54 << 20, .reserve = 2 << 20}
    );
    const std::string head = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$52428800\r\n";
    EXPECT_EQ(dialogue.client(head + std::string(20'000, 'x')), "");
    EXPECT_EQ(
        dialogue.shown(),
        "-OOM spillway refused this write: oversized-write (policy noeviction, priority normal)\r\n"
    );
    const std::string rest = std::string(52'428'800 - 20'000, 'x') + "\r\n";
    if (GetParam() == 0) {
        EXPECT_EQ(dialogue.client(rest + command("PING")), command("PING"));
    }
}

TEST_P(SessionDialogue, CountsSubscriptionFrames) {
    dialogue.client(command("SUBSCRIBE a b") + command("PING"));
    const std::string frames =
        "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n";
    const std::string message = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$2\r\nhi\r\n";
    const std::string pong = "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
    EXPECT_EQ(
        dialogue.backend(frames + message + pong + message), frames + message + pong + message
    );
    EXPECT_TRUE(dialogue.session().idle());
    dialogue.client(command("UNSUBSCRIBE"));
    const std::string bye =
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:"
        "0\r\n";
    EXPECT_EQ(
        dialogue.backend(bye.substr(0, bye.size() / 2 + 1)), bye.substr(0, bye.size() / 2 + 1)
    );
    EXPECT_FALSE(dialogue.session().idle());
    dialogue.backend(bye.substr(bye.size() / 2 + 1));
    EXPECT_TRUE(dialogue.session().idle());
    dialogue.client(command("UNSUBSCRIBE") + command("GET a"));
    dialogue.backend("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    EXPECT_FALSE(dialogue.session().idle()) << "GET is still to be answered";
    dialogue.backend("$-1\r\n");
    EXPECT_TRUE(dialogue.session().idle());
}

TEST_P(SessionDialogue, BecomesAPipeWhereNothingCanBePaired) {
    dialogue.client(command("MONITOR"));
    const std::string stream = "+OK\r\n+1700000000.1 [0 127.0.0.1:1] \"GET\" \"a\"\r\n";
    EXPECT_EQ(dialogue.backend(stream), stream);
    dialogue.close_the_gate();
    EXPECT_EQ(dialogue.client(command("SET a 1")), command("SET a 1"))
        << "no place for a refusal is known";
    EXPECT_EQ(
        dialogue.context().metrics.sessions_opaque[metrics::OpaqueReason::monitor].value(), 1U
    );
}

TEST_P(SessionDialogue, ForgetsWhatItExpectedOnceRepliesCannotBeFollowed) {
    dialogue.client(command("SET a 1") + command("GET a"));
    EXPECT_EQ(dialogue.backend("?\r\n"), "?\r\n");
    EXPECT_FALSE(dialogue.session().broken()) << "nothing of ours is owed";
    dialogue.close_the_gate();
    for (int i = 0; i < 10; ++i) {
        const std::string line = i % 2 == 0 ? command("SET a 1") : command("GET a");
        EXPECT_EQ(dialogue.client(line), line);
    }
    EXPECT_TRUE(dialogue.session().shared().ledger.empty()) << "it would grow without end";
    dialogue.context().guard.flush();
    EXPECT_EQ(dialogue.cells().answered.load(), dialogue.cells().spent.load());
    ASSERT_EQ(dialogue.context().opaque_notes.size(), 1U);
    EXPECT_EQ(dialogue.context().opaque_notes[0].reason, metrics::OpaqueReason::unreadable_reply);
}

TEST_P(SessionDialogue, EndsWhereARefusalHasLostItsPlace) {
    dialogue.client(command("GET a"));
    dialogue.close_the_gate();
    EXPECT_EQ(dialogue.client(command("SET a 1")), "");
    dialogue.backend("?\r\n");
    EXPECT_TRUE(dialogue.session().broken());
}

TEST_P(SessionDialogue, TellsWhatTheServerSaidUnasked) {
    const std::string full = "-ERR max number of clients reached\r\n";
    EXPECT_EQ(dialogue.backend(full), full);
    ASSERT_EQ(dialogue.context().opaque_notes.size(), 1U);
    EXPECT_EQ(dialogue.context().opaque_notes[0].server_said, "ERR max number of clients reached");
}

// Redis refuses CLIENT REPLY to a RESP2 subscriber, so neither OFF nor SKIP is in force there.
TEST_P(SessionDialogue, ExpectsNoSilenceOfASubscriber) {
    dialogue.client(command("SUBSCRIBE c"));
    dialogue.backend("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    dialogue.close_the_gate();
    const std::string both = command("CLIENT REPLY SKIP") + command("SET a 1");
    EXPECT_EQ(dialogue.client(both), both);
    const std::string errors = "-ERR Can't execute 'client|reply'\r\n-ERR Can't execute 'set'\r\n";
    EXPECT_EQ(dialogue.backend(errors), errors);
}

TEST_P(SessionDialogue, SilencesAFormerOrRespThreeSubscriber) {
    dialogue.client(command("HELLO 3"));
    dialogue.backend("%1\r\n$5\r\nproto\r\n:3\r\n");
    dialogue.client(command("SUBSCRIBE c"));
    dialogue.backend(">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    dialogue.client(command("CLIENT REPLY SKIP") + command("GET a"));
    dialogue.client(command("UNSUBSCRIBE") + command("HELLO 2"));
    dialogue.backend(">3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n*2\r\n$5\r\nproto\r\n:2\r\n");
    dialogue.client(command("CLIENT REPLY SKIP") + command("GET a"));
    EXPECT_TRUE(dialogue.session().idle());
    EXPECT_FALSE(dialogue.session().shared().opaque);
}

TEST_P(SessionDialogue, PassesGarbageOnToTheServerThatAnswersIt) {
    const std::string garbage = command("PING") + "*x\r\n$$$" + command("SET a 1");
    EXPECT_EQ(dialogue.client(garbage), garbage);
    const std::string answer = "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n";
    EXPECT_EQ(dialogue.backend(answer), answer);
}

TEST_P(SessionDialogue, PassesAReplyStreamThatIsNoResp) {
    dialogue.client(command("PING") + command("PING"));
    EXPECT_EQ(
        dialogue.backend("+PONG\r\nHTTP/1.1 400\r\n\r\nbye"), "+PONG\r\nHTTP/1.1 400\r\n\r\nbye"
    );
    EXPECT_EQ(
        dialogue.context().metrics.sessions_opaque[metrics::OpaqueReason::unreadable_reply].value(),
        1U
    );
}

TEST_P(SessionDialogue, ReportsAnOomReplyWithCommandKeyAndClient) {
    dialogue.client(command("CLIENT SETNAME checkout") + command("SELECT 3"));
    dialogue.backend("+OK\r\n+OK\r\n");
    dialogue.client(command("GET a") + command("SET cart:17 abc"));
    const std::string oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    EXPECT_EQ(dialogue.backend("$-1\r\n" + oom), "$-1\r\n" + oom);
    const auto events = dialogue.context().ooms.take();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].command, "SET");
    EXPECT_EQ(events[0].key, "cart:17");
    EXPECT_EQ(events[0].client.name, "checkout");
    EXPECT_EQ(events[0].db, 3);
    EXPECT_EQ(events[0].form, policy::OomForm::top_level);
}

TEST_P(SessionDialogue, FindsAnOomInsideExecEvenAsItsLastElement) {
    dialogue.client(command("MULTI") + command("EVAL x 0") + command("EXEC"));
    const std::string replies =
        "+OK\r\n+QUEUED\r\n*1\r\n-OOM command not allowed when used memory > 'maxmemory'. script: "
        "abc, on @user_script:1.\r\n";
    EXPECT_EQ(dialogue.backend(replies), replies);
    const auto events = dialogue.context().ooms.take();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].form, policy::OomForm::in_exec);
}

TEST_P(SessionDialogue, AnnotatesTopLevelOomRepliesOnlyWhenAsked) {
    dialogue.context().annotate_replies = true;
    dialogue.context().annotation = " [spillway cause=noeviction-at-ceiling policy=noeviction]";
    dialogue.client(command("SET a b") + command("SET a b") + command("EXEC"));
    EXPECT_EQ(
        dialogue.backend(
            "-OOM command not allowed when used memory > 'maxmemory'.\r\n-ERR other\r\n"
        ),
        "-OOM command not allowed when used memory > 'maxmemory'. [spillway "
        "cause=noeviction-at-ceiling policy=noeviction]\r\n-ERR other\r\n"
    );
    const std::string aborted =
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
        "'maxmemory'.\r\n";
    EXPECT_EQ(dialogue.backend(aborted), aborted);
}

TEST(Session, NobodyIsAUserWhoseAuthWasNotSeenGranted) {
    Dialogue skipped;
    skipped.client(command("CLIENT REPLY SKIP") + command("AUTH admin wrong"));
    EXPECT_EQ(skipped.user(), "default");
    Dialogue before;  // the suppressed SELECT must not take the place of the AUTH before it
    before.client(
        command("AUTH admin wrong") + command("CLIENT REPLY SKIP") + command("SELECT 3") +
        command("GET k")
    );
    before.backend("-WRONGPASS no\r\n$-1\r\n");
    EXPECT_EQ(before.user(), "default");
    before.client(command("AUTH admin right"));
    before.backend("+OK\r\n");
    EXPECT_EQ(before.user(), "admin");
}

TEST(Session, AWriteWeighsAllItsArgumentsHoweverLateTheyCome) {
    const std::string large(100'000, 'x');
    std::string request = "*41\r\n$4\r\nMSET\r\n";
    for (std::size_t i = 0; i < 20; ++i) {
        request += "$1\r\na\r\n$" + std::to_string(large.size() + i) + "\r\n" + large +
                   std::string(i, 'y') + "\r\n";
    }
    for (const std::size_t piece : {request.size(), std::size_t{16'000}, std::size_t{150'000}}) {
        Dialogue dialogue;
        for (std::size_t at = 0; at < request.size(); at += piece) {
            dialogue.client(request.substr(at, piece));
        }
        dialogue.backend("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
        const auto events = dialogue.context().ooms.take();
        ASSERT_EQ(events.size(), 1U);
        EXPECT_NEAR(static_cast<double>(events[0].bytes), 20 * 100'000, 1000) << piece;
        // Those whose lengths stand in one read are taken for one.
        EXPECT_GE(events[0].largest_argument_bytes, 100'019U) << piece;
        EXPECT_LE(events[0].largest_argument_bytes, 2 * 100'021U) << piece;
    }
}

TEST(Session, WhatATransactionChangesIsTakenOverWhenItHasRun) {
    const std::string queued = command("MULTI") + command("CLIENT SETNAME web") +
                               command("SELECT 3") + command("CONFIG SET maxmemory 1gb");
    const std::string granted = "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n";
    const struct {
        std::string_view last;
        std::string_view reply;
        bool runs;
    } ends[] = {
        {"EXEC", "*3\r\n+OK\r\n+OK\r\n+OK\r\n", true},
        {"EXEC", "*3\r\n-ERR no\r\n+OK\r\n+OK\r\n", false},
        {"EXEC", "*3\r\n+OK\r\n+OK\r\n-ERR no\r\n", false},
        {"EXEC", "*-1\r\n", false},
        {"EXEC", "_\r\n", false},
        {"EXEC", "-EXECABORT no\r\n", false},
        {"DISCARD", "+OK\r\n", false},
        {"RESET", "+RESET\r\n", false},
    };
    for (const auto& end : ends) {
        Dialogue dialogue;
        dialogue.client(queued + command(end.last) + command("GET k"));
        dialogue.backend(granted);
        EXPECT_EQ(dialogue.name(), "") << "+QUEUED changes nothing yet";
        EXPECT_LT(dialogue.outdated_at(), 0);
        dialogue.backend(std::string(end.reply) + "$-1\r\n");
        EXPECT_EQ(dialogue.name(), end.runs ? "web" : "") << end.last << end.reply;
        EXPECT_EQ(dialogue.db(), end.runs ? 3 : 0) << end.last << end.reply;
        EXPECT_EQ(dialogue.outdated_at() > 0, end.runs) << end.last << end.reply;
    }
    Dialogue unanswered;
    unanswered.client(command("CLIENT REPLY OFF") + queued + command("EXEC"));
    EXPECT_EQ(unanswered.name(), "web");
    EXPECT_EQ(unanswered.db(), 3);
    EXPECT_GT(unanswered.outdated_at(), 0);
}

TEST(Session, AChangedLimitVoidsTheSamplesBeforeItsReply) {
    for (const auto& [request, reply, voids] :
         std::vector<std::tuple<const char*, const char*, bool>>{
             {"CONFIG SET save 1 MaxMemory 1gb", "+OK\r\n", true},
             {"CONFIG SET maxmemory-policy allkeys-lru", "+OK\r\n", true},
             {"CONFIG SET maxmemory much", "-ERR no\r\n", false},
             {"CONFIG SET hz 10 save 1", "+OK\r\n", false},
             {"FLUSHALL", "+OK\r\n", true},
             {"FLUSHDB ASYNC", "+OK\r\n", true},
             {"CONFIG GET maxmemory", "*0\r\n", false}}) {
        Dialogue dialogue;
        dialogue.client(command(request));
        EXPECT_LT(dialogue.outdated_at(), 0) << request;
        EXPECT_EQ(dialogue.backend(reply), reply);
        EXPECT_EQ(dialogue.outdated_at() > 0, voids) << request;
    }
}

// Behind another argument a length is known too late for a verdict.
TEST(Session, ChargesALateLengthUnlessTheServerRefusesIt) {
    const auto charged = [](const std::string& length) {
        Dialogue dialogue;
        dialogue.client("*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$20000\r\n");
        dialogue.context().guard.flush();
        const std::int64_t before = dialogue.cells().spent;
        dialogue.client(std::string(20'000, 'x') + "\r\n$1\r\nb\r\n$" + length + "\r\n");
        dialogue.context().guard.flush();
        return dialogue.cells().spent - before;
    };
    EXPECT_GT(charged("500000000"), 500'000'000);
    EXPECT_LT(charged("536870913"), 1000);
    EXPECT_LT(charged("9223372036854775807"), 1000);
}

TEST(Session, ObserveRecordsTheVerdictAndPassesEveryByte) {
    Dialogue dialogue(policy::Mode::observe);
    dialogue.close_the_gate();
    EXPECT_EQ(dialogue.client(command("SET a 1")), command("SET a 1"));
    EXPECT_EQ(dialogue.backend("+OK\r\n"), "+OK\r\n");
    const auto& counters = dialogue.context().metrics.commands[metrics::CommandClass::growing];
    EXPECT_EQ(counters[metrics::CommandVerdict::would_refuse].value(), 1U);
    EXPECT_TRUE(dialogue.context().ooms.take().at(0).would_refuse);
}

TEST(Session, SettlesWhatItChargedWhenAnsweredAndWhenItEnds) {
    Dialogue dialogue;
    dialogue.sample(
        {.state = policy::GuardState::plenty}, {.open = 1 << 20, .room = 2 << 20, .reserve = 0}
    );
    dialogue.client(
        command("SET a " + std::string(1000, 'x')) + command("SET b " + std::string(1000, 'x'))
    );
    dialogue.context().guard.flush();
    EXPECT_EQ(dialogue.cells().answered.load(), 0);
    dialogue.backend("+OK\r\n");
    dialogue.context().guard.flush();
    const std::int64_t one = dialogue.cells().answered.load();
    EXPECT_GT(one, 1250);
    EXPECT_LT(one, 1500);
    EXPECT_EQ(dialogue.cells().grown.load(), one);
    dialogue.end();
    dialogue.context().guard.flush();
    EXPECT_EQ(dialogue.cells().answered.load(), 2 * one);
}

TEST(Session, AFailedWriteTeachesNoGrowth) {
    Dialogue dialogue;
    dialogue.client(command("SET a b"));
    dialogue.backend("-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    dialogue.context().guard.flush();
    EXPECT_GT(dialogue.cells().answered.load(), 0);
    EXPECT_EQ(dialogue.cells().grown.load(), 0);
}

TEST(Session, AMillionCommandsAheadOfTheFirstReplyCostNextToNothing) {
    Dialogue dialogue;
    std::string batch;
    for (int i = 0; i < 1000; ++i) {
        batch += command(i % 2 == 0 ? "SET a b" : "GET a");
    }
    for (int i = 0; i < 1000; ++i) {
        dialogue.context().now += policy::millisecond;
        dialogue.client(batch);
    }
    std::string replies;
    for (int i = 0; i < 500; ++i) {
        replies += "+OK\r\n$1\r\nb\r\n";
    }
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(dialogue.backend(replies), replies);
    }
    EXPECT_TRUE(dialogue.session().idle());
}

TEST(Session, ARefusalStormIsOneEvent) {
    Dialogue dialogue;
    dialogue.close_the_gate();
    for (int i = 0; i < 10'000; ++i) {
        dialogue.client(command("SET cart:" + std::to_string(i) + " x"));
    }
    const auto events = dialogue.context().ooms.take();
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0].count, 10'000U);
}

}  // namespace
}  // namespace spillway::core::test
