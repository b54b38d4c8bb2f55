// How many bytes the server could push out to make room, and what disproves that.
#include "policy/evictable.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

// Keys with a TTL may be smaller than the average key: only this share of their estimate is relied
// upon.
constexpr double volatile_safety = 0.5;
constexpr double all_keys_share = 0.95;

}  // namespace

void EvictableEstimate::disprove(Nanos now) noexcept {
    if (!disproved_) {
        // It was wrong again soon after it was trusted again: trusted later the next time.
        const bool again = disproved_at_ != 0 && now - disproved_at_ < 4 * lapse_;
        lapse_ = again ? std::min(2 * lapse_, lapse_max) : lapse_first;
    }
    disproved_ = true;
    disproved_at_ = now;
    counts_due_ = true;
}

// Nothing is evicted before memory is full again, and it does not fill while writes are refused: so
// the disproof must end by itself, and keys that came after it count.
void EvictableEstimate::weigh_disproof(const MemorySample& sample, std::int64_t candidates) {
    if (!disproved_) {
        return;
    }
    const bool evicts = last_asked_at_ >= disproved_at_ && sample.evicted_keys > last_evicted_;
    if (evicts) {
        lapse_ = lapse_first;
    }
    if (evicts || sample.asked_at - disproved_at_ > lapse_) {
        disproved_ = false;
        return;
    }
    if (counts_due_ && sample.asked_at >= disproved_at_) {
        useless_ = candidates;
        counts_due_ = false;
    }
    useless_ = std::min(useless_, candidates);
}

std::int64_t EvictableEstimate::take(const MemorySample& sample, EvictionFamily family) {
    const bool volatile_only = family == EvictionFamily::volatile_keys;
    const std::int64_t candidates =
        std::max<std::int64_t>(volatile_only ? sample.expires : sample.keys, 0);
    weigh_disproof(sample, candidates);
    last_evicted_ = sample.evicted_keys;
    last_asked_at_ = sample.asked_at;
    const bool none =
        family == EvictionFamily::noeviction || sample.keys <= 0 || (disproved_ && counts_due_);
    if (none) {
        return 0;
    }
    std::int64_t dataset = sample.used_memory_dataset;
    if (dataset < 0) {
        dataset = sample.used_memory - std::max<std::int64_t>(sample.used_memory_overhead, 0);
    }
    const auto bytes = static_cast<double>(std::clamp<std::int64_t>(dataset, 0, sample.counted()));
    const std::int64_t of_use = disproved_ ? candidates - useless_ : candidates;
    const double share =
        std::min(1.0, static_cast<double>(of_use) / static_cast<double>(sample.keys));
    return static_cast<std::int64_t>(
        bytes * share * (volatile_only ? volatile_safety : all_keys_share)
    );
}

}  // namespace spillway::policy
