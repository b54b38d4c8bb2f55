// What single writes leave behind: refused ones that nobody saw, and data above the limit that
// nobody lowered.
#include "tests/unit/policy/diagnosis_fixtures.hpp"

namespace spillway::policy {
namespace {

using namespace testing;

// Half as much again as the limit allows.
MemorySample overfull() {
    MemorySample at = sample_of("noeviction_full");
    at.maxmemory = at.used_memory * 2 / 3;
    at.config_sets = 1;
    return at;
}

TEST(DiagnoseWrites, AScriptMayHavePassedTheLimit) {
    MemorySample at = overfull();
    at.script_calls = 1;
    at.script_us = 200'000;
    const Diagnosis d = Scene({}, at).look();
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling) << all_of(d);
    EXPECT_FALSE(has(d.also, Cause::ceiling_lowered));
    EXPECT_TRUE(says(d.evidence, "above the ceiling: one script")) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "here ran scripts")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "let scripts write in portions")) << all_of(d);

    at.script_us = 300;  // in which no script writes 10 MB
    EXPECT_EQ(Scene({}, at).look().cause, Cause::ceiling_lowered);
}

TEST(DiagnoseWrites, ACommandThatTakesMoreThanItSendsMayHavePassedTheLimit) {
    MemorySample at = overfull();
    at.bulk_calls = at.bulk_most = 6;
    at.bulk_command = "setrange";
    const Diagnosis d = Scene({}, at).look();
    EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling) << all_of(d);
    EXPECT_FALSE(has(d.also, Cause::ceiling_lowered));
    EXPECT_TRUE(says(d.evidence, "here ran SETRANGE")) << all_of(d);
}

TEST(DiagnoseWrites, NobodyLoweredWhatNobodySet) {
    MemorySample at = overfull();
    for (const int sets : {0, -1}) {  // none, or the server does not say
        at.config_sets = sets;
        const Diagnosis d = Scene({}, at).look();
        EXPECT_EQ(d.cause, Cause::noeviction_at_ceiling);
        EXPECT_FALSE(has(d.also, Cause::ceiling_lowered)) << all_of(d);
        EXPECT_TRUE(says(d.evidence, "above the ceiling: one script")) << all_of(d);
    }
}

// 64 MiB, of them 43 in use; a value of 24 MiB does not fit.
Diagnosis refused_with_room(const std::vector<HeavyClient>& clients, MemorySample at) {
    at.oom_errors = 40;
    const Scene scene({at}, at);
    Evidence evidence = scene.evidence(false);
    evidence.clients = clients;
    evidence.ooms_before = 30;
    return diagnose(evidence);
}

TEST(DiagnoseWrites, ARefusedWriteIsKnownByItsBuffer) {
    MemorySample at = sample_of("oversized_later");
    at.refused_command = "set";
    at.refused_calls = 40;
    const Diagnosis d = refused_with_room({}, at);
    EXPECT_EQ(d.health, Health::oom);
    EXPECT_EQ(d.cause, Cause::oversized_write) << all_of(d);
    EXPECT_GE(d.confidence, .9);
    EXPECT_TRUE(says(d.evidence, "a write of nearly 24 MiB needs about 48 MiB")) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "refused for memory 10 times during this look; most refused"));
    EXPECT_TRUE(says(d.evidence, "set (40)")) << all_of(d);
    EXPECT_FALSE(says(d.advice, "allkeys")) << all_of(d);
}

TEST(DiagnoseWrites, ARefusedWriteIsKnownByTheBufferThatItLeft) {
    MemorySample at = sample_of("oversized_later");
    at.used_memory += 24 * mib;
    at.used_memory_overhead += 24 * mib;
    at.clients_normal_bytes += 24 * mib;
    HeavyClient client{
        .id = 5,
        .address = "10.0.0.1:5",
        .name = "renderer",
        .command = "set",
        .output_bytes = 0,
        .query_bytes = 24 * mib,
        .count = 1,
        .bytes_of_largest = 24 * mib,
        .spare_bytes = 24 * mib};
    const Diagnosis d = refused_with_room({client}, at);
    EXPECT_EQ(d.cause, Cause::oversized_write) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "client renderer at 10.0.0.1:5")) << all_of(d);

    client.spare_bytes = 0;
    EXPECT_EQ(refused_with_room({client}, at).cause, Cause::client_buffers)
        << "it stands there, half sent";
    at.refused_command = "set";
    EXPECT_EQ(refused_with_room({client}, at).cause, Cause::oversized_write)
        << "it sends again what was refused";
    client.multi_bytes = 23 * mib;
    const Diagnosis queued = refused_with_room({client}, at);
    EXPECT_EQ(queued.cause, Cause::client_buffers);
    EXPECT_TRUE(says(queued.evidence, "24 MiB of commands that it has queued in MULTI"))
        << all_of(queued);
    EXPECT_TRUE(says(queued.advice, "make transactions smaller")) << all_of(queued);
}

