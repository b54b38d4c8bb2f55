// Bytes, numbers and times as JSON and as text for a terminal: what comes from clients cannot break
// either.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

namespace spillway::log {

// Any bytes as valid UTF-8: what is not becomes \xHH.
[[nodiscard]] boost::json::string text_json(std::string_view bytes);

// Any bytes as one line for a terminal: letters of any script stay, what moves the cursor, changes
// colours or the direction of text becomes \xHH.
[[nodiscard]] std::string terminal_text(std::string_view bytes);

// One line without its end. Numbers as a person writes them (0.95, not 9.5E-1); what is not finite
// becomes null. Values nested deeper than 32 become null.
[[nodiscard]] std::string to_line(const boost::json::value& value);

// "2026-07-30T12:34:56.789Z"
[[nodiscard]] std::string time_text(std::int64_t unix_ms);

}  // namespace spillway::log
