// Sizes and durations: one table of units each, for reading and for writing.
#include "conf/units.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <system_error>

namespace spillway::conf {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// Largest first, so that writing finds the shortest exact form.
constexpr std::array size_units = {
    Unit{"tb", 1ULL << 40U},
    Unit{"gb", 1ULL << 30U},
    Unit{"mb", 1ULL << 20U},
    Unit{"kb", 1ULL << 10U},
    Unit{"b", 1},
};
constexpr std::array duration_units = {
    Unit{"h", 3'600'000'000},
    Unit{"m", 60'000'000},
    Unit{"s", 1'000'000},
    Unit{"ms", 1'000},
    Unit{"us", 1},
};

bool same_ignoring_case(std::string_view text, std::string_view lower_case) {
    return std::ranges::equal(text, lower_case, [](char left, char right) {
        return (left >= 'A' && left <= 'Z' ? left - 'A' + 'a' : left) == right;
    });
}

struct Amount {
    std::uint64_t number;
    std::string_view unit;
};

std::optional<Amount> split(std::string_view text) {
    const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (digits.empty() || error != std::errc()) {
        return std::nullopt;
    }
    return Amount{number, text.substr(digits.size())};
}

std::optional<std::uint64_t> scaled(const Amount& amount, const Unit& unit) {
    if (amount.number > size_bytes_max / unit.factor) {
        return std::nullopt;
    }
    return amount.number * unit.factor;
}

std::string format(std::uint64_t amount, std::span<const Unit> units) {
    for (const Unit& unit : units) {
        if (amount % unit.factor == 0) {
            return std::to_string(amount / unit.factor).append(unit.name);
        }
    }
    return std::to_string(amount);
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    const auto amount = split(text);
    if (!amount) {
        return std::nullopt;
    }
    if (amount->unit.empty()) {
        return scaled(*amount, size_units.back());
    }
    for (const Unit& unit : size_units) {
        if (same_ignoring_case(amount->unit, unit.name)) {
            return scaled(*amount, unit);
        }
    }
    return std::nullopt;
}

std::optional<std::chrono::microseconds> parse_duration(std::string_view text) {
    const auto amount = split(text);
    if (!amount) {
        return std::nullopt;
    }
    for (const Unit& unit : duration_units) {
        if (amount->unit == unit.name) {
            const auto microseconds = scaled(*amount, unit);
            return microseconds
                       ? std::optional(
                             std::chrono::microseconds(static_cast<std::int64_t>(*microseconds))
                         )
                       : std::nullopt;
        }
    }
    return std::nullopt;
}

std::string format_size(std::uint64_t bytes) {
    return bytes == 0 ? "0" : format(bytes, size_units);
}

std::string format_duration(std::chrono::microseconds duration) {
    const auto microseconds = static_cast<std::uint64_t>(duration.count());
    return microseconds == 0 ? "0s" : format(microseconds, duration_units);
}

}  // namespace spillway::conf
