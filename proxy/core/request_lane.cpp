// The way from client to backend: finds each command, has it judged at its head, and releases,
// holds or skips its bytes.
#include "proxy/core/request_lane.hpp"

#include "policy/key_pattern.hpp"
#include "resp/command_arguments.hpp"
#include "resp/word.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace spillway::core {
namespace {

using metrics::CommandVerdict;

// Refused inside a transaction: Redis answers an error and poisons the transaction, whatever
// happens to us afterwards. A name of no command and no arguments, since unknown names are found
// out before anything else.
constexpr std::string_view poison_command = "*1\r\n$16\r\nSPILLWAY.REFUSED\r\n";

// Growth is put into the ledger by samples of this many bytes: heavy writers show, light ones cost
// nothing.
constexpr std::int64_t growth_sample_bytes = 16 * 1024;

const resp::CommandInfo& unknown_command() noexcept {
    static const resp::CommandInfo info = [] {
        resp::CommandInfo unknown;
        constexpr std::string_view name = "UNKNOWN";
        std::copy(name.begin(), name.end(), unknown.name_bytes.begin());
        unknown.name_size = static_cast<std::uint8_t>(name.size());
        return unknown;
    }();
    return info;
}

// After a line of nothing but blanks Valkey 8.0 reads the next one as inline, whatever it begins
// with; Redis does not. Who cannot know which it is cannot know where commands end.
bool is_line_of_blanks(std::string_view line) noexcept {
    return line.front() != '*' && line != "\n" && line != "\r\n";
}

bool grows(const resp::CommandInfo& command) noexcept {
    return command.growth != resp::Growth::other && command.growth != resp::Growth::freeing;
}

bool is_gated(const resp::CommandInfo& command) noexcept {
    return command.denyoom &&
           (command.growth == resp::Growth::proportional ||
            command.growth == resp::Growth::offset || command.growth == resp::Growth::unbounded);
}

// Whether the arguments give the key a TTL. EXPIRE in a second command is not seen here.
bool sets_ttl(const resp::CommandInfo& command, const resp::CommandReader& head) noexcept {
    const std::string_view name = command.name();
    if (name == "SETEX" || name == "PSETEX") {
        return true;
    }
    if (name != "SET" && name != "GETEX" && name != "HSETEX" && name != "MSETEX") {
        return false;
    }
    const std::uint32_t end = std::min<std::uint32_t>(head.arguments_announced(), 10);
    for (std::uint32_t i = 2; i < end; ++i) {
        const std::string_view option = head.argument(i);
        if (resp::is_word(option, "EX") || resp::is_word(option, "PX") ||
            resp::is_word(option, "EXAT") || resp::is_word(option, "PXAT")) {
            return true;
        }
    }
    return false;
}

}  // namespace

void SessionShared::become_opaque(metrics::OpaqueReason reason, std::string_view server_said) {
    uncertain = true;
    if (std::exchange(opaque, true)) {
        return;
    }
    context.metrics.sessions_opaque[reason].add();
    if (context.opaque_notes.size() < ShardContext::opaque_notes_max) {
        context.opaque_notes.push_back({reason, address, state.name(), std::string(server_said)});
    }
}

bool SessionShared::forget_replies() {
    bool owed = false;
    while (!ledger.empty()) {
        const LedgerRun& run = ledger.front();
        owed = owed || run.text != nullptr;
        context.guard.settle(run.charged, run.lasting);
        ledger.pop(run.count);
    }
    return owed;
}

RequestLane::Pass RequestLane::take(std::string_view window, Output& to_backend) {
    Progress progress{window, to_backend};
    const Stop stop = take_commands(progress);
    awaits_replies_ = stop == Stop::flight;
    progress.release();
    return {stop, progress.at};
}

