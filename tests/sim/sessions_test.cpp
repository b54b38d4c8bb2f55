// What must hold of whole sessions whatever the guard says: random commands in random pieces, by
// seed, against guards in random states.
#include "tests/sim/simulation.hpp"
#include "tests/unit/core/dialogue.hpp"

#include <deque>
#include <string>
#include <vector>

namespace spillway::sim {
namespace {

using core::test::command;
using core::test::Dialogue;
using metrics::CommandVerdict;

constexpr std::string_view refusal_begin = "-OOM spillway refused this write: ";

struct Asked {
    std::string bytes;
    std::string reply;  // that the backend gives
    bool refusable = false;
};

class Sessions : public Simulation {
  protected:
    // Each says who it is, so that a reply in a wrong place would show.
    Asked any_command() {
        const std::string id = std::to_string(++asked_);
        const std::string reply = draw.number(0, 3) == 0
                                      ? "$" + std::to_string(id.size()) + "\r\n" + id + "\r\n"
                                      : "+" + id + "\r\n";
        const char* growing = draw.one_of<const char*>(
            {"SET k", "LPUSH l", "HSET h f", "ZADD z 1", "APPEND a", "SETRANGE s 5000", "SETBIT b"}
        );
        const char* other = draw.one_of<const char*>(
            {"GET",
             "DEL",
             "PING",
             "LPOP",
             "EXPIRE k",
             "EVAL return",
             "PUBLISH c",
             "HDEL h",
             "CONFIG GET",
             "TTL",
             "UNLINK",
             "SCAN",
             "XACK s g",
             "INFO",
             "ECHO",
             "TYPE"}
        );
        const bool grows = draw.number(0, 1) == 0;
        std::string line = std::string(grows ? growing : other) + " " + id;
        if (line.starts_with("SETBIT")) {
            line = "SETBIT b" + id + " " + id + " 1";
        } else if (line.starts_with("SETRANGE")) {
            line = "SETRANGE s" + id + " 5000 " + id;  // nothing is known of its string
        } else if (grows) {
            line += std::string(static_cast<std::size_t>(draw.number(0, 3000)), 'v');
        }
        return {command(line), reply, grows};
    }
    // Any state, with whatever credit: more or less than the next commands need.
    policy::GuardView any_sample(Dialogue& dialogue, std::uint64_t of) {
        Draw drawn(of);
        policy::GuardView view;
        view.state = drawn.one_of(
            {policy::GuardState::blind,
             policy::GuardState::plenty,
             policy::GuardState::paced,
             policy::GuardState::reserve,
             policy::GuardState::reserve,
             policy::GuardState::ceiling}
        );
        view.family = drawn.one_of(
            {policy::EvictionFamily::noeviction,
             policy::EvictionFamily::volatile_keys,
             policy::EvictionFamily::all_keys}
        );
        view.steady = drawn.number(0, 1) == 0;
        view.ceiling = 64 * mib;
        view.counted = drawn.number(1, 64) * mib;
        view.evictable = drawn.number(0, 8) * mib;
        view.asked_at = dialogue.context().now;
        policy::Grant grant;
        if (view.state != policy::GuardState::blind) {
            grant.room = drawn.number(0, 20'000);
            grant.open = drawn.number(0, 1) * drawn.number(0, grant.room);
            grant.reserve = drawn.number(0, grant.room);
        }
        dialogue.sample(view, grant);
        return view;
    }

    std::int64_t asked_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Seeds, Sessions, seeds());

std::uint64_t counted(Dialogue& dialogue, CommandVerdict verdict) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < metrics::command_class_names.size(); ++i) {
        sum += dialogue.context().metrics.commands.at_index(i)[verdict].value();
    }
    return sum;
}

// A client that pipelines, a backend that answers when it likes, a guard that changes its mind.
class Exchange {
  public:
    explicit Exchange(std::size_t piece) : dialogue(policy::Mode::protect, piece) {}

    void ask(Asked asked) {
        waiting_.push_back(std::move(asked));
        take_sent(dialogue.client(waiting_.back().bytes));
    }
    void pass_time(Nanos by) {
        dialogue.context().now += by;
        take_sent(dialogue.resume());
        if (held_since_ != 0) {
            EXPECT_LE(dialogue.context().now - held_since_, dialogue.settings().hold_max + by);
        }
    }
    void answer(std::size_t count) {
        std::string replies;
        for (; count > 0 && !unanswered_.empty(); --count) {
            replies += unanswered_.front();
            unanswered_.pop_front();
        }
        shown_ += dialogue.backend(replies);
        take_sent(dialogue.sent());
    }
    void answer_all() { answer(unanswered_.size()); }
    [[nodiscard]] bool done() const { return waiting_.empty() && expected_.empty(); }

    Dialogue dialogue;

