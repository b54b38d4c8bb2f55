// Who fills memory just now, from what the growth ledger said some seconds ago and says today.
#pragma once

#include "policy/growth_ledger.hpp"

#include <span>
#include <vector>

namespace spillway::policy {

// The rows of `now`, those first that gained most since `then`; as they were where nothing did.
[[nodiscard]] std::vector<GrowthRow> by_recent_gain(
    std::vector<GrowthRow> now, std::span<const GrowthRow> then
);

}  // namespace spillway::policy
