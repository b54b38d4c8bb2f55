// One client and its backend connection, without the sockets: bytes in, bytes out, and what to wait
// for.
#include "proxy/core/session.hpp"

namespace spillway::core {

Session::~Session() {
    drop_hold();
    (void)shared_.forget_replies();
}

void Session::drop_hold() noexcept {
    requests_.end_hold();
    if (retries()) {
        shared_.retry->end(metrics::RetryResult::abandoned, shared_.context.now);
    }
}

Session::RetryStep Session::next_retry_step() noexcept {
    if (!retry_waits()) {
        return RetryStep::none;
    }
    ShardContext& context = shared_.context;
    const policy::GuardView& view = context.guard.view();
    const bool stands_aside = context.guard.mode() != policy::Mode::protect ||
                              view.state <= policy::GuardState::blind || !context.retries.on;
    if (stands_aside || context.now >= hold_until()) {
        return RetryStep::refuse;
    }
    const std::int64_t room = view.ceiling - view.counted + view.evictable;
    if (room > shared_.ledger.front().charged && shared_.retry->may_be_sent(context.now)) {
        return RetryStep::send;
    }
    context.sample_wished = true;
    return RetryStep::none;
}

void Session::send_again(Output& to_backend) noexcept {
    (void)to_backend.add(shared_.retry->bytes());
    shared_.retry->sent();
}

}  // namespace spillway::core
