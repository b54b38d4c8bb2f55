// States of real servers for the tests of the diagnosis: INFO texts as Redis 7.0.15 gave them, read
// and completed.
#pragma once

#include "policy/info.hpp"
#include "policy/memory_history.hpp"
#include "policy/memory_state.hpp"
#include "policy/oom_event.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::policy::testing {

inline constexpr std::int64_t kib = 1 << 10;
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

}  // namespace spillway::policy::testing
