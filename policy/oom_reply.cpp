// Recognises every error line by which a server says that it is out of memory.
#include "policy/oom_reply.hpp"

namespace spillway::policy {
namespace {

constexpr std::string_view refused = "OOM command not allowed when used memory > 'maxmemory'";
constexpr std::string_view script_denied = "OOM allow-oom flag is not set on the script";
constexpr std::string_view aborted = "EXECABORT Transaction discarded because of: OOM ";

[[nodiscard]] bool starts_with(std::string_view line, std::string_view text) noexcept {
    return line.substr(0, text.size()) == text;
}

[[nodiscard]] bool contains(std::string_view line, std::string_view text) noexcept {
    return line.find(text) != std::string_view::npos;
}

[[nodiscard]] OomForm plain_form(ErrorPlace place) noexcept {
    switch (place) {
        case ErrorPlace::top_level:
            return OomForm::top_level;
        case ErrorPlace::in_exec:
            return OomForm::in_exec;
        case ErrorPlace::in_array:
            return OomForm::in_array;
    }
    return OomForm::top_level;
}

// Scripts raise the inner error: since 7.0 with where it happened behind it, before that with the
// error in the middle.
[[nodiscard]] OomForm script_form(ErrorPlace place) noexcept {
    return place == ErrorPlace::in_exec ? OomForm::in_exec : OomForm::in_script;
}

[[nodiscard]] std::optional<OomForm> classify_oom_word(
    std::string_view line, ErrorPlace place
) noexcept {
    if (starts_with(line, refused)) {
        return contains(line.substr(refused.size()), " script: ") ? script_form(place)
                                                                  : plain_form(place);
    }
    if (starts_with(line, script_denied)) {
        return OomForm::script_denied;
    }
    // Services have words of their own ("command not allowed under OOM prevention."). What a script
    // makes up after "OOM " is not told from them by the first word alone.
    if (contains(line, "command not allowed") || contains(line, "maxmemory") ||
        contains(line, "used memory")) {
        return OomForm::provider;
    }
    return std::nullopt;
}

}  // namespace

std::optional<OomForm> classify_error(std::string_view line, ErrorPlace place) noexcept {
    if (!may_be_oom(line)) {
        return std::nullopt;
    }
    if (starts_with(line, "OOM ")) {
        return classify_oom_word(line, place);
    }
    if (starts_with(line, aborted)) {
        return OomForm::exec_abort;
    }
    // 6.2: "ERR Error running script (call to f_…): @user_script:1: @user_script: 1: -OOM command
    // …", and from a pcall that is returned, "@user_script: 1: -OOM command …".
    if (starts_with(line, "ERR Error running script") || starts_with(line, "@user_script")) {
        const auto at = line.find(": -OOM ");
        const bool found =
            at != std::string_view::npos && starts_with(line.substr(at + 3), refused);
        return found ? std::optional(script_form(place)) : std::nullopt;
    }
    // Dragonfly, with and without the usual first word.
    if (starts_with(line, "Out of memory") || starts_with(line, "ERR Out of memory")) {
        return OomForm::provider;
    }
    return std::nullopt;
}

}  // namespace spillway::policy
