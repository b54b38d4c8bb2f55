// The keys that the growth ledger has looked at: one that is written again adds only what is new.
#include "policy/sampled_keys.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

std::size_t set_of(std::uint64_t key, std::size_t sets) noexcept {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15U) >> 32U) % sets;
}

}  // namespace

SampledKeys::Entry* SampledKeys::find(std::uint64_t key, Nanos now) noexcept {
    Entry* const set = &entries_[set_of(key, entries_max / ways) * ways];
    Entry* const found =
        std::find_if(set, set + ways, [key](const Entry& entry) { return entry.key == key; });
    if (found == set + ways) {
        return nullptr;
    }
    found->seen_s = seconds_of(now);
    return found;
}

SampledKeys::Entry& SampledKeys::insert(std::uint64_t key, Nanos now) noexcept {
    Entry* const set = &entries_[set_of(key, entries_max / ways) * ways];
    Entry* const place = std::min_element(set, set + ways, [](const Entry& a, const Entry& b) {
        return (a.key == 0 ? 0 : a.seen_s) < (b.key == 0 ? 0 : b.seen_s);
    });
    *place = {};
    place->key = key;
    place->seen_s = seconds_of(now);
    return *place;
}

}  // namespace spillway::policy
