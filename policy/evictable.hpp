// How many bytes the server could push out to make room, and what disproves that.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>

namespace spillway::policy {

class EvictableEstimate {
  public:
    // Once for each sample, in their order.
    [[nodiscard]] std::int64_t take(const MemorySample& sample, EvictionFamily family);
    // The server answered OOM: what filled memory then could not be pushed out.
    void disprove(Nanos now) noexcept;
    void forget() noexcept { *this = EvictableEstimate{}; }

  private:
    void weigh_disproof(const MemorySample& sample, std::int64_t candidates);

    static constexpr Nanos lapse_first = 500 * millisecond;
    static constexpr Nanos lapse_max = 32 * second;

    bool disproved_ = false;
    bool counts_due_ = false;  // the first sample after an OOM says which keys were of no use
    Nanos disproved_at_ = 0;
    Nanos lapse_ = lapse_first;
    std::int64_t useless_ = 0;  // keys that were there when the server could evict none
    std::int64_t last_evicted_ = -1;
    Nanos last_asked_at_ = 0;
};

}  // namespace spillway::policy
