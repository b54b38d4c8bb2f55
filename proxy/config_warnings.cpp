// What a valid configuration says that its author can hardly mean.
#include "proxy/config_warnings.hpp"

#include "conf/text.hpp"
#include "policy/wording.hpp"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace spillway {
namespace {

bool is_known(const resp::CommandTable& commands, std::string_view name) {
    const std::size_t space = name.find(' ');
    const resp::CommandInfo* const command = commands.find(name.substr(0, space));
    return command != nullptr && (space == std::string_view::npos ||
                                  commands.find_sub(*command, name.substr(space + 1)) != nullptr);
}

std::string placed(
    const conf::Loaded& loaded,
    std::string_view section,
    std::string_view name,
    std::size_t item,
    const std::string& message
) {
    const conf::Key& key = *conf::find_key(section, name);
    return conf::to_string(conf::problem_at(loaded, key, item, message));
}

}  // namespace

std::optional<std::string_view> nearest_command(
    const resp::CommandTable& commands, std::string_view name
) {
    std::vector<std::string_view> names;
    for (const resp::CommandInfo& command : commands.commands()) {
        names.push_back(command.name());
    }
    return conf::nearest(policy::upper_case(name), names);
}

std::vector<std::string> config_warnings(
    const conf::Loaded& loaded, const resp::CommandTable& commands
) {
    std::vector<std::string> warnings;
    const std::vector<conf::Rule>& rules = loaded.config.guard.rules;
    for (std::size_t i = 0; i < rules.size(); ++i) {
        for (const std::string& name : rules[i].commands) {
            if (name.starts_with('@') || is_known(commands, name)) {
                continue;
            }
            const auto near = nearest_command(commands, name);
            if (!near && name.find('.') != std::string::npos) {
                continue;  // as modules name theirs
            }
            warnings.push_back(placed(
                loaded,
                "guard.rule",
                "commands",
                i,
                "no command " + conf::quoted(name) + " is known" +
                    (near ? "; did you mean " + std::string(*near) + "?" : ".") +
                    " It matches nothing, unless a module of the server has it"
            ));
        }
    }
    const std::filesystem::path folder =
        std::filesystem::path(loaded.config.log.file).parent_path();
    std::error_code failure;
    if (!folder.empty() && !std::filesystem::is_directory(folder, failure)) {
        warnings.push_back(placed(
            loaded,
            "log",
            "file",
            0,
            "there is no folder " + conf::quoted(folder.string()) + ": a start fails without it"
        ));
    }
    return warnings;
}

}  // namespace spillway
