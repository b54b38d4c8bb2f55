// The way from client to backend: finds each command, has it judged at its head, and releases,
// holds or skips its bytes.
#pragma once

#include "proxy/core/output.hpp"
#include "proxy/core/session_shared.hpp"
#include "resp/command_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spillway::core {

class RequestLane {
  public:
    explicit RequestLane(SessionShared& shared) noexcept : shared_(shared) {}

    enum class Stop : std::uint8_t {
        all_taken,    // every byte was released or skipped
        need_more,    // a head has not come in full: offer the rest again with more behind it
        flight,       // enough replies are under way: offer the rest again when some have come
        held,         // the first command of the rest waits for credit or time, or behind a retry
        output_full,  // flush, and go on with the rest
        ledger_full,  // more commands await a reply than can be remembered: the session must end
        broken,       // the body of a refused command broke the protocol: the session must end
    };
    struct Pass {
        Stop stop = Stop::all_taken;
        std::size_t taken = 0;
    };
    // `window` begins where the last pass stopped taking. Pieces added to `to_backend` lie in it.
    [[nodiscard]] Pass take(std::string_view window, Output& to_backend);

    [[nodiscard]] bool held() const noexcept { return held_; }
    // When the held command passes or is refused at last; 0 = nothing is held.
    [[nodiscard]] Nanos hold_until() const noexcept {
        return held_ ? waiting_.since + shared_.context.guard.hold_max() : 0;
    }
    // How long commands were held so far, the one that is held included.
    [[nodiscard]] Nanos held_for(Nanos now) const noexcept {
        return held_before_ + (held_ ? std::max<Nanos>(now - held_since_, 0) : 0);
    }
    // The first command of the rest waits until replies have come.
    [[nodiscard]] bool awaits_replies() const noexcept { return awaits_replies_; }
    // A command has begun to go out whose last bytes have not come.
    [[nodiscard]] bool amid_command() const noexcept { return reader_.in_body(); }
    // From here on bytes only pass.
    [[nodiscard]] bool piped() const noexcept { return piped_; }
    // Ends a hold without a verdict.
    void end_hold() noexcept;

  private:
    // What becomes of the command whose head was read.
    enum class Route : std::uint8_t { pass, pass_and_keep, skip, replace, hold };

    // How far a window has been taken. What was released and lies side by side goes out as one
    // piece.
    struct Progress {
        std::string_view window;
        Output& output;
        std::size_t at = 0;
        std::size_t released_from = 0;  // [released_from, at) is still to be added to the output

        void release() noexcept {
            (void)output.add(window.substr(released_from, at - released_from));
            released_from = at;
        }
        void skip(std::size_t bytes) noexcept {
            release();
            released_from = at += bytes;
        }
    };

    [[nodiscard]] Stop take_commands(Progress& progress);
    void take_blank(std::string_view bytes, Progress& progress);
    [[nodiscard]] Stop take_body(std::string_view bytes, Progress& progress);
    void begin_keeping(Progress& progress);
    void keep_for_retry(const Progress& progress);
    [[nodiscard]] bool may_be_retried(const resp::CommandInfo& command) const;
    // What a command of Growth::offset does to its string.
    struct StringWrite {
        std::uint64_t bytes_added = 0;
        policy::StringLengths::Reach reach;  // no bytes: nothing to learn
    };
    [[nodiscard, gnu::noinline]] StringWrite look_up_string(const resp::CommandInfo& command);
    // A SET of which it is known that its value stays until the next.
    struct ValueWrite {
        std::uint64_t key = 0;
        std::uint64_t bytes = 0;  // 0 = it is another command, or nothing is known of it
    };
    [[nodiscard, gnu::noinline]] ValueWrite weigh_value(
        const resp::CommandInfo& command, policy::Cost& cost
    ) const;
    [[gnu::noinline]] void note_keys(
        const resp::CommandInfo& command,
        const StringWrite& string,
        const ValueWrite& value,
        metrics::CommandVerdict verdict
    );
    [[gnu::noinline]] void note_removal(const resp::CommandInfo& command);
    [[gnu::noinline]] void forget_keys(const resp::CommandInfo& command);
    void note_verdict(policy::Outcome outcome, const policy::Rule* rule);
    [[nodiscard]] Route route_command();
    [[nodiscard]] Route judge(const resp::CommandInfo& command);
    [[nodiscard]] Route refuse(
        const resp::CommandInfo& command,
        policy::Cause cause,
        policy::Priority priority,
        std::string_view rule
    );
    void release(const resp::CommandInfo& command, const policy::Cost& cost);
    [[gnu::noinline]] void release_unusual(
        const resp::CommandInfo& command, const policy::Cost& cost
    );
    [[nodiscard]] bool may_fail_unanswered(const resp::CommandInfo& command) const;
    [[nodiscard]] bool expect_unusual(
        const resp::CommandInfo& command, bool in_multi, LedgerRun& run
    );
    [[nodiscard]] const policy::Rule* rule_for(const resp::CommandInfo& command) const;
    [[nodiscard]] const resp::CommandInfo& identify() const noexcept;
    [[nodiscard]] bool has_small_reply() const noexcept;
    [[nodiscard]] bool push_detail(const resp::CommandInfo& command);
    [[nodiscard]] std::string_view first_key(const resp::CommandInfo& command) const;
    // `counted` of its bytes count towards the next look; `bound` is what it may add at most.
    void note_growth(const resp::CommandInfo& command, std::int64_t counted, std::int64_t bound) {
        if (shared_.context.growth.takes(counted)) [[unlikely]] {
            look_at_growth(command, counted, bound);
        }
    }
    [[gnu::noinline]] void look_at_growth(
        const resp::CommandInfo& command, std::int64_t counted, std::int64_t bound
    );
    void name_growth(policy::GrowthSample& sample, std::size_t shown, std::size_t apart) const;
    void settle_or_await(const policy::GrowthSample& sample);
    void count(const resp::CommandInfo& command, metrics::CommandVerdict verdict) noexcept;
    void become_pipe(metrics::OpaqueReason reason);

    SessionShared& shared_;
    resp::CommandReader reader_;
    policy::Waiting waiting_;
    Nanos held_since_ = 0;   // of the command that is held
    Nanos held_before_ = 0;  // by those before it
    bool held_ = false;
    bool awaits_replies_ = false;
    bool skipping_ = false;  // the body of a refused command
    bool piped_ = false;
    // A command that may be sent again is being released: where it begins and ends in the window.
    static constexpr std::size_t unknown_end = SIZE_MAX;
    bool keeping_ = false;
    std::size_t keep_from_ = 0;
    std::size_t keep_to_ = unknown_end;
    Nanos keep_since_ = 0;
};

// Most commands come through these two, from both of the lane's ways; left to itself, the compiler
// would make a call of them, which costs each command thirty instructions.
inline void RequestLane::count(
    const resp::CommandInfo& command, metrics::CommandVerdict verdict
) noexcept {
    shared_.context.metrics.commands[metrics::class_of(command.growth)][verdict].add();
}

[[gnu::always_inline]] inline void RequestLane::release(
    const resp::CommandInfo& command, const policy::Cost& cost
) {
    if (command.effect == resp::Effect::none && command.replies == resp::Replies::one &&
        shared_.state.plain()) [[likely]] {
        shared_.ledger.push_plain({
            .command_class = metrics::class_of(command.growth),
            .detailed = cost.charge != 0 && push_detail(command),
            .sent_at = shared_.context.now,
            .charged = cost.charge,
            .lasting = cost.lasting,
        });
        return;
    }
    release_unusual(command, cost);
}

}  // namespace spillway::core
