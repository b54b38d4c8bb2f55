// Reads the decimal numbers of RESP headers exactly as the server does: canonical, no sign but
// minus, no leading zero.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace spillway::resp {

// The server's string2ll: "0", "17", "-3"; not "", "-0", "+1", "01", " 1". Out of 64-bit range is
// no number.
[[nodiscard]] constexpr std::optional<std::int64_t> parse_canonical(std::string_view text
) noexcept {
    if (text.empty() || text.size() > 20) {
        return std::nullopt;
    }
    const bool negative = text.front() == '-';
    if (negative) {
        text.remove_prefix(1);
    }
    if (text.empty()) {
        return std::nullopt;
    }
    if (text.front() == '0') {
        if (negative || text.size() > 1) {
            return std::nullopt;
        }
        return 0;
    }
    constexpr auto max = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (value > (max + 1 - digit) / 10) {
            return std::nullopt;
        }
        value = value * 10 + digit;
    }
    if (negative) {
        return static_cast<std::int64_t>(~value + 1);
    }
    if (value > max) {
        return std::nullopt;
    }
    return static_cast<std::int64_t>(value);
}

struct ShortNumber {
    std::uint64_t value = 0;
    std::size_t end = 0;  // behind the CR and one byte more; 0: this line needs the long way
};

// As short_number, for three digits and more.
[[nodiscard, gnu::noinline]] constexpr ShortNumber longer_number(
    std::string_view bytes, std::size_t at
) noexcept {
    constexpr std::size_t digits_max = 9;
    const std::size_t stop = std::min(bytes.size() - 1, at + digits_max);
    std::uint64_t value = 0;
    std::size_t i = at;
    for (; i < stop; ++i) {
        const auto digit = static_cast<std::uint64_t>(bytes[i]) - '0';
        if (digit > 9) {
            break;
        }
        value = value * 10 + digit;
    }
    if (i == at || i + 1 >= bytes.size() || bytes[i] != '\r' || (bytes[at] == '0' && i > at + 1)) {
        return {};
    }
    return {value, i + 2};
}

// The number of most header lines, without a search: one to nine canonical digits at `at`, their CR
// and one byte more, all of it in `bytes`. One or two digits are what nearly all lines have.
[[nodiscard, gnu::always_inline]] constexpr ShortNumber short_number(
    std::string_view bytes, std::size_t at
) noexcept {
    if (at + 2 >= bytes.size()) {
        return {};
    }
    const char* const text = bytes.data() + at;
    const auto first = static_cast<unsigned>(text[0]) - '0';  // below '0': a large number
    const auto second = static_cast<unsigned>(text[1]) - '0';
    if (text[1] == '\r' && first <= 9) {
        return {first, at + 3};
    }
    if (text[2] == '\r' && first - 1 <= 8 && second <= 9 && at + 3 < bytes.size()) {
        return {std::uint64_t{first} * 10 + second, at + 4};
    }
    return longer_number(bytes, at);
}

}  // namespace spillway::resp
