// The bounded parts of an incident's story: counts by name, and the memory curve.
#include "policy/incident_tables.hpp"

#include <algorithm>
#include <limits>

namespace spillway::policy {
namespace {

[[nodiscard]] std::uint64_t events(const CountRow& row) noexcept {
    return row.oom_replies + row.refusals;
}

[[nodiscard]] bool is_larger(const CountRow& a, const CountRow& b) noexcept {
    return events(a) != events(b) ? events(a) > events(b) : a.bytes > b.bytes;
}

void sum(CountRow& into, const CountRow& more) noexcept {
    into.oom_replies += more.oom_replies;
    into.refusals += more.refusals;
    const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - into.bytes;
    into.bytes +=
        std::min(more.bytes, room);  // bytes are what clients announced, for many commands at once
}

}  // namespace

void CountTable::add(std::string_view name, const CountRow& more) {
    const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const CountRow& row) {
        return row.name == name;
    });
    if (found != rows_.end()) {
        sum(*found, more);
        return;
    }
    CountRow row;
    row.name = name;
    sum(row, more);
    if (rows_.size() + 1 < Incident::rows_max) {
        rows_.push_back(std::move(row));
        return;
    }
    const auto smallest = std::max_element(rows_.begin(), rows_.end(), is_larger);
    sum(other_, *smallest);
    *smallest = std::move(row);
}

std::vector<CountRow> CountTable::rows() const {
    std::vector<CountRow> rows = rows_;
    std::stable_sort(rows.begin(), rows.end(), is_larger);
    if (events(other_) > 0) {
        rows.push_back(other_);
        rows.back().name = other_row;
    }
    return rows;
}

void MemoryCurve::add(const CurvePoint& point) {
    if (!points_.empty() && point.unix_s < points_.back().unix_s + step_s_) {
        points_.back().counted = std::max(points_.back().counted, point.counted);
        points_.back().ceiling = point.ceiling;
        return;
    }
    if (points_.size() == Incident::curve_max) {
        for (std::size_t i = 0; i < points_.size() / 2; ++i) {
            const CurvePoint& first = points_[2 * i];
            const CurvePoint& next = points_[2 * i + 1];
            points_[i] = {
                .unix_s = first.unix_s,
                .counted = std::max(first.counted, next.counted),
                .ceiling = next.ceiling};
        }
        points_.resize(points_.size() / 2);
        step_s_ *= 2;
    }
    points_.push_back(point);
}

}  // namespace spillway::policy
