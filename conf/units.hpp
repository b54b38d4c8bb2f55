// Sizes such as "64mb" and durations such as "250ms": read, and written in their largest whole
// unit.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spillway::conf {

// As large as TOML's integers and the guard's signed arithmetic allow.
inline constexpr std::uint64_t size_bytes_max = INT64_MAX;

// Digits and one of b, kb, mb, gb, tb (powers of two, any case); a bare number is bytes. Empty when
// the text is anything else or too large.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

// Digits and one of us, ms, s, m, h. Empty when the text is anything else or too large.
[[nodiscard]] std::optional<std::chrono::microseconds> parse_duration(std::string_view text);

[[nodiscard]] std::string format_size(std::uint64_t bytes);
[[nodiscard]] std::string format_duration(std::chrono::microseconds duration);

}  // namespace spillway::conf
