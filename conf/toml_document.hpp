// TOML text as a flat list of tables whose every key and value knows its line and column.
#pragma once

#include "conf/problem.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// It keeps the TOML library, a heavy header, out of all other files, and the loader free of
// recursion.
namespace spillway::conf {

struct TomlTableId {
    std::size_t index = 0;
    Place place;
};

// Any value that no key of ours takes; `name` reads well after "must be …, not".
struct TomlOther {
    std::string_view name;
};

struct TomlValue;

// A non-empty array whose elements are all tables, such as [[listener]].
using TomlTables = std::vector<TomlTableId>;
// Any other array. Arrays and tables in it appear as TomlOther.
using TomlArray = std::vector<TomlValue>;

struct TomlValue {
    Place place;
    std::variant<
        TomlOther,
        bool,
        std::int64_t,
        double,
        std::string,
        TomlTableId,
        TomlTables,
        TomlArray>
        content;
};

struct TomlEntry {
    std::string key;
    Place key_place;
    TomlValue value;
};

struct TomlTable {
    std::vector<TomlEntry> entries;  // in the order of the text
};

struct TomlDocument {
    std::vector<TomlTable> tables;  // the first is the root
};

// What is wrong with a text that is not TOML: only the first fault, since nothing after it can be
// trusted.
struct TomlFault {
    Place place;
    std::string message;
};

// Throws only std::bad_alloc.
[[nodiscard]] std::variant<TomlDocument, TomlFault> parse_toml(std::string_view text);

// "a string", "an integer", "a table" …: for messages.
[[nodiscard]] std::string_view kind_of(const TomlValue& value);

}  // namespace spillway::conf
