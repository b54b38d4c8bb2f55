// Diagnoses states of a real Redis, captured while each cause was at work, and what they turn into
// with one fact changed.
#include "policy/diagnose.hpp"

#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <algorithm>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using testing::all_of;
using testing::carts;
using testing::has;
using testing::mib;
using testing::sample_of;
using testing::says;
using testing::Scene;
using testing::small_set;

// --- the policy and the data
// -------------------------------------------------------------------------------------

TEST(Diagnose, NoevictionAtCeiling) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.growth = carts;
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.health, Health::oom);
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling);
    EXPECT_NEAR(d.confidence, .95, .001);
    EXPECT_EQ(d.evidence.at(0), "policy is noeviction, so nothing may be evicted");
    EXPECT_TRUE(says(d.evidence, "data takes 31 MiB, 97 % of the 32 MiB ceiling (29,684 keys)"))
        << all_of(d);
    EXPECT_TRUE(says(d.evidence, "above its limit for 239 ms")) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "not client buffers: they hold 44 KiB"))
        << "the runner-up: " << all_of(d);
    EXPECT_TRUE(says(d.advice, "raise maxmemory above 32 MiB, e.g. CONFIG SET maxmemory 40mb"))
        << all_of(d);
    EXPECT_TRUE(says(
        d.advice, "cart:* grew 310 MiB in the last 10 min (client checkout, SET, none with a TTL)"
    ));
    EXPECT_TRUE(says(d.advice, "allkeys-lru; not if any key must stay"));
}

TEST(Diagnose, KeyTablesAreData) {
    const Diagnosis d = Scene({}, sample_of("noeviction_small_values")).diagnosis();
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling)
        << "39 % is dataset by INFO, the rest finds its keys";
    EXPECT_GE(d.confidence, .9);
}

TEST(Diagnose, ReadsWhatOlderServersSay) {
    EXPECT_EQ(Scene({}, sample_of("redis62")).diagnosis().cause, Cause::noeviction_at_ceiling);
}

TEST(Diagnose, NoEvictableKeys) {
    const Diagnosis d = Scene({}, sample_of("volatile_no_ttl")).diagnosis();
    EXPECT_EQ(d.cause, Cause::no_evictable_keys);
    EXPECT_GE(d.confidence, .9);
    EXPECT_TRUE(says(
        d.evidence, "volatile-lru, which evicts only keys with a TTL, and 0 of 14,428 keys have one"
    ));
    EXPECT_TRUE(says(d.evidence, "evicted_keys is 0"));
    EXPECT_TRUE(says(d.advice, "SET ... EX"));
}

TEST(Diagnose, NearlyNoEvictableKeysIsTheSame) {
    MemorySample at = sample_of("volatile_no_ttl");
    at.expires = 12;
    at.evicted_keys = 30;
    EXPECT_EQ(Scene({}, at).diagnosis().cause, Cause::no_evictable_keys);
}

TEST(Diagnose, FewEvictableKeysAsSeenBefore) {
    MemorySample at = sample_of("volatile_few_after");
    at.evicted_keys = -1;  // a service that hides it
    Scene scene({sample_of("volatile_few_before")}, at);
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::few_evictable_keys);
    EXPECT_TRUE(says(d.evidence, "0 of 14,383 keys have a TTL, down from 3,000")) << all_of(d);
    EXPECT_TRUE(has(d.also, Cause::write_burst)) << "12 MiB in a second";
}

TEST(Diagnose, FewEvictableKeysAsEvictionsProve) {
    const Diagnosis d = Scene({}, sample_of("volatile_few_after")).diagnosis();
    EXPECT_EQ(d.cause, Cause::few_evictable_keys);
    EXPECT_TRUE(says(d.evidence, "3,000 keys were evicted to make room"));
}

