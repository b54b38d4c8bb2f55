// Decides a command's priority: the operator's rules, first match wins.
#pragma once

#include "policy/glob.hpp"
#include "policy/modes.hpp"
#include "resp/command_table.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

// Lists that are empty match anything; those given must all match.
struct Rule {
    std::string name;
    std::vector<std::string> commands;  // names in any case, or "@growing", "@unbounded", "@script"
    std::vector<std::string> keys;      // patterns; any key of a command counts
    std::vector<std::string> clients;   // patterns of CLIENT SETNAME
    std::vector<std::string> users;     // patterns of ACL users
    Priority priority = Priority::normal;
};

struct Caller {
    std::string_view client_name;
    std::string_view user;
};

class Rules {
  public:
    Rules() = default;
    explicit Rules(std::vector<Rule> rules);

    // `any_key(predicate)` asks the predicate for each key of the command until it says true, and
    // answers whether it did. Null when no rule matches: the priority is normal.
    template <typename AnyKey>
    [[nodiscard]] const Rule* match(
        const resp::CommandInfo& command, const Caller& caller, const AnyKey& any_key
    ) const {
        for (const Rule& rule : rules_) {
            if (!matches_command(rule, command) || !matches_any(rule.clients, caller.client_name) ||
                !matches_any(rule.users, caller.user)) {
                continue;
            }
            if (rule.keys.empty() ||
                any_key([&rule](std::string_view key) { return matches_any(rule.keys, key); })) {
                return &rule;
            }
        }
        return nullptr;
    }
    [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }

  private:
    [[nodiscard]] static bool matches_command(
        const Rule& rule, const resp::CommandInfo& command
    ) noexcept;
    [[nodiscard]] static bool matches_any(
        const std::vector<std::string>& patterns, std::string_view text
    ) noexcept;

    std::vector<Rule> rules_;
};

}  // namespace spillway::policy
