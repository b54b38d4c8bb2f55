// Who fills memory just now, from what the growth ledger said some seconds ago and says today.
#include "policy/growth_recent.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace spillway::policy {

std::vector<GrowthRow> by_recent_gain(std::vector<GrowthRow> now, std::span<const GrowthRow> then) {
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t i = 0; i < now.size(); ++i) {
        double gained = static_cast<double>(now[i].bytes);
        for (const GrowthRow& row : then) {
            const bool same = row.pattern == now[i].pattern && row.client == now[i].client &&
                              row.command == now[i].command;
            gained -= same ? static_cast<double>(row.bytes) : 0;
        }
        order.emplace_back(std::max(gained, 0.), i);
    }
    std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
        return a.first > b.first;
    });
    std::vector<GrowthRow> rows;
    rows.reserve(now.size());
    for (const auto& [gained, i] : order) {
        rows.push_back(std::move(now[i]));
    }
    return rows;
}

}  // namespace spillway::policy
