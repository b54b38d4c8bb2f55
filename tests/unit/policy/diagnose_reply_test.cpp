// Diagnoses by what the reply itself says, refusals by the guard, and looks without any reply.
#include "policy/diagnose.hpp"
#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using testing::all_of;
using testing::blob;
using testing::has;
using testing::mib;
using testing::sample_of;
using testing::says;
using testing::Scene;
using testing::small_set;

// The reply itself.

TEST(Diagnose, ScriptRefusedByItsOwnText) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.event.command = "EVALSHA";
    scene.event.form = OomForm::script_denied;
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::script_refused);
    EXPECT_TRUE(has(d.also, Cause::noeviction_at_ceiling))
        << "the reason that the limit is reached";
    EXPECT_TRUE(says(d.advice, "flags=no-writes"));
}

TEST(Diagnose, ScriptRefusedAsItsDeclarationWasSeen) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.event.command = "EVAL";
    scene.event.script_declared = true;
    EXPECT_EQ(scene.diagnosis().cause, Cause::script_refused);
    scene.event.script_declared = false;
    EXPECT_EQ(scene.diagnosis().cause, Cause::noeviction_at_ceiling)
        << "a pcall may have been returned";
    EXPECT_TRUE(has(scene.diagnosis().also, Cause::script_refused));
    scene.event.form = OomForm::in_script;
    EXPECT_FALSE(has(scene.diagnosis().also, Cause::script_refused))
        << "it has run up to its first write";
    EXPECT_TRUE(says(scene.diagnosis().evidence, "a script ran into the limit at its first write"));
}

TEST(Diagnose, FunctionsAlwaysDeclare) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.event.command = "FCALL";
    scene.event.bytes = 300;
    // Refused before it ran, where a function that ran into the limit would say where.
    EXPECT_EQ(scene.diagnosis().cause, Cause::script_refused);
    EXPECT_TRUE(has(scene.diagnosis().also, Cause::noeviction_at_ceiling));
}

TEST(Diagnose, SaysWhatOfATransactionRan) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.event.form = OomForm::exec_abort;
    scene.event.command = "EXEC";
    EXPECT_TRUE(
        says(scene.diagnosis().evidence, "the transaction was discarded: none of its commands ran")
    );
    scene.event.form = OomForm::top_level;
    scene.event.command = "GET";
    scene.event.in_multi = true;
    EXPECT_TRUE(says(scene.diagnosis().evidence, "inside MULTI this version refuses every command")
    );
    MemorySample newer = sample_of("noeviction_full");
    newer.server = "valkey 8.0.1";
    Scene other({}, newer);
    other.event.in_multi = true;
    EXPECT_FALSE(says(other.diagnosis().evidence, "inside MULTI"));
}

TEST(Diagnose, ProviderLimitByWording) {
    Scene scene({}, sample_of("oversized_before"));
    scene.event.form = OomForm::provider;
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::provider_limit);
    EXPECT_TRUE(says(d.evidence, "INFO shows 43 MiB of 64 MiB in use"));
    Scene full({}, sample_of("noeviction_full"));
    full.event.form = OomForm::provider;
    EXPECT_EQ(full.diagnosis().cause, Cause::provider_limit) << "its own words, full or not";
}

TEST(Diagnose, ProviderLimitAsInfoShowsRoom) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_before"));
    EXPECT_EQ(scene.diagnosis().cause, Cause::provider_limit);
    scene.state.sample.asked_at = scene.event.at - 1;
    EXPECT_NE(scene.diagnosis().cause, Cause::provider_limit)
        << "a sample from before the reply cannot tell";

    Scene large({sample_of("oversized_before")}, sample_of("oversized_before"));
    large.event.bytes = large.event.largest_argument_bytes = mib;
    EXPECT_EQ(large.diagnosis().cause, Cause::provider_limit) << "2.5 MiB would have fitted";

    Scene freed({sample_of("noeviction_full")}, sample_of("noeviction_full"));
    freed.state.sample.used_memory -= 8 * mib;
    freed.state.counted -= 8 * mib;
    EXPECT_NE(freed.diagnosis().cause, Cause::provider_limit) << "there was none a moment ago";
}

