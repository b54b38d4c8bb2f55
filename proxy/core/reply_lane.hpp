// The way from backend to client: finds each reply, settles it with the ledger, and puts our own
// replies in their places.
#pragma once

#include "policy/oom_reply.hpp"
#include "proxy/core/output.hpp"
#include "proxy/core/request_lane.hpp"
#include "resp/reply_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace spillway::core {

class ReplyLane {
  public:
    explicit ReplyLane(SessionShared& shared) noexcept : shared_(shared) {}

    // Takes what the backend sent, all of it unless `to_client` is full; returns how much. Pieces
    // lie in `bytes`.
    [[nodiscard]] std::size_t take(std::string_view bytes, Output& to_client);
    // Adds the local replies whose turn it is. False when `to_client` is full: flush and call
    // again.
    [[nodiscard]] bool add_local(Output& to_client);

    // The write that waits to be sent again gets the server's refusal after all.
    void show_refusal(Output& to_client);

    // Bytes only pass: nothing is paired any more.
    [[nodiscard]] bool piped() const noexcept { return piped_; }
    // A reply of ours has lost its place: the session must end.
    [[nodiscard]] bool broken() const noexcept { return broken_; }
    // The client is in the middle of a reply: an error of ours would land inside it.
    [[nodiscard]] bool at_boundary() const noexcept { return reader_.at_boundary(); }
    // Length of the bulk that is being passed; 0 outside of one.
    [[nodiscard]] std::uint64_t bulk_bytes() const noexcept { return reader_.bulk_bytes(); }

  private:
    struct Subscriptions {
        std::int64_t channels = 0;
        std::int64_t patterns = 0;
        std::int64_t shards = 0;
        [[nodiscard]] bool any() const noexcept { return channels + patterns + shards > 0; }
        [[nodiscard]] std::int64_t of(resp::SubscriptionKind kind) const noexcept;
        void count(std::string_view kind, std::int64_t total) noexcept;
    };

    // How far the backend's bytes have been taken, and shown.
    struct Progress {
        std::string_view bytes;
        Output& output;
        std::size_t at = 0;
        std::size_t shown_from = 0;  // [shown_from, at) is still to be added to the output
    };
    enum class Begin : std::uint8_t { to_be_read, taken, output_full };

    void show(Progress& progress) noexcept;
    [[nodiscard]] Begin begin_reply(Progress& progress);
    [[nodiscard]] std::size_t pass_plain(std::string_view bytes);
    [[nodiscard]] const std::string* end_reply();
    void end_subscription_frame();
    void end_command(LedgerRun& run);
    void flush_ended();
    [[gnu::noinline]] void learn_reaches();
    [[gnu::noinline]] void settle_samples(std::string_view bytes);
    void note_reply_size(std::size_t bytes) noexcept;
    [[nodiscard]] bool retry_is_next() const noexcept;
    [[nodiscard]] bool withhold(Progress& progress);
    void note_refusal();
    void settle_retry();
    void look_at_error(policy::ErrorPlace place);
    void report_oom(policy::OomForm form, std::string_view line);
    [[nodiscard]] policy::ErrorPlace nested_place() noexcept;
    [[nodiscard]] bool is_asynchronous() const noexcept;
    [[nodiscard]] bool annotates();
    [[nodiscard]] bool pipe_is_due(std::string_view bytes);
    void become_pipe(metrics::OpaqueReason reason);

    SessionShared& shared_;
    resp::ReplyReader reader_;
    Subscriptions subscriptions_;
    std::int64_t frames_left_ = 0;  // of the subscription in front, once its first frame came
    std::size_t withheld_ = 0;      // bytes of Retry::refusal that came and were not passed yet
    bool hidden_ = false;           // the reply being read is replaced by ours
    bool piped_ = false;
    bool broken_ = false;
    bool resp3_ = false;              // as far as HELLO's answers and pushes have shown
    bool oom_seen_ = false;           // in the reply being read
    bool nested_error_seen_ = false;  // the same
    // Commands of the front run that ended and are not yet taken from the ledger.
    std::uint64_t ended_ = 0;
    std::uint64_t ended_well_ = 0;
    std::uint64_t ended_failed_ = 0;
    // Since the size of replies was noted last: what came, and how many replies ended.
    std::uint64_t sized_bytes_ = 0;
    std::uint64_t sized_replies_ = 0;
};

}  // namespace spillway::core
