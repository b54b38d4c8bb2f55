// The one table of configuration keys: type, bounds, what a reload does, and why one would change
// it.
#pragma once

#include "conf/config.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Loader, printer, diff, conf/spillway.toml and docs/configuration.md all work from it. A key's
// type is that of its field and its default is what a fresh Config holds, so neither is written
// twice.
namespace spillway::conf {

enum class Reload : std::uint8_t { live, new_connections, restart };

[[nodiscard]] std::string_view name_of(Reload reload) noexcept;

using Field = std::variant<
    bool*,
    std::uint32_t*,                 // a count
    std::uint64_t*,                 // a size in bytes
    std::optional<std::uint64_t>*,  // "auto" or a size
    double*,                        // a share
    std::chrono::milliseconds*,
    std::chrono::microseconds*,
    std::string*,
    std::optional<std::string>*,  // "auto" or one of `values`
    std::vector<std::string>*,
    Secret*,
    PemFile*,
    Address*,
    BackendUrl*,
    policy::Mode*,
    policy::Priority*,
    ProxyProtocol*,
    TlsVersion*,
    SendProxy*,
    SpoolOverflow*,
    LogFormat*,
    LogLevel*,
    KeyDisplay*>;

// In the key's own unit: a count, bytes, microseconds or a share.
struct Range {
    double least = 0;
    double most = std::numeric_limits<double>::infinity();
    bool above_least = false;  // `least` itself is outside
};

struct Section {
    std::string_view path;  // "" for the top level
    std::string_view help;
    std::size_t (*count)(const Config&) = nullptr;   // set for arrays of tables
    void (*resize)(Config&, std::size_t) = nullptr;  // new items hold their defaults
    std::size_t count_min = 0;
    std::size_t count_max = 1;

    [[nodiscard]] bool repeated() const noexcept { return count != nullptr; }
};

// What the elements of a list are.
enum class Element : std::uint8_t { command, pattern, listener };

struct Key {
    std::string_view section;
    std::string_view name;  // "mode"; with a dot, "tls.cert", it stands in a table of the section
    Field (*field)(Config&, std::size_t item);  // `item` counts within an array of tables, else 0
    Range range = {};
    std::span<const std::string_view> values = {};
    Element element = Element::pattern;
    bool required = false;  // in each item of an array of tables
    Reload reload = Reload::live;
    std::string_view help;
};

// Both in the order of the documentation; the keys of a section stand together.
[[nodiscard]] std::span<const Section> sections() noexcept;
[[nodiscard]] std::span<const Key> keys() noexcept;

// Null when there is none.
[[nodiscard]] const Section* find_section(std::string_view path) noexcept;
[[nodiscard]] const Key* find_key(std::string_view section, std::string_view name) noexcept;
// Whether keys of the section stand in a table of this name: "tls" for "tls.cert".
[[nodiscard]] bool is_table_of(std::string_view section, std::string_view name) noexcept;

// "guard.mode", or without an item's number "guard.rule.name".
[[nodiscard]] std::string path_of(const Key& key);
// "guard.mode", or with it "guard.rule[2].name".
[[nodiscard]] std::string path_of(const Key& key, std::size_t item);

// How many instances of the section's keys this configuration has: 1 unless it is an array of
// tables.
[[nodiscard]] std::size_t count_of(const Section& section, const Config& config);

// The groups of commands that a rule may name.
[[nodiscard]] std::span<const std::string_view> command_groups() noexcept;

// The key's field, for reading.
[[nodiscard]] inline Field field_of(const Key& key, const Config& config, std::size_t item) {
    // One accessor a key serves readers and writers; readers get here and only read.
    return key.field(
        const_cast<Config&>(config), item
    );  // NOLINT(cppcoreguidelines-pro-type-const-cast): see above
}

}  // namespace spillway::conf
