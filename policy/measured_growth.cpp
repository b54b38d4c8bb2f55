// How much memory has really grown within the growth ledger's window, whoever wrote: what the
// ledger tells may not be more.
#include "policy/measured_growth.hpp"

#include <algorithm>

namespace spillway::policy {

void MeasuredGrowth::add(const MemorySample& sample) {
    if (sample.used_memory < 0) {
        return;
    }
    if (!sample.run_id.empty() && sample.run_id != run_id_) {
        *this = {};
        run_id_ = sample.run_id;
    }
    counted_ = sample.counted();
    newest_ = std::max(newest_, sample.answered_at / step);
    Step& now = steps_[static_cast<std::size_t>(newest_) % steps];
    if (now.number != newest_) {
        now = {.number = newest_, .low = counted_, .evicted = 0};
    }
    now.low = std::min(now.low, counted_);
    if (evicted_keys_ >= 0 && sample.evicted_keys > evicted_keys_ && sample.keys > 0) {
        const double data =
            static_cast<double>(std::max<std::int64_t>(sample.used_memory_dataset, 0));
        now.evicted += static_cast<double>(sample.evicted_keys - evicted_keys_) * data /
                       static_cast<double>(sample.keys);
    }
    evicted_keys_ = sample.evicted_keys;
}

std::optional<double> MeasuredGrowth::bytes(std::int64_t reached) const noexcept {
    if (newest_ < 0) {
        return std::nullopt;
    }
    std::int64_t low = counted_;
    double evicted = 0;
    for (const Step& of : steps_) {
        if (of.number >= 0 && newest_ - of.number < static_cast<std::int64_t>(steps)) {
            low = std::min(low, of.low);
            evicted += of.evicted;
        }
    }
    // As doubles: a server that lies may be at both ends of what fits.
    return static_cast<double>(std::max(counted_, reached)) - static_cast<double>(low) + evicted;
}

}  // namespace spillway::policy
