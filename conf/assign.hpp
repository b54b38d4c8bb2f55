// Sets the typed field of a key from a TOML value.
#pragma once

#include "conf/problem.hpp"
#include "conf/schema.hpp"
#include "conf/toml_document.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace spillway::conf {

inline constexpr std::size_t text_bytes_max = 4096;     // of one string
inline constexpr std::size_t pattern_bytes_max = 1024;  // of one element of a list
inline constexpr std::size_t elements_max = 256;        // of one list

struct Rejection {
    Place place;
    std::string message;  // follows the key's path and a colon
};

// Sets the field from the value, or leaves it alone and says everything that is wrong with the
// value.
[[nodiscard]] std::vector<Rejection> assign(
    const Key& key, const TomlValue& value, Config& config, std::size_t item
);

}  // namespace spillway::conf
