// The verdict on a command that may grow memory: what it costs, which rule it meets, what the guard
// says, and who is told.
#include "policy/key_pattern.hpp"
#include "proxy/core/judged.hpp"
#include "proxy/core/request_lane.hpp"

#include <algorithm>

namespace spillway::core {
namespace {

using metrics::CommandVerdict;

}  // namespace

RequestLane::Route RequestLane::judge(const resp::CommandInfo& command) {
    ShardContext& context = shared_.context;
    if (!may_grow_as_given(command, reader_)) {
        count(command, CommandVerdict::pass);
        release(command, {});
        return Route::pass;
    }
    StringWrite string_write;
    if (command.growth == resp::Growth::offset) [[unlikely]] {
        string_write = look_up_string(command);
    }
    policy::Cost cost = cost_of(command, reader_, string_write.bytes_added);
    const std::int64_t lasting = cost.lasting;
    ValueWrite value_write;
    if (context.guard.looks_at_values()) [[unlikely]] {
        value_write = weigh_value(command, cost);
    }
    CommandVerdict counted = CommandVerdict::pass;
    if (!is_gated(command) || shared_.is_uncertain()) {
        context.guard.charge(cost.charge);
        cost.lasting = 0;
    } else if (!context.guard.quick(cost)) {
        const policy::Rule* rule = rule_for(command);
        const policy::Priority priority =
            rule != nullptr ? rule->priority : policy::Priority::normal;
        const policy::Judgement judgement =
            context.guard.judge(cost, reader_.argument_bytes(), priority, context.now, waiting_);
        const bool observing = context.guard.mode() != policy::Mode::protect;
        cost.lasting = judgement.teaches ? cost.lasting : 0;
        if (judgement.verdict == policy::Verdict::refuse) {
            note_verdict(
                observing ? policy::Outcome::would_refuse : policy::Outcome::refused, rule
            );
            const std::string_view rule_name =
                rule != nullptr ? std::string_view(rule->name) : std::string_view();
            const Route route = refuse(command, judgement.cause, priority, rule_name);
            if (!observing) {
                return route;
            }
            counted = CommandVerdict::would_refuse;
        } else if (judgement.verdict == policy::Verdict::hold) {
            if (!observing) {
                if (!held_) {
                    note_verdict(policy::Outcome::held, rule);
                    held_ = true;
                    held_since_ = context.now;
                    context.metrics.held_commands.add();
                }
                return Route::hold;
            }
            note_verdict(policy::Outcome::would_hold, rule);
            counted = CommandVerdict::would_hold;
        }
        if (observing && judgement.verdict != policy::Verdict::pass) {
            context.guard.charge(cost.charge);
        }
    }
    if (held_) {
        end_hold();
        counted = CommandVerdict::held;
    }
    count(command, counted);
    const bool keeps = context.retries.on && may_be_retried(command);
    release(command, cost);
    note_growth(command, lasting, lasting);
    if (context.guard.remembers_keys()) [[unlikely]] {
        note_keys(command, string_write, value_write, counted);
    }
    return keeps ? Route::pass_and_keep : Route::pass;
}

// Which string is written into, and what is new of it. Nothing is learnt where the database is in
// doubt, or which reply will be that of this command; nor from an empty SETRANGE, which writes
// nothing.
RequestLane::StringWrite RequestLane::look_up_string(const resp::CommandInfo& command) {
    const std::uint64_t reached = string_bytes_reached(command, reader_);
    const std::string_view key = reader_.argument(1);
    StringWrite write;
    write.bytes_added = reached;
    if (reached == 0 || key.data() == nullptr || shared_.is_uncertain() || !shared_.state.plain() ||
        !shared_.state.db_is_certain()) {
        return write;
    }
    policy::StringLengths& strings = shared_.context.guard.strings();
    const std::uint64_t string = policy::StringLengths::key_of(key, shared_.state.db());
    write.bytes_added = strings.growth(string, reached, shared_.context.now);
    const bool writes =
        command.offset_in_bits || is_bitfield(command) || reader_.argument_length(3) > 0;
    write.reach = strings.sent(string, writes ? reached : 0);
    return write;
}

// A SET in the place of a value as large adds nothing. What is set with a TTL may be gone by then.
RequestLane::ValueWrite RequestLane::weigh_value(
    const resp::CommandInfo& command, policy::Cost& cost
) const {
    const std::string_view key = reader_.argument(1);
    if (command.name() != "SET" || reader_.arguments_announced() != 3 || cost.large ||
        key.data() == nullptr || key.size() != reader_.argument_length(1) ||
        shared_.is_uncertain() || !shared_.state.plain() || !shared_.state.db_is_certain()) {
        return {};
    }
    ValueWrite write{
        policy::StringLengths::key_of(key, shared_.state.db()), reader_.argument_length(2)};
    policy::Guard& guard = shared_.context.guard;
    if (guard.weighs_values() && guard.may_be_quick(cost) &&
        guard.values().covers(write.key, write.bytes)) {
        // What it is estimated to add stays: by that the meter finds out if it adds all the same.
        cost.charge /= policy::SetValues::charged_share;
    }
    return write;
}

// Of a command that was released: what it will teach, or what it may have undone.
void RequestLane::note_keys(
    const resp::CommandInfo& command,
    const StringWrite& string,
    const ValueWrite& value,
    CommandVerdict verdict
) {
    policy::Guard& guard = shared_.context.guard;
    if (value.bytes > 0 && verdict == CommandVerdict::would_refuse) {
        return;  // observing: what protect would not have sent teaches nothing
    }
    if (value.bytes > 0) {
        guard.strings().forget(value.key);
        guard.values().note(value.key, value.bytes);
    } else if (command.growth == resp::Growth::offset) {
        if (string.reach.bytes > 0) {
            shared_.ledger.push_reach(string.reach);
        }
    } else if (command.name() != "APPEND") {
        forget_keys(command);
    }
}

void RequestLane::forget_keys(const resp::CommandInfo& command) {
    constexpr std::uint32_t keys_max = 64;
    policy::Guard& guard = shared_.context.guard;
    // What may only give it a TTL leaves a string as it is for now.
    const bool stays = command.growth == resp::Growth::ungated;
    std::uint32_t seen = 0;
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    const auto keys = resp::keys_of(command, reader_.argument_count(), argument);
    for (const std::size_t index : keys) {
        const std::string_view key = argument(index);
        const bool whole = key.data() != nullptr &&
                           key.size() == reader_.argument_length(static_cast<std::uint32_t>(index));
        if (!whole || ++seen > keys_max || !shared_.state.db_is_certain()) {
            if (stays) {
                guard.values().forget_all();
            } else {
                guard.forget_keys();
            }
            return;
        }
        const std::uint64_t known_as = policy::StringLengths::key_of(key, shared_.state.db());
        guard.values().forget(known_as);
        if (!stays) {
            guard.strings().forget(known_as);
        }
    }
    const bool names_none = keys.empty() && (command.effect == resp::Effect::flush ||
                                             command.growth == resp::Growth::script);
    const bool in_other_db = command.name() == "COPY" && reader_.argument_count() > 3;
    if (names_none || in_other_db) {
        guard.forget_keys();
    }
}

void RequestLane::note_verdict(policy::Outcome outcome, const policy::Rule* rule) {
    shared_.context.verdicts.count(
        rule != nullptr ? std::string_view(rule->name) : std::string_view(),
        shared_.state.name_asked_for(),
        outcome,
        reader_.argument_bytes()
    );
}

// Whether the server's plain refusal proves that it did not run. Not where a module or a script may
// have run before it refused; not where the answer is no single reply to one command; and not with
// several keys, which a service may hand to several servers, some of which have room.
bool RequestLane::may_be_retried(const resp::CommandInfo& command) const {
    const ShardContext& context = shared_.context;
    if (!command.known || !command.write || !is_gated(command) || shared_.is_uncertain() ||
        command.effect != resp::Effect::none || command.replies != resp::Replies::one ||
        !shared_.state.plain() || shared_.maybe_subscribed() || shared_.unasked_frames ||
        reader_.argument_bytes() > Retry::command_bytes_max ||
        context.guard.mode() != policy::Mode::protect ||
        context.guard.view().state <= policy::GuardState::blind) {
        return false;
    }
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    return resp::keys_of(command, reader_.argument_count(), argument).size() == 1;
}

void RequestLane::end_hold() noexcept {
    if (!held_) {
        return;
    }
    held_ = false;
    const Nanos took = std::max<Nanos>(shared_.context.now - held_since_, 0);
    held_before_ += took;
    shared_.context.metrics.held_commands.sub();
    shared_.context.metrics.hold_seconds.observe(static_cast<std::uint64_t>(took));
}

RequestLane::Route RequestLane::refuse(
    const resp::CommandInfo& command,
    policy::Cause cause,
    policy::Priority priority,
    std::string_view rule
) {
    ShardContext& context = shared_.context;
    const bool observing = context.guard.mode() != policy::Mode::protect;
    OomSighting sighting;
    sighting.origin = policy::OomOrigin::guard;
    sighting.at = context.now;
    sighting.session = shared_.id;
    sighting.command = command.name();
    sighting.key = first_key(command);
    const std::uint64_t reached = string_bytes_reached(command, reader_);
    sighting.bytes = std::max(reader_.argument_bytes(), reached);
    sighting.largest_argument_bytes = std::max(reader_.largest_argument_bytes(), reached);
    sighting.in_multi = shared_.state.in_multi();
    sighting.guard_cause = cause;
    sighting.priority = priority;
    sighting.rule = rule;
    sighting.would_refuse = observing;
    context.ooms.report(sighting, [this] { return shared_.facts(); });
    if (observing) {
        return Route::pass;
    }

    end_hold();
    count(command, CommandVerdict::refused);
    context.metrics.oom_replies[metrics::Origin::guard][static_cast<std::size_t>(cause)].add();
    ConnectionState& state = shared_.state;
    const std::string* text = context.refusals.get(cause, context.policy_name, priority);
    LedgerRun run;
    run.text = text;
    run.sent_at = context.now;
    if (state.in_multi() || state.bound_by_modifier()) {
        run.expect = Expect::replaced;
        if (!state.reply_suppressed()) {
            shared_.ledger.push(run);
        }
        state.next(false);
        return Route::replace;
    }
    run.expect = Expect::local;
    if (!state.reply_suppressed()) {
        shared_.ledger.push(run);
    }
    return Route::skip;
}

const policy::Rule* RequestLane::rule_for(const resp::CommandInfo& command) const {
    const policy::Rules& rules = *shared_.context.rules;
    if (rules.empty()) {
        return nullptr;
    }
    const auto any_key = [&](const auto& matches) { return any_key_of(command, reader_, matches); };
    return rules.match(
        command, {shared_.state.name_asked_for(), shared_.state.user(), shared_.listener}, any_key
    );
}

std::string_view RequestLane::first_key(const resp::CommandInfo& command) const {
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    const auto keys = resp::keys_of(command, reader_.argument_count(), argument);
    if (keys.empty() || keys[0] >= reader_.arguments_announced()) {
        return {};
    }
    return argument(keys[0]).substr(0, policy::pattern_key_bytes_max);
}

}  // namespace spillway::core
