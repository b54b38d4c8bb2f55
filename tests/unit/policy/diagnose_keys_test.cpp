// What a sample of the keys, a look at the clients and the history of the server add to a
// diagnosis.
#include "tests/unit/policy/diagnosis_fixtures.hpp"

namespace spillway::policy {
namespace {

using namespace testing;

// noeviction_full holds 30 MB of data.
KeySummary with_big_key(KeyType type, std::int64_t bytes) {
    KeySummary keys;
    keys.keys = 29'684;  // as noeviction_full
    keys.sampled = 500;
    keys.bytes = {29e6, 30e6, 31e6};
    SampledKey big{
        .key = "sessions:4711", .type = type, .bytes = bytes, .length = 300'000, .error = 0};
    keys.biggest.push_back(big);
    keys.groups.push_back(
        {.pattern = "sessions:*",
         .type = type,
         .keys = 1,
         .bytes = static_cast<double>(bytes),
         .share = {.5, static_cast<double>(bytes) / 30e6, 1},
         .without_ttl = 1}
    );
    return keys;
}

TEST(DiagnoseKeys, OneKeyThatDominatesIsTheCause) {
    const Scene scene({}, sample_of("noeviction_full"));
    for (const bool with_event : {false, true}) {
        const Diagnosis d = look(scene, with_big_key(KeyType::hash, 20'000'000), with_event);
        EXPECT_EQ(d.cause, Cause::big_key);
        EXPECT_TRUE(has(d.also, Cause::noeviction_at_ceiling));
        EXPECT_TRUE(says(d.evidence, "hash sessions:* (300,000 fields, no TTL) holds 19 MiB"))
            << all_of(d);
        EXPECT_TRUE(says(d.advice, "split sessions:* over many hashes"));
        EXPECT_TRUE(says(d.advice, "UNLINK"));
    }
    EXPECT_EQ(
        look(scene, with_big_key(KeyType::hash, 5'000'000)).cause, Cause::noeviction_at_ceiling
    );
}

TEST(DiagnoseKeys, ASizeThatIsAnEstimateIsSaidToBe) {
    const Scene scene({}, sample_of("noeviction_full"));
    KeySummary keys = with_big_key(KeyType::hash, 20'000'000);
    keys.biggest.front().error = 2'000'000;
    const Diagnosis d = look(scene, keys);
    EXPECT_TRUE(says(d.evidence, "holds about 19 MiB (between 17 MiB and 21 MiB), 6")) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "keys together take about 9.5 MiB")) << all_of(d);
    keys.biggest.front().bytes = 30'000'000;
    keys.biggest.front().error = 14'000'000;
    EXPECT_TRUE(says(look(scene, keys).evidence, "holds about 29 MiB (between 15 MiB and 31 MiB)"))
        << all_of(look(scene, keys)) << "no more than there is";
    keys.biggest.front().bytes = 20'000'000;
    keys.biggest.front().error = -1;
    EXPECT_TRUE(says(look(scene, keys).evidence, "holds about 19 MiB, 6")) << all_of(d);
    keys.sampled = 1;  // nothing but the key that was refused was looked at
    keys.bytes = {20e6, 20e6, 20e6};
    EXPECT_FALSE(says(look(scene, keys).evidence, "together take 0 B")) << all_of(d);
}

TEST(DiagnoseKeys, KeysAreNamedAsTheyMayBe) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.keys.mode = KeyMode::full;
    EXPECT_TRUE(says(
        look(scene, with_big_key(KeyType::stream, 20'000'000)).advice,
        "XTRIM sessions:4711 MAXLEN 150000"
    ));
    scene.keys.mode = KeyMode::none;
    const Diagnosis d = look(scene, with_big_key(KeyType::hash, 20'000'000));
    EXPECT_EQ(all_of(d).find("sessions"), std::string::npos) << all_of(d);
}

TEST(DiagnoseKeys, ListsAndStreamsAreNeverToBeEvicted) {
    for (const KeyType type : {KeyType::list, KeyType::stream, KeyType::hash}) {
        const Diagnosis d =
            look(Scene({}, sample_of("noeviction_full")), with_big_key(type, 9'000'000));
        EXPECT_EQ(says(d.advice, "maxmemory-policy allkeys"), type == KeyType::hash) << all_of(d);
        EXPECT_EQ(says(d.advice, "do not turn on allkeys"), type != KeyType::hash) << all_of(d);
    }
}

TEST(DiagnoseKeys, ASmallQueueAndWhatIsUnknownAreNotToBeEvictedEither) {
    const Scene scene({}, sample_of("noeviction_full"));
    KeySummary keys = with_big_key(KeyType::string, 200);
    EXPECT_TRUE(says(look(scene, keys).advice, "maxmemory-policy allkeys"));
    keys.queues = 1;
    EXPECT_FALSE(says(look(scene, keys).advice, "maxmemory-policy allkeys"));
    keys.queues = 0;
    keys.unexplained = 3e6;
    const Diagnosis d = look(scene, keys);
    EXPECT_FALSE(says(d.advice, "maxmemory-policy allkeys")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "no eviction before it is known what holds the other 2.9 MiB"));
}