TEST(Diagnose, QueuesAreNeverAdvisedToBeEvicted) {
    Scene scene({}, sample_of("noeviction_queue"));
    scene.growth = {{"mail:*", "mailer", "RPUSH", 12'000'000, 1.0}};
    EXPECT_TRUE(says(scene.diagnosis().advice, "do not turn on allkeys eviction"))
        << "by the top writer's command";
    EXPECT_FALSE(says(scene.diagnosis().advice, "maxmemory-policy")) << all_of(scene.diagnosis());

    scene.growth.clear();
    for (const std::string command :
         {"LPUSH", "RPUSH", "XADD", "ZADD", "BRPOPLPUSH", "LMOVE", "EVALSHA", "FCALL"}) {
        scene.event.command = command;
        scene.event.form = OomForm::in_script;
        EXPECT_FALSE(says(scene.diagnosis().advice, "maxmemory-policy"))
            << "by the refused command " << command;
    }
    scene.event.command = "HSET";
    scene.event.key = "bull:emails:17";
    EXPECT_FALSE(says(scene.diagnosis().advice, "maxmemory-policy")) << "by the key's name";
    scene.event.key = "cart:17";
    EXPECT_TRUE(says(scene.diagnosis().advice, "maxmemory-policy"));

    Scene volatile_queue({}, sample_of("volatile_no_ttl"));
    volatile_queue.event.command = "LPUSH";
    EXPECT_FALSE(says(volatile_queue.diagnosis().advice, "CONFIG SET maxmemory-policy"));
}

TEST(Diagnose, KeysWithATtlAreOfferedTheirOwnPolicy) {
    MemorySample at = sample_of("noeviction_full");
    at.expires = at.keys / 2;
    const Diagnosis d = Scene({}, at).diagnosis();
    EXPECT_TRUE(says(d.advice, "50 % of the keys have a TTL")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "volatile-ttl"));
    EXPECT_FALSE(says(d.advice, "allkeys"));
}

TEST(Diagnose, DoesNotAdviseMoreThanTheHostHas) {
    MemorySample at = sample_of("noeviction_full");
    at.total_system_memory = 48 * mib;
    EXPECT_TRUE(says(Scene({}, at).diagnosis().advice, "this host has only 48 MiB"));
    EXPECT_FALSE(says(Scene({}, at).diagnosis().advice, "CONFIG SET maxmemory 40mb"));
}

// --- one write
// ---------------------------------------------------------------------------------------------------

OomEvent blob(Nanos at) {
    OomEvent event = small_set(at);
    event.bytes = 20 * mib + 40;
    event.largest_argument_bytes = 20 * mib;
    event.key = "blob:1";
    return event;
}

TEST(Diagnose, OversizedWriteThoughInfoShowsItsBytesAsData) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_at"));
    scene.event = blob(scene.event.at);
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::oversized_write);
    EXPECT_GE(d.confidence, .95);
    EXPECT_TRUE(says(
        d.evidence,
        "this SET of 20 MiB needs about 50 MiB while Redis checks it; there was room for 21 MiB"
    ));
    EXPECT_TRUE(says(d.evidence, "INFO still shows 24 MiB of its own bytes as data"));
    EXPECT_FALSE(has(d.also, Cause::noeviction_at_ceiling))
        << "without it memory is two thirds full";
    EXPECT_TRUE(says(d.advice, "write_max"));
}

TEST(Diagnose, OversizedWriteWithoutAnythingSeenBefore) {
    Scene scene({}, sample_of("oversized_at"));
    scene.event = blob(scene.event.at);
    EXPECT_EQ(scene.diagnosis().cause, Cause::oversized_write);
}

TEST(Diagnose, OversizedWriteOnceItsBytesAreGone) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_later"));
    scene.event = blob(scene.event.at);
    const Diagnosis d = scene.diagnosis();
    EXPECT_EQ(d.cause, Cause::oversized_write);
    EXPECT_FALSE(has(d.also, Cause::client_buffers)) << "the large query buffer was its own";
    EXPECT_FALSE(has(d.also, Cause::provider_limit)) << "that there is room again proves nothing";
}

