// Decides a command's priority: the operator's rules, first match wins.
#pragma once

#include "policy/glob.hpp"
#include "policy/modes.hpp"
#include "resp/command_table.hpp"

#include <cstdint>
#include <span>
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
    std::vector<std::string> listeners = {};  // labels, exactly
    Priority priority = Priority::normal;
};

struct Caller {
    std::string_view client_name;
    std::string_view user;
    std::string_view listener = {};  // label of the one that took the connection
};

// The first thing about a command that a rule does not match.
enum class Mismatch : std::uint8_t { none, command, listener, client, user, key };

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
            if (mismatch(rule, command, caller, any_key) == Mismatch::none) {
                return &rule;
            }
        }
        return nullptr;
    }
    // What keeps one rule from matching.
    template <typename AnyKey>
    [[nodiscard]] static Mismatch mismatch(
        const Rule& rule,
        const resp::CommandInfo& command,
        const Caller& caller,
        const AnyKey& any_key
    ) {
        const Mismatch found = mismatch_but_for_keys(rule, command, caller);
        if (found != Mismatch::none || rule.keys.empty() ||
            any_key([&rule](std::string_view key) { return matches_any(rule.keys, key); })) {
            return found;
        }
        return Mismatch::key;
    }
    [[nodiscard]] std::span<const Rule> all() const noexcept { return rules_; }
    [[nodiscard]] bool empty() const noexcept { return rules_.empty(); }

  private:
    [[nodiscard]] static Mismatch mismatch_but_for_keys(
        const Rule& rule, const resp::CommandInfo& command, const Caller& caller
    ) noexcept;
    [[nodiscard]] static bool matches_command(
        const Rule& rule, const resp::CommandInfo& command
    ) noexcept;
    [[nodiscard]] static bool matches_any(
        const std::vector<std::string>& patterns, std::string_view text
    ) noexcept;

    std::vector<Rule> rules_;
};

}  // namespace spillway::policy
