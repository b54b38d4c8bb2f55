// Tells what would become of one command under a configuration: the rule it meets, its class, its
// charge, the guard's verdict.
#include "proxy/explain.hpp"

#include "conf/schema.hpp"
#include "conf/text.hpp"
#include "conf/units.hpp"
#include "policy/guard.hpp"
#include "proxy/config_warnings.hpp"
#include "proxy/core/judged.hpp"
#include "proxy/core/refusal_texts.hpp"
#include "proxy/settings.hpp"
#include "resp/inline_words.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace spillway {
namespace {

constexpr std::size_t shown_bytes_max = 60;
constexpr std::size_t label_columns = 11;

constexpr std::string_view dim = "2";
constexpr std::string_view red = "31";
constexpr std::string_view green = "32";
constexpr std::string_view yellow = "33";

// A command as typed, with the answers of a head that holds all of it.
class TypedCommand {
  public:
    // Quotes and escapes as in redis-cli. False when quotes do not balance.
    [[nodiscard]] bool read(std::string_view line) { return resp::split_inline(line, words_); }

    [[nodiscard]] std::uint32_t argument_count() const noexcept {
        return static_cast<std::uint32_t>(words_.ends.size());
    }
    [[nodiscard]] std::uint32_t arguments_announced() const noexcept { return argument_count(); }
    [[nodiscard]] std::string_view argument(std::uint32_t i) const noexcept {
        if (i >= words_.ends.size()) {
            return {};
        }
        const std::uint32_t begin = i == 0 ? 0 : words_.ends[i - 1];
        return std::string_view(words_.text).substr(begin, words_.ends[i] - begin);
    }
    [[nodiscard]] std::uint64_t argument_length(std::uint32_t i) const noexcept {
        return argument(i).size();
    }
    [[nodiscard]] std::uint64_t argument_bytes() const noexcept { return words_.text.size(); }
    [[nodiscard]] std::uint64_t largest_argument_bytes() const noexcept {
        std::uint64_t largest = 0;
        for (std::uint32_t i = 0; i < argument_count(); ++i) {
            largest = std::max(largest, argument_length(i));
        }
        return largest;
    }

  private:
    resp::InlineWords words_;
};

const resp::CommandInfo* command_of(const resp::CommandTable& table, const TypedCommand& typed) {
    const resp::CommandInfo* const command = table.find(typed.argument(0));
    if (command != nullptr && command->has_subcommands && typed.argument_count() > 1) {
        if (const auto* sub = table.find_sub(*command, typed.argument(1))) {
            return sub;
        }
    }
    return command;
}

std::string unknown_command(const resp::CommandTable& table, std::string_view name) {
    const auto near = nearest_command(table, name);
    return "unknown command " + conf::quoted(name, shown_bytes_max) +
           (near ? "; did you mean " + std::string(*near) + "?"
                 : ": a module's commands are known only to a running proxy, which asks the server "
                   "for them");
}

std::string_view class_sentence(const resp::CommandInfo& command) {
    switch (command.growth) {
        case resp::Growth::proportional:
        case resp::Growth::offset:
            return "fills memory by what its arguments say";
        case resp::Growth::unbounded:
            return "may fill memory by more than its arguments say";
        case resp::Growth::script:
            return "runs code, which may fill memory or free it: it is counted and never refused";
        case resp::Growth::ungated:
            return "fills memory although Redis never refuses it: it is counted and never refused";
        case resp::Growth::freeing:
            return "gives memory back: it always passes";
        case resp::Growth::other:
            break;
    }
    return "fills no memory worth counting: it always passes";
}

class Explainer {
  public:
    Explainer(const conf::Loaded& loaded, const conf::Explain& asked, bool colours)
        : loaded_(loaded), asked_(asked), colours_(colours) {}

    Explanation explain() {
        const std::vector<conf::Listener>& listeners = loaded_.config.listeners;
        listener_ = asked_.listener.empty() ? &listeners.front()
                                            : conf::find_listener(listeners, asked_.listener);
        if (listener_ == nullptr) {
            return problem("there is no listener " + conf::quoted(asked_.listener));
        }
        if (!head_.read(asked_.command)) {
            return problem("the quotes in the command do not balance");
        }
        if (head_.argument_count() == 0) {
            return problem("there is no command");
        }
        command_ = command_of(table_, head_);
        if (command_ == nullptr) {
            return problem(unknown_command(table_, head_.argument(0)));
        }
        tell_who();
        tell_rules();
        tell_class();
        tell_verdicts();
        return {.text = std::move(text_), .problem = {}};
    }

