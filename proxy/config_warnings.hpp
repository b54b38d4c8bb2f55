// What a valid configuration says that its author can hardly mean.
#pragma once

#include "conf/load.hpp"
#include "resp/command_table.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

// The command that a slip of the keyboard would turn into `name`, if one is near enough.
[[nodiscard]] std::optional<std::string_view> nearest_command(
    const resp::CommandTable& commands, std::string_view name
);

// Commands of rules that nobody knows, and a log whose folder is missing: each begins with the
// place in the file. `commands` are the built-in ones, or those of the server once it was asked.
[[nodiscard]] std::vector<std::string> config_warnings(
    const conf::Loaded& loaded, const resp::CommandTable& commands
);

}  // namespace spillway
