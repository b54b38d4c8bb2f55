// Turns a file and flags into a checked Config that knows where each value came from, or into all
// that is wrong.
#pragma once

#include "conf/config.hpp"
#include "conf/problem.hpp"
#include "conf/schema.hpp"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace spillway::conf {

inline constexpr std::size_t file_bytes_max = 1ULL << 20U;
inline constexpr std::size_t pem_bytes_max = 4ULL << 20U;  // all of a system's authorities fit
inline constexpr std::size_t problems_max = 100;           // the last one counts the rest

// A value from the command line; it wins over the file. One for a key of [[listener]] makes a
// listener of its own, the first such replacing all of the file's: it keeps the other settings of
// the file's first one.
struct Override {
    const Key* key = nullptr;
    std::string_view flag;  // "--mode"; lives as long as the program
    std::string value;
};

struct Origin {
    enum class Kind : std::uint8_t { built_in, file, flag, request };

    Kind kind = Kind::built_in;
    Place place;            // in the file
    std::string_view flag;  // as in Override; or the request that set it while running
};

struct Loaded {
    Config config;
    std::string file;  // as it was named; empty = none
    std::map<std::string, Origin, std::less<>>
        origins;  // by path_of(key, item); the rest are defaults
};

using Problems = std::vector<Problem>;  // never empty, in the order of the file
using LoadResult = std::variant<Loaded, Problems>;

// Reads the file, where one is named, and the files that it names: those of secrets, keys and
// certificates. Relative paths count from the working directory. Prints nothing; throws only
// std::bad_alloc.
[[nodiscard]] LoadResult load(
    std::optional<std::string_view> file, std::span<const Override> overrides = {}
);

// The same for a text that is at hand; `name` stands in problems and origins.
[[nodiscard]] LoadResult load_text(
    std::string_view text, std::string_view name, std::span<const Override> overrides = {}
);

// Reads a file of keys or certificates. Empty, or what is wrong, beginning with the file's name.
[[nodiscard]] std::string read_pem(PemFile& file);

[[nodiscard]] Origin origin_of(const Loaded& loaded, const Key& key, std::size_t item);

// About the value of a key, where it was set; `message` follows its path.
[[nodiscard]] Problem problem_at(
    const Loaded& loaded, const Key& key, std::size_t item, std::string_view message
);

// "default", "spillway.toml:12", "flag --mode" or "POST /api/v1/mode".
[[nodiscard]] std::string to_string(const Origin& origin, std::string_view file);

}  // namespace spillway::conf
