// What a bounded sample of keys says of all of them: who holds memory, how much of it has a TTL,
// and how sure that is.
#pragma once

#include "policy/key_pattern.hpp"
#include "policy/memory_sample.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

enum class KeyType : std::uint8_t { string, list, set, zset, hash, stream, other };

inline constexpr std::array<std::string_view, 7> key_type_names = {
    "string", "list", "set", "zset", "hash", "stream", "other"};

[[nodiscard]] constexpr std::string_view name_of(KeyType type) noexcept {
    return key_type_names[static_cast<std::size_t>(type)];
}

// As TYPE answers; modules' types are `other`.
[[nodiscard]] KeyType key_type(std::string_view name) noexcept;

struct SampledKey {
    std::int32_t db = 0;
    std::string key;  // raw, at most 256 bytes
    KeyType type = KeyType::other;
    std::int64_t bytes = 0;    // MEMORY USAGE
    std::int64_t ttl_ms = -1;  // -1 = none
    std::int64_t idle_s = -1;  // OBJECT IDLETIME; -1 = not asked, or the policy hides it
    std::int64_t length = -1;  // elements, or bytes of a string; -1 = not asked
    // Half of a 95 % interval around `bytes`; 0 = exact, -1 = by the first five elements, if it has
    // so many.
    std::int64_t error = -1;
};

// 95 of 100 samples like this one hold the true value between low and high.
struct Estimate {
    double low = 0;
    double value = 0;
    double high = 0;
};

struct KeyGroup {
    std::string pattern;  // as key_pattern makes it, folded where too many differ in one place
    KeyType type = KeyType::other;
    double keys = 0;
    double bytes = 0;
    Estimate share{};        // of the bytes of all keys
    double without_ttl = 0;  // share of the group's bytes
    double fresh_bytes =
        0;  // read or written within the last second or two, as far as OBJECT IDLETIME says
};

struct KeySummary {
    static constexpr std::size_t groups_max = 8;
    static constexpr std::size_t biggest_max = 8;

    std::int64_t keys = 0;            // in the databases that were looked at
    std::int64_t sampled = 0;         // distinct keys measured
    std::int64_t server_keys = -1;    // in all databases, when it was taken; -1 = not known
    std::int64_t dataset_bytes = -1;  // used_memory_dataset then; -1 = not known
    bool complete = false;            // every key was measured
    std::int64_t collections = 0;     // of those measured, keys that are no strings
    double searched = 0;              // share of the keys looked through for large ones
    std::int64_t queues = 0;          // of those measured, lists and streams without a TTL
    Estimate bytes;                   // of all keys together
    Estimate with_ttl_keys;           // share of the keys
    Estimate with_ttl_bytes;          // share of the bytes
    double idle_hour_bytes = -1;      // share of the bytes not read for an hour; -1 = not known
    double unexplained = 0;           // bytes of data that neither sample nor search accounts for
    double gap = 0;                   // data less all that was drawn stands for; may be chance
    std::vector<KeyGroup> groups;     // largest first
    std::vector<SampledKey> biggest;  // largest first

    [[nodiscard]] bool known() const noexcept { return sampled > 0; }
};

// A good part of the data: it counts as it is, and is worth a closer look.
[[nodiscard]] bool is_large(std::int64_t bytes, std::int64_t data_bytes) noexcept;

// Half of the interval around the key's size, as far as it is worth telling; else 0.
[[nodiscard]] double error_of(const SampledKey& key) noexcept;

// The server still holds what was sampled, give or take a tenth; not after a flush or a burst.
[[nodiscard]] bool still_holds(const KeySummary& summary, const MemorySample& server) noexcept;

// A sample that is news while `server` is the newest of INFO. What came or went while it was being
// taken is not in it: then it names keys, and says nothing of what is not among them.
void date(KeySummary& summary, const MemorySample& server) noexcept;

// `sampled` was drawn at random from `keys` keys; `found` was looked for because it may be large,
// and stands for itself only. `data_bytes` is what INFO says that data takes. A key may be in both.
// Where sizes are estimates and do not add up to the data, those least certain give way.
[[nodiscard]] KeySummary summarize(
    std::span<const SampledKey> sampled,
    std::span<const SampledKey> found,
    std::int64_t keys,
    std::int64_t data_bytes,
    double searched
);

}  // namespace spillway::policy