// Scripts write what the ledger does not see.
TEST(DiagnoseKeys, WhoDidASmallPartIsNoCulprit) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.growth = {{"doc:*", "web", "SET", 10'000'000, 1.0, .6}};
    KeySummary keys = with_big_key(KeyType::string, 200);
    keys.groups.front() = {
        .pattern = "out:*",
        .type = KeyType::string,
        .keys = 20,
        .bytes = 22e6,
        .share = {.6, .7, .8}};
    EXPECT_TRUE(says(look(scene, keys).advice, "find out why doc:* grew"));
    for (const double of_growth : {.1, .4}) {
        scene.growth.front().of_growth = of_growth;
        const Diagnosis d = look(scene, keys);
        EXPECT_FALSE(says(d.advice, "find out why doc:* grew")) << all_of(d);
        EXPECT_TRUE(says(d.advice, "start with out:*")) << all_of(d);
    }
    keys.groups.front().pattern = "doc:*";
    EXPECT_TRUE(says(look(scene, keys).advice, "find out why doc:* grew")) << "it is the largest";

    keys.groups.front().pattern = "out:*";
    keys.sampled = 2;
    EXPECT_FALSE(says(look(scene, keys).advice, "start with")) << "of a sample that has just begun";
}

// Many small keys with a TTL are no room.
TEST(DiagnoseKeys, WhatIsEvictableCountsByItsBytes) {
    MemorySample server = sample_of("volatile_no_ttl");
    server.expires = server.keys * 3 / 4;
    const Scene scene({}, server);
    KeySummary keys = with_big_key(KeyType::string, 200);
    keys.keys = server.keys;
    keys.with_ttl_bytes = {.6, .7, .8};
    EXPECT_NE(look(scene, keys).cause, Cause::few_evictable_keys);
    keys.with_ttl_bytes = {0, .01, .02};
    EXPECT_EQ(look(scene, keys).cause, Cause::few_evictable_keys);
}

TEST(DiagnoseKeys, ASampleOfOtherDataSaysNothing) {
    const Scene scene({}, sample_of("noeviction_full"));
    KeySummary keys = with_big_key(KeyType::hash, 20'000'000);
    keys.dataset_bytes = scene.state.sample.used_memory_dataset;
    EXPECT_EQ(look(scene, keys).cause, Cause::big_key);
    keys.dataset_bytes /= 2;  // a burst has come since
    EXPECT_EQ(look(scene, keys).cause, Cause::noeviction_at_ceiling);
    keys.dataset_bytes = -1;
    keys.server_keys = 20'000;  // the others came since
    EXPECT_EQ(look(scene, keys).cause, Cause::noeviction_at_ceiling);
}

TEST(DiagnoseKeys, WhatCameWhileASampleWasTakenIsNotInIt) {
    MemorySample server = sample_of("noeviction_full");
    KeySummary keys = with_big_key(KeyType::string, 200);
    keys.complete = true;
    keys.server_keys = keys.keys;
    keys.dataset_bytes = server.used_memory_dataset;
    date(keys, server);
    EXPECT_TRUE(keys.complete);
    server.keys *= 2;
    date(keys, server);
    EXPECT_FALSE(keys.complete);
    EXPECT_TRUE(still_holds(keys, server)) << "it is dated by the newest figures";

    KeySummary some = with_big_key(KeyType::string, 200);
    some.complete = true;
    date(some, server);
    EXPECT_FALSE(some.complete) << "half of the keys are in databases that were not looked at";
}

TEST(DiagnoseKeys, WhatNoSampleExplainsIsSaid) {
    KeySummary keys = with_big_key(KeyType::string, 200);
    keys.unexplained = 18e6;
    const Diagnosis d = look(Scene({}, sample_of("noeviction_full")), keys);
    EXPECT_TRUE(says(d.evidence, "a few huge keys hold it")) << all_of(d);
    EXPECT_FALSE(says(d.evidence, "not one big key"));
}

TEST(DiagnoseKeys, ACompleteLookSpeaksAgainstABigKey) {
    KeySummary keys = with_big_key(KeyType::string, 200);
    keys.complete = true;
    keys.with_ttl_bytes = {.2, .25, .3};
    const Diagnosis d = look(Scene({}, sample_of("noeviction_full")), keys);
    EXPECT_TRUE(says(d.evidence, "keys with a TTL hold 25 % (between 20 % and 30 %)")) << all_of(d);
}

