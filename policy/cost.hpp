// Estimates how many bytes a command makes Redis grow by; an upper bound for all but scripts and
// unbounded commands.
#pragma once

#include "resp/command_table.hpp"

#include <cstdint>

namespace spillway::policy {

// From this length on Redis allocates an argument as soon as its header is read, and holds it twice
// while the command is checked: 2.1 to 2.5 times its size was measured.
inline constexpr std::uint64_t large_argument_bytes = 32 * 1024;

struct Cost {
    std::int64_t charge = 0;   // needed while the command runs, at most
    std::int64_t lasting = 0;  // of it, what stays
    bool large =
        false;  // an argument is large: judged against the room before its first byte goes out
};

struct CommandSize {
    std::uint64_t argument_bytes = 0;
    std::uint64_t largest_argument_bytes = 0;
    std::uint32_t argument_count = 0;
    std::uint64_t string_bytes_reached = 0;  // of SETRANGE, SETBIT, BITFIELD
};

[[nodiscard]] Cost cost_of(const resp::CommandInfo& command, const CommandSize& size) noexcept;

}  // namespace spillway::policy
