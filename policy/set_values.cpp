// Remembers which keys were SET to how many bytes, so that near the ceiling a load that sets them
// again is charged for what it may add, and not as if all of it were new.
#include "policy/set_values.hpp"

#include <algorithm>

namespace spillway::policy {

SetValues::Entry* SetValues::table() {
    Entry* table = table_.load(std::memory_order_acquire);
    if (table != nullptr) {
        return table;
    }
    auto made = std::make_unique<Entry[]>(entries);
    if (table_.compare_exchange_strong(table, made.get(), std::memory_order_acq_rel)) {
        return made.release();
    }
    return table;  // another shard was first
}

void SetValues::note_memory(std::int64_t counted, std::int64_t ceiling) noexcept {
    constexpr std::int64_t fall_share = 64;  // buffers of busy clients give back less
    peak_ = std::max(peak_, counted);
    if (counted < peak_ - ceiling / fall_share) {
        forget_all();
        peak_ = counted;
    }
}

bool SetValues::covers(std::uint64_t key, std::uint64_t bytes) const noexcept {
    const Entry* const table = table_.load(std::memory_order_acquire);
    if (table == nullptr || bytes > bytes_max) {
        return false;
    }
    const std::uint64_t entry = table[place_of(key)].load(std::memory_order_relaxed);
    return bytes > 0 && (entry & ~bytes_max) == tag_of(key) && (entry & bytes_max) >= bytes;
}

// A line that says so already is not written: other shards read it.
void SetValues::note(std::uint64_t key, std::uint64_t bytes) {
    if (bytes == 0 || bytes > bytes_max) {
        return forget(key);
    }
    Entry& entry = table()[place_of(key)];
    const std::uint64_t said = tag_of(key) | bytes;
    if (entry.load(std::memory_order_relaxed) != said) {
        entry.store(said, std::memory_order_relaxed);
    }
}

void SetValues::forget(std::uint64_t key) noexcept {
    Entry* const table = table_.load(std::memory_order_acquire);
    if (table == nullptr) {
        return;
    }
    Entry& entry = table[place_of(key)];
    if ((entry.load(std::memory_order_relaxed) & ~bytes_max) == tag_of(key)) {
        entry.store(0, std::memory_order_relaxed);
    }
}

}  // namespace spillway::policy
