// Turns keys into what may be shown: masked patterns by which keys are counted, hashes, or
// printable text.
#pragma once

#include "policy/modes.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace spillway::policy {

inline constexpr std::size_t pattern_bytes_max = 128;
inline constexpr std::size_t pattern_key_bytes_max = 256;  // of a key, this much is looked at

using PatternBuffer = std::array<char, pattern_bytes_max>;

// The key split at `: / . _ - { } |`, each part with a digit or the looks of an id or hash replaced
// by `*`, as is the one in which a key of pattern_key_bytes_max is cut; printable ASCII, the rest
// as \xHH; "..." at the end when the pattern is cut. The view lies in `buffer`. Neither allocates
// nor fails.
[[nodiscard]] std::string_view key_pattern(std::string_view key, PatternBuffer& buffer) noexcept;

// How keys are shown. The secret keeps a hashed key from being found by trying; draw it at random
// once a process, or fix it where hashes of several processes shall compare.
struct KeyDisplay {
    KeyMode mode = KeyMode::pattern;
    std::array<std::uint64_t, 2> secret{};
};

// A raw key for a record: at most 4 * 256 printable ASCII bytes; empty under `none`.
[[nodiscard]] std::string display_key(std::string_view key, const KeyDisplay& display);

// The same for a pattern that key_pattern made: `full` shows it as it is.
[[nodiscard]] std::string display_pattern(std::string_view pattern, const KeyDisplay& display);

}  // namespace spillway::policy
