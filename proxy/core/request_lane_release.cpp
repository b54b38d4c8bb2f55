// What the ledger is told of a command that goes to the backend: which replies to expect, and what
// to remember of it.
#include "proxy/core/judged.hpp"
#include "proxy/core/request_lane.hpp"

#include <algorithm>
#include <cstring>

namespace spillway::core {

// What changes the connection, is answered otherwise than by one reply, or comes where something
// such is under way.
void RequestLane::release_unusual(const resp::CommandInfo& command, const policy::Cost& cost) {
    ConnectionState& state = shared_.state;
    policy::Cost charged = cost;
    if (state.in_multi() && command.effect == resp::Effect::none) {
        // What is queued is held in memory now and grows the data only when EXEC runs it.
        state.queue(cost.charge, cost.lasting);
        charged.lasting = 0;
    }
    if (command.effect == resp::Effect::exec) {
        charged = {
            .charge = state.queued_charge(), .lasting = state.queued_lasting(), .large = false};
        shared_.context.guard.charge(charged.charge);
        if (state.queued_removal()) {
            shared_.context.guard.forget_keys();
        }
    }
    const bool was_silent = state.reply_suppressed();
    if (command.replies == resp::Replies::client_reply && reader_.argument_count() == 3) {
        state.on_client_reply(reader_.argument(2));
    }
    if (command.effect == resp::Effect::hello) {
        shared_.resp3_confirmed = false;  // until it is answered
    }
    const bool was_in_multi = state.in_multi();
    LedgerRun run;
    const bool runs_auth = command.effect == resp::Effect::exec && state.queued_auth();
    run.has_effect = state.on_effect(command.effect, reader_);
    if (was_silent && !state.reply_suppressed()) {
        // CLIENT REPLY ON, or RESET: where the user may not run it, nothing is said, nor
        // afterwards.
        shared_.uncertain = shared_.uncertain_until_answered = true;
    }
    bool paired = false;
    if (runs_auth) {  // one that fails leaves no element where EXEC has announced one
        become_pipe(metrics::OpaqueReason::unknown_replies);
    } else {
        paired = expect_unusual(command, was_in_multi, run);
    }
    if (paired && !state.reply_suppressed()) {
        run.command_class = metrics::class_of(command.growth);
        run.sent_at = shared_.context.now;
        run.charged = charged.charge;
        run.lasting = charged.lasting;
        run.in_exec = command.effect == resp::Effect::exec;
        run.effect = command.effect;
        run.detailed = (grows(command) || was_in_multi) && push_detail(command);
        shared_.ledger.push(run);
    } else {
        shared_.context.guard.settle(charged.charge, charged.lasting);
        if (run.has_effect) {
            shared_.forget(state.settle_unanswered());
        }
    }
    state.next(command.effect == resp::Effect::one_shot);
}

// Since Redis 7.2, and in Valkey before 9, an authentication that fails gets no answer while
// replies to earlier commands still wait to be sent (addAuthErrReply in acl.c; seen with Redis
// 8.0.6 and Valkey 8.0.1).
bool RequestLane::may_fail_unanswered(const resp::CommandInfo& command) const {
    return command.effect == resp::Effect::auth ||
           (command.effect == resp::Effect::hello && reader_.argument_count() > 2);
}

// Commands with another number of replies than one. False when none may be counted on.
bool RequestLane::expect_unusual(const resp::CommandInfo& command, bool in_multi, LedgerRun& run) {
    switch (command.replies) {
        case resp::Replies::one:
            if (!may_fail_unanswered(command)) {
                return true;
            }
            if (in_multi) {
                shared_.state.queue_auth();
            } else if (!shared_.ledger.empty()) {
                shared_.uncertain = shared_.uncertain_until_answered = true;
            }
            return true;
        case resp::Replies::client_reply:
            // A RESP2 subscriber is refused it, with an error, whatever it asks for.
            if (!in_multi && (!shared_.maybe_subscribed() || shared_.resp3_confirmed)) {
                return true;
            }
            break;
        case resp::Replies::subscribe:
        case resp::Replies::unsubscribe:
            if (in_multi) {
                break;
            }
            if (shared_.state.reply_suppressed()) {
                shared_.unasked_frames = true;
                shared_.subscribed = true;
                return false;
            }
            if (command.replies == resp::Replies::subscribe) {
                ++shared_.subscribes_under_way;
            }
            run.expect = command.replies == resp::Replies::subscribe ? Expect::subscription
                                                                     : Expect::unsubscription;
            run.subscription = command.subscription;
            run.frames = reader_.argument_count() - 1;
            return true;
        case resp::Replies::monitor:
        case resp::Replies::replication:
            run.expect =
                command.replies == resp::Replies::monitor ? Expect::monitor : Expect::replication;
            shared_.uncertain = true;
            return true;
    }
    // How many replies come is not known (EXEC may answer with more or fewer elements than it
    // announces): nothing behind it can be paired.
    become_pipe(metrics::OpaqueReason::unknown_replies);
    return false;
}

bool RequestLane::push_detail(const resp::CommandInfo& command) {
    CommandDetail* const place = shared_.ledger.push_detail();
    if (place == nullptr) {
        return false;
    }
    CommandDetail& detail = *place;
    detail.command = command.id;
    detail.in_multi = shared_.state.in_multi();
    detail.script_declared = command.growth == resp::Growth::script && command.name() == "EVAL" &&
                             reader_.argument(1).starts_with("#!");
    const auto clamp = [](std::uint64_t bytes) {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, UINT32_MAX));
    };
    detail.bytes = clamp(reader_.argument_bytes());
    detail.largest_bytes = clamp(reader_.largest_argument_bytes());
    // Nearly all commands that grow memory have their first key in front.
    const std::string_view key = command.keys.first == 1 ? reader_.argument(1) : first_key(command);
    detail.key_size = static_cast<std::uint8_t>(std::min(key.size(), CommandDetail::key_bytes_max));
    if (detail.key_size > 0) {  // without a key there is no pointer either
        std::memcpy(detail.key.data(), key.data(), detail.key_size);
    }
    return true;
}

}  // namespace spillway::core
