// Parses the command line by the table of options.
#include "conf/flags.hpp"

#include "conf/assign.hpp"
#include "conf/options.hpp"
#include "conf/text.hpp"
#include "conf/value.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace spillway::conf {

namespace {

constexpr std::size_t shown_bytes_max = 48;
constexpr std::size_t listeners_max = 64;  // as many as a file may have
constexpr std::array<std::string_view, 2> command_names = {"check", "doctor"};

std::string no_quotes(std::string text) {
    std::erase(text, '"');
    return text;
}

// Arguments may hold a password: a URL is never repeated.
bool may_hold_secret(std::string_view argument) {
    return argument.find("://") != std::string_view::npos ||
           argument.find('@') != std::string_view::npos;
}

class Parser {
  public:
    explicit Parser(std::span<const char* const> arguments)
        : arguments_(arguments.begin(), arguments.end()) {}

    Invocation parse() {
        while (next_ < arguments_.size() && error_.empty()) {
            const std::string_view argument = arguments_[next_++];
            if (argument.size() > 1 && argument.starts_with('-')) {
                take_option(argument);
            } else {
                take_word(argument);
            }
        }
        if (error_.empty()) {
            check_applicable();
        }
        if (!error_.empty()) {
            return UsageError{
                "spillway: " + error_ + "\nTry: spillway " + command_word() + "--help"};
        }
        return invocation();
    }

  private:
    void fail(std::string message) {
        if (error_.empty()) {
            error_ = std::move(message);
        }
    }

    [[nodiscard]] std::string command_word() const {
        return command_ == Command::check ? "check " : command_ == Command::doctor ? "doctor " : "";
    }

    // `--name value`, `--name=value`, `-c value` and `-cvalue`.
    void take_option(std::string_view argument) {
        const std::size_t equals =
            argument.starts_with("--") ? argument.find('=') : std::string_view::npos;
        std::string_view name = argument.substr(0, equals);
        std::optional<std::string_view> attached;
        if (equals != std::string_view::npos) {
            attached = argument.substr(equals + 1);
        } else if (!argument.starts_with("--") && argument.size() > 2) {
            name = argument.substr(0, 2);
            attached = argument.substr(2);
        }
        const auto option = std::ranges::find_if(options(), [name](const Option& candidate) {
            return candidate.name == name || candidate.short_name == name;
        });
        if (option == options().end()) {
            return fail_unknown_option(name);
        }
        const bool repeated = !given_.insert(option->name).second;
        if (repeated && option->name != "--listen") {
            return fail(std::string(option->name) + " is given twice");
        }
        if (option->metavar.empty()) {
            return attached ? fail(std::string(option->name) + " takes no value") : void();
        }
        const bool follows = next_ < arguments_.size() &&
                             (!arguments_[next_].starts_with('-') || arguments_[next_].size() == 1);
        if (!attached && follows) {
            attached = arguments_[next_++];
        }
        if (!attached || attached->empty()) {
            const Key* const key = key_of(*option);
            return fail(
                std::string(option->name) + " needs a value: " +
                (key != nullptr ? no_quotes(accepted(*key)) : std::string(option->metavar))
            );
        }
        set(*option, *attached);
    }

    void set(const Option& option, std::string_view value) {
        const Key* const key = key_of(option);
        if (key == nullptr) {
            return set_text(option.name, std::string(value));
        }
        if (!is_utf8(value)) {
            return fail(std::string(option.name) + ": must be valid UTF-8");
        }
        Config scratch;
        const auto rejections =
            assign(*key, {.place = {}, .content = std::string(value)}, scratch, 0);
        if (!rejections.empty()) {
            return fail(std::string(option.name) + ": " + rejections.front().message);
        }
        if (source_.overrides.size() >= listeners_max) {
            return fail("too many options");
        }
        source_.overrides.push_back({key, option.name, std::string(value)});
    }

    // Of an option that sets no key.
    void set_text(std::string_view name, std::string value) {
        if (name == "--explain") {
            explain_.command = std::move(value);
        } else if (name == "--client") {
            explain_.client = std::move(value);
        } else if (name == "--user") {
            explain_.user = std::move(value);
        } else if (name == "--listener") {
            explain_.listener = std::move(value);
        } else if (name == "--ca") {
            tls_.ca.path = std::move(value);
        } else if (name == "--cert") {
            tls_.cert.path = std::move(value);
        } else if (name == "--key") {
            tls_.key.path = std::move(value);
        } else if (name == "--server-name") {
            tls_.server_name = std::move(value);
        } else {
            source_.file = std::move(value);
        }
    }

