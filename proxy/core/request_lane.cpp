// The way from client to backend: finds each command, has it judged at its head, and releases,
// holds or skips its bytes.
#include "proxy/core/request_lane.hpp"

#include "proxy/core/judged.hpp"
#include "resp/word.hpp"

#include <algorithm>
#include <memory>

namespace spillway::core {
namespace {

// Refused inside a transaction: Redis answers an error and poisons the transaction, whatever
// happens to us afterwards. A name of no command and no arguments, since unknown names are found
// out before anything else.
constexpr std::string_view poison_command = "*1\r\n$16\r\nSPILLWAY.REFUSED\r\n";

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

}  // namespace

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

// What is answered by a word or a number needs no place in a flight.
bool RequestLane::has_small_reply() const noexcept {
    const resp::CommandInfo& command = identify();
    if (command.id == resp::no_command) {  // what the server closes for, as browsers are led here
        const std::string_view name = reader_.argument(0);
        return resp::is_word(name, "POST") || resp::is_word(name, "HOST:");
    }
    if (!command.small_reply || command.name() != "SET") {
        return command.small_reply;
    }
    for (std::uint32_t at = 3; at < reader_.argument_count(); ++at) {
        const std::string_view option = reader_.argument(at);
        if (option.data() == nullptr || option.size() < reader_.argument_length(at) ||
            resp::is_word(option, "GET")) {
            return false;  // it may answer with the old value
        }
    }
    return true;
}

// Each command comes through here: the compiler would not inline it by itself.
[[gnu::always_inline]] inline RequestLane::Route RequestLane::route_command() {
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
    count(command, metrics::CommandVerdict::pass);
    release(command, {});
    if (command.write) [[unlikely]] {
        note_removal(command);
    }
    return Route::pass;
}

// Of a write that only passes: it removes, shortens or moves what it names.
void RequestLane::note_removal(const resp::CommandInfo& command) {
    policy::Guard& guard = shared_.context.guard;
    if (shared_.state.in_multi()) {
        shared_.state.queue_removal();
    }
    if (command.growth == resp::Growth::other) {
        guard.note_key_move();
    } else if (guard.remembers_keys()) {
        forget_keys(command);
    }
    note_growth(command, policy::GrowthSampler::removal_bytes, 0);
}

RequestLane::Pass RequestLane::take(std::string_view window, Output& to_backend) {
    if (shared_.retry && shared_.retry->holds()) {
        awaits_replies_ = false;
        return {Stop::held, 0};
    }
    Progress progress{window, to_backend};
    const Stop stop = take_commands(progress);
    awaits_replies_ = stop == Stop::flight;
    progress.release();
    if (shared_.retry) {
        keep_for_retry(progress);
    }
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
                take_blank(rest.substr(0, reader_.consumed()), progress);
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
        if (!shared_.is_uncertain() && !shared_.flight_lifted &&
            !shared_.context.flight.takes(
                shared_.ledger.under_way(), shared_.recent_reply_bytes, shared_.flight_window
            ) &&
            !has_small_reply()) {
            shared_.flight_window.filled(shared_.ledger.under_way());
            reader_.rewind();
            return Stop::flight;
        }
        const Route route = route_command();
        skipping_ = route != Route::pass;
        if (!skipping_) {
            progress.at += reader_.consumed();
            continue;
        }
        if (route == Route::hold) {
            reader_.rewind();
            return Stop::held;
        }
        if (route == Route::pass_and_keep) {
            skipping_ = false;
            begin_keeping(progress);
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

// No command: the server says nothing to it.
void RequestLane::take_blank(std::string_view bytes, Progress& progress) {
    if (is_line_of_blanks(bytes)) {
        return become_pipe(metrics::OpaqueReason::unreadable_request);
    }
    // By Redis 7 and Valkey a CLIENT REPLY SKIP is used up by it, by Redis 8 it is not.
    if (shared_.state.skips_a_reply()) {
        return become_pipe(metrics::OpaqueReason::unknown_replies);
    }
    progress.at += bytes.size();
    shared_.state.next(false);  // other one-shot modifiers are used up
}

RequestLane::Stop RequestLane::take_body(std::string_view bytes, Progress& progress) {
    const std::size_t taken = reader_.read_body(bytes);
    if (skipping_) {
        progress.skip(taken);
        (void)reader_.take_late_bytes();
        return reader_.body_malformed() ? Stop::broken : Stop::all_taken;
    }
    progress.at += taken;
    if (keeping_ && !reader_.in_body()) {
        keep_to_ = std::min(keep_to_, progress.at);
    }
    // Among the lengths of one read there is at most one of more than the read itself; one that is
    // longer than any argument may be is refused by the server.
    const std::uint64_t late = reader_.take_late_bytes();
    if (late > 0 && late <= resp::string_bytes_max) {
        const auto bytes_late = static_cast<std::int64_t>(late + late / 4);
        shared_.context.guard.charge(bytes_late);
        if (!shared_.ledger.charge_last(bytes_late)) {
            shared_.context.guard.settle(bytes_late, 0);
        }
        shared_.ledger.weigh_last(late);
    }
    if (reader_.body_malformed()) {
        become_pipe(metrics::OpaqueReason::unreadable_request);
    }
    return Stop::all_taken;
}

void RequestLane::begin_keeping(Progress& progress) {
    if (!shared_.retry) {
        shared_.retry = std::make_unique<Retry>(shared_.context.retries, shared_.context.metrics);
    }
    shared_.retry->drop();
    keeping_ = true;
    keep_from_ = progress.at;
    progress.at += reader_.consumed();
    keep_to_ = reader_.in_body() ? unknown_end : progress.at;
    // hold_max bounds the whole wait: what it was held for before it was sent counts.
    keep_since_ = waiting_.since != 0 ? waiting_.since : shared_.context.now;
}

// At the end of a pass: what was released of the command is copied, unless something was taken
// behind it, after which it can never be sent again in its place.
void RequestLane::keep_for_retry(const Progress& progress) {
    Retry& retry = *shared_.retry;
    if (!keeping_) {
        if (progress.at > 0) {
            retry.drop();
        }
        return;
    }
    const bool complete = keep_to_ != unknown_end;
    const bool newest = !complete || keep_to_ == progress.at;
    if (!newest || !retry.append(progress.window.substr(keep_from_, progress.at - keep_from_))) {
        retry.drop();
        keeping_ = false;
        return;
    }
    keep_from_ = 0;
    if (complete) {
        keeping_ = false;
        retry.keep(keep_since_);
    }
}

void RequestLane::become_pipe(metrics::OpaqueReason reason) {
    piped_ = true;
    shared_.become_opaque(reason);
    LedgerRun run;
    run.expect = Expect::pipe;
    shared_.ledger.push(run);
}

}  // namespace spillway::core
