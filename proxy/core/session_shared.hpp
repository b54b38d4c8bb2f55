// What one session's two lanes share: the ledger, the connection's state, and what each has found
// out for the other.
#pragma once

#include "proxy/core/connection_state.hpp"
#include "proxy/core/reply_ledger.hpp"
#include "proxy/core/shard_context.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace spillway::core {

struct SessionShared {
    SessionShared(ShardContext& shard, std::uint64_t session_id)
        : context(shard), ledger(shard.blocks), id(session_id) {}

    ShardContext& context;
    ReplyLedger ledger;
    ConnectionState state;
    std::uint64_t id;
    std::string address;           // of the client, as records show it
    std::string_view listener;     // label of the one it came by; outlives the session
    std::unique_ptr<Retry> retry;  // once something was kept for it: only with guard.retry_oom
    policy::FlightWindow flight_window;
    bool flight_lifted = false;
    std::uint64_t recent_reply_bytes =
        0;  // the largest of late, on average of a read; 0 = none seen
    bool uncertain =
        false;  // a command is under way after which nothing may be paired: no local replies
    bool uncertain_until_answered = false;  // no longer than replies are under way
    bool opaque = false;         // one of the lanes only passes bytes, or will from some point on
    bool replies_piped = false;  // replies are paired no more: nothing may be expected of them
    // Whether the server will take the next command as a subscriber's; and whether RESP3, where a
    // subscriber may say anything, is known to be spoken.
    bool subscribed = false;
    std::uint32_t subscribes_under_way = 0;
    bool resp3_confirmed = false;
    [[nodiscard]] bool maybe_subscribed() const noexcept {
        return subscribed || subscribes_under_way > 0;
    }
    [[nodiscard]] bool is_uncertain() noexcept { return uncertain && still_uncertain(); }
    bool unasked_frames = false;  // a SUBSCRIBE went out whose confirmations were not counted on

    [[nodiscard]] SessionFacts facts() const {
        return {address, state.name(), state.user(), state.library(), state.db()};
    }
    // What a command did to memory that the growth ledger looks at.
    void settle_growth(const policy::GrowthSample& sample, const policy::GrowthReply& reply);
    void become_opaque(metrics::OpaqueReason reason, std::string_view server_said = {});
    // What the guard knew of the server holds no longer.
    void forget(ConnectionState::ServerChange change) {
        if (change.limit) {
            context.guard.forget_sample(context.now);
        } else if (change.flushed) {
            context.guard.forget_data(context.now);
        }
    }
    // Nothing will come of what is under way: it counts as answered. True when a reply of our own
    // was still owed to the client.
    bool forget_replies();

  private:
    [[nodiscard]] bool still_uncertain() noexcept;
};

}  // namespace spillway::core
