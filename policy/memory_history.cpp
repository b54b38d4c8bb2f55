// What past samples leave behind: a bounded run of figures, and the facts of a server's life that
// explain an OOM later.
#include "policy/memory_history.hpp"

#include <algorithm>

namespace spillway::policy {

std::optional<std::int64_t> ooms_before(std::span<const HistoryPoint> history, Nanos now) noexcept {
    constexpr Nanos lately = 3 * second;
    for (const HistoryPoint& point : history) {
        if (now - point.at <= lately) {
            return point.oom_errors;
        }
    }
    return std::nullopt;
}

MemoryHistory::MemoryHistory() {
    points_.reserve(points_max);
}

void MemoryHistory::add(const MemorySample& sample) {
    if (sample.used_memory < 0) {
        return;
    }
    if (!run_id_.empty() && !sample.run_id.empty() && sample.run_id != run_id_) {
        points_.clear();
        facts_ = {};
        primary_ = true;
    }
    if (!points_.empty() && sample.answered_at <= points_.back().at) {
        return;
    }
    const HistoryPoint point{
        .at = sample.answered_at,
        .counted = sample.counted(),
        .peak = sample.used_memory_peak,
        .maxmemory = sample.maxmemory,
        .dataset = sample.used_memory_dataset,
        .clients = sample.clients_normal_bytes,
        .lazyfree_pending = sample.lazyfree_pending_objects,
        .keys = sample.keys,
        .expires = sample.expires,
        .evicted_keys = sample.evicted_keys,
        .oom_errors = sample.oom_errors};
    learn(sample, point);
    if (points_.size() == points_max) {
        points_.erase(points_.begin());  // 10 KB moved, ten times a second
    }
    points_.push_back(point);
    if (!sample.run_id.empty()) {
        run_id_ = sample.run_id;
    }
    primary_ = sample.primary;
}

void MemoryHistory::learn(const MemorySample& sample, const HistoryPoint& point) {
    const HistoryPoint* last = points_.empty() ? nullptr : &points_.back();
    const bool limited = point.maxmemory > 0;
    const bool over = limited && point.counted > point.maxmemory;

    facts_.expires_high = std::max(facts_.expires_high, point.expires);
    if (last != nullptr && last->evicted_keys >= 0 && point.evicted_keys > last->evicted_keys) {
        facts_.last_eviction_at = point.at;
    }

    // From no limit (0) to one is lowering as well.
    if (last != nullptr && last->maxmemory >= 0 && over && last->maxmemory != point.maxmemory &&
        (last->maxmemory == 0 || point.maxmemory < last->maxmemory)) {
        if (!facts_.ceiling_lowered_at) {  // lowered in steps: the first height counts
            facts_.ceiling_before = last->maxmemory;
        }
        facts_.ceiling_lowered_at = point.at;
    } else if (!over) {
        facts_.ceiling_lowered_at.reset();
        facts_.ceiling_before = 0;
    }

    if (limited && !over) {
        facts_.within_limit_at = point.at;
    } else if (last != nullptr && last->maxmemory != point.maxmemory) {
        facts_.within_limit_at.reset();
    }

    if (last != nullptr && !primary_ && sample.primary && over) {
        facts_.promoted_at = point.at;
    } else if (!over || !sample.primary) {
        facts_.promoted_at.reset();
    }
}

}  // namespace spillway::policy
