// Reads a small text file whole, within a bound.
#pragma once

#include "conf/address.hpp"

#include <cstddef>
#include <string>

namespace spillway::conf {

// The bytes, or why not: "cannot open: No such file or directory". Reads pipes too, to their end.
[[nodiscard]] Parsed<std::string> read_text_file(const std::string& path, std::size_t bytes_max);

// The same for regular files only: it never waits.
[[nodiscard]] Parsed<std::string> read_regular_file(const std::string& path, std::size_t bytes_max);

// The one line that a password file holds, without its end. Takes regular files only.
[[nodiscard]] Parsed<std::string> read_password_file(const std::string& path);

}  // namespace spillway::conf
