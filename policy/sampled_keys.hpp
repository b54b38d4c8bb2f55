// The keys that the growth ledger has looked at: one that is written again adds only what is new.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace spillway::policy {

// A table of fixed size in which the newest stay.
class SampledKeys {
  public:
    static constexpr std::size_t entries_max = std::size_t{1} << 14U;

    struct Entry {
        std::uint64_t key = 0;  // 0 = a free place
        std::uint64_t row = 0;  // of the ledger
        Nanos booked_at = 0;    // when it was first seen
        float bytes = 0;        // of its value, or what a collection was first told
        float stands_for = 0;
        float elements = 0;           // of a list as many as it has, else those added, about
        float unit = 0;               // bytes of an element of a list
        std::uint32_t expires_s = 0;  // in seconds of the clock; 0 = never
        std::uint32_t seen_s = 0;
        std::uint8_t times = 0;  // it was seen, up to 4
        bool lasting = true;
        bool whole = false;  // a value that is replaced as a whole
        bool list = false;   // its length is told by each push
        bool makes_key = false;
    };

    [[nodiscard]] static std::uint32_t seconds_of(Nanos now) noexcept {
        return static_cast<std::uint32_t>(now / second);
    }
    [[nodiscard]] Entry* find(std::uint64_t key, Nanos now) noexcept;
    // In a free place, or in that of the one seen least lately. The key must not be there.
    Entry& insert(std::uint64_t key, Nanos now) noexcept;
    static void erase(Entry& entry) noexcept { entry.key = 0; }
    // Calls `take` for each that has expired, and frees its place.
    template <typename Take>
    void expire(Nanos now, const Take& take) {
        const std::uint32_t at = seconds_of(now);
        if (!any_expires_ || at == expired_s_) {
            return;
        }
        expired_s_ = at;
        for (Entry& entry : entries_) {
            if (entry.key != 0 && entry.expires_s != 0 && entry.expires_s <= at) {
                take(entry);
                entry.key = 0;
            }
        }
    }
    void set_expiry(Entry& entry, std::uint32_t ttl_s, Nanos now) noexcept {
        entry.expires_s = ttl_s == 0 ? 0 : seconds_of(now) + ttl_s;
        any_expires_ = any_expires_ || ttl_s > 0;
    }

  private:
    static constexpr std::size_t ways = 4;
    std::vector<Entry> entries_ = std::vector<Entry>(entries_max);
    bool any_expires_ = false;
    std::uint32_t expired_s_ = 0;  // the second that was looked at last
};

}  // namespace spillway::policy
