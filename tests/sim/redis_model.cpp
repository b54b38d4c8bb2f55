// A model of Redis' memory, by measured figures: keys, tables and their jumps, buffers of large
// arguments, expiry, eviction, and the check at the limit.
#include "tests/sim/redis_model.hpp"

#include <algorithm>

namespace spillway::sim {
namespace {

constexpr std::int64_t connection_bytes = 18 * 1024;
constexpr std::size_t rehash_length_share = 5;  // a rehash ends when a fifth more keys have come

// Classes of the allocator: multiples of 16 up to 128, then four for each doubling.
std::int64_t allocated(std::int64_t bytes) {
    if (bytes <= 128) {
        return (bytes + 15) / 16 * 16;
    }
    std::int64_t doubling = 128;
    while (2 * doubling < bytes) {
        doubling *= 2;
    }
    const std::int64_t step = doubling / 4;
    return (bytes + step - 1) / step * step;
}

std::int64_t key_with_value(std::int64_t value_bytes) {
    constexpr std::int64_t name_and_entry = 16 + 32;
    return name_and_entry +
           (value_bytes <= 44 ? allocated(value_bytes + 20) : 16 + allocated(value_bytes + 6));
}

bool frees(const Command& command) {
    return command.kind == Command::Kind::remove;
}

}  // namespace

RedisModel::RedisModel(Settings settings, std::uint64_t seed)
    : settings_(std::move(settings)), random_(seed) {}

std::int64_t RedisModel::used() const noexcept {
    std::int64_t leftovers = 0;
    for (const Leftover& leftover : leftovers_) {
        leftovers += leftover.bytes;
    }
    return settings_.base_bytes + key_bytes_ + 8 * (table_slots_ + old_table_slots_) +
           large_buffers_ + leftovers + noise_ + connections_ * connection_bytes;
}

std::size_t RedisModel::any_key() {
    return std::uniform_int_distribution<std::size_t>(0, keys_.size() - 1)(random_);
}

void RedisModel::receive(const Command& command) {
    if (command.value_bytes >= large_value_bytes) {
        large_buffers_ += allocated(command.value_bytes);
    }
}

bool RedisModel::execute(const Command& command, Nanos now) {
    now_ = now;
    const bool large = command.value_bytes >= large_value_bytes;
    const std::int64_t copy = large ? allocated(command.value_bytes) : 0;
    if (large) {
        large_buffers_ += copy;  // the argument itself beside the buffer it came in
    }
    peak_ = std::max(peak_, used());
    const bool runs = frees(command) || make_room();
    if (large) {
        large_buffers_ -= 2 * copy;
        leftovers_.push_back({now + 150 * policy::millisecond, copy});
    }
    if (!runs) {
        ++ooms_;
        return false;
    }
    const Nanos expires_at = command.ttl > 0 ? now + command.ttl : 0;
    switch (command.kind) {
        case Command::Kind::add:
            add_key(command.value_bytes, expires_at);
            break;
        case Command::Kind::overwrite:
            if (keys_.empty()) {
                add_key(command.value_bytes, expires_at);
                break;
            }
            // Values are replaced by values of the same kind; sizes spread, but do not drift.
            break;
        case Command::Kind::remove:
            if (!keys_.empty()) {
                remove_key(any_key());
            }
            break;
        case Command::Kind::append:
            if (!keys_.empty()) {
                keys_[any_key()].bytes += command.value_bytes;
                key_bytes_ += command.value_bytes;
            }
            break;
        case Command::Kind::move:
            break;
    }
    peak_ = std::max(peak_, used());
    return true;
}

void RedisModel::add_key(std::int64_t value_bytes, Nanos expires_at) {
    const std::int64_t bytes = key_with_value(value_bytes) + (expires_at != 0 ? 32 : 0);
    grow_table();
    keys_.push_back({bytes, expires_at});
    key_bytes_ += bytes;
    expires_ += expires_at != 0 ? 1 : 0;
}

// A doubling that would cross the limit is put off until the table is 1.618 times full.
void RedisModel::grow_table() {
    if (!settings_.jumps) {
        return;
    }
    const auto keys = static_cast<std::int64_t>(keys_.size());
    if (old_table_slots_ != 0 && keys_.size() >= rehash_ends_at_keys_) {
        old_table_slots_ = 0;
    }
    if (keys < table_slots_ || old_table_slots_ != 0) {
        return;
    }
    const bool crosses = used() + 16 * table_slots_ > settings_.maxmemory;
    if (crosses && static_cast<double>(keys) <= 1.618 * static_cast<double>(table_slots_)) {
        return;
    }
    old_table_slots_ = table_slots_;
    while (table_slots_ <= keys) {
        table_slots_ *= 2;
    }
    rehash_ends_at_keys_ = keys_.size() + keys_.size() / rehash_length_share;
}

void RedisModel::remove_key(std::size_t index) {
    key_bytes_ -= keys_[index].bytes;
    expires_ -= keys_[index].expires_at != 0 ? 1 : 0;
    keys_[index] = keys_.back();
    keys_.pop_back();
}

// As Redis: over the limit, keys are evicted by policy; without any, the command is refused.
bool RedisModel::make_room() {
    const policy::EvictionFamily family = policy::eviction_family(settings_.policy);
    while (used() > settings_.maxmemory && settings_.maxmemory > 0 && primary_) {
        if (family == policy::EvictionFamily::noeviction || keys_.empty()) {
            return false;
        }
        std::size_t victim = any_key();
        if (family == policy::EvictionFamily::volatile_keys) {
            if (expires_ == 0) {
                return false;
            }
            for (std::size_t i = 0; keys_[victim].expires_at == 0 && i < keys_.size(); ++i) {
                victim = (victim + 1) % keys_.size();
            }
        }
        remove_key(victim);
        ++evicted_;
    }
    return true;
}

void RedisModel::tick(Nanos now) {
    now_ = now;
    noise_ = std::uniform_int_distribution<std::int64_t>(0, settings_.noise_bytes)(random_);
    std::erase_if(leftovers_, [now](const Leftover& leftover) { return leftover.until <= now; });
    if (expires_ > 0) {
        // A share of the keys is looked at, as the active expire cycle does.
        const std::size_t looks = std::min<std::size_t>(keys_.size(), 400);
        for (std::size_t i = 0; i < looks && !keys_.empty(); ++i) {
            const std::size_t index = any_key();
            if (keys_[index].expires_at != 0 && keys_[index].expires_at <= now) {
                remove_key(index);
                ++expired_;
            }
        }
    }
    peak_ = std::max(peak_, used());
}

void RedisModel::fill(double share, std::int64_t value_bytes, Nanos ttl) {
    const auto target = static_cast<std::int64_t>(share * static_cast<double>(settings_.maxmemory));
    while (used() < target) {
        add_key(value_bytes, ttl > 0 ? now_ + ttl : 0);
    }
    old_table_slots_ = 0;
    reset_peak();
}

void RedisModel::free_share(double share) {
    for (auto n = static_cast<std::size_t>(share * static_cast<double>(keys_.size())); n > 0; --n) {
        remove_key(any_key());
    }
}

void RedisModel::flush() {
    keys_.clear();
    key_bytes_ = expires_ = 0;
    table_slots_ = 4;
    old_table_slots_ = 0;
}

void RedisModel::restart(Nanos now, Nanos loads_for, bool keeps_data) {
    ++runs_;
    loading_until_ = now + loads_for;
    leftovers_.clear();
    large_buffers_ = 0;
    if (!keeps_data) {
        flush();
    }
}

policy::MemorySample RedisModel::info() const {
    policy::MemorySample sample;
    sample.used_memory = used();
    sample.used_memory_dataset = key_bytes_;
    sample.maxmemory = settings_.maxmemory;
    sample.policy = settings_.policy;
    sample.family = policy::eviction_family(settings_.policy);
    std::int64_t buffers = large_buffers_ + connections_ * connection_bytes;
    for (const Leftover& leftover : leftovers_) {
        buffers += leftover.bytes;
    }
    sample.clients_normal_bytes = buffers;
    sample.connected_clients = connections_;
    sample.keys = static_cast<std::int64_t>(keys_.size());
    sample.expires = expires_;
    sample.databases[0] = {.keys = sample.keys, .expires = expires_};
    sample.evicted_keys = evicted_;
    sample.expired_keys = expired_;
    sample.run_id = std::to_string(runs_);
    sample.server = "redis 7.0.15";
    sample.primary = primary_;
    sample.loading = now_ < loading_until_;
    return sample;
}

}  // namespace spillway::sim