  private:
    static Explanation problem(std::string what) {
        return {.text = {}, .problem = std::move(what)};
    }

    std::string painted(std::string_view colour, std::string_view text) const {
        return colours_ ? "\x1b[" + std::string(colour) + "m" + std::string(text) + "\x1b[0m"
                        : std::string(text);
    }
    void line(std::string label, std::string_view text) {
        label.resize(std::max(label.size() + 1, label_columns), ' ');
        text_.append(painted(dim, label)).append(text).append("\n");
    }

    void tell_who() {
        line("command", conf::quoted(asked_.command, 2 * shown_bytes_max));
        const std::string client =
            asked_.client.empty() ? "without a name" : conf::quoted(asked_.client);
        line(
            "client",
            client + ", user " + conf::quoted(asked_.user) + ", listener " +
                conf::quoted(conf::label_of(*listener_))
        );
    }

    void tell_rules() {
        const policy::Rules rules(rules_of(loaded_.config));
        caller_label_ = conf::label_of(*listener_);
        std::size_t width = 0;
        std::size_t place_width = 0;
        for (std::size_t i = 0; i < rules.all().size(); ++i) {
            width = std::max(width, rules.all()[i].name.size());
            place_width = std::max(place_width, place_of(i).size());
        }
        text_ += "\n";
        if (rules.empty()) {
            line("rules", "none: priority normal");
        }
        for (std::size_t i = 0; i < rules.all().size(); ++i) {
            const policy::Rule& rule = rules.all()[i];
            std::string name = rule.name;
            name.resize(width, ' ');
            std::string place = place_of(i);
            place.resize(place_width, ' ');
            line(i == 0 ? "rules" : "", name + "  " + painted(dim, place) + "  " + try_rule(rule));
        }
        if (!rules.empty() && !rule_) {
            line("", "no rule matches: priority normal");
        }
    }

    std::string try_rule(const policy::Rule& rule) {
        if (rule_) {
            return painted(dim, "not reached");
        }
        const auto any_key = [this](const auto& matches) {
            return core::any_key_of(*command_, head_, matches);
        };
        const policy::Mismatch found = policy::Rules::mismatch(
            rule, *command_, {asked_.client, asked_.user, caller_label_}, any_key
        );
        if (found != policy::Mismatch::none) {
            return "no: " + why_not(rule, found);
        }
        rule_ = rule;
        return painted(green, "matches: priority " + std::string(policy::name_of(rule.priority)));
    }

    [[nodiscard]] std::string place_of(std::size_t rule) const {
        const conf::Key& key = *conf::find_key("guard.rule", "name");
        return conf::to_string(conf::origin_of(loaded_, key, rule), loaded_.file);
    }

    [[nodiscard]] std::string why_not(const policy::Rule& rule, policy::Mismatch found) const {
        switch (found) {
            case policy::Mismatch::command:
                return std::string(command_->name()) + " is not in commands " +
                       listed(rule.commands);
            case policy::Mismatch::listener:
                return "listener " + conf::quoted(caller_label_) + " is not in listeners " +
                       listed(rule.listeners);
            case policy::Mismatch::client:
                return (asked_.client.empty() ? "a client without a name"
                                              : "client " + conf::quoted(asked_.client)) +
                       " matches none of clients " + listed(rule.clients);
            case policy::Mismatch::user:
                return "user " + conf::quoted(asked_.user) + " matches none of users " +
                       listed(rule.users);
            case policy::Mismatch::key:
                return keys_shown() + " none of keys " + listed(rule.keys);
            case policy::Mismatch::none:
                break;
        }
        return {};
    }
    static std::string listed(const std::vector<std::string>& words) {
        const std::vector<std::string_view> views(words.begin(), words.end());
        return conf::joined_quoted(views);
    }
    [[nodiscard]] std::string keys_shown() const {
        std::vector<std::string_view> keys;
        (void)core::any_key_of(*command_, head_, [&keys](std::string_view key) {
            keys.push_back(key);
            return keys.size() == 3;
        });
        if (keys.empty()) {
            return "it has no key, so it matches";
        }
        return keys.size() == 1 ? "key " + conf::quoted(keys.front(), shown_bytes_max) + " matches"
                                : "its keys match";
    }

