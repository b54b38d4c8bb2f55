// The configuration in force as TOML, each value with where it came from.
#pragma once

#include "conf/load.hpp"

#include <string>

namespace spillway::conf {

// Loads back to the same Config. Secrets are masked, and a mask is refused when it is loaded.
[[nodiscard]] std::string render_effective(const Loaded& loaded);

}  // namespace spillway::conf
