// Promises about every diagnosis, whatever a server or its clients say.

#include "policy/diagnose.hpp"
#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using testing::all_of;
using testing::carts;
using testing::has;
using testing::sample_of;
using testing::says;
using testing::Scene;
using testing::small_set;

// -------------------------------------------------------------------------------

void expect_bounded(const Diagnosis& d) {
    ASSERT_GE(d.confidence, 0);
    ASSERT_LE(d.confidence, 1);
    ASSERT_FALSE(d.evidence.empty());
    ASSERT_LE(d.evidence.size(), diagnosis_list_max);
    ASSERT_LE(d.advice.size(), diagnosis_list_max);
    ASSERT_LE(d.also.size(), diagnosis_list_max);
    ASSERT_FALSE(has(d.also, d.cause)) << name_of(d.cause);
    for (const auto& list : {d.evidence, d.advice}) {
        for (const auto& sentence : list) {
            ASSERT_FALSE(sentence.empty());
            ASSERT_LE(sentence.size(), sentence_bytes_max);
            ASSERT_EQ(sentence.find("nan"), std::string::npos) << sentence;
        }
    }
}

TEST(DiagnoseBounds, KeysAreShownAsTheOperatorChose) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.growth = carts;
    scene.keys.mode = KeyMode::none;
    EXPECT_EQ(all_of(scene.diagnosis()).find("cart"), std::string::npos);
    scene.keys.mode = KeyMode::hash;
    EXPECT_EQ(all_of(scene.diagnosis()).find("cart"), std::string::npos);
    EXPECT_TRUE(says(scene.diagnosis().advice, "find out why #"));
}

TEST(DiagnoseBounds, NamesOfClientsCannotForgeLines) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.growth = {{"k", "evil\n{\"event\":\"oom\"}\x1b[2J\xff", "SET", 325'000'000, 1.0}};
    scene.event.command = "S\nET";
    scene.state.sample.policy = "volatile-\x1b" + std::string(500, 'x');
    scene.state.sample.family = EvictionFamily::volatile_keys;
    ASSERT_NO_FATAL_FAILURE(expect_bounded(scene.diagnosis()));
    for (const char c : all_of(scene.diagnosis())) {
        EXPECT_TRUE(c == '\n' || (c >= ' ' && c < '\x7f'));
    }
    EXPECT_FALSE(says(scene.diagnosis().advice, "\n"));
}

std::int64_t any_bytes(std::mt19937_64& random) {
    switch (random() % 6) {
        case 0:
            return -1;
        case 1:
            return 0;
        case 2:
            return static_cast<std::int64_t>(random() >> 1U);
        case 3:
            return static_cast<std::int64_t>(random() % (1U << 16U));
        default:
            return static_cast<std::int64_t>(random() % (128U << 20U));
    }
}

MemorySample any_sample(std::mt19937_64& random, Nanos at) {
    constexpr std::array families = {
        EvictionFamily::unknown,
        EvictionFamily::noeviction,
        EvictionFamily::volatile_keys,
        EvictionFamily::all_keys};
    MemorySample s;
    s.answered_at = at + static_cast<Nanos>(random() % 1000) * millisecond;
    s.asked_at = s.answered_at - static_cast<Nanos>(random() % 2000) * millisecond;
    for (auto* field :
         {&s.used_memory,
          &s.used_memory_peak,
          &s.used_memory_overhead,
          &s.used_memory_startup,
          &s.used_memory_dataset,
          &s.used_memory_scripts,
          &s.maxmemory,
          &s.clients_normal_bytes,
          &s.clients_replica_bytes,
          &s.replication_buffers_bytes,
          &s.backlog_bytes,
          &s.aof_buffer_bytes,
          &s.cluster_links_bytes,
          &s.max_input_buffer_bytes,
          &s.max_output_buffer_bytes,
          &s.lazyfree_pending_objects,
          &s.eviction_exceeded_ms,
          &s.cached_scripts,
          &s.evicted_keys,
          &s.connected_clients,
          &s.total_system_memory,
          &s.used_memory_rss}) {
        *field = any_bytes(random);
    }
    for (auto* field : {&s.not_counted_for_evict, &s.keys, &s.expires}) {
        *field = std::max<std::int64_t>(any_bytes(random), 0);
    }
    s.family = families[random() % families.size()];
    s.primary = random() % 4 != 0;
    return s;
}

// Whatever a server claims: bounds hold, the cheap verdict agrees with the full one, and nothing is
// undefined (run under the sanitizers).
TEST(DiagnoseBounds, AnyFiguresGiveABoundedDiagnosis) {
    std::mt19937_64 random(42);
    for (int round = 0; round < 20'000; ++round) {
        MemoryHistory history;
        MemoryState state;
        const auto points = random() % 4;
        for (std::uint64_t i = 0; i <= points; ++i) {
            state.sample = any_sample(random, static_cast<Nanos>(i) * second);
            history.add(state.sample);
        }
        state.sampled = true;
        state.ceiling = std::max<std::int64_t>(state.sample.maxmemory, 0);
        state.evictable = any_bytes(random);
        state.growth_bytes_per_s = static_cast<double>(any_bytes(random));
        OomEvent event =
            small_set(state.sample.asked_at - static_cast<Nanos>(random() % 100) * millisecond);
        event.origin = random() % 3 == 0 ? OomOrigin::guard : OomOrigin::backend;
        event.form = static_cast<OomForm>(random() % 7);
        event.bytes = random() >> (random() % 64);
        event.largest_argument_bytes = random() >> (random() % 64);
        event.command = random() % 3 == 0 ? "EVAL" : "SET";
        const Evidence evidence{
            .state = state,
            .event = random() % 4 == 0 ? nullptr : &event,
            .history = history.points(),
            .facts = history.facts(),
            .growth = carts,
            .now = state.sample.answered_at};
        const Diagnosis d = diagnose(evidence);
        ASSERT_NO_FATAL_FAILURE(expect_bounded(d));
        const bool refusal = evidence.event != nullptr && event.origin == OomOrigin::guard;
        if (d.health != Health::healthy && !refusal) {
            ASSERT_EQ(likely_cause(evidence), d.cause);
        }
    }
}

// No sentence is lost to the bounds in states as they really occur.
TEST(DiagnoseBounds, NothingIsCutInRealStates) {
    for (const char* fixture :
         {"noeviction_full",
          "noeviction_queue",
          "volatile_no_ttl",
          "volatile_few_after",
          "outbuf_at",
          "querybuf_at",
          "oversized_at",
          "backlog_full",
          "scripts_full",
          "lazyfree_at",
          "lowered_at",
          "tiny_limit",
          "allkeys_full",
          "subscriptions",
          "managed_hidden"}) {
        Scene scene({sample_of("oversized_before")}, sample_of(fixture));
        scene.growth = {
            {std::string(pattern_bytes_max, 'p'),
             std::string(64, 'c'),
             std::string(32, 'X'),
             325'000'000,
             .5}};
        for (const auto& list : {scene.diagnosis().evidence, scene.diagnosis().advice}) {
            for (const auto& sentence : list) {
                EXPECT_LT(sentence.size(), sentence_bytes_max) << sentence;
            }
        }
    }
}

}  // namespace
}  // namespace spillway::policy