TEST(DiagnoseKeys, TheHeaviestClientIsNamed) {
    MemorySample at = sample_of("noeviction_full");
    at.clients_normal_bytes = 20 * mib;
    at.used_memory_overhead += 20 * mib;
    at.used_memory_dataset -= 20 * mib;
    const Scene scene({}, at);
    const std::vector<HeavyClient> clients = {
        {.id = 7,
         .address = "10.0.0.1:5",
         .name = "report",
         .command = "lrange",
         .output_bytes = 19 * mib,
         .query_bytes = 100}};
    Evidence evidence = scene.evidence(false);
    evidence.clients = clients;
    const Diagnosis d = diagnose(evidence);
    EXPECT_EQ(d.cause, Cause::client_buffers);
    EXPECT_TRUE(
        says(d.evidence, "client report at 10.0.0.1:5 holds 19 MiB of replies that it has not read")
    ) << all_of(d);
    EXPECT_TRUE(says(d.advice, "CLIENT KILL ID 7"));
}

TEST(DiagnoseKeys, ManyClientsOfOneNameAreOneCulprit) {
    MemorySample at = sample_of("noeviction_full");
    at.clients_normal_bytes = 20 * mib;
    at.used_memory_overhead += 20 * mib;
    at.used_memory_dataset -= 20 * mib;
    const Scene scene({}, at);
    std::vector<HeavyClient> clients = {
        {.id = 7,
         .address = "10.0.0.1:5",
         .name = "feeder-*",
         .command = "get",
         .output_bytes = 19 * mib,
         .query_bytes = 0,
         .count = 300,
         .bytes_of_largest = mib}};
    Evidence evidence = scene.evidence(false);
    evidence.clients = clients;
    Diagnosis d = diagnose(evidence);
    EXPECT_TRUE(says(
        d.evidence,
        "300 clients named feeder-* together hold 19 MiB of replies that they have not read"
    )) << all_of(d);
    EXPECT_TRUE(says(d.advice, "the largest is ID 7 with 1 MiB")) << all_of(d);

    clients[0].bytes_of_largest = 15 * mib;
    d = diagnose(evidence);
    EXPECT_TRUE(says(d.evidence, "client feeder-* at 10.0.0.1:5 holds 15 MiB")) << "one of them";
}

TEST(DiagnoseKeys, DataFarAboveTheLimitDidNotGetThereByWrites) {
    MemorySample at = sample_of("noeviction_full");
    at.maxmemory = at.used_memory * 2 / 3;
    at.config_sets = 1;
    EXPECT_EQ(Scene({}, at).look().cause, Cause::ceiling_lowered);
    EXPECT_TRUE(says(Scene({}, at).look().evidence, "CONFIG SET has been used 1 time"));
    EXPECT_TRUE(says(Scene({}, at).look().advice, "CONFIG SET maxmemory 36mb"))
        << all_of(Scene({}, at).look());

    at.config_sets = 0;
    EXPECT_EQ(Scene({}, at).look().cause, Cause::noeviction_at_ceiling) << "nobody changed it";

    at.was_replica = true;
    EXPECT_EQ(Scene({}, at).look().cause, Cause::replica_promoted);
    EXPECT_TRUE(says(Scene({}, at).look().evidence, "old primary's replication id"));

    at.config_sets = 1;
    at.was_replica = false;
    at.maxmemory = at.used_memory * 99 / 100;
    EXPECT_EQ(Scene({}, at).look().cause, Cause::noeviction_at_ceiling)
        << "as full as writes make it";
}

TEST(DiagnoseKeys, WhatGrewPastALimitThatWasThereWasNotLowered) {
    MemorySample at = sample_of("noeviction_full");
    at.config_sets = 1;
    MemorySample before = at;
    at.maxmemory = before.maxmemory = at.used_memory * 2 / 3;
    before.used_memory = at.maxmemory / 2;
    std::vector<MemorySample> since(12, at);  // longer than the figures look back
    Scene scene({before}, at);
    EXPECT_EQ(scene.look().cause, Cause::noeviction_at_ceiling);
    for (MemorySample& sample : since) {
        sample.answered_at = scene.state.sample.answered_at + second;
        scene.history.add(sample);
        scene.state = state_of(sample);
    }
    EXPECT_EQ(scene.look().cause, Cause::noeviction_at_ceiling) << all_of(scene.look());
}

