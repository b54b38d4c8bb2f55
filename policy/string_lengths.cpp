// Remembers how long strings are that SETRANGE, SETBIT and BITFIELD write into, so that only what
// they add is charged.
#include "policy/string_lengths.hpp"

#include <algorithm>
#include <bit>
#include <functional>

namespace spillway::policy {
namespace {

// What memory falls by without the loss of a key.
constexpr std::int64_t fall_bytes_min = 192 * 1024;
constexpr std::int64_t fall_ceiling_share = 2048;
constexpr std::uint64_t slack_bytes_max = 1024 * 1024;

// A string that must grow is given room for as much again, up to a megabyte.
std::uint64_t allocated_for(std::uint64_t length) noexcept {
    return length + std::min(length, slack_bytes_max);
}

}  // namespace

std::uint64_t StringLengths::key_of(std::string_view name, std::int32_t db) noexcept {
    const std::uint64_t hash = std::hash<std::string_view>{}(name);
    return hash ^ (static_cast<std::uint64_t>(static_cast<std::uint32_t>(db)) * 0x9E3779B97F4A7C15);
}

StringLengths::Entry* StringLengths::set_of(std::uint64_t key) noexcept {
    return &entries_[key / removal_counts % (entries_max / ways) * ways];
}

std::uint32_t StringLengths::falls_for(std::uint64_t length) const noexcept {
    const auto order = static_cast<std::size_t>(std::bit_width(length));
    return classes_[std::min(order, classes) - 1].falls;
}

StringLengths::Entry* StringLengths::find(std::uint64_t key, Nanos now) noexcept {
    if (entries_.empty()) {
        return nullptr;
    }
    Entry* const set = set_of(key);
    Entry* const found = std::find_if(set, set + ways, [key](const Entry& entry) {
        return entry.length > 0 && entry.key == key;
    });
    if (found == set + ways) {
        return nullptr;
    }
    if (found->falls != falls_for(found->length) || now - found->seen_at > believed_for) {
        found->length = 0;
        return nullptr;
    }
    return found;
}

std::uint64_t StringLengths::growth(std::uint64_t key, std::uint64_t bytes, Nanos now) noexcept {
    follow_moves();
    const Entry* entry = find(key, now);
    if (entry == nullptr) {
        return bytes;
    }
    return bytes <= entry->allocated ? 0 : allocated_for(bytes) - entry->allocated;
}

StringLengths::Reach StringLengths::sent(std::uint64_t key, std::uint64_t bytes) noexcept {
    in_use_ = true;
    return {key, bytes, removals_of(key), moves_};
}

void StringLengths::learn(const Reach& reach, Nanos now) {
    follow_moves();
    if (reach.bytes == 0 || reach.removals != removals_of(reach.key) || reach.moves != moves_) {
        return;
    }
    Entry* entry = find(reach.key, now);
    if (entry == nullptr) {
        entries_.resize(entries_max);
        Entry* const set = set_of(reach.key);
        entry = std::min_element(set, set + ways, [](const Entry& a, const Entry& b) {
            return (a.length > 0 ? a.seen_at : 0) < (b.length > 0 ? b.seen_at : 0);
        });
        *entry = {.key = reach.key, .length = reach.bytes, .allocated = reach.bytes};
    } else if (reach.bytes > entry->length) {
        entry->length = reach.bytes;
        if (reach.bytes > entry->allocated) {
            entry->allocated = allocated_for(reach.bytes);
        }
    }
    entry->falls = falls_for(entry->length);
    entry->seen_at = now;
}

void StringLengths::forget(std::uint64_t key) noexcept {
    ++removals_of(key);
    if (entries_.empty()) {
        return;
    }
    Entry* const set = set_of(key);
    for (Entry* entry = set; entry != set + ways; ++entry) {
        if (entry->key == key) {
            entry->length = 0;
        }
    }
}

void StringLengths::forget_all() noexcept {
    for (std::uint32_t& count : removals_) {
        ++count;
    }
    entries_.clear();
}

void StringLengths::follow_moves() noexcept {
    if (const std::uint32_t moves = pool_.key_moves(); moves != moves_) {
        moves_ = moves;
        forget_all();
    }
}

void StringLengths::note_memory(std::int64_t counted, std::int64_t ceiling) noexcept {
    const std::int64_t fall_min = std::max(fall_bytes_min, ceiling / fall_ceiling_share);
    for (std::size_t order = 0; order < classes; ++order) {
        Class& strings = classes_[order];
        const std::int64_t length = std::int64_t{1} << order;
        strings.peak = std::max(strings.peak, counted);
        if (strings.peak - counted >= std::max(length - length / 4, fall_min)) {
            ++strings.falls;
            strings.peak = counted;
        }
    }
}

}  // namespace spillway::policy
