// A shard's judge: says of each growing command whether it passes, waits, or is refused.
//
// The usual case is quick(): a subtraction from credit that the shard already holds. Everything
// else is judge().
#pragma once

#include "policy/cause.hpp"
#include "policy/cost.hpp"
#include "policy/credit.hpp"
#include "policy/meter.hpp"
#include "policy/string_lengths.hpp"

#include <cstdint>

namespace spillway::policy {

enum class Verdict : std::uint8_t { pass, hold, refuse };

struct Judgement {
    Verdict verdict = Verdict::pass;
    Cause cause = Cause::near_ceiling;  // of a refusal
    bool teaches = false;  // it passed on credit: what it gains tells how normal writes grow
};

// Since when a connection has had something waiting; 0 = it has not. hold_max bounds this, not each
// command's wait.
struct Waiting {
    Nanos since = 0;
    // The guard's own: this connection's part of the credit of one sample.
    std::uint64_t round = 0;
    std::uint64_t held_in = 0;
    std::int64_t share_left = 0;
};

// What a shard needs to know of the newest sample.
struct GuardView {
    GuardState state = GuardState::blind;
    EvictionFamily family = EvictionFamily::unknown;
    bool steady = true;
    std::int64_t ceiling = 0;
    std::int64_t counted = 0;
    std::int64_t evictable = 0;
    Nanos asked_at = 0;  // when the sample was asked for
};

class Guard {
  public:
    // All outlive the guard. One guard per shard and backend.
    ~Guard() { (void)pool_.change_waiters(-waiters_); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    Guard(CreditPool& pool, TrafficCells& cells, const GuardSettings& settings) noexcept
        : pool_(pool), cells_(cells), settings_(&settings), strings_(pool) {
        set_limits();
    }

    // A new sample: what was held of the old credit goes back.
    void publish(const GuardView& view) noexcept;
    void change(const GuardSettings& settings) noexcept {
        settings_ = &settings;
        set_limits();
    }

    // True when the cost is covered by credit at hand, which is then spent.
    [[nodiscard]] bool quick(const Cost& cost) noexcept {
        if (cost.charge > quick_bytes_max_ || !quick_allowed_) {
            return false;
        }
        if (lease_ < cost.charge && !refill(cost.charge)) {
            return false;
        }
        lease_ -= cost.charge;
        return true;
    }
    // Of a charge above this the limits for single writes must be asked.
    [[nodiscard]] bool may_be_quick(const Cost& cost) const noexcept {
        return cost.charge <= quick_bytes_max_;
    }
    // `request_bytes` is what write_max is compared with. Spends credit when it says pass.
    [[nodiscard]] Judgement judge(
        const Cost& cost,
        std::uint64_t request_bytes,
        Priority priority,
        Nanos now,
        Waiting& waiting
    ) noexcept;
    // For what is never refused, or was found out too late: spends without asking.
    void charge(std::int64_t bytes) noexcept;
    // An admitted command was answered, or never will be. `lasting` is 0 when it failed.
    void settle(std::int64_t charged, std::int64_t lasting) noexcept {
        answered_ += charged;
        grown_ += lasting;
    }
    // Makes what was settled visible to the control side; once a pass.
    void flush() noexcept {
        cells_.spent.store(charged_ - lease_, std::memory_order_relaxed);
        cells_.answered.store(answered_, std::memory_order_relaxed);
        cells_.refused.store(refused_, std::memory_order_relaxed);
        cells_.grown.store(grown_, std::memory_order_release);
    }

    // The limit was changed, by CONFIG SET: what was known before holds nobody back any more, in no
    // shard.
    void forget_sample(Nanos now) noexcept {
        pool_.outdate(now);
        sample_wished_ = true;
    }

    // The same after FLUSHALL or FLUSHDB, but once a second at most: who flushes a small database
    // over and over does not switch the guard off.
    void forget_data(Nanos now) noexcept {
        if (pool_.note_flush(now)) {
            forget_sample(now);
        }
    }

    // What is known of strings that are written into.
    [[nodiscard]] StringLengths& strings() noexcept { return strings_; }
    // Whether anything is remembered of keys, so that what may remove them must be told.
    [[nodiscard]] bool remembers_keys() const noexcept {
        return strings_.in_use() || looks_at_values_;
    }
    void forget_keys() noexcept {
        strings_.forget_all();
        pool_.values().forget_all();
    }
    // Keys go where they are not looked for: strings of their names may be gone, in every shard.
    void note_key_move() noexcept {
        pool_.note_key_move();
        pool_.values().forget_all();
    }
    // Whether it matters what a value takes the place of: near the ceiling, while writes do not
    // add.
    [[nodiscard]] bool weighs_values() const noexcept {
        return view_.steady &&
               (view_.state == GuardState::paced || view_.state == GuardState::reserve);
    }
    // Once any shard has weighed one, what is set is noted in each.
    [[nodiscard]] bool looks_at_values() const noexcept { return looks_at_values_; }
    [[nodiscard]] SetValues& values() noexcept { return pool_.values(); }

    [[nodiscard]] Mode mode() const noexcept { return settings_->mode; }
    [[nodiscard]] Nanos hold_max() const noexcept { return settings_->hold_max; }
    [[nodiscard]] const GuardView& view() const noexcept { return view_; }
    // True once after credit ran low: the next sample is wanted early.
    [[nodiscard]] bool take_sample_wish() noexcept {
        const bool wished = sample_wished_;
        sample_wished_ = false;
        return wished;
    }

  private:
    [[nodiscard]] bool refill(std::int64_t bytes) noexcept;
    [[nodiscard]] bool take(
        bool (CreditPool::*from)(std::int64_t) noexcept, std::int64_t bytes
    ) noexcept;
    [[nodiscard]] bool exceeds_limits(
        const Cost& cost, std::uint64_t request_bytes, Cause& cause
    ) noexcept;
    [[nodiscard]] bool makes_room_for(const Cost& cost) const noexcept;
    [[nodiscard]] bool refuses_growth() const noexcept {
        return view_.state == GuardState::ceiling ||
               (view_.state == GuardState::reserve && !view_.steady);
    }
    void begin_round() noexcept;
    [[nodiscard]] bool has_share(const Cost& cost, Waiting& waiting) const noexcept;
    [[nodiscard]] Judgement hold(Waiting& waiting) noexcept;
    void set_limits() noexcept;

    CreditPool& pool_;
    TrafficCells& cells_;
    const GuardSettings* settings_;
    GuardView view_;
    std::int64_t lease_ = 0;  // taken from the pool and not spent
    std::int64_t quick_bytes_max_ =
        0;  // charges above this are measured against the limits for single writes
    bool quick_allowed_ = true;
    std::int64_t charged_ = 0;
    std::int64_t answered_ = 0;
    std::int64_t grown_ = 0;
    std::int64_t refused_ = 0;
    bool sample_wished_ = false;
    bool looks_at_values_ = false;
    StringLengths strings_;
    // From sample to sample.
    std::uint64_t round_ = 1;
    std::int64_t held_in_round_ = 0;         // connections
    std::int64_t waiters_ = 0;               // those of the last round
    std::int64_t share_ = Grant::unlimited;  // of each connection, while several wait
};

}  // namespace spillway::policy
