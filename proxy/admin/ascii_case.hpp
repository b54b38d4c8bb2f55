// Compares ASCII text without regard to case, as HTTP's names ask for, whatever the locale.
#pragma once

#include <algorithm>
#include <string_view>

namespace spillway::admin {

// `lower` must be lower case.
[[nodiscard]] constexpr bool equals_ignoring_case(
    std::string_view text, std::string_view lower
) noexcept {
    return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char one, char two) {
        return (one >= 'A' && one <= 'Z' ? static_cast<char>(one - 'A' + 'a') : one) == two;
    });
}

}  // namespace spillway::admin
