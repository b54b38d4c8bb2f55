// What a newly read configuration changes in the one that runs: what it takes over, and what has to
// wait for a restart.
#include "conf/reload.hpp"

#include "conf/diff.hpp"
#include "conf/validate.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace spillway::conf {
namespace {

bool same_addresses(const Config& left, const Config& right) {
    return std::ranges::equal(
        left.listeners, right.listeners, {}, &Listener::address, &Listener::address
    );
}

// "listener[2].address" and "listener" are of the listeners.
bool is_of_listeners(const std::string& path) {
    return path == "listener" || path.starts_with("listener[");
}

void keep_origins(Loaded& next, const Loaded& running, const std::string& path) {
    next.origins.erase(path);
    if (const auto found = running.origins.find(path); found != running.origins.end()) {
        next.origins.insert(*found);
    }
}

void copy_value(const Field& to, const Field& from) {
    std::visit(
        [&from](auto field) {
            if constexpr (std::is_pointer_v<decltype(field)>) {
                *field = *std::get<decltype(field)>(from);
            }
        },
        to
    );
}

void keep(const Key& key, std::size_t item, Loaded& next, const Loaded& running) {
    copy_value(key.field(next.config, item), field_of(key, running.config, item));
    keep_origins(next, running, path_of(key, item));
}

void keep_listeners(Loaded& next, const Loaded& running) {
    next.config.listeners = running.config.listeners;
    std::erase_if(next.origins, [](const auto& origin) { return is_of_listeners(origin.first); });
    for (const auto& origin : running.origins) {
        if (is_of_listeners(origin.first)) {
            next.origins.insert(origin);
        }
    }
}

// Said where the key that contradicts stands in the new file; what it contradicts is what runs.
Problem problem_of(const Conflict& conflict, const Loaded& read) {
    Problem problem{.file = read.file, .message = conflict.message};
    for (const std::string& path : conflict.paths) {
        const auto found = read.origins.find(path);
        if (found != read.origins.end() && found->second.kind == Origin::Kind::file) {
            problem.line = found->second.place.line;
            problem.column = found->second.place.column;
        }
    }
    problem.message += "; other changes of the file wait for a restart, so that this one must too";
    return problem;
}

}  // namespace

std::variant<ReloadPlan, Problems> plan_reload(const Loaded& running, Loaded read) {
    ReloadPlan plan;
    // Settings of an address that is not listened on yet mean nothing to the one that is.
    const bool listeners_wait = !same_addresses(running.config, read.config);
    for (const Change& change : diff(running.config, read.config)) {
        const bool waits =
            change.reload == Reload::restart || (listeners_wait && is_of_listeners(change.path));
        std::vector<std::string>& list =
            waits ? plan.restart
                  : (change.reload == Reload::live ? plan.live : plan.new_connections);
        list.push_back(change.path);
    }
    const Loaded as_read = read;
    plan.next = std::move(read);
    if (listeners_wait) {
        keep_listeners(plan.next, running);
    }
    for (const Key& key : keys()) {
        const Section& section = *find_section(key.section);
        for (std::size_t item = 0; item < count_of(section, plan.next.config); ++item) {
            if (std::ranges::find(plan.restart, path_of(key, item)) != plan.restart.end()) {
                keep(key, item, plan.next, running);
            }
        }
    }
    Problems problems;
    for (const Conflict& conflict : find_conflicts(plan.next.config)) {
        problems.push_back(problem_of(conflict, as_read));
    }
    if (!problems.empty()) {
        return problems;
    }
    return plan;
}

}  // namespace spillway::conf
