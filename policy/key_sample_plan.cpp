// What a walk over the keys starts from: the types that are written, the newest reading, and the
// commands for which there is room.
#include "policy/diagnose_figures.hpp"
#include "policy/key_sample_walk.hpp"

#include <algorithm>
#include <iterator>

namespace spillway::policy {

TypesByUse types_by_use(std::string_view commandstats) {
    struct Writer {
        std::string_view row;
        KeyType type;
    };
    constexpr std::array writers{
        Writer{"cmdstat_hset:", KeyType::hash},
        Writer{"cmdstat_hmset:", KeyType::hash},
        Writer{"cmdstat_hsetnx:", KeyType::hash},
        Writer{"cmdstat_hincrby:", KeyType::hash},
        Writer{"cmdstat_zadd:", KeyType::zset},
        Writer{"cmdstat_zincrby:", KeyType::zset},
        Writer{"cmdstat_sadd:", KeyType::set},
        Writer{"cmdstat_lpush:", KeyType::list},
        Writer{"cmdstat_rpush:", KeyType::list},
        Writer{"cmdstat_rpoplpush:", KeyType::list},
        Writer{"cmdstat_lmove:", KeyType::list},
        Writer{"cmdstat_xadd:", KeyType::stream},
        Writer{"cmdstat_append:", KeyType::string},
        Writer{"cmdstat_setrange:", KeyType::string},
        Writer{"cmdstat_set:", KeyType::string},
        Writer{"cmdstat_setbit:", KeyType::string}};
    std::array<bool, key_type_names.size()> used{};
    for (const Writer& writer : writers) {
        if (commandstats.find(writer.row) != std::string_view::npos) {
            used[static_cast<std::size_t>(writer.type)] = true;
        }
    }
    TypesByUse types;
    const auto unused =
        std::stable_partition(types.order.begin(), types.order.end(), [&used](KeyType type) {
            return used[static_cast<std::size_t>(type)];
        });
    const auto count = static_cast<std::size_t>(unused - types.order.begin());
    types.used = count > 0 ? count : types.order.size();
    return types;
}

void rebase(KeyWalkPlan& plan, const MemorySample& server) {
    std::string policy = server.policy.empty() ? plan.server.policy : server.policy;
    plan.server = server;
    plan.server.policy = std::move(policy);
    plan.clustered = server.clustered;
    plan.data_bytes = data_bytes(server);
}

bool fit(KeyWalkPlan& plan, CommandRoom& room, std::vector<std::string>& left_out) {
    const auto& databases = plan.server.databases;
    const bool several =
        std::any_of(std::next(databases.begin()), databases.end(), [](const auto& database) {
            return database.keys > 0;
        });
    std::vector<std::string_view> names{
        plan.clustered ? "randomkey" : "scan", "memory|usage", "type", "pttl"};
    if (several) {
        names.emplace_back("select");
    }
    if (!room.take(names)) {
        return false;
    }
    // A search is for SCAN alone.
    if (plan.clustered && !room.take({"scan"})) {
        plan.types.order.clear();
        left_out.emplace_back("SCAN");
    }
    plan.asks_lengths =
        room.take({"hlen", "llen", "scard", "zcard", "xlen", "strlen", "select", "type"});
    if (!plan.asks_lengths) {
        left_out.emplace_back("HLEN and its like");
    }
    plan.asks_idle = room.take({"object|idletime"});
    if (!plan.asks_idle) {
        left_out.emplace_back("OBJECT IDLETIME");
    }
    return true;
}

}  // namespace spillway::policy
