// Checks that need more than one key: each value is fine by itself, the configuration is not.
#pragma once

#include "conf/config.hpp"

#include <string>
#include <vector>

namespace spillway::conf {

struct Conflict {
    std::vector<std::string>
        paths;            // the keys that it is between, as path_of(key, item) writes them
    std::string message;  // a whole sentence
};

[[nodiscard]] std::vector<Conflict> find_conflicts(const Config& config);

}  // namespace spillway::conf