    void fail_unknown_option(std::string_view name) {
        std::vector<std::string_view> names;
        for (const Option& option : options()) {
            names.push_back(option.name);
        }
        const auto near = nearest(name, names);
        const std::string shown =
            may_hold_secret(name) ? "" : " " + no_quotes(quoted(name, shown_bytes_max));
        fail("unknown option" + shown + (near ? "; did you mean " + std::string(*near) + "?" : ""));
    }

    void take_word(std::string_view word) {
        const bool after_doctor = command_ == Command::doctor && !url_;
        if (after_doctor) {
            return take_url(word);
        }
        if (command_ == Command::run &&
            std::ranges::find(command_names, word) != command_names.end()) {
            command_ = word == "check" ? Command::check : Command::doctor;
            return;
        }
        if (may_hold_secret(word)) {
            return fail("unexpected URL; did you mean --backend URL?");
        }
        const std::string shown = quoted(word, shown_bytes_max);
        if (command_ != Command::doctor && word.ends_with(".toml")) {
            return fail("unexpected argument " + shown + "; did you mean --config FILE?");
        }
        if (command_ == Command::run) {
            const auto near = nearest(word, command_names);
            return fail(
                "unknown command " + shown +
                (near ? "; did you mean " + std::string(*near) + "?"
                      : "; there are check and doctor")
            );
        }
        fail("unexpected argument " + shown);
    }

    void take_url(std::string_view word) {
        Config scratch;
        const Key& key = *find_key("backend", "url");
        const auto rejections =
            assign(key, {.place = {}, .content = std::string(word)}, scratch, 0);
        if (!rejections.empty()) {
            return fail("URL: " + rejections.front().message);
        }
        url_ = scratch.backend.url;
    }

    void check_applicable() {
        for (const Option& option : options()) {
            if (!given_.contains(option.name)) {
                continue;
            }
            if (option.explains && command_ != Command::check) {
                fail(std::string(option.name) + " belongs to spillway check");
            } else if (option.explains && !given_.contains("--explain")) {
                fail(std::string(option.name) + " goes with --explain COMMAND");
            } else if (command_ == Command::doctor && !option.diagnoses) {
                fail(std::string(option.name) + " has no meaning for spillway doctor");
            } else if (command_ != Command::doctor && !option.runs && !option.explains) {
                fail(std::string(option.name) + " belongs to spillway doctor");
            }
        }
        if (command_ == Command::doctor && !url_ && !given_.contains("--help") &&
            !given_.contains("--version")) {
            fail("doctor needs the URL of a Redis, such as redis://127.0.0.1:6379");
        }
        if (url_ && url_->scheme != BackendUrl::Scheme::rediss && !(tls_ == Tls{})) {
            fail("--ca, --cert, --key and --server-name go with a URL that begins with rediss://");
        }
    }

    Invocation invocation() {
        if (given_.contains("--help")) {
            return ShowHelp{help_for(command_)};
        }
        if (given_.contains("--version")) {
            return ShowVersion{};
        }
        switch (command_) {
            case Command::check:
                return Check{
                    std::move(source_),
                    given_.contains("--explain") ? std::optional(std::move(explain_))
                                                 : std::nullopt};
            case Command::doctor:
                return Doctor{
                    *std::move(url_),
                    std::move(tls_),
                    given_.contains("--json"),
                    given_.contains("--watch")};
            case Command::run:
                break;
        }
        return Run{std::move(source_)};
    }

    std::vector<std::string_view> arguments_;
    std::size_t next_ = 0;
    Command command_ = Command::run;
    std::set<std::string_view> given_;
    Source source_;
    Explain explain_;
    std::optional<BackendUrl> url_;
    Tls tls_;            // for it
    std::string error_;  // the first one
};

}  // namespace

Invocation parse_flags(std::span<const char* const> arguments) {
    return Parser(arguments).parse();
}

}  // namespace spillway::conf
