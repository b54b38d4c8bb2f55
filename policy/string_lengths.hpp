// Remembers how long strings are that SETRANGE, SETBIT and BITFIELD write into, so that only what
// they add is charged.
//
// A write at a far offset costs the whole string the first time and nothing after it. What is
// remembered was answered by the server, and is believed for as long as nothing speaks against it:
//
//   the key was named by a command that may remove or shorten it      here
//   keys were renamed or moved, by whatever shard                     CreditPool
//   memory has fallen by about the string's length since              each sample
//   the last write that reached it is long ago
#pragma once

#include "policy/credit.hpp"
#include "policy/memory_sample.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace spillway::policy {

// One shard's.
class StringLengths {
  public:
    static constexpr std::size_t entries_max = 4096;
    static constexpr Nanos believed_for = 600 * second;

    explicit StringLengths(CreditPool& pool) noexcept : pool_(pool) {}

    // A write that was sent: what is learnt of it once it is answered.
    struct Reach {
        std::uint64_t key = 0;
        std::uint64_t bytes = 0;
        std::uint32_t removals = 0;  // seen until then
        std::uint32_t moves = 0;
    };

    [[nodiscard]] static std::uint64_t key_of(std::string_view name, std::int32_t db) noexcept;
    // What a write that makes the string `bytes` long may add to it.
    [[nodiscard]] std::uint64_t growth(std::uint64_t key, std::uint64_t bytes, Nanos now) noexcept;
    [[nodiscard]] Reach sent(std::uint64_t key, std::uint64_t bytes) noexcept;
    void learn(const Reach& reach, Nanos now);
    void forget(std::uint64_t key) noexcept;
    void forget_all() noexcept;
    // Each sample's counted memory.
    void note_memory(std::int64_t counted, std::int64_t ceiling) noexcept;
    // There may be something to forget.
    [[nodiscard]] bool in_use() const noexcept { return in_use_; }

  private:
    struct Entry {
        std::uint64_t key = 0;
        std::uint64_t length = 0;     // the string has at least that; 0 = a free place
        std::uint64_t allocated = 0;  // its memory suffices for that
        std::uint32_t falls = 0;      // of its class, when it was seen last
        Nanos seen_at = 0;
    };
    // Falls of memory, for strings of at least 2^n bytes.
    struct Class {
        std::int64_t peak = 0;
        std::uint32_t falls = 0;
    };
    static constexpr std::size_t classes = 40;
    static constexpr std::size_t ways = 4;
    static constexpr std::size_t removal_counts = 64;

    [[nodiscard]] Entry* set_of(std::uint64_t key) noexcept;
    [[nodiscard]] Entry* find(std::uint64_t key, Nanos now) noexcept;
    [[nodiscard]] std::uint32_t falls_for(std::uint64_t length) const noexcept;
    [[nodiscard]] std::uint32_t& removals_of(std::uint64_t key) noexcept {
        return removals_[key % removal_counts];
    }
    void follow_moves() noexcept;

    CreditPool& pool_;
    std::vector<Entry> entries_;  // none before the first is learnt
    std::array<Class, classes> classes_{};
    std::array<std::uint32_t, removal_counts> removals_{};
    std::uint32_t moves_ = 0;
    bool in_use_ = false;
};

}  // namespace spillway::policy