TEST(Diagnose, OversizedWriteWhoseBytesShowedBeforeItsReply) {
    MemorySample arriving = sample_of("oversized_at");
    Scene scene({sample_of("oversized_before"), arriving}, sample_of("oversized_at"));
    scene.event = blob(scene.event.at);
    EXPECT_EQ(scene.diagnosis().cause, Cause::oversized_write);
}

TEST(Diagnose, ALargeWriteIsNotToBlameWhenNothingElseFitsEither) {
    Scene scene({sample_of("noeviction_full")}, sample_of("noeviction_full"));
    scene.event = blob(scene.event.at);
    EXPECT_EQ(scene.diagnosis().cause, Cause::noeviction_at_ceiling);
}

TEST(Diagnose, AWriteThatNoServerOfThisSizeCouldTake) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_before"));
    scene.event = blob(scene.event.at);
    scene.event.bytes = scene.event.largest_argument_bytes = 50 * mib;
    EXPECT_TRUE(says(scene.diagnosis().evidence, "would not fit an empty server either"));
}

// --- buffers and other holders
// -----------------------------------------------------------------------------------

TEST(Diagnose, OutputBuffersOfASlowReader) {
    const Diagnosis d = Scene({sample_of("outbuf_before")}, sample_of("outbuf_at")).diagnosis();
    EXPECT_EQ(d.cause, Cause::client_buffers);
    EXPECT_GE(d.confidence, .95);
    EXPECT_TRUE(says(d.evidence, "buffers of 3 clients hold 97 MiB, 152 % of the 64 MiB ceiling"));
    EXPECT_TRUE(says(d.evidence, "largest recent output buffer of one client was 100 MiB"));
    EXPECT_TRUE(says(d.advice, "CLIENT LIST, largest omem"));
    EXPECT_TRUE(says(d.advice, "maxmemory-clients"));
}

TEST(Diagnose, OutputBuffersThatAreGoneAgain) {
    const Diagnosis d = Scene({sample_of("outbuf_before")}, sample_of("outbuf_after")).diagnosis();
    EXPECT_EQ(d.cause, Cause::client_buffers) << all_of(d);
    EXPECT_LT(d.confidence, .9);
    EXPECT_TRUE(says(d.evidence, "memory rose to 112 MiB between two samples and fell again"));
}

TEST(Diagnose, QueryBuffersOfManyLargeValuesAtOnce) {
    const Diagnosis d = Scene({}, sample_of("querybuf_at")).diagnosis();
    EXPECT_EQ(d.cause, Cause::client_buffers);
    EXPECT_TRUE(says(d.evidence, "query buffer of one client was 24 MiB"));
    EXPECT_TRUE(says(d.advice, "fewer large values at once"));
}

TEST(Diagnose, ClientFiguresThatLagShowAsDataWithoutKeys) {
    MemorySample at = sample_of("outbuf_at");
    at.used_memory_dataset +=
        at.clients_normal_bytes - 23'000;  // as INFO has it in the first second
    at.used_memory_overhead -= at.clients_normal_bytes - 23'000;
    at.clients_normal_bytes = 23'000;
    Scene scene({sample_of("outbuf_before")}, at);
    EXPECT_EQ(scene.diagnosis().cause, Cause::noeviction_at_ceiling)
        << "what INFO says at that moment";
    EXPECT_TRUE(has(scene.diagnosis().also, Cause::client_buffers)) << all_of(scene.diagnosis());
}

TEST(Diagnose, ClientsAdviceFitsTheVersion) {
    MemorySample at = sample_of("outbuf_at");
    at.server = "redis 6.2.16";
    const Diagnosis d = Scene({}, at).diagnosis();
    EXPECT_FALSE(says(d.advice, "maxmemory-clients")) << "7.0 and later";
    EXPECT_TRUE(says(d.advice, "client-output-buffer-limit"));
}

