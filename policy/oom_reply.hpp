// Recognises every error line by which a server says that it is out of memory.
#pragma once

#include "policy/oom_event.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace spillway::policy {

// Where the error line stood.
enum class ErrorPlace : std::uint8_t {
    top_level,
    in_exec,   // an element, at any depth, of the reply to EXEC
    in_array,  // an element, at any depth, of another reply
};

// False for nearly every ordinary error, by looking at a few bytes; true says that classify_error
// must look.
[[nodiscard]] constexpr bool may_be_oom(std::string_view line) noexcept {
    if (line.size() < 4) {
        return false;
    }
    switch (line[0]) {
        case 'O':
            return line.substr(0, 4) == "OOM " || line.substr(0, 4) == "Out ";
        case 'E':
            return line[1] == 'X' ||
                   (line[1] == 'R' && line.size() > 5 && (line[4] == 'E' || line[4] == 'O'));
        case '@':
            return true;
        default:
            return false;
    }
}

// `line` is the error without its type byte and line end; it may be cut at 512 bytes. Empty: this
// is no memory refusal of the server that answered. So are errors which only look like one: a
// script's own error_reply('OOM …') with other words, and MIGRATE's report that its *target* is
// full, which is another server's memory.
[[nodiscard]] std::optional<OomForm> classify_error(
    std::string_view line, ErrorPlace place
) noexcept;

}  // namespace spillway::policy
