// States of real servers for the tests of the diagnosis: INFO texts as Redis 7.0.15 gave them, read
// and completed.
#pragma once

#include "policy/diagnose.hpp"
#include "policy/info.hpp"
#include "policy/memory_history.hpp"
#include "policy/memory_state.hpp"
#include "policy/oom_event.hpp"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy::testing {

inline constexpr std::int64_t mib = 1 << 20;

inline std::string info_text(std::string_view name) {
    std::ifstream file(
        "tests/unit/policy/fixtures/" + std::string(name) + ".info", std::ios::binary
    );
    std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_FALSE(text.empty()) << "no fixture " << name;
    return text;
}

inline MemorySample sample_of(std::string_view fixture, Nanos answered_at = 0) {
    MemorySample sample;
    sample.asked_at = answered_at - millisecond;
    sample.answered_at = answered_at;
    EXPECT_EQ(parse_info(info_text(fixture), sample), InfoProblem::none) << fixture;
    return sample;
}

// As the guard would publish it, without growth.
inline MemoryState state_of(MemorySample sample) {
    MemoryState state;
    state.sampled = true;
    state.counted = sample.counted();
    state.ceiling = std::max<std::int64_t>(sample.maxmemory, 0);
    state.headroom = state.ceiling - state.counted;
    state.state = GuardState::ceiling;
    state.sample = std::move(sample);
    return state;
}

inline MemoryState state_of(std::string_view fixture, Nanos answered_at = 0) {
    return state_of(sample_of(fixture, answered_at));
}

// A refused SET of some hundred bytes, seen just before the sample was asked for.
inline OomEvent small_set(Nanos at) {
    OomEvent event;
    event.at = at;
    event.command = "SET";
    event.bytes = 640;
    event.largest_argument_bytes = 600;
    event.key = "cart:4711";
    event.client = {
        .address = "10.0.0.1:52110", .name = "checkout", .user = "default", .library = "redis-py"};
    event.reply = "OOM command not allowed when used memory > 'maxmemory'.";
    return event;
}

// A SET of 20 MiB.
inline OomEvent blob(Nanos at) {
    OomEvent event = small_set(at);
    event.bytes = 20 * mib + 40;
    event.largest_argument_bytes = 20 * mib;
    event.key = "blob:1";
    return event;
}

inline const std::vector<GrowthRow> carts = {{"cart:*", "checkout", "SET", 325'000'000, 1.0}};

// A scene: what was seen before, the refusal, and the sample that was asked for after it.
struct Scene {
    MemoryHistory history;
    OomEvent event = small_set(0);
    MemoryState state;
    std::vector<GrowthRow> growth;
    KeyDisplay keys;

    // One second apart; the refusal comes 100 ms after the last, its sample 50 ms later.
    Scene(std::initializer_list<MemorySample> before, MemorySample at) {
        Nanos now = 100 * second;
        for (MemorySample sample : before) {
            now += second;
            sample.asked_at = now - millisecond;
            sample.answered_at = now;
            history.add(sample);
        }
        event.at = now + 100 * millisecond;
        at.asked_at = now + 110 * millisecond;
        at.answered_at = now + 150 * millisecond;
        history.add(at);
        state = state_of(std::move(at));
    }

    [[nodiscard]] Evidence evidence(bool with_event = true) const {
        return {
            .state = state,
            .event = with_event ? &event : nullptr,
            .history = history.points(),
            .facts = history.facts(),
            .growth = growth,
            .keys = keys,
            .now = state.sample.answered_at};
    }
    [[nodiscard]] Diagnosis diagnosis() const { return diagnose(evidence()); }
    [[nodiscard]] Diagnosis look() const { return diagnose(evidence(false)); }
};

inline Diagnosis look(const Scene& scene, const KeySummary& keys, bool with_event = false) {
    Evidence evidence = scene.evidence(with_event);
    evidence.sample = &keys;
    return diagnose(evidence);
}

inline bool says(const std::vector<std::string>& sentences, std::string_view part) {
    return std::any_of(sentences.begin(), sentences.end(), [&](const std::string& sentence) {
        return sentence.find(part) != std::string::npos;
    });
}

inline bool has(const std::vector<Cause>& causes, Cause cause) {
    return std::find(causes.begin(), causes.end(), cause) != causes.end();
}

inline std::string all_of(const Diagnosis& d) {
    std::string text(name_of(d.cause));
    for (const auto& list : {d.evidence, d.advice}) {
        for (const auto& sentence : list) {
            text.append("\n").append(sentence);
        }
    }
    return text;
}

}  // namespace spillway::policy::testing