    // Whether anything is to be judged; says why not.
    void tell_class() {
        text_ += "\n";
        line(
            "class",
            std::string(resp::class_label(command_->growth)) + ": " +
                std::string(class_sentence(*command_))
        );
        if (!core::grows(*command_)) {
            return;
        }
        if (!command_->accepts(head_.argument_count())) {
            line("", "the server refuses it for its number of arguments: it passes, uncharged");
            return;
        }
        if (!core::may_grow_as_given(*command_, head_)) {
            line("", "with these arguments it fills nothing: it passes, uncharged");
            return;
        }
        cost_ = core::cost_of(*command_, head_, core::string_bytes_reached(*command_, head_));
        std::string charge = std::to_string(cost_->charge) + " bytes";
        if (command_->growth == resp::Growth::offset) {
            charge = "up to " + charge + ", less what the string is known to have";
        }
        if (cost_->lasting != cost_->charge) {
            charge += " while it runs, of which " + std::to_string(cost_->lasting) + " last";
        }
        line("charge", charge);
    }

    void tell_verdicts() {
        if (!cost_ || !core::is_gated(*command_)) {
            return;
        }
        text_ += "\n";
        const policy::Mode mode = loaded_.config.guard.mode;
        line(
            "guard",
            "mode " + std::string(policy::name_of(mode)) +
                (mode == policy::Mode::protect   ? ""
                 : mode == policy::Mode::observe ? ": every byte passes; protect would do this:"
                                                 : ": nothing is judged; protect would do this:")
        );
        constexpr std::array growing = {
            policy::GuardState::blind,
            policy::GuardState::plenty,
            policy::GuardState::paced,
            policy::GuardState::reserve,
            policy::GuardState::ceiling};
        for (const policy::GuardState state : growing) {
            line("  " + std::string(policy::name_of(state)), verdict_in(state, false));
            if (state == policy::GuardState::reserve) {
                line("", "while memory stands still: " + verdict_in(state, true));
            }
        }
    }

    // Asks a guard that has no credit to give beyond what the state grants by nature.
    [[nodiscard]] std::string verdict_in(policy::GuardState state, bool steady) const {
        policy::GuardSettings settings = guard_settings(loaded_.config);
        settings.mode = policy::Mode::protect;
        policy::CreditPool pool;
        policy::TrafficCells cells;
        policy::Guard guard(pool, cells, settings);
        const bool free = state <= policy::GuardState::plenty || steady;
        const bool roomy = free || state == policy::GuardState::paced;
        pool.grant({
            .open = free ? policy::Grant::unlimited : 0,
            .room = roomy ? policy::Grant::unlimited : 0,
            .reserve = 0,
        });
        const std::string policy_name = settings.policy_override.value_or("noeviction");
        guard.publish({
            .state = state,
            .family = policy::eviction_family(policy_name),
            .steady = steady || free,
            .ceiling = policy::Grant::unlimited,
            .counted = roomy ? 0 : policy::Grant::unlimited,
            .evictable = 0,
        });
        const policy::Priority priority = rule_ ? rule_->priority : policy::Priority::normal;
        policy::Waiting waiting;
        policy::Nanos now = policy::second;
        if (guard.quick(*cost_)) {
            return painted(green, steady ? "passes within what is left" : "passes");
        }
        const auto judge = [&] {
            return guard.judge(*cost_, head_.argument_bytes(), priority, now, waiting);
        };
        policy::Judgement judgement = judge();
        std::string before;
        if (judgement.verdict == policy::Verdict::hold) {
            now += settings.hold_max;
            judgement = judge();
            before = painted(
                         yellow,
                         "waits for credit, " +
                             conf::format_duration(loaded_.config.guard.hold_max) + " at most"
                     ) +
                     "; then ";
        }
        if (judgement.verdict != policy::Verdict::refuse) {
            const bool asks_redis = priority == policy::Priority::critical && !roomy;
            return before + painted(green, asks_redis ? "passes; Redis decides" : "passes");
        }
        core::RefusalTexts texts;
        std::string reply = *texts.get(judgement.cause, "<policy>", priority);
        reply.resize(reply.size() - 2);
        return before + painted(red, "refused") + "  " + painted(dim, reply);
    }

    const conf::Loaded& loaded_;
    const conf::Explain& asked_;
    bool colours_;
    resp::CommandTable table_;
    TypedCommand head_;
    const resp::CommandInfo* command_ = nullptr;
    const conf::Listener* listener_ = nullptr;
    std::string caller_label_;
    std::optional<policy::Rule> rule_;  // the one that decides
    std::optional<policy::Cost> cost_;  // of what is charged at all
    std::string text_;
};

}  // namespace

Explanation explain(const conf::Loaded& loaded, const conf::Explain& asked, bool colours) {
    return Explainer(loaded, asked, colours).explain();
}

}  // namespace spillway
