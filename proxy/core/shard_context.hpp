// What all sessions of a shard share: the time of this pass, tables, guard, counters, and what they
// report.
#pragma once

#include "policy/flight.hpp"
#include "policy/growth_sampler.hpp"
#include "policy/guard.hpp"
#include "policy/rules.hpp"
#include "policy/verdict_table.hpp"
#include "proxy/core/block_queue.hpp"
#include "proxy/core/oom_reporter.hpp"
#include "proxy/core/refusal_texts.hpp"
#include "proxy/core/retry.hpp"
#include "proxy/metrics/shard_metrics.hpp"
#include "resp/command_table.hpp"

#include <memory>
#include <string>
#include <vector>

namespace spillway::core {

// A session from which on bytes only pass, for the log.
struct OpaqueNote {
    metrics::OpaqueReason reason{};
    std::string address;
    std::string client_name;
    std::string server_said;  // an error that nobody had asked for; else empty
};

// One thread's; plain data, set up and refreshed by the shard that owns it.
struct ShardContext {
    ShardContext(
        policy::CreditPool& pool, policy::TrafficCells& cells, const policy::GuardSettings& settings
    )
        : guard(pool, cells, settings) {}

    policy::Nanos now = 0;  // of this pass
    resp::CommandLookup commands;
    std::shared_ptr<const policy::Rules> rules;
    policy::Guard guard;
    policy::Flight flight;  // as the guard's newest view allows
    std::string policy_name = "unknown";
    RefusalTexts refusals;
    OomReporter ooms;
    static constexpr std::size_t opaque_notes_max = 8;  // those beyond are only counted
    std::vector<OpaqueNote> opaque_notes;               // since the shard last took them
    policy::GrowthSampler growth;
    policy::VerdictTable verdicts;  // since the shard last took them
    BlockPool blocks;
    metrics::ShardMetrics metrics;
    RetryBudget retries;
    bool sample_wished = false;  // someone waits for what the next sample shows
    bool annotate_replies = false;
    std::string annotation;  // what is appended to a top-level OOM reply
};

}  // namespace spillway::core
