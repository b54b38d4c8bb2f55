// A model of Redis' memory, by measured figures: keys, tables and their jumps, buffers of large
// arguments, expiry, eviction, and the check at the limit.
#pragma once

#include "policy/memory_sample.hpp"
#include "tests/sim/random.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace spillway::sim {

using policy::Nanos;

inline constexpr std::int64_t mib = 1 << 20;

struct Command {
    enum class Kind : std::uint8_t { add, overwrite, remove, move, append };
    Kind kind = Kind::add;
    std::int64_t value_bytes = 1000;
    Nanos ttl = 0;  // 0 = none
};

// From this length on an argument has a buffer of its own, as soon as its header is read.
inline constexpr std::int64_t large_value_bytes = 32 * 1024;

class RedisModel {
  public:
    struct Settings {
        std::int64_t maxmemory = 64 * mib;
        std::string policy = "noeviction";
        std::int64_t base_bytes = 1'500'000;
        std::int64_t noise_bytes = 40 * 1024;  // what buffers of small commands come and go with
        std::int64_t wobble_bytes = 0;         // what other data comes and goes with …
        Nanos wobble_every = policy::second;   // … now and then
        bool jumps = true;                     // tables double
    };

    RedisModel(Settings settings, std::uint64_t seed);

    // The header of a large argument was read.
    void receive(const Command& command);
    // False: refused at the limit. Commands that free are never refused.
    [[nodiscard]] bool execute(const Command& command, Nanos now);
    void tick(Nanos now);

    // Keys of `value_bytes` until `share` of maxmemory is in use.
    void fill(double share, std::int64_t value_bytes, Nanos ttl = 0);
    void free_share(double share);  // of the keys, at random
    void flush();
    void restart(Nanos now, Nanos loads_for, bool keeps_data);
    void set_maxmemory(std::int64_t bytes) { settings_.maxmemory = bytes; }
    void set_primary(bool primary) { primary_ = primary; }
    void set_connections(std::int64_t count) { connections_ = count; }

    [[nodiscard]] policy::MemorySample info() const;
    [[nodiscard]] std::int64_t used() const noexcept {
        return settings_.base_bytes + key_bytes_ + 8 * (table_slots_ + old_table_slots_) +
               large_buffers_ + leftover_bytes_ + noise_ + wobble_ +
               connections_ * connection_bytes;
    }
    [[nodiscard]] double share() const noexcept {
        return static_cast<double>(used()) / static_cast<double>(settings_.maxmemory);
    }
    [[nodiscard]] std::int64_t maxmemory() const noexcept { return settings_.maxmemory; }
    [[nodiscard]] std::int64_t peak() const noexcept { return peak_; }
    [[nodiscard]] std::int64_t ooms() const noexcept { return ooms_; }
    [[nodiscard]] std::int64_t evicted() const noexcept { return evicted_; }
    [[nodiscard]] std::size_t keys() const noexcept { return keys_.size() + expiring_.size(); }
    [[nodiscard]] std::size_t expiring() const noexcept { return expiring_.size(); }
    void reset_peak() noexcept { peak_ = used(); }

  private:
    // Many, and met at random: their size is what a simulation's speed depends on.
    using Key = std::uint32_t;  // bytes
    struct ExpiringKey {
        std::int64_t bytes = 0;
        Nanos expires_at = 0;
    };
    struct Leftover {
        Nanos until = 0;
        std::int64_t bytes = 0;
    };

    [[nodiscard]] bool make_room();
    void add_key(std::int64_t value_bytes, Nanos expires_at);
    void add_keys(std::int64_t count, std::int64_t bytes, Nanos expires_at);
    void remove_lasting_key(std::size_t index);
    void remove_expiring_key(std::size_t index);
    void remove_any_key();
    void grow_table();
    [[nodiscard]] std::int64_t keys_until_table_grows() const noexcept;
    [[nodiscard]] std::size_t index_below(std::size_t count) noexcept;

    static constexpr std::int64_t connection_bytes = 18 * 1024;

    Settings settings_;
    policy::EvictionFamily family_;
    Random random_;
    std::vector<Key> keys_;              // without a TTL
    std::vector<ExpiringKey> expiring_;  // with one
    std::int64_t key_bytes_ = 0;
    std::int64_t table_slots_ = 4;
    std::int64_t old_table_slots_ = 0;  // until the rehash ends
    std::size_t rehash_ends_at_keys_ = 0;
    std::int64_t large_buffers_ = 0;
    std::vector<Leftover> leftovers_;
    std::int64_t leftover_bytes_ = 0;
    std::int64_t noise_ = 0;
    std::int64_t wobble_ = 0;
    Nanos wobbles_at_ = 0;
    std::int64_t connections_ = 0;
    std::int64_t peak_ = 0;
    std::int64_t ooms_ = 0;
    std::int64_t evicted_ = 0;
    std::int64_t expired_ = 0;
    std::int64_t runs_ = 1;
    Nanos loading_until_ = 0;
    Nanos now_ = 0;
    bool primary_ = true;
};

}  // namespace spillway::sim
