// Figures as a person writes them: sizes, shares and durations in the sentences of a diagnosis.
#include "policy/wording.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace spillway::policy {
namespace {

// One decimal below ten, none above: what a reader takes in at a glance. A trailing ".0" goes.
[[nodiscard]] std::string rounded(double value) {
    std::array<char, 32> out{};
    const bool decimal = std::abs(value) < 9.95;
    std::snprintf(out.data(), out.size(), decimal ? "%.1f" : "%.0f", value);
    std::string text(out.data());
    if (decimal && text.size() > 2 && text.compare(text.size() - 2, 2, ".0") == 0) {
        text.resize(text.size() - 2);
    }
    return text == "-0" ? "0" : text;
}

}  // namespace

std::string bytes_text(std::int64_t bytes) {
    constexpr std::array<std::string_view, 6> units = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (std::abs(value) >= 1000 && unit + 1 < units.size()
    ) {  // "0.98 MiB" never becomes "1004 KiB"
        value /= 1024;
        ++unit;
    }
    return (unit == 0 ? std::to_string(bytes) : rounded(value)).append(" ").append(units[unit]);
}

std::string percent_text(double share) {
    const double percent = std::isfinite(share) ? std::max(0.0, share * 100) : 0;
    if (percent > 0 && percent < .05) {
        return "under 0.1 %";
    }
    return rounded(std::min(percent, 1e6)).append(" %");
}

std::string upper_case(std::string_view name) {
    std::string text(name);
    std::transform(text.begin(), text.end(), text.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return text;
}

std::string count_text(std::int64_t count) {
    std::string digits = std::to_string(count);
    const std::size_t first = count < 0 ? 1 : 0;
    for (std::size_t at = digits.size(); at > first + 3;) {
        at -= 3;
        digits.insert(at, 1, ',');
    }
    return digits;
}

std::string duration_text(double seconds) {
    if (!std::isfinite(seconds) || seconds < 0) {
        seconds = 0;
    }
    if (seconds < 0.9995) {
        return rounded(std::round(seconds * 1000)).append(" ms");
    }
    if (seconds < 120) {
        return rounded(seconds).append(" s");
    }
    if (seconds < 120 * 60) {
        return rounded(std::round(seconds / 60)).append(" min");
    }
    if (seconds < 72 * 3600) {
        return rounded(seconds / 3600).append(" h");
    }
    return rounded(std::min(std::round(seconds / 86'400), 1e6)).append(" days");
}

std::string exact_setting(std::int64_t bytes) {
    constexpr std::int64_t mb = 1 << 20;
    constexpr std::int64_t gb = mb << 10;
    if (bytes > 0 && bytes % gb == 0) {
        return std::to_string(bytes / gb).append("gb");
    }
    return bytes > 0 && bytes % mb == 0 ? std::to_string(bytes / mb).append("mb")
                                        : std::to_string(bytes);
}

std::string setting_text(std::int64_t bytes) {
    constexpr std::int64_t mb = 1 << 20;
    constexpr std::int64_t gb = mb << 10;
    const auto up = [bytes](std::int64_t step) {
        return bytes / step + (bytes % step > 0 ? 1 : 0);
    };
    if (bytes >= 8 * gb) {
        return std::to_string(up(gb)).append("gb");
    }
    // A step of about a sixteenth keeps the number round and the excess small.
    std::int64_t step = mb;
    while (bytes / step >= 32) {
        step *= 2;
    }
    const std::int64_t whole = up(step) * step;
    if (whole >= gb && whole % gb == 0) {
        return std::to_string(whole / gb).append("gb");
    }
    return std::to_string(whole / mb).append("mb");
}

}  // namespace spillway::policy
