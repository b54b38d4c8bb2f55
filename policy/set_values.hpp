// Remembers which keys were SET to how many bytes, so that near the ceiling a load that sets them
// again is charged for what it may add, and not as if all of it were new.
//
// Redis is asked for its memory some hundred times a second at most; what a pipelined load of
// overwrites sends meanwhile may be many times the room that is left. All shards share the table,
// without locks: in the long run it is only read. What it says may be out of date, where a key was
// removed past this proxy, has expired, or by a script: so a part is charged in any case.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace spillway::policy {

class SetValues {
  public:
    // 2 MB, made when the first is noted. More keys than that are in servers whose last percents
    // are room enough.
    static constexpr std::size_t entries = std::size_t{1} << 18U;
    static constexpr std::uint64_t bytes_max = (std::uint64_t{1} << 24U) - 1;
    // Of a value that takes the place of one as large: a sixteenth of what a new one costs.
    static constexpr std::int64_t charged_share = 16;

    SetValues() = default;
    ~SetValues() { delete[] table_.load(std::memory_order_relaxed); }
    SetValues(const SetValues&) = delete;
    SetValues& operator=(const SetValues&) = delete;

    // All may be called from any thread. `key`: a hash of its name and database.
    // Whether the key has held a value of that size or a larger one, and nothing was seen to remove
    // it.
    [[nodiscard]] bool covers(std::uint64_t key, std::uint64_t bytes) const noexcept;
    void note(std::uint64_t key, std::uint64_t bytes);
    void forget(std::uint64_t key) noexcept;
    // Writes nothing that shards share before anything was noted.
    void forget_all() noexcept {
        if (in_use()) {
            generation_.fetch_add(1, std::memory_order_relaxed);
        }
    }
    // Each sample's counted memory, of the control side alone: after a fall much is gone, whoever
    // removed it.
    void note_memory(std::int64_t counted, std::int64_t ceiling) noexcept;
    // Something was noted since the start: removals must be told from now on.
    [[nodiscard]] bool in_use() const noexcept {
        return table_.load(std::memory_order_relaxed) != nullptr;
    }

  private:
    using Entry = std::atomic<std::uint64_t>;

    // 24 bits of the key beside the 18 of its place, 16 of the generation, 24 of its size; 0 = a
    // free place. What stood in the table before forget_all() is of another generation, or of the
    // same after 65,536 of them.
    [[nodiscard]] std::uint64_t tag_of(std::uint64_t key) const noexcept {
        const std::uint64_t generation = generation_.load(std::memory_order_relaxed);
        return (key & (~std::uint64_t{0} << 40U)) | (generation & 0xFFFFU) << 24U;
    }
    [[nodiscard]] static std::size_t place_of(std::uint64_t key) noexcept {
        return static_cast<std::size_t>(key % entries);
    }
    [[nodiscard]] Entry* table();

    std::atomic<Entry*> table_{nullptr};
    std::atomic<std::uint32_t> generation_{0};
    std::int64_t peak_ = 0;  // of counted memory since the last fall; the control side's
};

}  // namespace spillway::policy
