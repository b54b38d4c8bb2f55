// Figures as a person writes them: sizes, shares and durations in the sentences of a diagnosis.
#pragma once

#include <cstdint>
#include <string>

namespace spillway::policy {

// "300 B", "12 KiB", "1.5 GiB": three digits at most before the unit changes; negative ones keep
// their sign.
[[nodiscard]] std::string bytes_text(std::int64_t bytes);

// "87 %", "0.4 %", "under 0.1 %"; at least "0 %".
[[nodiscard]] std::string percent_text(double share);

// "1,234,567"
[[nodiscard]] std::string count_text(std::int64_t count);

// Of its ASCII letters; as commands are written.
[[nodiscard]] std::string upper_case(std::string_view name);

// "250 ms", "2.5 s", "90 s", "10 min", "5 h"
[[nodiscard]] std::string duration_text(double seconds);

// The size as CONFIG SET takes it, rounded up to something round: "96mb", "12gb".
[[nodiscard]] std::string setting_text(std::int64_t bytes);

// The same without rounding: "64mb", or plain bytes where no unit divides them.
[[nodiscard]] std::string exact_setting(std::int64_t bytes);

}  // namespace spillway::policy
