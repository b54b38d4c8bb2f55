// Matches text against the patterns that Redis users know: * ? [a-c] [^x] and backslash.
#pragma once

#include <string_view>

namespace spillway::policy {

// Time is bounded by pattern size times text size; neither recursion nor allocation.
[[nodiscard]] bool glob_match(std::string_view pattern, std::string_view text) noexcept;

}  // namespace spillway::policy
