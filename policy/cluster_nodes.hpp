// Reads CLUSTER NODES: the other primaries of a cluster, and how its slots are shared out.
#pragma once

#include "policy/diagnose.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

inline constexpr int cluster_slots = 16'384;

struct ClusterNode {
    std::string host;
    std::uint16_t port = 0;
    int slots = 0;
};

struct ClusterView {
    int own_slots = 0;
    std::vector<ClusterNode> siblings{};  // primaries that serve slots and can be reached
};

// At most `siblings_max` siblings, those with most slots.
[[nodiscard]] ClusterView cluster_view(std::string_view cluster_nodes, std::size_t siblings_max);

}  // namespace spillway::policy
