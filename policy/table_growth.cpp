// How much the server's main tables will grow at once when a few more keys come.
#include "policy/table_growth.hpp"

#include <algorithm>
#include <charconv>

namespace spillway::policy {
namespace {

// Below this a jump is lost in what else comes and goes.
constexpr std::int64_t entries_min = 1024;
// Servers shrink a table that is filled to about an eighth.
constexpr std::int64_t shrinks_below = 8;
constexpr std::int64_t entries_max = std::int64_t{1} << 40;

int read_number(std::string_view& text) noexcept {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text.front() == '.') {
        text.remove_prefix(1);
    }
    return error == std::errc{} ? number : 0;
}

}  // namespace

TableKind table_kind(std::string_view server) noexcept {
    constexpr std::string_view valkey = "valkey ";
    if (!server.starts_with(valkey)) {
        return TableKind::chained;
    }
    server.remove_prefix(valkey.size());
    const int major = read_number(server);
    const int minor = read_number(server);
    return major > 8 || (major == 8 && minor >= 1) ? TableKind::buckets_of_seven
                                                   : TableKind::chained;
}

TableJump next_jump(std::int64_t entries, TableKind kind) noexcept {
    const bool sevens = kind == TableKind::buckets_of_seven;
    TableJump jump{.at_entries = sevens ? 7 : 4, .bytes = sevens ? 128 : 64};
    while (jump.at_entries < std::min(entries, entries_max)) {
        jump.at_entries *= 2;
        jump.bytes *= 2;
    }
    return jump;
}

void TableGrowth::note(const MemorySample& sample) noexcept {
    const auto follow = [](std::int64_t& most, std::int64_t entries) {
        most = entries < most / shrinks_below ? entries : std::max(most, entries);
    };
    for (std::size_t i = 0; i < most_.size(); ++i) {
        follow(most_[i].keys, sample.databases[i].keys);
        follow(most_[i].expires, sample.databases[i].expires);
    }
}

std::int64_t TableGrowth::jumps_to_come(
    const MemorySample& sample, std::int64_t entries_to_come, std::int64_t room
) const noexcept {
    const TableKind kind = table_kind(sample.server);
    std::int64_t bytes = 0;
    const auto add = [&](std::int64_t entries, std::int64_t most) {
        const TableJump jump = next_jump(entries, kind);
        const bool has_been = most > jump.at_entries;
        if (!has_been && entries >= entries_min && entries < entries_max &&
            jump.at_entries - entries < entries_to_come && jump.bytes <= room - bytes) {
            bytes += jump.bytes;
        }
    };
    for (std::size_t i = 0; i < most_.size(); ++i) {
        add(sample.databases[i].keys, most_[i].keys);
        add(sample.databases[i].expires, most_[i].expires);
    }
    return bytes;
}

}  // namespace spillway::policy
