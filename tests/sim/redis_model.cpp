// A model of Redis' memory, by measured figures: keys, tables and their jumps, buffers of large
// arguments, expiry, eviction, and the check at the limit.
#include "tests/sim/redis_model.hpp"

#include <algorithm>
#include <limits>

namespace spillway::sim {
namespace {

constexpr std::int64_t expiry_bytes = 32;
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
    : settings_(std::move(settings)),
      family_(policy::eviction_family(settings_.policy)),
      random_(seed) {}

std::size_t RedisModel::index_below(std::size_t count) noexcept {
    return static_cast<std::size_t>(random_.number(0, static_cast<std::int64_t>(count) - 1));
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
        leftover_bytes_ += copy;
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
            if (keys() == 0) {
                add_key(command.value_bytes, expires_at);
                break;
            }
            // Values are replaced by values of the same kind; sizes spread, but do not drift.
            break;
        case Command::Kind::remove:
            if (keys() > 0) {
                remove_any_key();
            }
            break;
        case Command::Kind::append:
            if (!keys_.empty()) {
                keys_[index_below(keys_.size())] += static_cast<Key>(command.value_bytes);
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
    grow_table();
    add_keys(1, key_with_value(value_bytes) + (expires_at != 0 ? expiry_bytes : 0), expires_at);
}

void RedisModel::add_keys(std::int64_t count, std::int64_t bytes, Nanos expires_at) {
    const auto number = static_cast<std::size_t>(count);
    if (expires_at != 0) {
        expiring_.insert(expiring_.end(), number, {bytes, expires_at});
    } else {
        keys_.insert(keys_.end(), number, static_cast<Key>(bytes));
    }
    key_bytes_ += count * bytes;
}

// How many may be added before grow_table() can have anything to do again.
std::int64_t RedisModel::keys_until_table_grows() const noexcept {
    if (!settings_.jumps) {
        return std::numeric_limits<std::int64_t>::max();
    }
    const auto until = static_cast<std::int64_t>(
        old_table_slots_ != 0 ? rehash_ends_at_keys_ : static_cast<std::size_t>(table_slots_)
    );
    return std::max<std::int64_t>(until - static_cast<std::int64_t>(keys()), 1);
}

// A doubling that would cross the limit is put off until the table is 1.618 times full.
void RedisModel::grow_table() {
    if (!settings_.jumps) {
        return;
    }
    const auto count = static_cast<std::int64_t>(keys());
    if (old_table_slots_ != 0 && keys() >= rehash_ends_at_keys_) {
        old_table_slots_ = 0;
    }
    if (count < table_slots_ || old_table_slots_ != 0) {
        return;
    }
    const bool crosses = used() + 16 * table_slots_ > settings_.maxmemory;
    if (crosses && static_cast<double>(count) <= 1.618 * static_cast<double>(table_slots_)) {
        return;
    }
    old_table_slots_ = table_slots_;
    while (table_slots_ <= count) {
        table_slots_ *= 2;
    }
    rehash_ends_at_keys_ = keys() + keys() / rehash_length_share;
}

void RedisModel::remove_lasting_key(std::size_t index) {
    key_bytes_ -= keys_[index];
    keys_[index] = keys_.back();
    keys_.pop_back();
}

void RedisModel::remove_expiring_key(std::size_t index) {
    key_bytes_ -= expiring_[index].bytes;
    expiring_[index] = expiring_.back();
    expiring_.pop_back();
}

void RedisModel::remove_any_key() {
    const std::size_t index = index_below(keys());
    if (index < keys_.size()) {
        remove_lasting_key(index);
    } else {
        remove_expiring_key(index - keys_.size());
    }
}

// As Redis: over the limit, keys are evicted by policy; without any, the command is refused.
bool RedisModel::make_room() {
    while (used() > settings_.maxmemory && settings_.maxmemory > 0 && primary_) {
        const bool any = family_ == policy::EvictionFamily::all_keys && keys() > 0;
        const bool expiring =
            family_ == policy::EvictionFamily::volatile_keys && !expiring_.empty();
        if (any) {
            remove_any_key();
        } else if (expiring) {
            remove_expiring_key(index_below(expiring_.size()));
        } else {
            return false;
        }
        ++evicted_;
    }
    return true;
}

void RedisModel::tick(Nanos now) {
    now_ = now;
    noise_ = random_.number(0, settings_.noise_bytes);
    if (settings_.wobble_bytes > 0 && now >= wobbles_at_) {
        wobble_ = random_.number(0, settings_.wobble_bytes);
        wobbles_at_ = now + random_.number(settings_.wobble_every / 2, settings_.wobble_every);
    }
    std::erase_if(leftovers_, [this, now](const Leftover& leftover) {
        leftover_bytes_ -= leftover.until <= now ? leftover.bytes : 0;
        return leftover.until <= now;
    });
    // A few are looked at each time, as the active expire cycle does.
    for (int alive = 0; alive < 20 && !expiring_.empty();) {
        const std::size_t index = index_below(expiring_.size());
        if (expiring_[index].expires_at > now) {
            ++alive;
            continue;
        }
        remove_expiring_key(index);
        ++expired_;
    }
    peak_ = std::max(peak_, used());
}

void RedisModel::fill(double share, std::int64_t value_bytes, Nanos ttl) {
    const auto target = static_cast<std::int64_t>(share * static_cast<double>(settings_.maxmemory));
    const Nanos expires_at = ttl > 0 ? now_ + ttl : 0;
    const std::int64_t bytes = key_with_value(value_bytes) + (expires_at != 0 ? expiry_bytes : 0);
    for (std::int64_t left = target - used(); left > 0; left = target - used()) {
        grow_table();
        const std::int64_t enough = (target - used() + bytes - 1) / bytes;
        add_keys(std::clamp<std::int64_t>(enough, 1, keys_until_table_grows()), bytes, expires_at);
    }
    old_table_slots_ = 0;
    reset_peak();
}

void RedisModel::free_share(double share) {
    for (auto n = static_cast<std::size_t>(share * static_cast<double>(keys())); n > 0; --n) {
        remove_any_key();
    }
}

void RedisModel::flush() {
    keys_.clear();
    expiring_.clear();
    key_bytes_ = 0;
    table_slots_ = 4;
    old_table_slots_ = 0;
}

void RedisModel::restart(Nanos now, Nanos loads_for, bool keeps_data) {
    ++runs_;
    loading_until_ = now + loads_for;
    leftovers_.clear();
    leftover_bytes_ = 0;
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
    sample.family = family_;
    sample.clients_normal_bytes =
        large_buffers_ + leftover_bytes_ + connections_ * connection_bytes;
    sample.connected_clients = connections_;
    sample.keys = static_cast<std::int64_t>(keys());
    sample.expires = static_cast<std::int64_t>(expiring_.size());
    sample.databases[0] = {.keys = sample.keys, .expires = sample.expires};
    sample.evicted_keys = evicted_;
    sample.expired_keys = expired_;
    sample.run_id = std::to_string(runs_);
    sample.server = "redis 7.0.15";
    sample.primary = primary_;
    sample.loading = now_ < loading_until_;
    return sample;
}

}  // namespace spillway::sim
