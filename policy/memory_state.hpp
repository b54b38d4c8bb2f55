// What the newest sample means: head-room, growth, forecast and the guard's state; published whole,
// never changed.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spillway::policy {

// The zones of guard.md in order of pressure; off and blind let everything pass.
enum class GuardState : std::uint8_t { off, blind, plenty, paced, reserve, ceiling };

[[nodiscard]] constexpr std::string_view name_of(GuardState state) noexcept {
    switch (state) {
        case GuardState::off:
            return "off";
        case GuardState::blind:
            return "blind";
        case GuardState::plenty:
            return "plenty";
        case GuardState::paced:
            return "paced";
        case GuardState::reserve:
            return "reserve";
        case GuardState::ceiling:
            return "ceiling";
    }
    return "?";
}

struct MemoryState {
    MemorySample sample;
    bool sampled = false;  // false until the first INFO was read

    std::int64_t counted = 0;    // bytes that Redis compares with the ceiling
    std::int64_t ceiling = 0;    // maxmemory, or the operator's override; 0 = none known
    std::int64_t evictable = 0;  // bytes that the server could push out
    std::int64_t headroom = 0;   // ceiling - counted + evictable; may be negative

    double growth_bytes_per_s = 0;            // of counted memory, over the last seconds
    double foreign_growth_bytes_per_s = 0;    // the part that our own traffic does not explain
    double learned_ratio = 0;                 // bytes really gained per byte estimated
    std::optional<double> time_to_ceiling_s;  // empty when memory is flat or falling

    GuardState state = GuardState::blind;
    std::string reason;  // why this state, one short phrase
};

}  // namespace spillway::policy