TEST(Diagnose, SharedRepliesOfValkeyAreNoMemory) {
    const Diagnosis d = Scene({}, sample_of("valkey9_shared_replies")).diagnosis();
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling)
        << "its client figure is six times used memory";
    EXPECT_FALSE(has(d.also, Cause::client_buffers));
}

TEST(Diagnose, ReplicationBuffers) {
    const Diagnosis d = Scene({}, sample_of("backlog_full")).diagnosis();
    EXPECT_EQ(d.cause, Cause::replication_buffers);
    EXPECT_TRUE(has(d.also, Cause::noeviction_at_ceiling));
    EXPECT_TRUE(says(d.evidence, "backlog holds 15 MiB, 47 % of the 32 MiB ceiling"));
    EXPECT_TRUE(says(d.advice, "repl-backlog-size 4mb"));
}

TEST(Diagnose, ReplicaBuffersThatRedisDoesNotCountAreNotBlamed) {
    MemorySample at = sample_of("noeviction_full");
    at.used_memory += 80 * mib;
    at.not_counted_for_evict = 80 * mib;
    at.replication_buffers_bytes = 81 * mib;
    at.backlog_bytes = 1 * mib;
    at.clients_replica_bytes = 80 * mib;
    at.used_memory_overhead += 81 * mib;
    EXPECT_EQ(Scene({}, at).diagnosis().cause, Cause::noeviction_at_ceiling);
}

TEST(Diagnose, ScriptMemory) {
    const Diagnosis d = Scene({}, sample_of("scripts_full")).diagnosis();
    EXPECT_EQ(d.cause, Cause::script_memory);
    EXPECT_TRUE(says(
        d.evidence, "scripts and functions hold 16 MiB, 97 % of the 16 MiB ceiling (30,000 scripts)"
    ));
    EXPECT_TRUE(says(d.advice, "SCRIPT FLUSH"));
}

TEST(Diagnose, LazyfreePendingIsSurerOnceMemoryFalls) {
    Scene first({sample_of("lazyfree_before")}, sample_of("lazyfree_at"));
    EXPECT_EQ(first.diagnosis().cause, Cause::lazyfree_pending);
    EXPECT_TRUE(says(first.diagnosis().evidence, "1 deleted object waits to be freed"));
    Scene later({sample_of("lazyfree_at")}, sample_of("lazyfree_after"));
    EXPECT_EQ(later.diagnosis().cause, Cause::lazyfree_pending);
    EXPECT_GT(later.diagnosis().confidence, first.diagnosis().confidence);
    EXPECT_TRUE(says(later.diagnosis().evidence, "counted memory fell by 23 MiB"));
}

TEST(Diagnose, LazyFreesThatNeverHelpAreNotTheCause) {
    MemorySample at = sample_of("noeviction_full");
    at.lazyfree_pending_objects = 3;
    at.eviction_exceeded_ms = 30'000;
    EXPECT_EQ(Scene({}, at).diagnosis().cause, Cause::noeviction_at_ceiling);
}

TEST(Diagnose, NonDataOverheadWithoutAnyKey) {
    const Diagnosis d = Scene({}, sample_of("subscriptions")).diagnosis();
    EXPECT_EQ(d.cause, Cause::non_data_overhead);
    EXPECT_TRUE(says(d.evidence, "12 MiB is in use though there is no key"));
}

TEST(Diagnose, NonDataOverheadThatKeysDoNotExplain) {
    MemorySample at = sample_of("noeviction_full");
    at.keys = 100;
    at.used_memory_overhead += 20 * mib;
    at.used_memory_dataset -= 20 * mib;
    const Diagnosis d = Scene({}, at).diagnosis();
    EXPECT_EQ(d.cause, Cause::non_data_overhead);
    EXPECT_TRUE(says(d.evidence, "of overhead is explained neither by 100 keys nor by buffers"));
}

