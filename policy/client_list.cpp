// Reads CLIENT LIST: who holds most of the memory that buffers of clients take.
#include "policy/client_list.hpp"

#include "policy/key_pattern.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>
#include <utility>

namespace spillway::policy {
namespace {

constexpr std::size_t groups_max = 1024;  // a program that names each connection by chance

// The value behind ` name=` of a line of CLIENT LIST.
[[nodiscard]] std::string_view field(std::string_view line, std::string_view name) noexcept {
    for (std::size_t at = 0; at < line.size();) {
        const std::size_t end = std::min(line.find(' ', at), line.size());
        const auto item = line.substr(at, end - at);
        if (item.size() > name.size() && item.starts_with(name) && item[name.size()] == '=') {
            return item.substr(name.size() + 1);
        }
        at = end + 1;
    }
    return {};
}

[[nodiscard]] std::int64_t number(std::string_view text) noexcept {
    constexpr std::int64_t most = std::int64_t{1} << 48;  // sums of many stay numbers
    std::int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc{} ? std::clamp<std::int64_t>(value, 0, most) : 0;
}

[[nodiscard]] HeavyClient client_of(std::string_view line) {
    HeavyClient client;
    client.id = number(field(line, "id"));
    client.output_bytes = number(field(line, "omem"));
    client.query_bytes = std::max(
        number(field(line, "tot-mem")) - client.output_bytes,
        number(field(line, "qbuf")) + number(field(line, "argv-mem")) +
            number(field(line, "multi-mem"))
    );
    client.bytes_of_largest = client.output_bytes + client.query_bytes;
    client.spare_bytes = number(field(line, "qbuf-free"));
    client.multi_bytes = number(field(line, "multi-mem"));
    client.address = field(line, "addr");
    client.name = field(line, "name");
    client.command = field(line, "cmd");
    return client;
}

[[nodiscard]] bool is_replica(std::string_view line) noexcept {
    return field(line, "flags").find('S') != std::string_view::npos;
}

// Those that look at the server for Spillway.
[[nodiscard]] bool is_own(const HeavyClient& client) noexcept {
    return client.name == "spillway-monitor" || client.name == "spillway-doctor";
}

// "feeder-*" of "feeder-17": by their names, or the host where they have none.
[[nodiscard]] std::string group_of(const HeavyClient& client) {
    if (client.name.empty()) {
        return "@" + client.address.substr(0, client.address.rfind(':'));
    }
    PatternBuffer buffer;
    return std::string(key_pattern(client.name, buffer));
}

void join(HeavyClient& sum, HeavyClient more) {
    const std::int64_t output = sum.output_bytes + more.output_bytes;
    const std::int64_t query = sum.query_bytes + more.query_bytes;
    const std::int64_t count = sum.count + more.count;
    if (more.bytes_of_largest > sum.bytes_of_largest) {
        sum = std::move(more);
    }
    sum.output_bytes = output;
    sum.query_bytes = query;
    sum.count = count;
}

}  // namespace

std::vector<HeavyClient> heavy_clients(
    std::string_view client_list, std::size_t count, const AddressBook& real_addresses
) {
    std::map<std::string, HeavyClient> groups;
    while (!client_list.empty()) {
        const std::size_t end = std::min(client_list.find('\n'), client_list.size());
        const auto line = client_list.substr(0, end);
        client_list.remove_prefix(std::min(end + 1, client_list.size()));
        HeavyClient client = client_of(line);
        if (client.id == 0 || is_replica(line) || is_own(client)) {
            continue;
        }
        if (const auto real = real_addresses.find(client.address); real != real_addresses.end()) {
            client.address = real->second;
        }
        std::string group = group_of(client);
        const auto found = groups.find(group);
        if (found != groups.end()) {
            join(found->second, std::move(client));
        } else if (groups.size() < groups_max) {
            groups.emplace(std::move(group), std::move(client));
        }
    }
    std::vector<HeavyClient> clients;
    clients.reserve(groups.size());
    for (auto& [group, client] : groups) {
        if (!client.alone() && !client.name.empty()) {
            client.name = group;
        }
        clients.push_back(std::move(client));
    }
    std::stable_sort(clients.begin(), clients.end(), [](const auto& a, const auto& b) {
        return a.output_bytes + a.query_bytes > b.output_bytes + b.query_bytes;
    });
    clients.resize(std::min(clients.size(), count));
    return clients;
}

}  // namespace spillway::policy
