// Compares protocol words as the server does: ASCII, in any letter case.
#pragma once

#include <cstddef>
#include <string_view>

namespace spillway::resp {

// `word` is given in upper case.
[[nodiscard]] constexpr bool is_word(std::string_view text, std::string_view word) noexcept {
    if (text.size() != word.size()) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if ((c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c) != word[i]) {
            return false;
        }
    }
    return true;
}

}  // namespace spillway::resp
