// The command line's words, once: for the parser and for the help text.
#pragma once

#include "conf/schema.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace spillway::conf {

enum class Command : std::uint8_t { run, check, doctor };

struct Option {
    std::string_view name;        // with its dashes
    std::string_view short_name;  // likewise; may be empty
    std::string_view metavar;     // empty = takes no value
    std::string_view help;
    std::string_view section;  // of the key that it sets, if it sets one
    std::string_view key;
    bool runs = false;       // has a meaning for `run` and `check`
    bool diagnoses = false;  // has a meaning for `doctor`
    bool explains = false;   // has a meaning for `check` alone
};

[[nodiscard]] std::span<const Option> options() noexcept;

// Null where the option sets no key.
[[nodiscard]] const Key* key_of(const Option& option) noexcept;

[[nodiscard]] std::string help_for(Command command);

}  // namespace spillway::conf
