// What the guard did, or in observe mode would have done, by rule and client name: bounded, heavy
// clients kept.
#include "policy/verdict_table.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace spillway::policy {
namespace {

bool is_larger(const VerdictRow& a, const VerdictRow& b) noexcept {
    return a.commands() > b.commands();
}

// Bytes are what clients announced, for many commands at once.
std::uint64_t saturated(std::uint64_t a, std::uint64_t b) noexcept {
    return a + std::min(b, std::numeric_limits<std::uint64_t>::max() - a);
}

}  // namespace

void VerdictRow::add(const VerdictRow& more) noexcept {
    held += more.held;
    refused += more.refused;
    would_hold += more.would_hold;
    would_refuse += more.would_refuse;
    bytes = saturated(bytes, more.bytes);
}

VerdictRow& VerdictTable::row_of(std::string_view rule, std::string_view client) {
    const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const VerdictRow& row) {
        return row.client == client && row.rule == rule;
    });
    if (found != rows_.end()) {
        return *found;
    }
    VerdictRow row;
    row.rule = rule;
    row.client = client;
    if (rows_.size() < rows_max) {
        return rows_.emplace_back(std::move(row));
    }
    VerdictRow& smallest = *std::max_element(rows_.begin(), rows_.end(), is_larger);
    other_.add(smallest);
    smallest = std::move(row);
    return smallest;
}

void VerdictTable::count(
    std::string_view rule, std::string_view client, Outcome outcome, std::uint64_t bytes
) {
    VerdictRow& row = row_of(rule, client);
    switch (outcome) {
        case Outcome::held:
            ++row.held;
            return;
        case Outcome::would_hold:
            ++row.would_hold;
            return;
        case Outcome::refused:
            ++row.refused;
            break;
        case Outcome::would_refuse:
            ++row.would_refuse;
            break;
    }
    row.bytes = saturated(row.bytes, bytes);
}

void VerdictTable::add(const VerdictTable& more) {
    for (const VerdictRow& row : more.rows_) {
        row_of(row.rule, row.client).add(row);
    }
    other_.add(more.other_);
}

std::vector<VerdictRow> VerdictTable::rows() const {
    std::vector<VerdictRow> rows = rows_;
    std::stable_sort(rows.begin(), rows.end(), is_larger);
    return rows;
}

VerdictRow VerdictTable::total() const {
    VerdictRow total = other_;
    for (const VerdictRow& row : rows_) {
        total.add(row);
    }
    return total;
}

void VerdictHistory::add(const VerdictTable& more, Nanos now) {
    if (more.empty()) {
        return;
    }
    if (recent_.empty()) {
        recent_since_ = now;
    }
    all_.add(more);
    recent_.add(more);
}

std::optional<VerdictTable> VerdictHistory::take_summary(Nanos now, bool ending) {
    if (recent_.empty() || (!ending && now - recent_since_ < interval)) {
        return std::nullopt;
    }
    return std::exchange(recent_, {});
}

}  // namespace spillway::policy
