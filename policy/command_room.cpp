// Which kinds of commands may be sent to a nearly full server: of each kind that it has not met
// before, Redis keeps a histogram of latencies, and many of them can be what fills it.
#include "policy/command_room.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

constexpr std::int64_t histogram_bytes = 25'000;     // 24,720 on Redis 7.0, kept until it restarts
constexpr std::int64_t connection_bytes = 32 << 10;  // queries and replies of ours, for a while
constexpr std::int64_t ample_bytes = 1 << 20;
constexpr double ample_share = .01;
constexpr std::string_view row = "latency_percentiles_usec_";
constexpr std::size_t known_max = 1000;  // no server has so many commands

}  // namespace

CommandRoom::CommandRoom(const MemorySample& server, std::string_view info) {
    const bool evicts = server.family == EvictionFamily::all_keys ||
                        (server.family == EvictionFamily::volatile_keys && server.expires > 0);
    room_ = server.maxmemory - server.counted();
    const auto share =
        static_cast<std::int64_t>(ample_share * static_cast<double>(server.maxmemory));
    const bool tracked = info.find(row) != std::string_view::npos;  // since 7.0, unless turned off
    bounded_ = tracked && !evicts && server.maxmemory > 0 && room_ > 0 &&
               room_ < std::max(ample_bytes, share);
    left_ = room_ / 2 - connection_bytes;
    for (std::size_t at = info.find(row); at != std::string_view::npos && known_.size() < known_max;
         at = info.find(row, at)) {
        at += row.size();
        known_.emplace_back(info.substr(at, info.find_first_of(":\r\n", at) - at));
    }
}

bool CommandRoom::take(const std::vector<std::string_view>& names) {
    if (!bounded_) {
        return true;
    }
    std::vector<std::string> added;
    for (const std::string_view name : names) {
        if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
            added.emplace_back(name);
        }
    }
    const std::int64_t bytes = static_cast<std::int64_t>(added.size()) * histogram_bytes;
    if (bytes > std::max<std::int64_t>(left_, 0)) {
        return false;
    }
    left_ -= bytes;
    known_.insert(known_.end(), added.begin(), added.end());
    return true;
}

}  // namespace spillway::policy
