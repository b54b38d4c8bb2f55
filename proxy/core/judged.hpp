// Which commands the guard looks at, and which of them it may hold or refuse.
#pragma once

#include "policy/cost.hpp"
#include "resp/command_arguments.hpp"

#include <cstdint>

// A head is a CommandReader after read_head, or what answers the same questions of a command that
// was not read from a wire.
namespace spillway::core {

// Whether it may fill memory: all others only pass.
[[nodiscard]] inline bool grows(const resp::CommandInfo& command) noexcept {
    return command.growth != resp::Growth::other && command.growth != resp::Growth::freeing;
}

// Whether the guard may hold or refuse it: what Redis itself refuses at its limit, scripts left
// out.
[[nodiscard]] inline bool is_gated(const resp::CommandInfo& command) noexcept {
    return command.denyoom &&
           (command.growth == resp::Growth::proportional ||
            command.growth == resp::Growth::offset || command.growth == resp::Growth::unbounded);
}

// False where these arguments keep a command from growing anything: SORT without STORE, or a number
// or a length of arguments that the server refuses.
template <typename Head>
[[nodiscard]] bool may_grow_as_given(const resp::CommandInfo& command, const Head& head) {
    const std::uint32_t argc = head.argument_count();
    if (!command.accepts(argc) || head.largest_argument_bytes() > resp::string_bytes_max) {
        return false;
    }
    const bool searches =
        command.keys.word == resp::KeyWord::store || command.growth == resp::Growth::offset;
    const auto argument = [&head](std::size_t i) {
        return head.argument(static_cast<std::uint32_t>(i));
    };
    return !searches || resp::may_grow(command, argc, argument);
}

// Of SETRANGE, SETBIT and BITFIELD: how long the string gets. 0 of all others.
template <typename Head>
[[nodiscard]] std::uint64_t string_bytes_reached(
    const resp::CommandInfo& command, const Head& head
) {
    if (command.growth != resp::Growth::offset) {
        return 0;
    }
    const auto argument = [&head](std::size_t i) {
        return head.argument(static_cast<std::uint32_t>(i));
    };
    return resp::string_bytes_reached(
        command, head.argument_count(), argument, head.argument_length(3)
    );
}

// `string_bytes_added` is what is new of the bytes that string_bytes_reached() tells.
template <typename Head>
[[nodiscard]] policy::Cost cost_of(
    const resp::CommandInfo& command, const Head& head, std::uint64_t string_bytes_added
) {
    return policy::cost_of(
        command,
        {
            .argument_bytes = head.argument_bytes(),
            .largest_argument_bytes = head.largest_argument_bytes(),
            .argument_count = head.argument_count(),
            .string_bytes_added = string_bytes_added,
        }
    );
}

// Asks `matches` for each key whose text the head holds, until it says true; answers whether it
// did.
template <typename Head, typename Matches>
[[nodiscard]] bool any_key_of(
    const resp::CommandInfo& command, const Head& head, const Matches& matches
) {
    const auto argument = [&head](std::size_t i) {
        return head.argument(static_cast<std::uint32_t>(i));
    };
    for (const std::size_t index : resp::keys_of(command, head.argument_count(), argument)) {
        if (index >= head.arguments_announced()) {
            break;
        }
        if (matches(argument(index))) {
            return true;
        }
    }
    return false;
}

}  // namespace spillway::core
