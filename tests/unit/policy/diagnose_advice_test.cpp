// Advice that would harm where it was followed, and warnings that would come too late: each case
// was told wrongly once.
#include "tests/unit/policy/diagnosis_fixtures.hpp"

namespace spillway::policy {
namespace {

using namespace testing;

KeySummary with_big(KeyType type, std::int64_t length) {
    KeySummary keys;
    keys.keys = 29'684;  // as noeviction_full
    keys.sampled = 500;
    keys.bytes = {29e6, 30e6, 31e6};
    keys.biggest.push_back({.key = "mail", .type = type, .bytes = 20'000'000, .length = length});
    return keys;
}

TEST(DiagnoseAdvice, NoNumberIsNamedThatIsNotKnown) {
    const Scene scene({}, sample_of("noeviction_full"));
    for (const KeyType type : {KeyType::list, KeyType::stream, KeyType::zset}) {
        const Diagnosis d = look(scene, with_big(type, -1));
        ASSERT_EQ(d.cause, Cause::big_key);
        for (const std::string& advice : d.advice) {
            EXPECT_EQ(advice.find(" 1 "), std::string::npos) << advice;
            EXPECT_EQ(advice.find("~ 1"), std::string::npos) << advice;
            EXPECT_EQ(advice.find("-2"), std::string::npos) << advice;
        }
    }
}

TEST(DiagnoseAdvice, AListKeepsTheSideThatIsPushedTo) {
    Scene scene({}, sample_of("noeviction_full"));
    const KeySummary keys = with_big(KeyType::list, 60'000);
    EXPECT_TRUE(says(look(scene, keys).advice, "after RPUSH by LTRIM mail -N -1"));
    scene.growth = {{"mail", "mailer", "LPUSH", 12'000'000, 1.0}};
    EXPECT_TRUE(says(look(scene, keys).advice, "LTRIM mail 0 29999 after each push"));
    scene.growth = {{"mail", "mailer", "RPUSH", 12'000'000, 1.0}};
    EXPECT_TRUE(says(look(scene, keys).advice, "LTRIM mail -30000 -1 after each push"));
    scene.growth.clear();
    scene.event.command = "RPUSH";
    scene.event.key = "mail";
    EXPECT_TRUE(says(look(scene, keys, true).advice, "LTRIM mail -30000 -1"));
}

TEST(DiagnoseAdvice, AScriptIsAQueueOnlyWhereNothingIsKnownOfTheKeys) {
    Scene scene({}, sample_of("noeviction_full"));
    scene.growth = {{"", "cron", "EVAL", 12'000'000, 1.0}};
    Diagnosis d = scene.look();
    EXPECT_TRUE(says(d.advice, "only if all that scripts write here may be lost")) << all_of(d);
    EXPECT_FALSE(says(d.advice, "look like queues"));
    EXPECT_FALSE(says(d.advice, "maxmemory-policy"));
    KeySummary strings = with_big(KeyType::string, -1);
    strings.biggest.front().bytes = 1000;
    strings.groups.push_back(
        {.pattern = "rollup:*", .type = KeyType::string, .keys = 29'000, .share = {.9, .95, 1}}
    );
    d = look(scene, strings);
    EXPECT_TRUE(says(d.advice, "maxmemory-policy allkeys-lru; not if any key must stay"))
        << all_of(d);
    strings.groups.front().type = KeyType::list;
    EXPECT_TRUE(says(look(scene, strings).advice, "do not turn on allkeys"));
}

TEST(DiagnoseAdvice, WhoDoesNotReadIsToldByWhatItHadAskedFor) {
    MemorySample at = sample_of("outbuf_at");
    const Scene scene({sample_of("outbuf_before")}, at);
    for (const auto& [command, advice] :
         {std::pair{"subscribe", "\"pubsub 4mb 2mb 60\""},
          std::pair{"psubscribe", "client-output-buffer-limit"},
          std::pair{"monitor", "stop that MONITOR"},
          std::pair{"lrange", "ask for large results in parts"}}) {
        const std::vector<HeavyClient> clients = {
            {.id = 7, .address = "10.0.0.1:5", .command = command, .output_bytes = 97 * mib}};
        Evidence evidence = scene.evidence();
        evidence.clients = clients;
        const Diagnosis d = diagnose(evidence);
        EXPECT_EQ(d.cause, Cause::client_buffers);
        EXPECT_TRUE(says(d.advice, advice)) << command << all_of(d);
        EXPECT_EQ(says(d.advice, "large results in parts"), std::string(command) == "lrange");
    }
}

// Keys with a TTL fall from `then` to `now` in ten samples of a second each.
Scene draining(std::int64_t then, std::int64_t now, std::int64_t evicted_a_second) {
    MemorySample sample = sample_of("volatile_few_before");
    sample.used_memory = sample.maxmemory - 1000;
    sample.not_counted_for_evict = 0;
    sample.oom_errors = 0;
    sample.keys = 14'000;
    std::vector<MemorySample> samples;
    for (int i = 0; i <= 5; ++i) {
        sample.expires = then + (now - then) * i / 5;
        sample.evicted_keys = 100 + evicted_a_second * i;
        samples.push_back(sample);
    }
    Scene scene({samples[0], samples[1], samples[2], samples[3], samples[4]}, samples[5]);
    scene.state.state = GuardState::plenty;
    return scene;
}

TEST(DiagnoseAdvice, KeysWithATtlThatRunOutAreToldInTime) {
    const Diagnosis d = draining(7000, 5500, 290).look();
    EXPECT_EQ(d.health, Health::at_risk);
    EXPECT_EQ(d.cause, Cause::few_evictable_keys);
    EXPECT_TRUE(says(d.evidence, "keys with a TTL go at about")) << all_of(d);
    EXPECT_EQ(draining(7000, 6990, 290).look().health, Health::healthy) << "a cache at work";
    EXPECT_EQ(draining(7000, 5500, 0).look().health, Health::healthy) << "they expire";
}

TEST(DiagnoseAdvice, NothingIsHealthyWhileWritesAreRefused) {
    MemorySample nearly = sample_of("noeviction_full");
    nearly.oom_errors = 0;
    nearly.used_memory = nearly.maxmemory * 97 / 100;
    const Scene scene({nearly}, nearly);
    EXPECT_EQ(scene.look().health, Health::healthy) << "it stands still";
    Evidence evidence = scene.evidence(false);
    evidence.guard_refuses = true;
    EXPECT_EQ(diagnose(evidence).health, Health::at_risk);
    EXPECT_EQ(diagnose(evidence).cause, Cause::noeviction_at_ceiling);
}

TEST(DiagnoseAdvice, ANearlyFullServerThatBuffersFillIsAtRisk) {
    MemorySample sample = sample_of("noeviction_full");
    sample.oom_errors = 0;
    sample.used_memory = sample.maxmemory * 95 / 100;
    sample.clients_normal_bytes = sample.maxmemory * 6 / 10;
    const Diagnosis d = Scene({sample}, sample).look();
    EXPECT_EQ(d.health, Health::at_risk);
    EXPECT_EQ(d.cause, Cause::client_buffers);
}

TEST(DiagnoseAdvice, AWriteThatNoEvictionMakesRoomForIsTooLarge) {
    MemorySample at = sample_of("allkeys_full");
    at.clients_normal_bytes = 50 * mib;  // the write itself
    at.max_input_buffer_bytes = 50 * mib;
    at.used_memory = at.maxmemory + 50 * mib;
    Scene scene({sample_of("allkeys_full")}, at);
    scene.event = blob(scene.event.at);
    scene.event.largest_argument_bytes = static_cast<std::uint64_t>(2 * at.maxmemory);
    scene.event.bytes = scene.event.largest_argument_bytes;
    EXPECT_EQ(scene.diagnosis().cause, Cause::oversized_write) << all_of(scene.diagnosis());
}

TEST(DiagnoseAdvice, ManyLargeArgumentsAreOneLargeWrite) {
    Scene scene({sample_of("oversized_before")}, sample_of("oversized_before"));
    scene.event.command = "MSET";
    scene.event.bytes = 20 * mib;  // there is room for 21 MiB
    scene.event.largest_argument_bytes = 100'000;
    EXPECT_EQ(scene.diagnosis().cause, Cause::oversized_write) << all_of(scene.diagnosis());
}

TEST(DiagnoseAdvice, ALimitBelowAnEmptyServerIsAMissingUnit) {
    MemorySample sample = sample_of("tiny_limit");
    sample.maxmemory = 100;
    sample.clients_normal_bytes = 80'000;
    const Diagnosis d = Scene({sample}, sample).look();
    EXPECT_EQ(d.cause, Cause::non_data_overhead);
    EXPECT_FALSE(has(d.also, Cause::client_buffers));
    EXPECT_TRUE(says(d.evidence, "was a unit left out?")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "CONFIG SET maxmemory 100mb"));
}

TEST(DiagnoseAdvice, AReplicaAboveItsLimitIsToldWhatThatMeans) {
    MemorySample sample = sample_of("noeviction_full");
    sample.primary = false;
    sample.used_memory = sample.maxmemory + 15 * mib;
    sample.not_counted_for_evict = 0;
    sample.oom_errors = 0;
    const Diagnosis d = Scene({sample}, sample).look();
    EXPECT_EQ(d.health, Health::healthy);
    EXPECT_TRUE(says(d.evidence, "it is 15 MiB above; as a primary it would refuse")) << all_of(d);
    EXPECT_FALSE(says(d.evidence, "-15 MiB"));
}

TEST(DiagnoseAdvice, SubscriptionsAreNoData) {
    MemorySample sample = sample_of("noeviction_full");
    sample.pubsub_channels = 150'000;
    const Diagnosis d = Scene({sample}, sample).look();
    EXPECT_EQ(d.cause, Cause::non_data_overhead) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "subscribed to 150,000 channels"));
}

TEST(DiagnoseAdvice, BuffersOfNextToNothingAddToNothing) {
    MemorySample before = sample_of("backlog_full");
    MemorySample at = before;
    at.used_memory_peak = at.maxmemory + 2 * mib;
    before.used_memory_peak = at.maxmemory - 4 * mib;
    at.used_memory = before.used_memory = at.maxmemory - 1 * mib;
    const Diagnosis d = Scene({before}, at).diagnosis();
    EXPECT_EQ(d.cause, Cause::replication_buffers);
    EXPECT_FALSE(has(d.also, Cause::client_buffers)) << all_of(d);
}

}  // namespace
}  // namespace spillway::policy
