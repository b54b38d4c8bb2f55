// The way from backend to client: finds each reply, settles it with the ledger, and puts our own
// replies in their places.
#include "proxy/core/reply_lane.hpp"

#include <algorithm>

namespace spillway::core {
namespace {

// Room that one step may need for text of our own: an annotation, or a refusal.
constexpr std::size_t own_text_bytes_max = 600;
// A line that would get longer than this is left as it is: some clients read error lines into small
// buffers.
constexpr std::size_t annotated_line_bytes_max = 512;

bool is_message(std::string_view kind) noexcept {
    return kind == "message" || kind == "pmessage" || kind == "smessage";
}

std::string_view frame_word(resp::SubscriptionKind kind, bool subscribing) noexcept {
    switch (kind) {
        case resp::SubscriptionKind::channel:
            return subscribing ? "subscribe" : "unsubscribe";
        case resp::SubscriptionKind::pattern:
            return subscribing ? "psubscribe" : "punsubscribe";
        case resp::SubscriptionKind::shard:
            return subscribing ? "ssubscribe" : "sunsubscribe";
    }
    return {};
}

bool is_subscription_word(std::string_view kind) noexcept {
    return kind.ends_with("subscribe") && kind.size() <= 12;
}

}  // namespace

std::size_t ReplyLane::take(std::string_view bytes, Output& to_client) {
    Progress progress{bytes, to_client};
    if (withheld_ > 0 && !bytes.empty()) {
        (void)withhold(progress);
    }
    while (progress.at < bytes.size() && to_client.has_place_for(own_text_bytes_max)) {
        const std::string_view rest = bytes.substr(progress.at);
        if (piped_ || (reader_.at_boundary() && pipe_is_due(rest))) {
            hidden_ = false;
            progress.at = bytes.size();
            break;
        }
        if (reader_.at_boundary() && !shared_.ledger.empty()) {
            const Begin begin = begin_reply(progress);
            if (begin == Begin::output_full) {
                break;
            }
            if (begin == Begin::taken) {
                continue;
            }
        }
        const resp::ReplyReader::Step step = reader_.read(rest);
        progress.at += step.consumed;
        switch (step.event) {
            case resp::ReplyEvent::need_more:
                break;
            case resp::ReplyEvent::line_ending:
                if (annotates()) {
                    show(progress);
                    (void)to_client.add_copy(shared_.context.annotation);
                }
                break;
            case resp::ReplyEvent::nested_error:
                nested_error_seen_ = true;
                look_at_error(nested_place());
                break;
            case resp::ReplyEvent::reply:
                if (const std::string* instead = end_reply(); instead != nullptr) {
                    progress.shown_from = progress.at;
                    (void)to_client.add_copy(*instead);
                }
                hidden_ = false;
                break;
            case resp::ReplyEvent::push:
                resp3_ = true;
                if (is_subscription_word(reader_.frame_kind())) {
                    end_subscription_frame();
                }
                break;
            case resp::ReplyEvent::unfollowable:
                become_pipe(metrics::OpaqueReason::unreadable_reply);
                break;
        }
    }
    show(progress);
    flush_ended();
    note_reply_size(progress.at);
    if (shared_.retry) {
        settle_retry();
    }
    return progress.at;
}

void ReplyLane::show(Progress& progress) noexcept {
    if (!hidden_) {
        (void)progress.output.add(
            progress.bytes.substr(progress.shown_from, progress.at - progress.shown_from)
        );
    }
    progress.shown_from = progress.at;
}

// At the boundary before a reply that the ledger knows of: what need not be read is taken at once.
ReplyLane::Begin ReplyLane::begin_reply(Progress& progress) {
    const std::string_view rest = progress.bytes.substr(progress.at);
    const Expect next = shared_.ledger.front().expect;
    if (shared_.ledger.awaits_samples()) [[unlikely]] {
        settle_samples(rest);
    }
    if (const std::size_t passed = pass_plain(rest); passed > 0) {
        progress.at += passed;
        return Begin::taken;
    }
    if (next == Expect::local) {
        show(progress);
        return add_local(progress.output) ? Begin::taken : Begin::output_full;
    }
    if (next == Expect::replaced && rest.front() != '>') {
        show(progress);
        hidden_ = true;
    }
    if (shared_.retry && rest.front() == '-' && retry_is_next()) {
        show(progress);
        if (withhold(progress)) {
            return Begin::taken;
        }
    }
    return Begin::to_be_read;
}

// A bulk comes in many reads and a small reply shares one with others: what is noted is the average
// over the reads since a reply ended last, and it fades slowly.
void ReplyLane::note_reply_size(std::size_t bytes) noexcept {
    sized_bytes_ += bytes;
    if (sized_replies_ == 0) {
        if (shared_.ledger.empty()) {
            sized_bytes_ = 0;  // messages and pushes, which nobody had asked for
        }
        return;
    }
    std::uint64_t& recent = shared_.recent_reply_bytes;
    recent = std::max(sized_bytes_ / sized_replies_, recent - recent / 16);
    sized_bytes_ = sized_replies_ = 0;
}

// Passes replies that need no look, since nothing but their number matters: those of commands that
// change no state, when there is no error in them. Returns their size.
std::size_t ReplyLane::pass_plain(std::string_view bytes) {
    LedgerRun& run = shared_.ledger.front();
    if (run.expect != Expect::reply || run.has_effect) {
        return 0;
    }
    const bool aggregates = !subscriptions_.any() && !shared_.unasked_frames;  // else: whose?
    std::uint64_t most = run.count - ended_;
    if (shared_.ledger.awaits_samples()) [[unlikely]] {
        most = std::min(most, std::max<std::uint64_t>(shared_.ledger.before_sample(ended_), 1));
    }
    const auto [count, size] = reader_.skip_plain(bytes, most, aggregates);
    if (run.detailed) {
        shared_.ledger.pop_details(count);
    }
    ended_ += count;
    ended_well_ += count;
    if (ended_ == run.count) {
        flush_ended();
    }
    return size;
}

bool ReplyLane::add_local(Output& to_client) {
    if (!reader_.at_boundary()) {
        return true;
    }
    flush_ended();
    ReplyLedger& ledger = shared_.ledger;
    while (!ledger.empty() && ledger.front().expect == Expect::local) {
        if (!to_client.has_place_for(own_text_bytes_max)) {
            return false;
        }
        (void)to_client.add_copy(*ledger.front().text);
        ledger.pop(1);
    }
    return true;
}

bool ReplyLane::pipe_is_due(std::string_view bytes) {
    if (shared_.ledger.empty()) {
        return false;
    }
    const Expect next = shared_.ledger.front().expect;
    if (next == Expect::pipe) {
        piped_ = true;  // counted by the lane that asked for it
    } else if (next == Expect::replication && bytes.front() != '-') {
        become_pipe(metrics::OpaqueReason::replication);
    }
    return piped_;
}

// The ledger would only grow from here on. A refusal that has not found its place will never find
// it: the client would take the next reply for it, so the session must end.
void ReplyLane::become_pipe(metrics::OpaqueReason reason) {
    const bool unasked_error =
        reason == metrics::OpaqueReason::unpaired_reply && reader_.is_error();
    shared_.become_opaque(reason, unasked_error ? reader_.error_line() : std::string_view());
    flush_ended();
    piped_ = true;
    shared_.replies_piped = true;
    broken_ = shared_.forget_replies();
}

// Answers the text to show where the reply is hidden.
const std::string* ReplyLane::end_reply() {
    ReplyLedger& ledger = shared_.ledger;
    const bool nested_error = reader_.ended_with_nested_error();
    if ((subscriptions_.any() || shared_.unasked_frames) && is_asynchronous()) {
        return nullptr;
    }
    if (ledger.empty()) {
        become_pipe(metrics::OpaqueReason::unpaired_reply);
        return nullptr;
    }
    if (nested_error) {
        nested_error_seen_ = true;
        look_at_error(nested_place());
    }
    LedgerRun& run = ledger.front();
    switch (run.expect) {
        case Expect::reply:
            end_command(run);
            return nullptr;
        case Expect::replaced: {
            const std::string* text = run.text;
            ledger.pop(1);
            return text;
        }
        case Expect::subscription:
        case Expect::unsubscription:
            if (!reader_.is_error() && is_subscription_word(reader_.frame_kind())) {
                end_subscription_frame();
            } else {
                end_command(run);
            }
            return nullptr;
        case Expect::monitor:
        case Expect::replication:
            end_command(run);
            if (reader_.is_error()) {
                shared_.uncertain = shared_.uncertain_until_answered;
            } else {
                become_pipe(metrics::OpaqueReason::monitor);
            }
            return nullptr;
        case Expect::local:
        case Expect::pipe:
            return nullptr;  // seen to before a reply is read
    }
    return nullptr;
}

// RESP2 writes what nobody asked for as plain arrays. In a subscribed state no command but the
// subscribing ones, PING and the like gets an answer, so such a frame cannot be a reply.
bool ReplyLane::is_asynchronous() const noexcept {
    if (reader_.type() != '*' || resp3_) {
        return false;
    }
    const std::string_view kind = reader_.frame_kind();
    if (is_message(kind)) {
        return true;
    }
    if (!is_subscription_word(kind)) {
        return false;
    }
    if (shared_.ledger.empty()) {
        return true;
    }
    const Expect next = shared_.ledger.front().expect;
    return next != Expect::subscription && next != Expect::unsubscription;
}

void ReplyLane::end_subscription_frame() {
    ReplyLedger& ledger = shared_.ledger;
    const std::string_view kind = reader_.frame_kind();
    const bool pending = !ledger.empty() && (ledger.front().expect == Expect::subscription ||
                                             ledger.front().expect == Expect::unsubscription);
    const bool asked =
        pending &&
        kind ==
            frame_word(ledger.front().subscription, ledger.front().expect == Expect::subscription);
    if (asked && frames_left_ == 0) {
        const LedgerRun& run = ledger.front();
        frames_left_ = run.frames;
        // Without arguments: one frame per subscription, or a single one that says there is none.
        if (frames_left_ == 0) {
            frames_left_ = std::max<std::int64_t>(1, subscriptions_.of(run.subscription));
        }
    }
    subscriptions_.count(kind, reader_.last_integer());
    if (asked && --frames_left_ == 0) {
        end_command(ledger.front());
    }
    shared_.subscribed = subscriptions_.any();
}

std::int64_t ReplyLane::Subscriptions::of(resp::SubscriptionKind kind) const noexcept {
    switch (kind) {
        case resp::SubscriptionKind::channel:
            return channels;
        case resp::SubscriptionKind::pattern:
            return patterns;
        case resp::SubscriptionKind::shard:
            return shards;
    }
    return 0;
}

// The count in a frame is that of channels and patterns together; shard channels are counted on
// their own.
void ReplyLane::Subscriptions::count(std::string_view kind, std::int64_t total) noexcept {
    if (kind.starts_with('s') && kind != "subscribe") {
        shards = total;
    } else if (kind.starts_with('p')) {
        patterns = std::max<std::int64_t>(0, total - channels);
    } else {
        channels = std::max<std::int64_t>(0, total - patterns);
    }
}

void ReplyLane::end_command(LedgerRun& run) {
    const bool failed = reader_.is_error();
    if (failed) {
        look_at_error(policy::ErrorPlace::top_level);
        if (run.charged > 0) {
            shared_.context.guard.values().forget_all();  // what was noted was perhaps not set
        }
    }
    oom_seen_ = false;
    if (run.detailed) {
        shared_.ledger.pop_details(1);
    }
    frames_left_ = 0;
    if (run.expect == Expect::subscription) {
        --shared_.subscribes_under_way;
    }
    if (run.has_effect) {
        if (!failed && run.effect == resp::Effect::hello) {
            resp3_ = reader_.type() == '%';
        }
        shared_.resp3_confirmed = resp3_;
        if (!failed && run.effect == resp::Effect::reset) {
            subscriptions_ = {};
            shared_.subscribed = false;
            resp3_ = shared_.resp3_confirmed = false;
        }
        // Of a transaction with an error in it nobody knows what else has run.
        const bool all_ran = !failed && !(run.in_exec && (reader_.is_null() || nested_error_seen_));
        shared_.forget(shared_.state.settle_effect(all_ran));
    }
    nested_error_seen_ = false;
    (failed ? ended_failed_ : ended_well_) += 1;
    if (++ended_ == run.count) {
        flush_ended();
    }
}

// Replies of one run that ended are accounted together.
void ReplyLane::flush_ended() {
    if (ended_ == 0) {
        return;
    }
    ShardContext& context = shared_.context;
    LedgerRun& run = shared_.ledger.front();
    if (run.charged != 0) {
        const bool all = ended_ == run.count;
        const auto count = static_cast<std::int64_t>(run.count);
        const std::int64_t charged =
            all ? run.charged : run.charged / count * static_cast<std::int64_t>(ended_);
        const std::int64_t lasting =
            all ? run.lasting : run.lasting / count * static_cast<std::int64_t>(ended_);
        const std::int64_t grown =
            lasting / static_cast<std::int64_t>(ended_) * static_cast<std::int64_t>(ended_well_);
        context.guard.settle(charged, ended_failed_ == 0 ? lasting : grown);
        run.charged -= charged;
        run.lasting -= lasting;
    }
    const auto waited = static_cast<std::uint64_t>(std::max<Nanos>(context.now - run.sent_at, 0));
    context.metrics.command_seconds[run.command_class].observe(waited, ended_);
    sized_replies_ += ended_;
    shared_.ledger.pop(ended_);
    if (shared_.ledger.awaits_reaches()) [[unlikely]] {
        learn_reaches();
    }
    ended_ = ended_well_ = ended_failed_ = 0;
}

// Where one of several replies was an error, none of them teaches how long a string is.
void ReplyLane::learn_reaches() {
    shared_.ledger.take_reaches([this](const policy::StringLengths::Reach& reach) {
        if (ended_failed_ == 0) {
            shared_.context.guard.strings().learn(reach, shared_.context.now);
        }
    });
}

policy::ErrorPlace ReplyLane::nested_place() noexcept {
    const bool in_exec = !shared_.ledger.empty() && shared_.ledger.front().in_exec;
    return in_exec ? policy::ErrorPlace::in_exec : policy::ErrorPlace::in_array;
}

// The first OOM in a reply is reported; one EXEC is one event, however many of its commands failed.
void ReplyLane::look_at_error(policy::ErrorPlace place) {
    const std::string_view line = reader_.error_line();
    if (oom_seen_ || !policy::may_be_oom(line) || shared_.ledger.empty()) {
        return;
    }
    const auto form = policy::classify_error(line, place);
    if (!form) {
        return;
    }
    oom_seen_ = true;
    report_oom(*form, line);
}

void ReplyLane::report_oom(policy::OomForm form, std::string_view line) {
    const LedgerRun& run = shared_.ledger.front();
    OomSighting sighting;
    sighting.form = form;
    sighting.at = shared_.context.now;
    sighting.session = shared_.id;
    sighting.reply = line;
    sighting.command = run.in_exec ? "EXEC" : "UNKNOWN";
    if (run.detailed) {
        const CommandDetail& detail = shared_.ledger.front_detail();
        const resp::CommandTable& table = shared_.context.commands.table();
        if (detail.command < table.count()) {
            sighting.command = table.at(detail.command).name();
        }
        sighting.key = {detail.key.data(), detail.key_size};
        sighting.bytes = detail.bytes;
        sighting.largest_argument_bytes = detail.largest_bytes;
        sighting.in_multi = detail.in_multi;
        sighting.script_declared = detail.script_declared;
    }
    shared_.context.ooms.report(sighting, [this] { return shared_.facts(); });
}

bool ReplyLane::annotates() {
    const ShardContext& context = shared_.context;
    const std::string_view line = reader_.error_line();
    if (!context.annotate_replies || hidden_ || context.annotation.empty() ||
        shared_.ledger.empty()) {
        return false;
    }
    if (!policy::may_be_oom(line) ||
        line.size() + context.annotation.size() + 3 > annotated_line_bytes_max) {
        return false;
    }
    const auto form = policy::classify_error(line, policy::ErrorPlace::top_level);
    return form && *form != policy::OomForm::exec_abort;
}

}  // namespace spillway::core
