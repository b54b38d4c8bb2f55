// One thing wrong with a configuration, and where it stands.
#pragma once

#include <cstdint>
#include <string>

namespace spillway::conf {

// A position in a text, both counted from 1; line 0 = none.
struct Place {
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    friend auto operator<=>(const Place&, const Place&) =
        default;  // NOLINT(modernize-use-nullptr): false alarm
};

struct Problem {
    std::string file;  // or the flag, such as "--mode"
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::string message;

    friend bool operator==(const Problem&, const Problem&) = default;
};

// `file:line:column: message`, or `file: message` where there is no line.
[[nodiscard]] std::string to_string(const Problem& problem);

}  // namespace spillway::conf
