// Estimates how many bytes a command makes Redis grow by; an upper bound for all but scripts and
// unbounded commands.
#pragma once

#include "resp/command_arguments.hpp"
#include "resp/command_table.hpp"

#include <algorithm>
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
    std::uint64_t string_bytes_added = 0;  // by SETRANGE, SETBIT, BITFIELD
};

// No estimate needs to be larger than any memory; sums of many stay far from overflow.
inline constexpr std::uint64_t estimate_max = std::uint64_t{1} << 44;
// COPY, RESTORE, *STORE: unknown before they run.
inline constexpr std::uint64_t unbounded_charge = 32 * 1024;

// Allocator classes are at most a quarter above what is asked for.
[[nodiscard]] inline std::uint64_t with_rounding(std::uint64_t bytes) noexcept {
    bytes = std::min(bytes, estimate_max);
    return bytes + bytes / 4;
}

// Inlined, since every write asks for it: as a call it was 4 % of a SET's instructions.
[[nodiscard, gnu::always_inline]] inline Cost cost_of(
    const resp::CommandInfo& command, const CommandSize& size
) noexcept {
    std::uint64_t lasting =
        with_rounding(std::max(size.argument_bytes, size.string_bytes_added)) +
        std::min(resp::overhead_bytes(command.cost, size.argument_count), estimate_max);
    if (command.growth == resp::Growth::unbounded) {
        lasting += unbounded_charge;
    }
    Cost cost;
    cost.large = size.largest_argument_bytes >= large_argument_bytes ||
                 size.string_bytes_added >= large_argument_bytes;
    std::uint64_t charge = lasting;
    if (size.largest_argument_bytes >= large_argument_bytes) {
        charge += with_rounding(std::min(size.largest_argument_bytes, estimate_max));
    }
    cost.lasting = static_cast<std::int64_t>(std::min(lasting, estimate_max));
    cost.charge = static_cast<std::int64_t>(std::min(charge, estimate_max));
    return cost;
}

}  // namespace spillway::policy
