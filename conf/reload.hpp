// What a newly read configuration changes in the one that runs: what it takes over, and what has to
// wait for a restart.
#pragma once

#include "conf/load.hpp"

#include <string>
#include <variant>
#include <vector>

namespace spillway::conf {

struct ReloadPlan {
    Loaded next;  // what is in force from now on: keys that wait for a restart keep their values
    // Paths of the keys that changed, in the order of the schema.
    std::vector<std::string> live;
    std::vector<std::string> new_connections;
    std::vector<std::string> restart;
};

// Problems when `read` is fine by itself, but not together with what has to wait for a restart.
[[nodiscard]] std::variant<ReloadPlan, Problems> plan_reload(const Loaded& running, Loaded read);

}  // namespace spillway::conf
