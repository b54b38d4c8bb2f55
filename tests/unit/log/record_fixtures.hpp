// Records as the incident desk would hand them over, with figures that are easy to follow.
#pragma once

#include "policy/incident.hpp"

#include <memory>
#include <string>

namespace spillway::log::testing {

inline constexpr std::int64_t noon = 1'709'208'000'000;  // 2024-02-29T12:00:00Z
inline constexpr std::int64_t mib = 1 << 20;

inline policy::MemoryState full_state() {
    policy::MemoryState state;
    state.sampled = true;
    state.sample.used_memory = 64 * mib + 11'136;
    state.sample.maxmemory = 64 * mib;
    state.sample.policy = "noeviction";
    state.sample.keys = 61'234;
    state.sample.expires = 12;
    state.counted = 64 * mib + 11'136;
    state.ceiling = 64 * mib;
    state.headroom = -11'136;
    state.growth_bytes_per_s = 5 * mib + .4;
    state.time_to_ceiling_s = 11.23;
    return state;
}

inline policy::Record oom_record() {
    policy::Record record;
    record.kind = policy::RecordKind::oom;
    record.incident_id = "7f3a";
    record.suppressed = 4120;
    policy::Report& report = record.report;
    report.event.command = "SET";
    report.event.bytes = 1'048'620;
    report.event.key = "cart:*";
    report.event.client = {"10.0.0.1:52110", "checkout", "default", "redis-py"};
    report.event.reply = "OOM command not allowed when used memory > 'maxmemory'.";
    report.unix_ms = noon;
    report.state = full_state();
    report.sample_age_ms = 12;
    report.diagnosis.health = policy::Health::oom;
    report.diagnosis.cause = policy::Cause::noeviction_at_ceiling;
    report.diagnosis.confidence = .95;
    report.diagnosis.evidence = {
        "policy is noeviction, so nothing may be evicted", "data takes 63 MiB"};
    report.diagnosis.also = {policy::Cause::write_burst};
    report.diagnosis.advice = {"raise maxmemory above 64 MiB"};
    report.top_growth = {{"cart:*", "checkout", "SET", 325'000'000, 1.0}};
    return record;
}

inline policy::Record refused_record() {
    policy::Record record = oom_record();
    record.kind = policy::RecordKind::refused;
    record.report.event.origin = policy::OomOrigin::guard;
    record.report.event.guard_cause = policy::Cause::near_ceiling;
    record.report.event.priority = policy::Priority::sheddable;
    record.report.event.rule = "reports";
    record.report.diagnosis.cause = policy::Cause::near_ceiling;
    return record;
}

inline policy::Record incident_record(policy::RecordKind kind) {
    auto incident = std::make_shared<policy::Incident>();
    incident->id = "7f3a";
    incident->opened_unix_ms = noon;
    incident->duration_s = 12.5;
    incident->oom_replies = 4121;
    incident->refusals = 7;
    incident->by_command = {{"SET", 4000, 0, 4'000'000}, {"HSET", 121, 7, 9}};
    incident->by_client = {{"checkout", 4121, 7, 4'000'009}};
    incident->by_pattern = {{"cart:*", 4121, 7, 4'000'009}};
    incident->curve = {{noon / 1000, 60 * mib, 64 * mib}, {noon / 1000 + 1, 64 * mib, 64 * mib}};
    incident->report = oom_record().report;
    if (kind == policy::RecordKind::incident_closed) {
        incident->closed_unix_ms = noon + 22'500;
    }
    policy::Record record;
    record.kind = kind;
    record.incident_id = "7f3a";
    record.incident = std::move(incident);
    record.cause_before = policy::Cause::client_buffers;
    return record;
}

}  // namespace spillway::log::testing
