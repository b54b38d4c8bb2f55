// A shard's judge: says of each growing command whether it passes, waits, or is refused.
#include "policy/guard.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

constexpr std::int64_t lot_bytes_min = 4 * 1024;
constexpr std::int64_t lot_bytes_max = 1024 * 1024;

}  // namespace

void Guard::set_limits() noexcept {
    quick_bytes_max_ = static_cast<std::int64_t>(large_argument_bytes);
    if (settings_->write_max_bytes > 0) {
        quick_bytes_max_ = std::min(quick_bytes_max_, settings_->write_max_bytes);
    }
}

void Guard::publish(const GuardView& view) noexcept {
    view_ = view;
    looks_at_values_ = weighs_values() || pool_.values().in_use();
    strings_.note_memory(view.counted, view.ceiling);
    // Where growth is refused, the little that is let through to learn from must not be spent on
    // critical commands.
    begin_round();
    quick_allowed_ = !refuses_growth() && share_ == Grant::unlimited;
    charged_ -= lease_;
    lease_ = 0;
    cells_.charged.store(charged_, std::memory_order_seq_cst);
}

// While several connections wait, each may take an equal part of what a sample grants: credit goes
// round by client, not by command.
void Guard::begin_round() noexcept {
    ++round_;
    const std::int64_t all = pool_.change_waiters(held_in_round_ - waiters_);
    waiters_ = held_in_round_;
    held_in_round_ = 0;
    share_ = all > 1 ? pool_.granted() / all : Grant::unlimited;
}

// The first command in a round has a part whatever its size, or a large one would never pass.
bool Guard::has_share(const Cost& cost, Waiting& waiting) const noexcept {
    if (share_ == Grant::unlimited) {
        return true;
    }
    if (waiting.round != round_) {
        waiting.round = round_;
        waiting.share_left = std::max(share_, cost.charge);
    }
    return waiting.share_left >= cost.charge;
}

Judgement Guard::hold(Waiting& waiting) noexcept {
    if (waiting.held_in != round_) {
        waiting.held_in = round_;
        ++held_in_round_;
        pool_.note_held();
    }
    return {Verdict::hold};
}

// The charge is made known before the credit is taken, so that the control side, which freezes the
// pool and then reads the charges, can only see too much of them.
bool Guard::take(bool (CreditPool::*from)(std::int64_t) noexcept, std::int64_t bytes) noexcept {
    cells_.charged.store(charged_ + bytes, std::memory_order_seq_cst);
    if ((pool_.*from)(bytes)) {
        charged_ += bytes;
        return true;
    }
    cells_.charged.store(charged_, std::memory_order_seq_cst);
    return false;
}

bool Guard::refill(std::int64_t bytes) noexcept {
    if (pool_.running_low()) {
        sample_wished_ = true;
    }
    const std::int64_t missing = bytes - lease_;
    const std::int64_t lot = std::clamp(pool_.open() / 16, lot_bytes_min, lot_bytes_max);
    for (const std::int64_t wanted : {std::max(lot, missing), missing}) {
        if (take(&CreditPool::take_open, wanted)) {
            lease_ += wanted;
            return true;
        }
    }
    sample_wished_ = true;
    return false;
}

void Guard::charge(std::int64_t bytes) noexcept {
    charged_ += bytes;
    cells_.charged.store(charged_, std::memory_order_seq_cst);
    pool_.take_anyway(bytes);
}

bool Guard::exceeds_limits(const Cost& cost, std::uint64_t request_bytes, Cause& cause) noexcept {
    const std::int64_t write_max = settings_->write_max_bytes;
    if (write_max > 0 && request_bytes > static_cast<std::uint64_t>(write_max)) {
        cause = Cause::write_max;
        return true;
    }
    if (!cost.large) {
        return false;
    }
    if (view_.family == EvictionFamily::all_keys) {
        const auto free =
            static_cast<double>(std::max<std::int64_t>(view_.ceiling - view_.counted, 0));
        cause = Cause::evict_max;
        return static_cast<double>(cost.charge) >
               free + settings_->evict_max * static_cast<double>(view_.evictable);
    }
    cause = Cause::oversized_write;
    return cost.charge > pool_.room() + lease_;
}

// A full cache is healthy: the server makes room by itself. What is under way may fill the
// forecast, but as soon as it has run it can be pushed out like all else; only the buffers of large
// arguments cannot, so those wait for a sample that sees room. What can never be pushed out counts
// for both.
bool Guard::makes_room_for(const Cost& cost) const noexcept {
    if (view_.family != EvictionFamily::all_keys) {
        return false;
    }
    const auto stays = static_cast<double>(view_.counted - view_.evictable);
    const bool small_fits = stays < settings_->throttle_at * static_cast<double>(view_.ceiling);
    return view_.state == GuardState::plenty || (!cost.large && small_fits);
}

Judgement Guard::judge(
    const Cost& cost, std::uint64_t request_bytes, Priority priority, Nanos now, Waiting& waiting
) noexcept {
    if (view_.state == GuardState::off || view_.state == GuardState::blind) {
        charge(cost.charge);
        return {};
    }
    if (view_.asked_at <= pool_.outdated_at()) {
        sample_wished_ = true;
        charge(cost.charge);
        return {};
    }
    Judgement refusal{Verdict::refuse, Cause::near_ceiling};
    if (exceeds_limits(cost, request_bytes, refusal.cause)) {
        sample_wished_ = true;
        return refusal;
    }
    refusal.cause = Cause::near_ceiling;
    if (priority == Priority::critical) {
        charge(cost.charge);
        return {};
    }
    const Judgement passed{.teaches = true};
    if (has_share(cost, waiting) && take(&CreditPool::take_open, cost.charge)) {
        waiting.share_left -= cost.charge;
        return passed;
    }
    sample_wished_ = true;
    if (refuses_growth()) {
        ++refused_;
        return refusal;
    }
    if (waiting.since == 0) {
        waiting.since = now;
    }
    if (now - waiting.since < settings_->hold_max) {
        return hold(waiting);
    }
    if (priority == Priority::normal && take(&CreditPool::take_room, cost.charge)) {
        return passed;
    }
    if (makes_room_for(cost)) {
        charge(cost.charge);
        return passed;
    }
    ++refused_;
    return refusal;
}

}  // namespace spillway::policy
