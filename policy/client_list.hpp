// Reads CLIENT LIST: who holds most of the memory that buffers of clients take.
#pragma once

#include "policy/diagnose.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace spillway::policy {

// The command walks through all clients, some microseconds each: it is asked where no more than
// these are connected.
inline constexpr std::int64_t client_list_max = 2000;

// Connections of one program are one culprit: those of like names, or without a name of one host,
// are summed up. Largest first, replicas left out: their buffers are replication.
[[nodiscard]] std::vector<HeavyClient> heavy_clients(
    std::string_view client_list, std::size_t count
);

}  // namespace spillway::policy
