// Estimates how many bytes a command makes Redis grow by; an upper bound for all but scripts and
// unbounded commands.
#include "policy/cost.hpp"

#include "resp/command_arguments.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

// No estimate needs to be larger than any memory; sums of many stay far from overflow.
constexpr std::uint64_t estimate_max = std::uint64_t{1} << 44;
// COPY, RESTORE, *STORE: unknown before they run.
constexpr std::uint64_t unbounded_charge = 32 * 1024;

// Allocator classes are at most a quarter above what is asked for.
std::uint64_t with_rounding(std::uint64_t bytes) noexcept {
    bytes = std::min(bytes, estimate_max);
    return bytes + bytes / 4;
}

}  // namespace

Cost cost_of(const resp::CommandInfo& command, const CommandSize& size) noexcept {
    std::uint64_t lasting =
        with_rounding(std::max(size.argument_bytes, size.string_bytes_reached)) +
        std::min(resp::overhead_bytes(command.cost, size.argument_count), estimate_max);
    if (command.growth == resp::Growth::unbounded) {
        lasting += unbounded_charge;
    }
    Cost cost;
    cost.large = size.largest_argument_bytes >= large_argument_bytes ||
                 size.string_bytes_reached >= large_argument_bytes;
    std::uint64_t charge = lasting;
    if (size.largest_argument_bytes >= large_argument_bytes) {
        charge += with_rounding(std::min(size.largest_argument_bytes, estimate_max));
    }
    cost.lasting = static_cast<std::int64_t>(std::min(lasting, estimate_max));
    cost.charge = static_cast<std::int64_t>(std::min(charge, estimate_max));
    return cost;
}

}  // namespace spillway::policy