TEST(DiagnoseKeys, FullAndStandingStillIsNoAlarm) {
    MemorySample at = sample_of("noeviction_full");
    at.oom_errors = 0;
    at.used_memory = at.maxmemory / 100 * 95;
    EXPECT_EQ(Scene({}, at).look().health, Health::healthy);

    Scene growing({}, at);
    growing.state.time_to_ceiling_s = 300;
    EXPECT_EQ(growing.look().health, Health::at_risk);

    at.oom_errors = 3;
    EXPECT_EQ(Scene({}, at).look().health, Health::at_risk) << "it has refused writes";

    {
        const Scene once({}, at);
        Evidence evidence = once.evidence(false);
        evidence.ooms_before = 3;
        EXPECT_EQ(diagnose(evidence).health, Health::healthy) << "long ago";
    }

    at.used_memory = at.maxmemory - 20'000;
    EXPECT_EQ(Scene({}, at).look().health, Health::oom)
        << "the room is that of a refused client's buffer";

    at.used_memory = at.maxmemory / 2;
    EXPECT_EQ(Scene({}, at).look().health, Health::healthy);
    const Scene half({}, at);
    Evidence evidence = half.evidence(false);
    evidence.ooms_before = 2;
    EXPECT_EQ(diagnose(evidence).health, Health::oom) << "one more while we looked";
}

TEST(DiagnoseKeys, NearlyFullIsNoAlarmWhileNothingGrowsAndNothingIsRefused) {
    MemorySample at = sample_of("noeviction_full");
    at.oom_errors = 0;
    at.used_memory = at.maxmemory / 100 * 99;
    const Diagnosis d = Scene({}, at).look();
    EXPECT_EQ(d.health, Health::healthy) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "is left, but memory stands still")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "raise maxmemory")) << all_of(d);

    at.used_memory = at.maxmemory / 1000 * 998;
    EXPECT_EQ(Scene({}, at).look().health, Health::at_risk) << "brimful";

    at.used_memory = at.maxmemory / 100 * 99;
    at.oom_errors = 1;
    EXPECT_EQ(Scene({}, at).look().health, Health::at_risk) << "it was fuller";
}

// A load of some seconds ago leaves an average behind; only growth that goes on is a danger.
TEST(DiagnoseKeys, GrowthThatIsOverIsNoAlarm) {
    MemorySample at = sample_of("noeviction_full");
    at.oom_errors = 0;
    at.used_memory = at.maxmemory / 10 * 7;
    MemorySample before = at;
    Scene scene({before, before}, at);
    scene.state.growth_bytes_per_s = 1e6;
    scene.state.time_to_ceiling_s = 20;
    EXPECT_EQ(scene.look().health, Health::healthy) << all_of(scene.look());

    before.used_memory = at.used_memory - 3 * mib;
    Scene growing({before, before}, at);
    growing.state.growth_bytes_per_s = 1e6;
    growing.state.time_to_ceiling_s = 20;
    EXPECT_EQ(growing.look().cause, Cause::write_burst) << all_of(growing.look());
    EXPECT_EQ(growing.look().health, Health::at_risk);
}

TEST(DiagnoseKeys, FunctionsAreToldFromCachedScripts) {
    MemorySample at = sample_of("scripts_full");
    const Diagnosis scripts = Scene({}, at).look();
    EXPECT_TRUE(says(scripts.evidence, "cached scripts hold 16 MiB")) << all_of(scripts);
    EXPECT_TRUE(says(scripts.advice, "SCRIPT FLUSH"));
    at.functions_bytes = at.used_memory_scripts;
    at.libraries = 8000;
    const Diagnosis functions = Scene({}, at).look();
    EXPECT_EQ(functions.cause, Cause::script_memory);
    EXPECT_TRUE(says(functions.evidence, "functions hold 16 MiB")) << all_of(functions);
    EXPECT_TRUE(says(functions.evidence, "(8,000 libraries)")) << all_of(functions);
    EXPECT_TRUE(says(functions.advice, "FUNCTION DELETE")) << all_of(functions);
    EXPECT_FALSE(says(functions.advice, "SCRIPT FLUSH")) << all_of(functions);
}

// A large write that was refused moves the count too, and leaves a peak that shows a part of it.
TEST(DiagnoseKeys, RefusalsWithRoomAreTheProvidersWherePeakAndWatchSaySo) {
    MemorySample at = sample_of("noeviction_full");
    at.oom_errors = 40;
    at.maxmemory = at.used_memory_peak * 2;
    const auto look = [&at](std::int64_t ooms_before) {
        const Scene scene({}, at);
        Evidence evidence = scene.evidence(false);
        evidence.ooms_before = ooms_before;
        return diagnose(evidence);
    };
    EXPECT_EQ(look(30).cause, Cause::provider_limit) << all_of(look(30));
    EXPECT_TRUE(says(look(30).evidence, "refused for memory 40 times, though use never exceeded"));
    EXPECT_EQ(look(40).health, Health::healthy) << "nobody knows what it was then";
    at.used_memory_peak = at.maxmemory / 100 * 83;
    EXPECT_NE(look(30).cause, Cause::provider_limit) << all_of(look(30));
}

}  // namespace
}  // namespace spillway::policy
