// A write that the server refused before it ran, kept for a while so that it may be sent again.
//
//   idle ── sent in full ──► kept ── refused ──► waiting ── room ──► sent ── answered ──► idle
//                             │                   │   ▲               │
//                             ▼ answered, or      ▼   └── refused ────┘
//                            idle  followed      idle  time is over: the client gets the refusal
#pragma once

#include "policy/memory_sample.hpp"
#include "proxy/metrics/shard_metrics.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::core {

// What the kept bytes of all sessions of a shard may take, and what becomes of the writes.
struct RetryBudget {
    static constexpr std::size_t bytes_max = std::size_t{16} << 20U;

    bool on = false;        // guard.retry_oom
    std::size_t bytes = 0;  // kept now
};

class Retry {
  public:
    static constexpr std::size_t command_bytes_max = std::size_t{64} * 1024;
    // Every server says it in these words, before it runs anything; a script's has more behind it.
    static constexpr std::string_view refusal =
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

    Retry(RetryBudget& budget, metrics::ShardMetrics& metrics) noexcept
        : budget_(budget), metrics_(metrics) {}
    ~Retry() { give_bytes_back(); }
    Retry(const Retry&) = delete;
    Retry& operator=(const Retry&) = delete;

    // What the client sends next waits behind it.
    [[nodiscard]] bool holds() const noexcept {
        return stage_ == Stage::waiting || stage_ == Stage::sent;
    }
    [[nodiscard]] bool waits() const noexcept { return stage_ == Stage::waiting; }
    [[nodiscard]] bool awaits_reply() const noexcept {
        return stage_ == Stage::kept || stage_ == Stage::sent;
    }
    [[nodiscard]] bool first_attempt() const noexcept { return stage_ == Stage::kept; }
    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }
    // When the client gets the refusal at last, if hold_max is this.
    [[nodiscard]] policy::Nanos until(policy::Nanos hold_max) const noexcept {
        return since_ + hold_max;
    }
    // How long refused writes were held so far, the one that is held included.
    [[nodiscard]] policy::Nanos held_for(policy::Nanos now) const noexcept {
        return held_before_ + (holds() ? std::max<policy::Nanos>(now - held_since_, 0) : 0);
    }
    [[nodiscard]] bool may_be_sent(policy::Nanos now) const noexcept { return now >= next_at_; }

    // The next bytes of the command that is being sent. False: it is too large to be kept.
    [[nodiscard]] bool append(std::string_view more) {
        if (bytes_.size() + more.size() > command_bytes_max ||
            budget_.bytes + more.size() > RetryBudget::bytes_max) {
            return false;
        }
        bytes_.append(more);
        budget_.bytes += more.size();
        return true;
    }
    // It has been sent in full, and nothing after it. `since`: from when on its client waits.
    void keep(policy::Nanos since) noexcept {
        stage_ = Stage::kept;
        since_ = since;
        pause_ = pause_min;
    }
    // The server has refused it.
    void refused(policy::Nanos now) noexcept {
        if (stage_ == Stage::kept) {
            metrics_.held_commands.add();
            held_since_ = now;
        }
        stage_ = Stage::waiting;
        next_at_ = now + pause_;
        pause_ = std::min(2 * pause_, pause_max);
    }
    void sent() noexcept { stage_ = Stage::sent; }
    // Nothing is to be sent again any more.
    void drop() noexcept {
        stage_ = Stage::idle;
        give_bytes_back();
    }
    // The same, of one that was held.
    void end(metrics::RetryResult result, policy::Nanos now) noexcept {
        const policy::Nanos took = std::max<policy::Nanos>(now - held_since_, 0);
        held_before_ += took;
        metrics_.held_commands.sub();
        metrics_.hold_seconds.observe(static_cast<std::uint64_t>(took));
        metrics_.oom_retries[result].add();
        drop();
    }

  private:
    enum class Stage : std::uint8_t { idle, kept, waiting, sent };
    // Between attempts, doubled each time: a server that shows room and still refuses is not asked
    // without end.
    static constexpr policy::Nanos pause_min = 5 * policy::millisecond;
    static constexpr policy::Nanos pause_max = 100 * policy::millisecond;
    static constexpr std::size_t kept_capacity_max = 1024;

    void give_bytes_back() noexcept {
        budget_.bytes -= bytes_.size();
        bytes_.clear();
        if (bytes_.capacity() > kept_capacity_max) {
            std::string().swap(bytes_);
        }
    }

    RetryBudget& budget_;
    metrics::ShardMetrics& metrics_;
    std::string bytes_;
    Stage stage_ = Stage::idle;
    policy::Nanos since_ = 0;
    policy::Nanos held_since_ = 0;
    policy::Nanos held_before_ = 0;
    policy::Nanos next_at_ = 0;
    policy::Nanos pause_ = pause_min;
};

}  // namespace spillway::core
