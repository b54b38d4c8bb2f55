// Which keys differ between two configurations, and when each difference can take effect.
#pragma once

#include "conf/config.hpp"
#include "conf/schema.hpp"

#include <string>
#include <vector>

namespace spillway::conf {

struct Change {
    std::string path;  // a key's; or an array of tables' when tables were added or removed
    Reload reload = Reload::live;

    friend bool operator==(const Change&, const Change&) = default;
};

// In the order of the schema. No values: some are secret.
[[nodiscard]] std::vector<Change> diff(const Config& before, const Config& after);

}  // namespace spillway::conf
