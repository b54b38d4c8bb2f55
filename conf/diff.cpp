// Compares two configurations key by key.
#include "conf/diff.hpp"

#include "conf/value.hpp"

#include <algorithm>

namespace spillway::conf {

namespace {

// What adding or removing a whole table takes: as much as the hardest of its keys.
Reload hardest_in(const Section& section) {
    Reload hardest = Reload::live;
    for (const Key& key : keys()) {
        if (key.section == section.path) {
            hardest = std::max(hardest, key.reload);
        }
    }
    return hardest;
}

// The file may have kept its name and changed its content.
bool same_secret(const Key& key, const Config& before, const Config& after) {
    const std::string path = path_of(key);
    return (path != "monitor.password_file" || before.monitor.password == after.monitor.password) &&
           (path != "admin.token_file" || before.admin.file_token == after.admin.file_token);
}

}  // namespace

std::vector<Change> diff(const Config& before, const Config& after) {
    std::vector<Change> changes;
    for (const Section& section : sections()) {
        const std::size_t count = count_of(section, before);
        if (count != count_of(section, after)) {
            changes.push_back({std::string(section.path), hardest_in(section)});
            continue;
        }
        for (std::size_t item = 0; item < count; ++item) {
            for (const Key& key : keys()) {
                if (key.section == section.path &&
                    !(same_value(key, before, after, item) && same_secret(key, before, after))) {
                    changes.push_back({path_of(key, item), key.reload});
                }
            }
        }
    }
    return changes;
}

}  // namespace spillway::conf
