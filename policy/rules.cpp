// Decides a command's priority: the operator's rules, first match wins.
#include "policy/rules.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

char upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

}  // namespace

Rules::Rules(std::vector<Rule> rules) : rules_(std::move(rules)) {
    for (Rule& rule : rules_) {
        for (std::string& command : rule.commands) {
            if (!command.starts_with('@')) {
                std::transform(command.begin(), command.end(), command.begin(), upper);
            }
        }
    }
}

Mismatch Rules::mismatch_but_for_keys(
    const Rule& rule, const resp::CommandInfo& command, const Caller& caller
) noexcept {
    if (!matches_command(rule, command)) {
        return Mismatch::command;
    }
    if (!rule.listeners.empty() &&
        std::find(rule.listeners.begin(), rule.listeners.end(), caller.listener) ==
            rule.listeners.end()) {
        return Mismatch::listener;
    }
    if (!matches_any(rule.clients, caller.client_name)) {
        return Mismatch::client;
    }
    return matches_any(rule.users, caller.user) ? Mismatch::none : Mismatch::user;
}

// "XGROUP" in a rule means all its subcommands; "XGROUP CREATE" that one.
bool Rules::matches_command(const Rule& rule, const resp::CommandInfo& command) noexcept {
    if (rule.commands.empty()) {
        return true;
    }
    const std::string_view name = command.name();
    return std::any_of(rule.commands.begin(), rule.commands.end(), [&](const std::string& wanted) {
        if (wanted == "@growing") {
            return command.in(resp::CommandGroup::growing);
        }
        if (wanted == "@unbounded") {
            return command.in(resp::CommandGroup::unbounded);
        }
        if (wanted == "@script") {
            return command.in(resp::CommandGroup::script);
        }
        return name == wanted || (name.size() > wanted.size() && name.starts_with(wanted) &&
                                  name[wanted.size()] == ' ');
    });
}

bool Rules::matches_any(const std::vector<std::string>& patterns, std::string_view text) noexcept {
    return patterns.empty() ||
           std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) {
               return glob_match(p, text);
           });
}

}  // namespace spillway::policy
