// Reads the text of INFO, of any Redis-like server, into a MemorySample.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>
#include <string_view>

namespace spillway::policy {

enum class InfoProblem : std::uint8_t {
    none,
    too_long,   // beyond info_bytes_max: not looked at
    no_memory,  // no usable used_memory: not INFO, or a server that hides it; the other fields are
                // filled
};

inline constexpr std::size_t info_bytes_max = 4UL << 20;

// Sections in any order, LF or CRLF, unknown fields skipped; several INFO texts may be put behind
// each other (servers before 7.0 give one section a call). `into` starts afresh but for asked_at
// and answered_at. A number that is no number, is negative or does not fit counts as absent; of a
// field given twice the last usable one wins.
[[nodiscard]] InfoProblem parse_info(std::string_view text, MemorySample& into);

// The same for a text of some sections only: what it does not tell stays as it was, but for
// used_memory, which it must.
[[nodiscard]] InfoProblem refresh_from_info(std::string_view text, MemorySample& into);

}  // namespace spillway::policy
