// A key's value as text: what it is, what it may be, whether two are the same.
#pragma once

#include "conf/schema.hpp"

#include <cstddef>
#include <string>

namespace spillway::conf {

inline constexpr std::string_view automatic = "auto";

// The field as a TOML value that loads to the same field; secrets are masked.
[[nodiscard]] std::string to_toml(const Key& key, const Config& config, std::size_t item);

[[nodiscard]] std::string toml_float(double value);

// What a value of the key must be, such as: a duration from "10ms" to "10s".
[[nodiscard]] std::string accepted(const Key& key);

[[nodiscard]] bool same_value(
    const Key& key, const Config& left, const Config& right, std::size_t item
);

}  // namespace spillway::conf
