// What each cause means, in words for a person who has not met it before.
#pragma once

#include "policy/cause.hpp"

#include <string_view>

namespace spillway::policy {

// Both are sentences' middles without a full stop. Refusals of the guard's own have a meaning too.
struct CauseMeaning {
    Cause cause;
    std::string_view when;   // when it is named
    std::string_view plain;  // what it means for whoever runs the server
};

[[nodiscard]] const CauseMeaning& meaning_of(Cause cause) noexcept;

}  // namespace spillway::policy
