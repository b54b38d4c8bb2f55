// The refusal of a write that may be sent again: kept from the client until it is known what
// becomes of the write.
#include "proxy/core/reply_lane.hpp"

#include <utility>

namespace spillway::core {

// The next reply is that of the command that may be sent again, and nothing was sent behind it.
bool ReplyLane::retry_is_next() const noexcept {
    return shared_.retry->awaits_reply() && shared_.ledger.front().expect == Expect::reply &&
           shared_.ledger.under_way() - ended_ == 1;
}

// Keeps from the client what is the refusal as far as it goes. False when it is something else, or
// something was sent behind it meanwhile: then what was kept is passed on.
bool ReplyLane::withhold(Progress& progress) {
    const std::string_view wanted = Retry::refusal.substr(withheld_);
    const std::string_view there = progress.bytes.substr(progress.at, wanted.size());
    if (there == wanted.substr(0, there.size()) && retry_is_next()) {
        progress.shown_from = progress.at += there.size();
        withheld_ += there.size();
        if (withheld_ == Retry::refusal.size()) {
            withheld_ = 0;
            note_refusal();
        }
        return true;
    }
    std::string_view kept = Retry::refusal.substr(0, std::exchange(withheld_, 0));
    (void)progress.output.add(kept);
    while (!kept.empty()) {
        kept.remove_prefix(reader_.read(kept).consumed);
    }
    return false;
}

void ReplyLane::note_refusal() {
    Retry& retry = *shared_.retry;
    flush_ended();
    if (retry.first_attempt()) {
        constexpr std::size_t line_end_bytes = 2;
        report_oom(
            policy::OomForm::top_level,
            Retry::refusal.substr(1, Retry::refusal.size() - 1 - line_end_bytes)
        );
    }
    retry.refused(shared_.context.now);
    shared_.context.sample_wished = true;
}

// Once nothing is under way there is nothing to send again.
void ReplyLane::settle_retry() {
    Retry& retry = *shared_.retry;
    if (shared_.ledger.under_way() > 0) {
        return;
    }
    if (retry.holds()) {
        retry.end(metrics::RetryResult::answered, shared_.context.now);
    } else if (retry.awaits_reply()) {
        retry.drop();
    }
}

void ReplyLane::show_refusal(Output& to_client) {
    shared_.retry->end(metrics::RetryResult::refused, shared_.context.now);
    oom_seen_ = true;  // it was reported when it came
    (void)take(Retry::refusal, to_client);
}

}  // namespace spillway::core