  private:
    // What reached the backend are the client's commands, in order; those left out were refused.
    void take_sent(std::string sent) {
        while (!sent.empty()) {
            ASSERT_FALSE(waiting_.empty()) << "nobody asked for " << sent;
            const bool passed = sent.starts_with(waiting_.front().bytes);
            if (passed) {
                sent.erase(0, waiting_.front().bytes.size());
                unanswered_.push_back(waiting_.front().reply);
            }
            settle_next(passed);
        }
        while (refused_ < counted(dialogue, CommandVerdict::refused)) {
            settle_next(false);
        }
        look_at_what_waits();
        look_at_what_was_shown();
    }
    void settle_next(bool passed) {
        ASSERT_FALSE(waiting_.empty());
        EXPECT_TRUE(passed || waiting_.front().refusable) << "refused: " << waiting_.front().bytes;
        refused_ += passed ? 0 : 1;
        expected_.push_back(passed ? waiting_.front().reply : std::string());
        waiting_.pop_front();
    }
    // Reads, what frees and administration wait for nothing but a held command before them, or for
    // replies.
    void look_at_what_waits() {
        const bool held = dialogue.session().held();
        if (!held || (held_ != waiting_.front().bytes)) {
            held_since_ = held ? dialogue.context().now : 0;
            held_ = held ? waiting_.front().bytes : std::string();
        }
        if (held) {
            EXPECT_TRUE(waiting_.front().refusable) << "held: " << waiting_.front().bytes;
        } else if (!dialogue.session().awaits_replies()) {
            EXPECT_TRUE(waiting_.empty()) << "waits for nothing: " << waiting_.front().bytes;
        }
    }
    void look_at_what_was_shown() {
        shown_ += dialogue.shown();
        while (!expected_.empty() && !shown_.empty()) {
            const std::string& reply = expected_.front();
            const std::string_view wanted = reply.empty() ? refusal_begin : reply;
            ASSERT_TRUE(shown_.starts_with(wanted)) << shown_ << " instead of " << wanted;
            shown_.erase(0, reply.empty() ? shown_.find('\n') + 1 : reply.size());
            expected_.pop_front();
        }
        ASSERT_TRUE(shown_.empty()) << "nobody asked for " << shown_;
    }

    std::deque<Asked> waiting_;         // neither sent nor refused
    std::deque<std::string> expected_;  // by the client; empty = a refusal
    std::deque<std::string> unanswered_;
    std::string shown_;
    std::string held_;
    std::uint64_t refused_ = 0;
    Nanos held_since_ = 0;
};

// 2, and the order of everything.
TEST_P(Sessions, RefuseAndHoldNothingButGrowthAndKeepItsOrder) {
    Exchange exchange(draw.one_of<std::size_t>({0, 0, 1, 7, 100}));
    for (int step = 0; step < 60 && !HasFailure(); ++step) {
        if (draw.number(0, 2) == 0) {
            any_sample(exchange.dialogue, static_cast<std::uint64_t>(draw.number(1, 1 << 30)));
        }
        for (std::int64_t i = draw.number(0, 6); i > 0; --i) {
            exchange.ask(any_command());
        }
        exchange.answer(static_cast<std::size_t>(draw.number(0, 6)));
        exchange.pass_time(draw.number(0, 60) * millisecond);
    }
    for (int i = 0; i < 20 && !exchange.done() && !HasFailure(); ++i) {
        exchange.answer_all();
        exchange.pass_time(exchange.dialogue.settings().hold_max);
    }
    EXPECT_TRUE(exchange.done());
}

// 3: in the same state observe tells the verdict that protect gives, and passes every byte.
TEST_P(Sessions, ObserveTellsWhatProtectWouldDo) {
    Dialogue protect(policy::Mode::protect);
    Dialogue observe(policy::Mode::observe);
    for (int step = 0; step < 60 && !HasFailure(); ++step) {
        const auto state = static_cast<std::uint64_t>(draw.number(1, 1 << 30));
        const policy::GuardView view = any_sample(protect, state);
        any_sample(observe, state);
        const Asked asked = any_command();
        SCOPED_TRACE(asked.bytes);
        EXPECT_EQ(observe.client(asked.bytes), asked.bytes);
        EXPECT_EQ(observe.backend(asked.reply), asked.reply);
        const bool sent = !protect.client(asked.bytes).empty();
        const bool held = protect.session().held();
        if (held) {
            protect.sample(view, {.open = mib, .room = mib, .reserve = 0});
            EXPECT_EQ(protect.resume(), asked.bytes);
        }
        if (sent || held) {
            EXPECT_EQ(protect.backend(asked.reply), asked.reply);
        } else {
            EXPECT_TRUE(protect.shown().starts_with(refusal_begin));
        }
        EXPECT_EQ(
            counted(protect, CommandVerdict::refused),
            counted(observe, CommandVerdict::would_refuse)
        );
        EXPECT_EQ(
            counted(protect, CommandVerdict::held), counted(observe, CommandVerdict::would_hold)
        );
        EXPECT_EQ(counted(protect, CommandVerdict::pass), counted(observe, CommandVerdict::pass));
    }
    EXPECT_EQ(counted(observe, CommandVerdict::refused), 0U);
    EXPECT_EQ(counted(observe, CommandVerdict::held), 0U);
}

}  // namespace
}  // namespace spillway::sim
