// One client and its backend connection, without the sockets: bytes in, bytes out, and what to wait
// for.
//
//   client ──► RequestLane ──► backend          The ledger is all that ties the lanes: what was
//   sent and awaits a reply.
//                  │ push                       The driver moves the bytes; the session decides.
//              ReplyLedger
//                  │ front, pop
//   client ◄── ReplyLane ◄──── backend
#pragma once

#include "proxy/core/reply_lane.hpp"
#include "proxy/core/request_lane.hpp"

#include <string>

namespace spillway::core {

class Session {
  public:
    // `listener` outlives the session.
    Session(
        ShardContext& context, std::uint64_t id, std::string address, std::string_view listener = {}
    )
        : shared_(context, id), requests_(shared_), replies_(shared_) {
        shared_.address = std::move(address);
        shared_.listener = listener;
    }
    // What was under way counts as answered from now on: nothing will ever come of it here.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // See RequestLane::take and ReplyLane::take. After client bytes, local replies may be due: see
    // local_replies.
    [[nodiscard]] RequestLane::Pass client_bytes(std::string_view window, Output& to_backend) {
        return requests_.take(window, to_backend);
    }
    [[nodiscard]] std::size_t backend_bytes(std::string_view bytes, Output& to_client) {
        return replies_.take(bytes, to_client);
    }
    [[nodiscard]] bool local_replies(Output& to_client) { return replies_.add_local(to_client); }

    // When what is held passes or is refused at last.
    [[nodiscard]] Nanos hold_until() const noexcept {
        return retry_waits() ? shared_.retry->until(shared_.context.guard.hold_max())
                             : requests_.hold_until();
    }
    [[nodiscard]] bool held() const noexcept { return requests_.held() || retries(); }

    // How long this client's commands were held in all, the one that is held included.
    [[nodiscard]] Nanos held_for(Nanos now) const noexcept {
        return requests_.held_for(now) + (shared_.retry ? shared_.retry->held_for(now) : 0);
    }

    // A refused write is to be sent again, or was and awaits its reply: what the client sends next
    // waits.
    [[nodiscard]] bool retries() const noexcept { return shared_.retry && shared_.retry->holds(); }
    [[nodiscard]] bool retry_waits() const noexcept {
        return shared_.retry && shared_.retry->waits();
    }
    enum class RetryStep : std::uint8_t { none, send, refuse };
    // What to do with it now: call send_again or show_refusal.
    [[nodiscard]] RetryStep next_retry_step() noexcept;
    void send_again(Output& to_backend) noexcept;
    void show_refusal(Output& to_client) { replies_.show_refusal(to_client); }
    [[nodiscard]] bool awaits_replies() const noexcept { return requests_.awaits_replies(); }
    // From here on no command of this session waits for replies.
    void lift_flight() noexcept { shared_.flight_lifted = true; }
    // The client's next command cannot move on yet, so more of its bytes are not wanted.
    [[nodiscard]] bool waits() const noexcept { return held() || awaits_replies(); }
    // The client gave up waiting, or the backend left.
    void drop_hold() noexcept;

    // See RequestLane::amid_command.
    [[nodiscard]] bool amid_command() const noexcept { return requests_.amid_command(); }
    // Nothing was asked that has not been answered in full.
    [[nodiscard]] bool idle() noexcept { return shared_.ledger.empty() && replies_.at_boundary(); }
    [[nodiscard]] bool quitting() const noexcept { return shared_.state.quitting(); }
    // See ReplyLane::broken.
    [[nodiscard]] bool broken() const noexcept { return replies_.broken(); }
    // An error of ours may be shown now without landing inside a reply.
    [[nodiscard]] bool may_speak() const noexcept {
        return replies_.at_boundary() && !replies_.piped();
    }
    // A reply so large that no spool could hold it, or bytes that only pass: these move at the
    // client's pace.
    [[nodiscard]] bool paced_by_client(std::uint64_t spool_bytes_max) const noexcept {
        return replies_.piped() || replies_.bulk_bytes() > spool_bytes_max;
    }

    // Known better: a load balancer in front said who the client is. Before its first byte.
    void set_address(std::string address) { shared_.address = std::move(address); }
    [[nodiscard]] const SessionShared& shared() const noexcept { return shared_; }

  private:
    SessionShared shared_;
    RequestLane requests_;
    ReplyLane replies_;
};

}  // namespace spillway::core
