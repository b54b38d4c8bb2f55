// Reads a small text file whole, within a bound.
#pragma once

#include "conf/address.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace spillway::conf {

// The bytes, or why not: "cannot open: No such file or directory". Reads pipes too, to their end.
[[nodiscard]] Parsed<std::string> read_text_file(const std::string& path, std::size_t bytes_max);

// The same for regular files only: it never waits.
[[nodiscard]] Parsed<std::string> read_regular_file(const std::string& path, std::size_t bytes_max);

// The one line that a file with a password or token holds, without its end; faults call it `what`.
// Takes regular files only.
[[nodiscard]] Parsed<std::string> read_secret_file(const std::string& path, std::string_view what);

}  // namespace spillway::conf