RequestLane::Stop RequestLane::take_commands(Progress& progress) {
    while (progress.at < progress.window.size()) {
        const std::string_view rest = progress.window.substr(progress.at);
        if (piped_ || (shared_.replies_piped && !(reader_.in_body() && skipping_))) {
            end_hold();
            progress.at += rest.size();
            return Stop::all_taken;
        }
        if (reader_.in_body()) {
            if (const Stop stop = take_body(rest, progress); stop != Stop::all_taken) {
                return stop;
            }
            continue;
        }
        switch (reader_.read_head(rest)) {
            case resp::HeadResult::need_more:
                return Stop::need_more;
            case resp::HeadResult::blank:
                if (is_line_of_blanks(rest.substr(0, reader_.consumed()))) {
                    become_pipe(metrics::OpaqueReason::unreadable_request);
                    continue;
                }
                // No command, but the server's one-shot modifiers are used up by it.
                progress.at += reader_.consumed();
                shared_.state.next(false);
                continue;
            case resp::HeadResult::malformed:
                become_pipe(metrics::OpaqueReason::unreadable_request);
                continue;
            case resp::HeadResult::head:
                break;
        }
        if (shared_.ledger.full()) {
            return Stop::ledger_full;
        }
        if (!progress.output.has_place_for(poison_command.size())) {
            reader_.rewind();
            return Stop::output_full;
        }
        if (!shared_.uncertain && !shared_.flight_lifted &&
            !shared_.context.flight.takes(shared_.ledger.under_way(), shared_.recent_reply_bytes)) {
            reader_.rewind();
            return Stop::flight;
        }
        const Route route = route_command();
        if (route == Route::hold) {
            reader_.rewind();
            return Stop::held;
        }
        skipping_ = route != Route::pass;
        if (!skipping_) {
            progress.at += reader_.consumed();
            continue;
        }
        progress.skip(reader_.consumed());
        if (route == Route::replace) {
            (void)progress.output.add_copy(poison_command);
        }
    }
    waiting_.since = 0;
    return Stop::all_taken;
}

RequestLane::Stop RequestLane::take_body(std::string_view bytes, Progress& progress) {
    const std::size_t taken = reader_.read_body(bytes);
    if (skipping_) {
        progress.skip(taken);
        (void)reader_.take_late_bytes();
        return reader_.body_malformed() ? Stop::broken : Stop::all_taken;
    }
    progress.at += taken;
    if (const std::uint64_t late = reader_.take_late_bytes(); late > 0) {
        const auto bytes_late = static_cast<std::int64_t>(late + late / 4);
        shared_.context.guard.charge(bytes_late);
        if (!shared_.ledger.charge_last(bytes_late)) {
            shared_.context.guard.settle(bytes_late, 0);
        }
    }
    if (reader_.body_malformed()) {
        become_pipe(metrics::OpaqueReason::unreadable_request);
    }
    return Stop::all_taken;
}

const resp::CommandInfo& RequestLane::identify() const noexcept {
    resp::CommandLookup& commands = shared_.context.commands;
    const resp::CommandInfo* command = commands.find(reader_.argument(0));
    if (command == nullptr) {
        return unknown_command();
    }
    if (command->has_subcommands && reader_.arguments_announced() > 1) {
        const auto* sub = commands.table().find_sub(*command, reader_.argument(1));
        if (sub != nullptr) {
            return *sub;
        }
    }
    return *command;
}

inline void RequestLane::count(const resp::CommandInfo& command, CommandVerdict verdict) noexcept {
    shared_.context.metrics.commands[metrics::class_of(command.growth)][verdict].add();
}

