// Reads CLIENT LIST: who holds most of the memory that buffers of clients take.
#pragma once

#include "policy/diagnose.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace spillway::policy {

// An address that the server sees, and the client's own.
using AddressBook = std::unordered_map<std::string, std::string>;

// The command walks through all clients, some microseconds each: it is asked where no more than
// these are connected.
inline constexpr std::int64_t client_list_max = 2000;

// Connections of one program are one culprit: those of like names, or without a name of one host,
// are summed up. Largest first, replicas left out: their buffers are replication. What the list
// calls a client that comes through a proxy is the proxy's address: `real_addresses` says whose.
[[nodiscard]] std::vector<HeavyClient> heavy_clients(
    std::string_view client_list, std::size_t count, const AddressBook& real_addresses = {}
);

}  // namespace spillway::policy
