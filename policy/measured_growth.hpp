// How much memory has really grown within the growth ledger's window, whoever wrote: what the
// ledger tells may not be more.
#pragma once

#include "policy/growth_ledger.hpp"
#include "policy/memory_sample.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace spillway::policy {

class MeasuredGrowth {
  public:
    // Samples in order. All is forgotten with a server's run id.
    void add(const MemorySample& sample);

    // From the lowest that memory was within the window to the last sample, with what was evicted
    // meanwhile. Empty before the first sample. `reached` is how much is in use at least, where
    // more is known than the last sample says: a server that refuses a write is at its limit.
    [[nodiscard]] std::optional<double> bytes(std::int64_t reached = 0) const noexcept;

  private:
    static constexpr std::size_t steps = 12;
    static constexpr Nanos step = GrowthLedger::window_default / 10;
    struct Step {
        std::int64_t number = -1;  // of the time that it stands for
        std::int64_t low = 0;
        double evicted = 0;  // bytes, within it
    };

    std::array<Step, steps> steps_{};
    std::int64_t newest_ = -1;
    std::int64_t counted_ = 0;
    std::int64_t evicted_keys_ = -1;
    std::string run_id_;
};

}  // namespace spillway::policy
