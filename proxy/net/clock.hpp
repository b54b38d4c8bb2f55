// The one place where the data path reads a clock.
#pragma once

#include "policy/memory_sample.hpp"

#include <chrono>

namespace spillway::net {

[[nodiscard]] inline policy::Nanos monotonic_now() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch()
    )
        .count();
}

}  // namespace spillway::net
