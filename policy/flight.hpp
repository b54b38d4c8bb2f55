// How many bytes of replies one client may have under way at once: Redis builds the replies to a
// whole pipelined batch before it sends any, and what it builds counts against its ceiling.
#pragma once

#include "policy/guard.hpp"
#include "policy/modes.hpp"

#include <algorithm>
#include <cstdint>

namespace spillway::policy {

inline constexpr std::int64_t flight_bytes_min = 256 * 1024;

// How many replies one client may have under way, whatever is known of their size: the replies to
// come need not be like the last ones. As TCP's slow start, it doubles with each flight that was
// answered; where it is not used it shrinks again, more slowly.
class FlightWindow {
  public:
    static constexpr std::uint64_t replies_min = 16;

    [[nodiscard]] bool takes(std::uint64_t under_way) noexcept {
        if (under_way < full_at_) {
            window_ += full_at_ - under_way;  // so many were answered since
            full_at_ = 0;
        }
        if (under_way < replies_min) [[likely]] {
            if (under_way == 0) {
                fade();
            }
            return true;
        }
        deepest_ = std::max(deepest_, under_way);
        return under_way < window_;
    }
    // It was waited for: what is answered from now on widens it.
    void filled(std::uint64_t under_way) noexcept {
        if (under_way >= window_) {
            full_at_ = under_way;
        }
    }

  private:
    // All has been answered.
    void fade() noexcept {
        if (deepest_ < window_ / 4) {
            window_ = std::max(window_ - window_ / 8, replies_min);
        }
        deepest_ = 0;
    }

    std::uint64_t window_ = replies_min;
    std::uint64_t full_at_ = 0;  // as many were under way when it was full last; 0 = it is not
    std::uint64_t deepest_ = 0;  // since nothing was under way
};

struct Flight {
    std::uint64_t bytes_max = 0;  // 0 = no bound
    // What a reply is taken for before any was seen.
    std::uint64_t unseen_reply_bytes = 0;

    // Whether a command may join those that await their replies. One alone always may.
    [[nodiscard]] bool takes(
        std::uint64_t under_way, std::uint64_t recent_reply_bytes, FlightWindow& window
    ) const noexcept {
        if (bytes_max == 0) {
            return true;
        }
        const std::uint64_t each =
            recent_reply_bytes != 0 ? recent_reply_bytes : unseen_reply_bytes;
        return window.takes(under_way) && (under_way == 0 || under_way * each <= bytes_max);
    }
};

// A quarter of the head-room, and never more than a sixteenth of the ceiling: a cache that may
// evict anything should not have to do it for replies. Nor more than a quarter of the client's
// spool, with which a client that reads, if slowly, is never cut. Only `protect` holds anything
// back.
[[nodiscard]] inline Flight flight_of(
    const GuardView& view, Mode mode, std::uint64_t spool_bytes_max
) noexcept {
    if (mode != Mode::protect) {
        return {};
    }
    Flight flight;
    flight.bytes_max = std::max<std::uint64_t>(spool_bytes_max / 4, flight_bytes_min);
    if (view.state > GuardState::blind && view.ceiling > 0) {
        const std::int64_t headroom = view.ceiling - view.counted + view.evictable;
        const std::int64_t bytes =
            std::max(std::min(headroom / 4, view.ceiling / 16), flight_bytes_min);
        flight.bytes_max = std::min(flight.bytes_max, static_cast<std::uint64_t>(bytes));
    }
    if (view.state >= GuardState::paced) {
        flight.unseen_reply_bytes = flight.bytes_max / 8;
    }
    return flight;
}

}  // namespace spillway::policy