TEST(DiagnoseWrites, ManyConnectionsWithLittleEachAreALeak) {
    MemorySample at = sample_of("noeviction_full");
    at.clients_normal_bytes = 20 * mib;
    at.used_memory_overhead += 20 * mib;
    at.used_memory_dataset -= 20 * mib;
    const std::vector<HeavyClient> clients = {
        {.id = 7,
         .address = "10.0.0.1:5",
         .name = "worker-*",
         .command = "client",
         .output_bytes = 0,
         .query_bytes = 19 * mib,
         .count = 1900,
         .bytes_of_largest = 37'000}};
    const Scene scene({}, at);
    Evidence evidence = scene.evidence(false);
    evidence.clients = clients;
    const Diagnosis d = diagnose(evidence);
    EXPECT_EQ(d.cause, Cause::client_buffers);
    EXPECT_TRUE(says(d.evidence, "1,900 clients named worker-* together hold 19 MiB, at most 36"))
        << all_of(d);
    EXPECT_TRUE(says(d.advice, "keep fewer connections")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "CONFIG SET timeout")) << all_of(d);
    EXPECT_FALSE(says(d.advice, "so much at once")) << all_of(d);
}

TEST(DiagnoseWrites, ATtlThatOutlivesTheRoomIsSaid) {
    MemorySample at = sample_of("noeviction_full");
    at.expires = at.keys;
    at.ttl_ms = 30. * 86'400'000;
    at.uptime_s = 3600;
    const Diagnosis d = Scene({}, at).look();
    EXPECT_TRUE(says(d.evidence, "have 30 days left on average, and memory is full 60 min after"))
        << all_of(d);
    EXPECT_TRUE(says(d.advice, "shorten the TTL")) << all_of(d);
    at.uptime_s = 90 * 86'400;
    at.expired_keys = at.keys * 9;
    EXPECT_FALSE(says(Scene({}, at).look().advice, "shorten")) << "they do expire";
}

TEST(DiagnoseWrites, OneKeyThatIsMostOfACacheIsNamedThoughAllIsWell) {
    const MemorySample at = sample_of("allkeys_full");
    KeySummary keys;
    keys.keys = keys.sampled = at.keys;
    keys.complete = true;
    keys.bytes = {15e6, 15e6, 15e6};
    keys.biggest.push_back(
        {.key = "catalog", .type = KeyType::hash, .bytes = 9'000'000, .length = 90'000, .error = 0}
    );
    const Diagnosis d = look(Scene({}, at), keys);
    EXPECT_EQ(d.health, Health::healthy);
    EXPECT_TRUE(says(d.evidence, "hash catalog (90,000 fields, no TTL) holds 8.6 MiB"))
        << all_of(d);
    EXPECT_TRUE(says(d.evidence, "one eviction would lose all of it")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "split catalog")) << all_of(d);
    keys.biggest[0].bytes = 3'000'000;
    EXPECT_FALSE(says(look(Scene({}, at), keys).evidence, "catalog"));
}

TEST(DiagnoseWrites, ABufferWhoseFigureLagsIsNoBurst) {
    MemorySample at = sample_of("outbuf_at");
    at.used_memory_dataset += at.clients_normal_bytes;
    at.used_memory_overhead -= at.clients_normal_bytes;
    at.clients_normal_bytes = 0;
    Scene scene({sample_of("outbuf_before")}, at);
    EXPECT_FALSE(has(scene.diagnosis().also, Cause::write_burst)) << all_of(scene.diagnosis());
}

TEST(DiagnoseWrites, WhatGrewSomeSecondsAgoIsNoBurst) {
    MemorySample low = sample_of("noeviction_full");
    low.used_memory /= 2;
    low.keys /= 2;
    const MemorySample full = sample_of("noeviction_full");
    EXPECT_TRUE(has(Scene({low, low}, full).diagnosis().also, Cause::write_burst));
    EXPECT_FALSE(
        has(Scene({low, full, full, full, full}, full).diagnosis().also, Cause::write_burst)
    );
    Scene falls({low, low}, full);
    falls.state.growth_bytes_per_s = -1000;
    EXPECT_FALSE(has(falls.diagnosis().also, Cause::write_burst));
}

TEST(DiagnoseWrites, WhatClientSideCachingTakesGoesByItems) {
    MemorySample at = sample_of("noeviction_full");
    at.tracked_keys = 60'000;
    EXPECT_NE(Scene({at}, at).look().cause, Cause::non_data_overhead);
    at.tracked_items = 360'000;  // each was asked about by six clients
    EXPECT_EQ(Scene({at}, at).look().cause, Cause::non_data_overhead)
        << all_of(Scene({at}, at).look());

    at.tracked_items = 60'000;
    KeySummary keys;
    keys.keys = at.keys;
    keys.sampled = 500;
    keys.unexplained = 9e6;
    EXPECT_EQ(look(Scene({at}, at), keys).cause, Cause::non_data_overhead)
        << "what is in no key is theirs" << all_of(look(Scene({at}, at), keys));
}

}  // namespace
}  // namespace spillway::policy
