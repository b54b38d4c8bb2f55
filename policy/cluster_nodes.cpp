// Reads CLUSTER NODES: the other primaries of a cluster, and how its slots are shared out.
#include "policy/cluster_nodes.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace spillway::policy {
namespace {

constexpr std::size_t host_bytes_max = 253;

[[nodiscard]] std::string_view next_word(std::string_view& line) noexcept {
    const std::size_t end = std::min(line.find(' '), line.size());
    const auto word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

[[nodiscard]] std::optional<int> number(std::string_view text, int most) noexcept {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size();
    return whole && value >= 0 && value <= most ? std::optional(value) : std::nullopt;
}

// "0-5460" or "77"; slots on their way, "[93->-…]", still count with their node.
[[nodiscard]] int slots_of(std::string_view range) noexcept {
    const std::size_t dash = range.find('-');
    const auto first = number(range.substr(0, dash), cluster_slots - 1);
    const auto last =
        dash == std::string_view::npos ? first : number(range.substr(dash + 1), cluster_slots - 1);
    return first && last && *first <= *last ? *last - *first + 1 : 0;
}

[[nodiscard]] bool has_flag(std::string_view flags, std::string_view flag) noexcept {
    while (!flags.empty()) {
        const std::size_t end = std::min(flags.find(','), flags.size());
        if (flags.substr(0, end) == flag) {
            return true;
        }
        flags.remove_prefix(std::min(end + 1, flags.size()));
    }
    return false;
}

// "10.0.0.1:6379@16379,name": empty where the address is not known.
[[nodiscard]] std::optional<ClusterNode> node_at(std::string_view address) {
    address = address.substr(0, address.find_first_of("@,"));
    const std::size_t colon = address.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon > host_bytes_max) {
        return std::nullopt;
    }
    const auto port = number(address.substr(colon + 1), 65'535);
    if (!port || *port == 0) {
        return std::nullopt;
    }
    ClusterNode node;
    node.host = std::string(address.substr(0, colon));
    node.port = static_cast<std::uint16_t>(*port);
    return node;
}

}  // namespace

ClusterView cluster_view(std::string_view cluster_nodes, std::size_t siblings_max) {
    ClusterView view;
    while (!cluster_nodes.empty()) {
        const std::size_t end = std::min(cluster_nodes.find('\n'), cluster_nodes.size());
        auto line = cluster_nodes.substr(0, end);
        cluster_nodes.remove_prefix(std::min(end + 1, cluster_nodes.size()));
        if (!line.empty() && line.back() == '\r') {
            line.remove_suffix(1);
        }
        std::array<std::string_view, 8> words;  // id address flags primary ping pong epoch link
        std::generate(words.begin(), words.end(), [&line] { return next_word(line); });
        int slots = 0;
        while (!line.empty()) {
            slots = std::min(slots + slots_of(next_word(line)), cluster_slots);
        }
        const auto flags = words[2];
        const bool primary = has_flag(flags, "master");
        if (has_flag(flags, "myself")) {
            view.own_slots = primary ? slots : 0;
            continue;
        }
        const bool gone = has_flag(flags, "fail") || has_flag(flags, "noaddr") ||
                          has_flag(flags, "handshake") || words[7] != "connected";
        auto node = node_at(words[1]);
        if (primary && !gone && slots > 0 && node) {
            node->slots = slots;
            view.siblings.push_back(*std::move(node));
        }
    }
    std::stable_sort(view.siblings.begin(), view.siblings.end(), [](const auto& a, const auto& b) {
        return a.slots > b.slots;
    });
    view.siblings.resize(std::min(view.siblings.size(), siblings_max));
    return view;
}

}  // namespace spillway::policy