TEST(Diagnose, ProviderLimitThatIsHidden) {
    const Diagnosis d = Scene({}, sample_of("managed_hidden")).diagnosis();
    EXPECT_EQ(d.cause, Cause::provider_limit);
    EXPECT_TRUE(says(d.advice, "[monitor] ceiling"));
    EXPECT_EQ(Scene({}, sample_of("redis7_idle")).diagnosis().cause, Cause::provider_limit)
        << "no maxmemory at all";
}

TEST(Diagnose, UnknownSaysWhatWasLookedAt) {
    const Diagnosis d = Scene({}, sample_of("allkeys_full")).diagnosis();
    EXPECT_EQ(d.cause, Cause::unknown);
    EXPECT_LE(d.confidence, .2);
    EXPECT_TRUE(says(d.evidence, "looked at: data 15 MiB, clients 22 KiB"));
    EXPECT_FALSE(says(d.advice, "CONFIG SET maxmemory-policy"));
}

TEST(Diagnose, WithoutAnySampleItSaysSo) {
    MemoryState state;
    const OomEvent event = small_set(0);
    const Diagnosis d = diagnose({.state = state, .event = &event});
    EXPECT_EQ(d.health, Health::oom);
    EXPECT_LE(d.confidence, .5);
    EXPECT_FALSE(d.evidence.empty());
    const Diagnosis idle = diagnose({.state = state});
    EXPECT_EQ(idle.confidence, 0);
    EXPECT_TRUE(says(idle.advice, "ACL +info"));
}

TEST(Diagnose, AnOldSampleIsTrustedLess) {
    Scene scene({}, sample_of("noeviction_full"));
    const double fresh = scene.diagnosis().confidence;
    scene.state.sample.asked_at = scene.event.at - 1;
    EXPECT_LT(scene.diagnosis().confidence, fresh);
}

// Refusals by the guard, and looks without an event.

TEST(Diagnose, ARefusalKeepsItsOwnCauseAndNamesThePressureBesideIt) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.event.origin = OomOrigin::guard;
    scene.event.guard_cause = Cause::near_ceiling;
    scene.event.priority = Priority::sheddable;
    scene.event.rule = "reports";
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::near_ceiling);
    EXPECT_EQ(d.confidence, 1);
    EXPECT_EQ(d.also.at(0), Cause::noeviction_at_ceiling);
    EXPECT_TRUE(says(d.evidence, "not for growing commands of priority sheddable by rule reports"))
        << all_of(d);
    EXPECT_EQ(likely_cause(scene.evidence()), Cause::noeviction_at_ceiling);
}

TEST(Diagnose, ARefusalForSizeOnAHalfEmptyServer) {
    Scene scene({}, sample_of("volatile_few_before"));
    scene.event = blob(scene.event.at);
    scene.event.origin = OomOrigin::guard;
    scene.event.guard_cause = Cause::write_max;
    EXPECT_EQ(scene.diagnosis().cause, Cause::write_max);
    EXPECT_TRUE(
        says(scene.diagnosis().evidence, "this SET of 20 MiB is larger than write_max allows")
    );
    scene.event.guard_cause = Cause::evict_max;
    EXPECT_TRUE(says(scene.diagnosis().advice, "evict_max"));
}

TEST(Diagnose, ARefusalOfALargeWriteSaysWhatItNeedsAndNamesItsCauseOnce) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_before"));
    scene.event = blob(scene.event.at);
    scene.event.origin = OomOrigin::guard;
    scene.event.guard_cause = Cause::oversized_write;
    const Diagnosis d = scene.diagnosis();
    EXPECT_TRUE(says(
        d.evidence,
        "this SET of 20 MiB needs about 50 MiB while Redis checks it; there was room for 21 MiB"
    )) << all_of(d);
    EXPECT_EQ(d.cause, Cause::oversized_write);
    EXPECT_FALSE(has(d.also, Cause::oversized_write));

    MemorySample nearly_full = sample_of("noeviction_full");
    nearly_full.used_memory = nearly_full.maxmemory - 100'000;
    Scene full({nearly_full}, nearly_full);
    full.event = scene.event;
    full.event.at = full.state.sample.asked_at - 1;
    EXPECT_EQ(full.diagnosis().also, std::vector{Cause::noeviction_at_ceiling})
        << "the larger cause beside it";
    full.event.guard_cause = Cause::near_ceiling;
    EXPECT_TRUE(has(full.diagnosis().also, Cause::oversized_write));
}