TEST(Diagnose, ALimitBelowAnEmptyServer) {
    const Diagnosis d = Scene({}, sample_of("tiny_limit")).diagnosis();
    EXPECT_EQ(d.cause, Cause::non_data_overhead);
    EXPECT_TRUE(says(d.evidence, "an empty server of this version takes 856 KiB"));
    EXPECT_TRUE(says(d.advice, "CONFIG SET maxmemory 4mb"));
}

// --- what happened to the server
// ---------------------------------------------------------------------------------

TEST(Diagnose, CeilingLowered) {
    const Diagnosis d = Scene({sample_of("lowered_before")}, sample_of("lowered_at")).diagnosis();
    EXPECT_EQ(d.cause, Cause::ceiling_lowered);
    EXPECT_TRUE(says(d.evidence, "from 64 MiB to 32 MiB"));
    EXPECT_TRUE(says(d.evidence, "43 MiB counted, 11 MiB too much"));
    EXPECT_TRUE(says(d.advice, "CONFIG SET maxmemory 64mb"));
    EXPECT_TRUE(has(d.also, Cause::noeviction_at_ceiling));
}

TEST(Diagnose, CeilingLoweredFromNone) {
    MemorySample before = sample_of("lowered_before");
    before.maxmemory = 0;
    EXPECT_TRUE(says(
        Scene({before}, sample_of("lowered_at")).diagnosis().evidence, "from no limit to 32 MiB"
    ));
}

TEST(Diagnose, ACeilingLoweredLongAgoIsForgottenOnceThereWasRoom) {
    MemorySample room = sample_of("lowered_at");
    room.used_memory = 20 * mib;
    const Diagnosis d =
        Scene({sample_of("lowered_before"), sample_of("lowered_at"), room}, sample_of("lowered_at"))
            .diagnosis();
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling);
}

TEST(Diagnose, ReplicaPromoted) {
    MemorySample replica = sample_of("lowered_at");
    replica.primary = false;
    const Diagnosis d = Scene({replica}, sample_of("lowered_at")).diagnosis();
    EXPECT_EQ(d.cause, Cause::replica_promoted);
    EXPECT_TRUE(says(d.evidence, "became a primary just now while it held 43 MiB of 32 MiB"));
}

TEST(Diagnose, WriteBurstNamesTheWriter) {
    Scene scene({sample_of("volatile_few_before")}, sample_of("volatile_few_after"));
    scene.growth = carts;
    const Diagnosis d = scene.diagnosis();
    EXPECT_TRUE(has(d.also, Cause::write_burst));
    EXPECT_TRUE(says(
        d.evidence,
        "memory grew by about 12 MiB/s, most by cart:* (client checkout, SET, none with a TTL)"
    )) << all_of(d);
}

TEST(Diagnose, ABufferThatFillsIsNoWriteBurst) {
    EXPECT_FALSE(
        has(Scene({sample_of("outbuf_before")}, sample_of("outbuf_at")).diagnosis().also,
            Cause::write_burst)
    );
}

// --- the reply itself
// --------------------------------------------------------------------------------------------

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
    // .85 against .95: that memory is full comes first, the missing flag beside it.
    EXPECT_TRUE(has(scene.diagnosis().also, Cause::script_refused));
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
}

TEST(Diagnose, ProviderLimitAsInfoShowsRoom) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_before"));
    EXPECT_EQ(scene.diagnosis().cause, Cause::provider_limit);
    scene.state.sample.asked_at = scene.event.at - 1;
    EXPECT_NE(scene.diagnosis().cause, Cause::provider_limit)
        << "a sample from before the reply cannot tell";
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

// --- refusals by the guard, and looks without an event
// ------------------------------------------------------------

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

}  // namespace
}  // namespace spillway::policy
