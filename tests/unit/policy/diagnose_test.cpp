// Diagnoses states of a real Redis, captured while each cause was at work, and what they turn into
// with one fact changed.
#include "policy/diagnose.hpp"

#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <initializer_list>
#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using testing::all_of;
using testing::blob;
using testing::carts;
using testing::has;
using testing::mib;
using testing::sample_of;
using testing::says;
using testing::Scene;

// The policy and the data.

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
         {"LPUSH",
          "RPUSH",
          "LPUSHX",
          "RPUSHX",
          "LINSERT",
          "LSET",
          "LMOVE",
          "BLMOVE",
          "RPOPLPUSH",
          "BRPOPLPUSH",
          "XADD",
          "ZADD",
          "EVAL",
          "EVALSHA",
          "FCALL"}) {
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

// One write.

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

// Buffers and other holders.

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

TEST(Diagnose, ALagIsSeenThoughThePeakIsOfOldenTimes) {
    MemorySample before = sample_of("outbuf_before");
    before.used_memory_peak = 500 * mib;
    MemorySample at = sample_of("outbuf_at");
    at.used_memory_peak = 500 * mib;
    at.used_memory_dataset += at.clients_normal_bytes;
    at.used_memory_overhead -= at.clients_normal_bytes;
    at.clients_normal_bytes = 0;
    EXPECT_TRUE(has(Scene({before}, at).diagnosis().also, Cause::client_buffers));
}

TEST(Diagnose, DataThatGrewByKeysIsNoLag) {
    MemorySample before = sample_of("outbuf_before");
    before.used_memory_peak = 500 * mib;
    MemorySample at = sample_of("outbuf_at");
    at.used_memory_peak = 500 * mib;
    at.used_memory_dataset += at.clients_normal_bytes;
    at.used_memory_overhead -= at.clients_normal_bytes;
    at.clients_normal_bytes = 0;
    at.keys += 90'000;
    EXPECT_FALSE(has(Scene({before}, at).diagnosis().also, Cause::client_buffers));
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

TEST(Diagnose, SharedRepliesAreNotTheLagOfAFigureEither) {
    MemorySample before = sample_of("valkey9_shared_replies");
    before.used_memory_peak = 30 * mib;
    MemorySample at = sample_of("valkey9_shared_replies");
    at.max_output_buffer_bytes = 200 * mib;
    EXPECT_FALSE(has(Scene({before}, at).diagnosis().also, Cause::client_buffers));
}

TEST(Diagnose, BuffersAreNamedBesideTheDataFromASeventhOnAndFirstFromAThird) {
    MemorySample at = sample_of("noeviction_full");
    const auto with_buffers = [&](std::int64_t bytes) {
        MemorySample s = at;
        s.clients_normal_bytes += bytes;
        s.used_memory_overhead += bytes;
        s.used_memory_dataset -= bytes;
        return Scene({}, s).diagnosis();
    };
    EXPECT_FALSE(has(with_buffers(3 * mib).also, Cause::client_buffers));
    EXPECT_TRUE(has(with_buffers(6 * mib).also, Cause::client_buffers));
    EXPECT_EQ(with_buffers(6 * mib).cause, Cause::noeviction_at_ceiling);
    EXPECT_EQ(with_buffers(12 * mib).cause, Cause::client_buffers);
    EXPECT_TRUE(has(with_buffers(12 * mib).also, Cause::noeviction_at_ceiling));
}

TEST(Diagnose, BuffersAboveDataThatFillsTheCeilingAloneAreOnlyNamedBeside) {
    MemorySample at = sample_of("noeviction_full");
    at.used_memory += 24 * mib;  // a large value arrives at a server that is full
    at.used_memory_overhead += 24 * mib;
    at.clients_normal_bytes += 24 * mib;
    at.max_input_buffer_bytes = 24 * mib;
    const Diagnosis d = Scene({}, at).diagnosis();
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling);
    EXPECT_TRUE(has(d.also, Cause::client_buffers));
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
    EXPECT_TRUE(
        says(d.evidence, "cached scripts hold 16 MiB, 97 % of the 16 MiB ceiling (30,000 scripts)")
    );
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

// What happened to the server.

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

}  // namespace
}  // namespace spillway::policy
