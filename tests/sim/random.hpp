// Numbers at random that are the same on every machine, and cheap: most of a simulation draws them.
#pragma once

#include <cstdint>

namespace spillway::sim {

class Random {
  public:
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

    // splitmix64
    [[nodiscard]] std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
    // Both ends included; any range below 2^63.
    [[nodiscard]] std::int64_t number(std::int64_t low, std::int64_t high) noexcept {
        const auto range = static_cast<std::uint64_t>(high - low) + 1;
        const std::uint64_t offset =
            range <= UINT32_MAX ? (next() >> 32) * range >> 32 : next() % range;
        return low + static_cast<std::int64_t>(offset);
    }

  private:
    std::uint64_t state_;
};

}  // namespace spillway::sim
