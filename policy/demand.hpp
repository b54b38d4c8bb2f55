// Notices from the refusals alone that other clients may have come.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>

namespace spillway::policy {

class Demand {
  public:
    // Those who are refused now may be others.
    enum class Sign : std::uint8_t {
        none,
        returned,  // refusals had stopped for `pause`
        changed,   // they became far fewer or more
    };
    // `refused` counts refusals since the start.
    [[nodiscard]] Sign observe(std::int64_t refused, Nanos now, Nanos pause) noexcept;

  private:
    std::int64_t seen_ = 0;
    Nanos seen_at_ = 0;  // of the last refusal
    std::int64_t window_from_ = 0;
    Nanos window_at_ = 0;
    double usual_per_s_ = 0;
};

}  // namespace spillway::policy
