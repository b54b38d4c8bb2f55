// How much the server's main tables will grow at once when a few more keys come.
//
// Redis doubles a table when it holds as many keys as it has slots, a power of two, and keeps the
// old one until all keys have moved: 16 bytes for each of those keys. Valkey as of 8.1 does so at
// seven keys for each of 2^m buckets, with 128 bytes for each bucket. A doubling that would cross
// maxmemory is put off.
#pragma once

#include "policy/memory_sample.hpp"

#include <array>
#include <cstdint>
#include <string_view>

namespace spillway::policy {

enum class TableKind : std::uint8_t { chained, buckets_of_seven };

[[nodiscard]] TableKind table_kind(std::string_view server) noexcept;

struct TableJump {
    std::int64_t at_entries = 0;
    std::int64_t bytes = 0;
};
// The next one of a table with so many entries.
[[nodiscard]] TableJump next_jump(std::int64_t entries, TableKind kind) noexcept;

// Remembers how large the tables have been: one whose keys have become fewer keeps its slots, until
// it holds so few that the server makes it smaller.
class TableGrowth {
  public:
    // Each sample of one server; `forget` when it is another one.
    void note(const MemorySample& sample) noexcept;
    void forget() noexcept { most_ = {}; }

    // Of the doublings that `entries_to_come` more keys would bring about, those for which there is
    // room.
    [[nodiscard]] std::int64_t jumps_to_come(
        const MemorySample& sample, std::int64_t entries_to_come, std::int64_t room
    ) const noexcept;

  private:
    std::array<DatabaseKeys, MemorySample::databases_max> most_{};
};

}  // namespace spillway::policy