TEST(Diagnose, AHealthyServerIsToldSo) {
    for (const char* fixture :
         {"oversized_before",
          "allkeys_full",
          "volatile_few_before",
          "redis7_idle",
          "noeviction_full"}) {
        Scene scene({}, sample_of(fixture));
        EXPECT_EQ(
            scene.look().health,
            std::string_view(fixture) == "noeviction_full" ? Health::oom : Health::healthy
        ) << fixture;
    }
    EXPECT_TRUE(
        says(Scene({}, sample_of("allkeys_full")).look().evidence, "a full cache is healthy")
    );
    EXPECT_TRUE(says(Scene({}, sample_of("redis7_idle")).look().advice, "CONFIG SET maxmemory"));
    EXPECT_TRUE(says(Scene({}, sample_of("managed_hidden")).look().advice, "[monitor] ceiling"));
}

TEST(Diagnose, AReplicaIgnoresItsLimit) {
    MemorySample replica = sample_of("noeviction_full");
    replica.primary = false;
    EXPECT_EQ(Scene({}, replica).look().health, Health::healthy);
}

TEST(Diagnose, AtRiskBeforeTheLimitIsReached) {
    MemorySample at = sample_of("noeviction_full");
    at.used_memory = 31 * mib;
    EXPECT_EQ(Scene({}, at).look().health, Health::at_risk);
    EXPECT_EQ(Scene({}, at).look().cause, Cause::noeviction_at_ceiling);

    Scene soon({}, sample_of("oversized_before"));
    soon.state.growth_bytes_per_s = 2e6;
    soon.state.time_to_ceiling_s = 11;
    EXPECT_EQ(soon.look().health, Health::at_risk);
    EXPECT_EQ(soon.look().cause, Cause::write_burst);
    EXPECT_TRUE(says(soon.look().evidence, "reached in 11 s"));
}

TEST(Diagnose, VolatilePoliciesWarnByWhatIsLeftToEvict) {
    MemorySample full = sample_of("volatile_few_after");
    full.used_memory = full.maxmemory - 1000;
    full.expires = 8000;
    EXPECT_EQ(Scene({}, full).look().health, Health::healthy) << "used/max is at 1 all the time";
    MemorySample less = full;
    less.expires = 1500;
    EXPECT_EQ(Scene({full}, less).look().health, Health::at_risk) << "a fifth of what there was";
    EXPECT_EQ(Scene({full}, less).look().cause, Cause::few_evictable_keys);
}

TEST(Diagnose, EvictionTooSlowIsAFindingButNeverOfAReply) {
    MemorySample at = sample_of("allkeys_full");
    at.used_memory = 20 * mib;
    at.eviction_exceeded_ms = 4000;
    Scene scene({}, at);
    EXPECT_EQ(scene.look().cause, Cause::eviction_too_slow);
    EXPECT_EQ(scene.look().health, Health::at_risk);
    EXPECT_TRUE(says(scene.look().advice, "maxmemory-eviction-tenacity"));
    EXPECT_NE(scene.diagnosis().cause, Cause::eviction_too_slow);
    EXPECT_FALSE(has(scene.diagnosis().also, Cause::eviction_too_slow));
}

// What others wrote meanwhile is no room that this write could have had.
TEST(DiagnoseReply, ALargeWriteBehindALoadIsWeighedAgainstTheRoomOfItsMoment) {
    MemorySample empty = sample_of("oversized_before");
    empty.used_memory = mib;
    empty.keys = 0;
    MemorySample loaded = sample_of("oversized_before");
    Scene scene({empty, loaded}, sample_of("oversized_at"));
    scene.event = blob(scene.event.at);
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::oversized_write) << all_of(d);
}

}  // namespace
}  // namespace spillway::policy
