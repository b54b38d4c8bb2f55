// Explains why memory is full, or whether it is about to be: a cause, how sure it is, what shows it
// and what would help.
#pragma once

#include "policy/cause.hpp"
#include "policy/growth_ledger.hpp"
#include "policy/key_pattern.hpp"
#include "policy/key_sample.hpp"
#include "policy/memory_history.hpp"
#include "policy/memory_state.hpp"
#include "policy/oom_event.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

// A client that holds much of the server's memory, as CLIENT LIST shows it; or many of a like name
// or one host, then `id`, `address` and `command` are those of the largest.
struct HeavyClient {
    std::int64_t id = 0;
    std::string address{};
    std::string name{};             // of many, what is common to their names
    std::string command{};          // its last
    std::int64_t output_bytes = 0;  // replies that it has not read
    std::int64_t query_bytes = 0;   // queries that it has not finished, and queued ones
    std::int64_t count = 1;         // connections
    std::int64_t bytes_of_largest = 0;
    // Of the largest: room in its query buffer that nothing fills, as a large command leaves it for
    // a while; and what it has queued in MULTI.
    std::int64_t spare_bytes = 0;
    std::int64_t multi_bytes = 0;

    // One connection holds most of it.
    [[nodiscard]] bool alone() const noexcept {
        return count == 1 || bytes_of_largest > (output_bytes + query_bytes) / 2;
    }
};

// Another primary of the same cluster.
struct SiblingNode {
    std::string address{};
    std::int64_t counted = 0;
    std::int64_t ceiling = 0;  // 0 = none
    int slots = 0;
};

// All that is looked at. Only `state` must be there; everything referred to must outlive the call.
struct Evidence {
    const MemoryState& state;
    const OomEvent* event = nullptr;          // none: a look at the server as it is (doctor)
    std::span<const HistoryPoint> history{};  // oldest first
    KnownFacts facts{};
    std::span<const GrowthRow> growth{};  // largest first, patterns as the ledger has them
    KeyDisplay keys{};                    // how patterns may be named in sentences
    Nanos now = 0;
    const KeySummary* sample = nullptr;       // what a sample of the keys showed
    std::span<const HeavyClient> clients{};   // largest first
    std::span<const SiblingNode> siblings{};  // of a cluster, as far as they answered
    int own_slots = 0;
    std::optional<std::int64_t> ooms_before{};  // errorstat_OOM when the watch began
    bool guard_refuses = false;                 // in the incident that is open
};

enum class Health : std::uint8_t { healthy, at_risk, oom };

[[nodiscard]] constexpr std::string_view name_of(Health health) noexcept {
    switch (health) {
        case Health::healthy:
            return "healthy";
        case Health::at_risk:
            return "at-risk";
        case Health::oom:
            return "oom";
    }
    return "?";
}

// Sentences are plain ASCII without a full stop, at most sentence_bytes_max; lists hold at most
// list_max entries.
struct Diagnosis {
    Health health = Health::healthy;
    Cause cause = Cause::unknown;  // says nothing when healthy
    double confidence = 0;         // 0 to 1
    std::vector<std::string> evidence;
    std::vector<Cause> also;
    std::vector<std::string> advice;
};

inline constexpr std::size_t sentence_bytes_max = 200;
inline constexpr std::size_t diagnosis_list_max = 8;

[[nodiscard]] Diagnosis diagnose(const Evidence& evidence);

// The cause that diagnose() would name, without its sentences: cheap enough for every event. For a
// refusal by the guard it is the cause of the pressure, not what the refusal said.
[[nodiscard]] Cause likely_cause(const Evidence& evidence);

}  // namespace spillway::policy
