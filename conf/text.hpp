// Words for messages and TOML output: quoting, listing, and the nearest known word.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::conf {

// `text` as a TOML string, control characters escaped; longer texts than `bytes_max` end in "…".
[[nodiscard]] std::string quoted(
    std::string_view text, std::size_t bytes_max = std::string_view::npos
);

// "a, b or c".
[[nodiscard]] std::string joined(std::span<const std::string> words);

// The same with each word quoted.
[[nodiscard]] std::string joined_quoted(std::span<const std::string_view> words);

// The candidate that a slip of the keyboard would turn into `word`, if one is near enough: a third
// of its letters may be wrong, left out, added or swapped. Words over 64 bytes have none.
[[nodiscard]] std::optional<std::string_view> nearest(
    std::string_view word, std::span<const std::string_view> candidates
);

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace spillway::conf
