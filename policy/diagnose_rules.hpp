// The rules of the diagnosis: for each cause how well it fits, what shows it, and what speaks
// against it.
#pragma once

#include "policy/diagnose_figures.hpp"

#include <string>
#include <vector>

namespace spillway::policy {

struct Story {
    std::vector<std::string> evidence;
    std::vector<std::string> advice;
};

struct CauseRule {
    Cause cause;
    double (*score)(const Figures&) noexcept;  // 0 (does not fit) to 1; the highest names the cause
    void (*tell)(const Figures&, Story&);      // most telling sentence first
    std::string (*against)(const Figures&);    // why it is not this; null where that says nothing
};

// Scores, in diagnose_scores.cpp.
namespace score {
[[nodiscard]] double script_refused(const Figures& f) noexcept;
[[nodiscard]] double ceiling_lowered(const Figures& f) noexcept;
[[nodiscard]] double replica_promoted(const Figures& f) noexcept;
[[nodiscard]] double oversized_write(const Figures& f) noexcept;
[[nodiscard]] double client_buffers(const Figures& f) noexcept;
[[nodiscard]] double replication_buffers(const Figures& f) noexcept;
[[nodiscard]] double script_memory(const Figures& f) noexcept;
[[nodiscard]] double lazyfree_pending(const Figures& f) noexcept;
[[nodiscard]] double non_data_overhead(const Figures& f) noexcept;
[[nodiscard]] double no_evictable_keys(const Figures& f) noexcept;
[[nodiscard]] double few_evictable_keys(const Figures& f) noexcept;
[[nodiscard]] double big_key(const Figures& f) noexcept;
[[nodiscard]] double noeviction_at_ceiling(const Figures& f) noexcept;
[[nodiscard]] double eviction_too_slow(const Figures& f) noexcept;
[[nodiscard]] double provider_limit(const Figures& f) noexcept;
[[nodiscard]] double cluster_skew(const Figures& f) noexcept;
[[nodiscard]] double write_burst(const Figures& f) noexcept;
[[nodiscard]] double unknown(const Figures& f) noexcept;
}  // namespace score

}  // namespace spillway::policy
