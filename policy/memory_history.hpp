// What past samples leave behind: a bounded run of figures, and the facts of a server's life that
// explain an OOM later.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace spillway::policy {

// The figures of one sample that change; -1 where it did not say.
struct HistoryPoint {
    Nanos at = 0;  // when it was answered
    std::int64_t counted = 0;
    std::int64_t peak = -1;
    std::int64_t maxmemory = -1;
    std::int64_t dataset = -1;
    std::int64_t clients = -1;
    std::int64_t lazyfree_pending = -1;
    std::int64_t keys = 0;
    std::int64_t expires = 0;
    std::int64_t evicted_keys = -1;
    std::int64_t oom_errors = 0;
};

// Known since the server's run id was first seen; all of it is forgotten with a new one.
struct KnownFacts {
    std::int64_t expires_high = 0;            // most keys with a TTL at once
    std::optional<Nanos> last_eviction_at;    // when evicted_keys last rose
    std::optional<Nanos> ceiling_lowered_at;  // maxmemory fell below what was in use, which has not
                                              // fallen below it since …
    std::int64_t ceiling_before = 0;          // … from this; 0 = no limit
    // Within its limit, under the maxmemory of today: what exceeds it since was written under it.
    std::optional<Nanos> within_limit_at;
    std::optional<Nanos>
        promoted_at;  // became a primary above its limit and has stayed above it since
};

// How many commands the server had refused for memory some seconds ago; empty where nothing is
// known of then.
[[nodiscard]] std::optional<std::int64_t> ooms_before(
    std::span<const HistoryPoint> history, Nanos now
) noexcept;

class MemoryHistory {
  public:
    static constexpr std::size_t points_max = 128;

    MemoryHistory();

    // Samples in order; one that is not newer than the last or has no used_memory is left out.
    void add(const MemorySample& sample);

    // Oldest first, at most points_max.
    [[nodiscard]] std::span<const HistoryPoint> points() const noexcept { return points_; }
    [[nodiscard]] const KnownFacts& facts() const noexcept { return facts_; }

  private:
    void learn(const MemorySample& sample, const HistoryPoint& point);

    std::vector<HistoryPoint> points_;
    KnownFacts facts_;
    std::string run_id_;
    bool primary_ = true;
};

}  // namespace spillway::policy
