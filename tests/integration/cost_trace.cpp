// Prints what given commands are charged, for tests that hold it against what a real server grows
// by.
//
// Input, any number of times: `<size>\n` and <size> bytes of whole commands. One line of JSON comes
// back each time: their number, and the sums of what they are charged and of what of it lasts.
#include "policy/cost.hpp"
#include "resp/command_arguments.hpp"
#include "resp/command_reader.hpp"
#include "resp/command_table.hpp"

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>

namespace {

using namespace spillway;

// As a session does it at a command's head.
policy::Cost cost_of_head(const resp::CommandTable& table, const resp::CommandReader& head) {
    const resp::CommandInfo* command = table.find(head.argument(0));
    if (command == nullptr) {
        return {};
    }
    if (command->has_subcommands && head.arguments_announced() > 1) {
        if (const auto* sub = table.find_sub(*command, head.argument(1)); sub != nullptr) {
            command = sub;
        }
    }
    const auto argument = [&head](std::size_t i) {
        return head.argument(static_cast<std::uint32_t>(i));
    };
    policy::CommandSize size{
        .argument_bytes = head.argument_bytes(),
        .largest_argument_bytes = head.largest_argument_bytes(),
        .argument_count = head.argument_count(),
        .string_bytes_added = 0,
    };
    if (command->growth == resp::Growth::offset) {
        size.string_bytes_added = resp::string_bytes_reached(
            *command, head.argument_count(), argument, head.argument_length(3)
        );
    }
    return policy::cost_of(*command, size);
}

// Argument bytes that were announced behind the head are charged as they come.
bool charge_all(const resp::CommandTable& table, std::string_view bytes) {
    resp::CommandReader reader;
    std::int64_t commands = 0;
    std::int64_t charge = 0;
    std::int64_t lasting = 0;
    while (!bytes.empty()) {
        if (reader.in_body()) {
            bytes.remove_prefix(reader.read_body(bytes));
            const auto late = static_cast<std::int64_t>(reader.take_late_bytes());
            charge += late + late / 4;
            lasting += late + late / 4;
            continue;
        }
        if (reader.read_head(bytes) != resp::HeadResult::head) {
            return false;
        }
        const policy::Cost cost = cost_of_head(table, reader);
        ++commands;
        charge += cost.charge;
        lasting += cost.lasting;
        bytes.remove_prefix(reader.consumed());
    }
    std::cout << "{\"commands\":" << commands << ",\"charge\":" << charge
              << ",\"lasting\":" << lasting << "}" << std::endl;
    return true;
}

}  // namespace

int main() {
    const resp::CommandTable table;
    std::size_t size = 0;
    while (std::cin >> size && std::cin.get() == '\n') {
        std::string bytes(size, '\0');
        if (!std::cin.read(bytes.data(), static_cast<std::streamsize>(size)) ||
            !charge_all(table, bytes)) {
            return 1;
        }
    }
    return 0;
}
