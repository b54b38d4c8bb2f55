// Bytes, numbers and times as JSON and as text for a terminal: what comes from clients cannot break
// either.
#include "proxy/log/encode.hpp"

#include "policy/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace spillway::log {
namespace {

constexpr unsigned depth_max = 32;

void append_escaped(std::string& out, std::string_view bytes) {
    constexpr std::string_view hex = "0123456789abcdef";
    for (const char c : bytes) {
        const auto byte = static_cast<std::uint8_t>(c);
        const std::array<char, 4> escape = {'\\', 'x', hex[byte >> 4U], hex[byte & 15U]};
        out.append(escape.data(), escape.size());
    }
}

// Control characters of ASCII and Latin-1, line and paragraph separators, and what reorders text (a
// name must not be able to make a line read differently from what it says).
[[nodiscard]] bool may_be_shown(std::string_view character) noexcept {
    if (character.size() == 1) {
        return character[0] >= ' ' && character[0] < '\x7f';
    }
    if (character.size() == 2) {
        return !(character[0] == '\xc2' && static_cast<std::uint8_t>(character[1]) < 0xA0);
    }
    const auto first = character.substr(0, 2);
    const auto last = static_cast<std::uint8_t>(character.back());
    const bool marks =
        first == "\xe2\x80" && (last == 0x8E || last == 0x8F || (last >= 0xA8 && last <= 0xAE));
    const bool isolates = first == "\xe2\x81" && last >= 0xA6 && last <= 0xA9;
    return !marks && !isolates && character != "\xef\xbb\xbf";
}

// Appends `bytes`, with what `keep` does not accept escaped; false from `keep` holds for a whole
// character.
template <class Keep>
void append_text(std::string& out, std::string_view bytes, Keep keep) {
    while (!bytes.empty()) {
        const std::size_t length = policy::utf8_character(bytes);
        const auto character = bytes.substr(0, std::max<std::size_t>(length, 1));
        if (length > 0 && keep(character)) {
            out.append(character);
        } else {
            append_escaped(out, character);
        }
        bytes.remove_prefix(character.size());
    }
}

void append_number(std::string& out, double number) {
    if (!std::isfinite(number)) {
        out += "null";
        return;
    }
    std::array<char, 64> text{};
    const double size = std::abs(number);
    const bool plain = size == 0 || (size >= 1e-6 && size < 1e15);
    const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), number, format);
    out.append(text.data(), end.ptr);
}

void append_value(std::string& out, const boost::json::value& value, unsigned depth) {
    switch (value.kind()) {
        case boost::json::kind::object:
        case boost::json::kind::array:
            break;
        case boost::json::kind::double_:
            append_number(out, value.get_double());
            return;
        default:
            out += boost::json::serialize(value);
            return;
    }
    if (depth == depth_max) {
        out += "null";
        return;
    }
    const bool is_object = value.is_object();
    out.push_back(is_object ? '{' : '[');
    bool first = true;
    const auto comma = [&] {
        if (!std::exchange(first, false)) {
            out.push_back(',');
        }
    };
    if (is_object) {
        for (const auto& member : value.get_object()) {
            comma();
            out += boost::json::serialize(boost::json::string(member.key()));
            out.push_back(':');
            append_value(
                out, member.value(), depth + 1
            );  // NOLINT(misc-no-recursion): bounded by depth_max
        }
    } else {
        for (const auto& item : value.get_array()) {
            comma();
            append_value(out, item, depth + 1);  // NOLINT(misc-no-recursion): bounded by depth_max
        }
    }
    out.push_back(is_object ? '}' : ']');
}

}  // namespace

boost::json::string text_json(std::string_view bytes) {
    std::string out;
    append_text(out, bytes, [](std::string_view) { return true; });
    return boost::json::string(out);
}

std::string terminal_text(std::string_view bytes) {
    std::string out;
    append_text(out, bytes, may_be_shown);
    return out;
}

std::string to_line(const boost::json::value& value) {
    std::string out;
    append_value(out, value, 0);
    return out;
}

std::string time_text(std::int64_t unix_ms) {
    using std::chrono::floor;
    // Years of four digits are all that RFC 3339 knows.
    constexpr std::int64_t year_0 = -62'167'219'200'000;
    constexpr std::int64_t year_10000 = 253'402'300'800'000;
    const std::chrono::sys_time<std::chrono::milliseconds> time(
        std::chrono::milliseconds(std::clamp(unix_ms, year_0, year_10000 - 1))
    );
    const auto day = floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    std::array<char, 48> text{};
    std::snprintf(
        text.data(),
        text.size(),
        "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
        static_cast<int>(date.year()),
        static_cast<unsigned>(date.month()),
        static_cast<unsigned>(date.day()),
        static_cast<int>(clock.hours().count()),
        static_cast<int>(clock.minutes().count()),
        static_cast<int>(clock.seconds().count()),
        static_cast<int>(clock.subseconds().count())
    );
    return text.data();
}

}  // namespace spillway::log
