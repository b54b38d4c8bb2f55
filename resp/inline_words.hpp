// Splits an inline command into words as the server does (sdssplitargs): blanks, "…" with escapes,
// '…'.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::resp {

struct InlineWords {
    std::string text;                 // the unescaped words, end to end
    std::vector<std::uint32_t> ends;  // where each word ends in `text`
};

// False when quotes do not balance; `line` is without its line end. Words are replaced, memory is
// reused.
[[nodiscard]] bool split_inline(std::string_view line, InlineWords& words);

}  // namespace spillway::resp
