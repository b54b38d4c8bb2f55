// The credit that all shards of one backend share: bytes of estimated growth that may still be
// admitted.
//
// The control side grants it anew with each sample; shards take it in lots, so that the hot path
// shares no line. Two amounts shrink together: `open` may be spent at once, `room` is what lies
// between here and the ceiling.
//
//   0 ───────────── forecast ─── open ───┤        ├─ reserve ─┤ ceiling
//                   └──────────────────── room ───────────────┘
#pragma once

#include "policy/set_values.hpp"

#include <atomic>
#include <cstdint>
#include <limits>

namespace spillway::policy {

// What one sample grants. Bytes; `unlimited` where nothing needs to be counted.
struct Grant {
    static constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max() / 4;
    std::int64_t open = unlimited;  // may be spent without waiting
    std::int64_t room = unlimited;  // up to the ceiling; what large arguments are measured against
    std::int64_t reserve = 0;       // the part of room that only critical commands may use
};

class CreditPool {
  public:
    // Control side: no open credit can be taken between freeze() and grant(), so that what the
    // shards were charged is exact. What is taken of the room meanwhile comes off the new one.
    void freeze() noexcept {
        open_.store(0, std::memory_order_seq_cst);
        room_at_freeze_ = room_.load(std::memory_order_seq_cst);
        frozen_ = true;
    }
    void grant(const Grant& grant) noexcept {
        const std::int64_t before =
            frozen_ ? room_at_freeze_ : room_.load(std::memory_order_seq_cst);
        frozen_ = false;
        room_.fetch_add(grant.room - before, std::memory_order_seq_cst);
        reserve_.store(grant.reserve, std::memory_order_relaxed);
        granted_.store(grant.open, std::memory_order_relaxed);
        open_.store(grant.open, std::memory_order_release);
    }

    // Takes `bytes` that need not wait; false, and nothing taken, when there are fewer.
    [[nodiscard]] bool take_open(std::int64_t bytes) noexcept {
        std::int64_t open = open_.load(std::memory_order_acquire);
        while (open >= bytes) {
            if (open_.compare_exchange_weak(open, open - bytes, std::memory_order_acq_rel)) {
                room_.fetch_sub(bytes, std::memory_order_relaxed);
                return true;
            }
        }
        return false;
    }
    // Takes `bytes` of the room that commands of normal priority may use, past pacing.
    [[nodiscard]] bool take_room(std::int64_t bytes) noexcept {
        std::int64_t room = room_.load(std::memory_order_relaxed);
        while (room - reserve_.load(std::memory_order_relaxed) >= bytes) {
            if (room_.compare_exchange_weak(room, room - bytes, std::memory_order_seq_cst)) {
                return true;
            }
        }
        return false;
    }
    // Takes `bytes` whatever is left: critical commands, and what was found out too late.
    void take_anyway(std::int64_t bytes) noexcept {
        room_.fetch_sub(bytes, std::memory_order_seq_cst);
    }

    [[nodiscard]] std::int64_t open() const noexcept {
        return open_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::int64_t room() const noexcept {
        return room_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::int64_t granted() const noexcept {
        return granted_.load(std::memory_order_relaxed);
    }
    // Samples asked for until `now` say nothing of the server any more.
    void outdate(std::int64_t now) noexcept { outdated_at_.store(now, std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t outdated_at() const noexcept {
        return outdated_at_.load(std::memory_order_relaxed);
    }
    // How often keys were renamed or moved away, as far as any shard has seen.
    void note_key_move() noexcept { key_moves_.fetch_add(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint32_t key_moves() const noexcept {
        return key_moves_.load(std::memory_order_relaxed);
    }
    // What all shards know of values that were set.
    [[nodiscard]] SetValues& values() noexcept { return values_; }
    // False within a second of the last that was noted.
    [[nodiscard]] bool note_flush(std::int64_t now) noexcept {
        constexpr std::int64_t interval = 1'000'000'000;
        std::int64_t last = flushed_at_.load(std::memory_order_relaxed);
        return now - last >= interval &&
               flushed_at_.compare_exchange_strong(last, now, std::memory_order_relaxed);
    }
    // Somebody waits for what the next sample grants. Answers whether anybody does since it was
    // asked last.
    void note_held() noexcept { held_.store(true, std::memory_order_relaxed); }
    [[nodiscard]] bool take_held() noexcept {
        return held_.exchange(false, std::memory_order_relaxed);
    }
    // How many connections of all shards wait for credit. Answers the new count.
    std::int64_t change_waiters(std::int64_t by) noexcept {
        return waiters_.fetch_add(by, std::memory_order_relaxed) + by;
    }
    [[nodiscard]] std::int64_t waiters() const noexcept {
        return waiters_.load(std::memory_order_relaxed);
    }
    // Less than half of what the last sample granted is left: time to ask for the next one.
    [[nodiscard]] bool running_low() const noexcept {
        return open() < granted_.load(std::memory_order_relaxed) / 2;
    }

  private:
    alignas(64) std::atomic<std::int64_t> open_{Grant::unlimited};
    std::atomic<std::int64_t> room_{Grant::unlimited};
    std::atomic<std::int64_t> reserve_{0};
    std::atomic<std::int64_t> granted_{Grant::unlimited};
    std::atomic<std::int64_t> waiters_{0};
    std::atomic<bool> held_{false};
    std::atomic<std::int64_t> outdated_at_{-1};
    std::atomic<std::int64_t> flushed_at_{-1'000'000'000};
    std::atomic<std::uint32_t> key_moves_{0};
    SetValues values_;
    // The control side's own.
    std::int64_t room_at_freeze_ = 0;
    bool frozen_ = false;
};

// What one shard has been charged and has had answered, since it started: cumulative bytes of
// estimated growth. Written by the shard at the end of a pass, read by the control side.
struct alignas(64) TrafficCells {
    std::atomic<std::int64_t> charged{0};   // credit taken, whether spent yet or not
    std::atomic<std::int64_t> spent{0};     // of it, on commands that were sent
    std::atomic<std::int64_t> answered{0};  // of commands that were answered, as charged
    std::atomic<std::int64_t> grown{
        0};  // of commands answered without an error: lasting growth, as estimated
    std::atomic<std::int64_t> refused{0};  // commands refused for want of credit
};

// The same, summed over shards at one moment.
struct TrafficCounters {
    std::int64_t charged = 0;
    std::int64_t answered = 0;
    std::int64_t spent = 0;
    std::int64_t grown = 0;
    std::int64_t refused = 0;
};

}  // namespace spillway::policy
