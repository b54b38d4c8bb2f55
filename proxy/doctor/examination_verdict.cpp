// What an examination comes to: by which of its readings a server is judged, and what our own look
// at it has changed.
#include "policy/wording.hpp"
#include "proxy/doctor/examination.hpp"
#include "proxy/net/clock.hpp"

#include <algorithm>
#include <utility>

namespace spillway::doctor {
namespace {

constexpr std::int64_t looking_bytes = 512 << 10;  // a connection, histograms of our commands

}  // namespace

// By the newest sample, unless looking is what took the server over its limit: then the first says
// what it is like when nobody looks.
policy::MemoryState Examination::judged_state() const {
    if (look_has_reclaimed()) {
        return state_of({samples_.begin(), samples_.begin() + samples_before});
    }
    policy::MemoryState state = state_of(samples_);
    const policy::MemorySample& first = samples_.front();
    const policy::MemorySample& last = samples_.back();
    const std::int64_t risen = last.used_memory - first.used_memory;
    const bool tipped = first.maxmemory == last.maxmemory && first.counted() <= first.maxmemory &&
                        last.counted() > last.maxmemory && risen > 0 && risen <= looking_bytes;
    const bool quiet = first.keys == last.keys && first.oom_errors == last.oom_errors &&
                       first.policy == last.policy && state.growth_bytes_per_s <= 0;
    if (tipped && quiet) {
        state.sample = first;
        state.counted = std::max<std::int64_t>(first.counted(), 0);
        state.headroom = state.ceiling - state.counted + state.evictable;
    }
    return state;
}

policy::Diagnosis Examination::judge(const policy::MemoryState& state, const Findings& findings)
    const {
    return policy::diagnose({
        .state = state,
        .history = history_.points(),
        .facts = history_.facts(),
        .growth = {},
        .keys = {.mode = policy::KeyMode::full, .secret = {}},
        .now = findings.looked_at,
        .sample = findings.keys.known() ? &findings.keys : nullptr,
        .clients = findings.clients,
        .siblings = siblings_,
        .own_slots = own_slots_,
        .ooms_before = ooms_before_,
    });
}

// Keys that have expired are still held until somebody asks for them, or the server comes past
// them: where it does not keep up, it was our SCAN that freed them.
bool Examination::look_has_reclaimed() const {
    if (samples_.size() <= samples_before) {
        return false;
    }
    const policy::MemorySample& first = samples_.front();
    const policy::MemorySample& before = samples_[samples_before - 1];
    const policy::MemorySample& after = samples_.back();
    const auto watched = static_cast<double>(before.answered_at - first.answered_at);
    const auto looked = static_cast<double>(after.answered_at - before.answered_at);
    const auto usual = static_cast<double>(before.expired_keys - first.expired_keys);
    const auto expired = static_cast<double>(after.expired_keys - before.expired_keys);
    const double by_look = watched > 0 ? expired - 3 * usual * looked / watched : 0;
    const auto freed = static_cast<double>(before.used_memory - after.used_memory);
    return by_look > std::max(100., .05 * static_cast<double>(before.keys)) &&
           freed > .05 * static_cast<double>(before.used_memory);
}

void Examination::tell_reclaimed(policy::Diagnosis& diagnosis) const {
    const policy::MemorySample& before = samples_[samples_before - 1];
    const policy::MemorySample& after = samples_.back();
    diagnosis.evidence.insert(
        diagnosis.evidence.begin(),
        policy::count_text(after.expired_keys - before.expired_keys) +
            " keys had expired but were still held; looking at them freed " +
            policy::bytes_text(before.used_memory - after.used_memory)
    );
    diagnosis.advice.insert(
        diagnosis.advice.begin(),
        "let Redis remove expired keys sooner: CONFIG SET active-expire-effort 10, and a higher "
        "hz; "
        "see that nobody has turned off active expiry (DEBUG SET-ACTIVE-EXPIRE)"
    );
    for (auto* list : {&diagnosis.evidence, &diagnosis.advice}) {
        list->resize(std::min(list->size(), policy::diagnosis_list_max));
    }
}

// What refused writes may be over at the last look: then the fullest moment says more.
void Examination::conclude(Findings& findings) {
    findings.state = judged_state();
    const bool reclaimed = look_has_reclaimed();
    if (reclaimed) {  // keys that went while they were sampled are in no sample
        findings.keys.unexplained = findings.keys.gap = 0;
    }
    findings.looked_at = net::monotonic_now();
    findings.diagnosis = judge(findings.state, findings);
    constexpr double sure = .5;
    const bool refused = findings.diagnosis.health == policy::Health::oom;
    if (refused && findings.diagnosis.confidence < sure) {
        const auto fullest =
            std::max_element(samples_.begin(), samples_.end(), [](const auto& a, const auto& b) {
                return a.counted() < b.counted();
            });
        policy::MemoryState then = findings.state;
        then.sample = *fullest;
        then.sample.oom_errors = samples_.back().oom_errors;
        then.counted = std::max<std::int64_t>(fullest->counted(), 0);
        then.headroom = then.ceiling - then.counted + then.evictable;
        policy::Diagnosis diagnosis = judge(then, findings);
        if (diagnosis.confidence > findings.diagnosis.confidence) {
            findings.state = std::move(then);
            findings.diagnosis = std::move(diagnosis);
        }
    }
    if (reclaimed) {
        tell_reclaimed(findings.diagnosis);
    }
    findings.unavailable = unavailable_;
}

}  // namespace spillway::doctor