inline void RequestLane::release(const resp::CommandInfo& command, const policy::Cost& cost) {
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

RequestLane::Route RequestLane::route_command() {
    const resp::CommandInfo& command = identify();
    ConnectionState& state = shared_.state;
    if (state.quitting()) {
        return Route::pass;
    }  // the server reads no further
    if (command.id == resp::no_command) {
        shared_.context.metrics.unknown_commands.add();
    }
    if (grows(command)) {
        return judge(command);
    }
    count(command, CommandVerdict::pass);
    release(command, {});
    return Route::pass;
}

// Of SETRANGE, SETBIT and BITFIELD: how long the string gets. 0 of all others.
std::uint64_t RequestLane::string_bytes_reached(const resp::CommandInfo& command) const {
    if (command.growth != resp::Growth::offset) {
        return 0;
    }
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    return resp::string_bytes_reached(
        command, reader_.argument_count(), argument, reader_.argument_length(3)
    );
}

policy::Cost RequestLane::cost_of_head(const resp::CommandInfo& command) const {
    policy::CommandSize size{
        .argument_bytes = reader_.argument_bytes(),
        .largest_argument_bytes = reader_.largest_argument_bytes(),
        .argument_count = reader_.argument_count(),
        .string_bytes_reached = 0,
    };
    size.string_bytes_reached = string_bytes_reached(command);
    return policy::cost_of(command, size);
}

RequestLane::Route RequestLane::judge(const resp::CommandInfo& command) {
    ShardContext& context = shared_.context;
    const bool searches =
        command.keys.word == resp::KeyWord::store || command.growth == resp::Growth::offset;
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    const std::uint32_t argc = reader_.argument_count();
    if (!command.accepts(argc) || (searches && !resp::may_grow(command, argc, argument))) {
        count(command, CommandVerdict::pass);
        release(command, {});
        return Route::pass;
    }
    policy::Cost cost = cost_of_head(command);
    const std::int64_t lasting = cost.lasting;
    CommandVerdict counted = CommandVerdict::pass;
    if (!is_gated(command) || shared_.uncertain) {
        context.guard.charge(cost.charge);
        cost.lasting = 0;
    } else if (!context.guard.quick(cost)) {
        const policy::Rule* rule = rule_for(command);
        const policy::Priority priority =
            rule != nullptr ? rule->priority : policy::Priority::normal;
        const policy::Judgement judgement =
            context.guard.judge(cost, reader_.argument_bytes(), priority, context.now, waiting_);
        const bool observing = context.guard.mode() != policy::Mode::protect;
        if (!judgement.teaches) {
            cost.lasting = 0;
        }
        if (judgement.verdict == policy::Verdict::refuse) {
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
                    held_ = true;
                    held_since_ = context.now;
                    context.metrics.held_commands.add();
                }
                return Route::hold;
            }
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
    note_growth(command, lasting);
    release(command, cost);
    return Route::pass;
}

void RequestLane::end_hold() noexcept {
    if (!held_) {
        return;
    }
    held_ = false;
    shared_.context.metrics.held_commands.sub();
    shared_.context.metrics.hold_seconds.observe(
        static_cast<std::uint64_t>(std::max<Nanos>(shared_.context.now - held_since_, 0))
    );
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
    const std::uint64_t reached = string_bytes_reached(command);
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
    }
    if (command.replies == resp::Replies::client_reply) {
        state.on_client_reply(reader_.argument(2));
    }
    if (command.effect == resp::Effect::hello) {
        shared_.resp3_confirmed = false;  // until it is answered
    }
    const bool was_in_multi = state.in_multi();
    LedgerRun run;
    run.has_effect = state.on_effect(command.effect, reader_);
    const bool paired = expect_unusual(command, was_in_multi, run);
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
            state.settle_effect(true);
        }
    }
    state.next(command.effect == resp::Effect::one_shot);
}

// Commands with another number of replies than one. False when none may be counted on.
bool RequestLane::expect_unusual(const resp::CommandInfo& command, bool in_multi, LedgerRun& run) {
    switch (command.replies) {
        case resp::Replies::one:
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

void RequestLane::become_pipe(metrics::OpaqueReason reason) {
    piped_ = true;
    shared_.become_opaque(reason);
    LedgerRun run;
    run.expect = Expect::pipe;
    shared_.ledger.push(run);
}

const policy::Rule* RequestLane::rule_for(const resp::CommandInfo& command) const {
    const policy::Rules& rules = *shared_.context.rules;
    if (rules.empty()) {
        return nullptr;
    }
    const auto argument = [this](std::size_t i) {
        return reader_.argument(static_cast<std::uint32_t>(i));
    };
    const auto any_key = [&](const auto& matches) {
        const auto keys = resp::keys_of(command, reader_.argument_count(), argument);
        for (const std::size_t index : keys) {
            if (index >= reader_.arguments_announced()) {
                break;
            }
            if (matches(argument(index))) {
                return true;
            }
        }
        return false;
    };
    return rules.match(command, {shared_.state.name_asked_for(), shared_.state.user()}, any_key);
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

bool RequestLane::push_detail(const resp::CommandInfo& command) {
    CommandDetail* const place = shared_.ledger.push_detail();
    if (place == nullptr) {
        return false;
    }
    CommandDetail& detail = *place;
    detail.command = command.id;
    detail.in_multi = shared_.state.in_multi();
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

void RequestLane::note_growth(const resp::CommandInfo& command, std::int64_t bytes) {
    ShardContext& context = shared_.context;
    context.growth_sample_left -= bytes;
    if (context.growth_sample_left > 0) {
        return;
    }
    const std::int64_t stands_for = growth_sample_bytes - context.growth_sample_left;
    context.growth_sample_left = growth_sample_bytes;
    context.growth_dirty = true;
    policy::PatternBuffer buffer;
    const std::string_view pattern = policy::key_pattern(first_key(command), buffer);
    context.growth.add(
        pattern,
        shared_.state.name(),
        command.name(),
        static_cast<std::uint64_t>(stands_for),
        !sets_ttl(command, reader_),
        context.now
    );
}

}  // namespace spillway::core
