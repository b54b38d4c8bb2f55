// Reads INFO texts of several servers, whole, cut and damaged.
#include "policy/info.hpp"

#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using testing::info_text;
using testing::sample_of;

TEST(Info, ReadsEveryFieldOfARealRedis7) {
    const MemorySample s = sample_of("noeviction_full", 5 * second);
    EXPECT_EQ(s.asked_at, 5 * second - millisecond);
    EXPECT_EQ(s.answered_at, 5 * second);
    EXPECT_EQ(s.used_memory, 33'557'768);
    EXPECT_EQ(s.used_memory_startup, 876'112);
    EXPECT_EQ(s.used_memory_overhead, 2'371'384);
    EXPECT_EQ(s.used_memory_dataset, 31'186'384);
    EXPECT_EQ(s.used_memory_peak, 33'574'744);
    EXPECT_EQ(s.used_memory_scripts, 200);
    EXPECT_GT(s.used_memory_rss, 30'000'000);
    EXPECT_GT(s.total_system_memory, 1'000'000'000);
    EXPECT_EQ(s.maxmemory, 33'554'432);
    EXPECT_EQ(s.policy, "noeviction");
    EXPECT_EQ(s.family, EvictionFamily::noeviction);
    EXPECT_EQ(s.clients_normal_bytes, 45'568);
    EXPECT_EQ(s.clients_replica_bytes, 0);
    EXPECT_EQ(s.replication_buffers_bytes, 0);
    EXPECT_EQ(s.backlog_bytes, 0);
    EXPECT_EQ(s.aof_buffer_bytes, 0);
    EXPECT_EQ(s.cluster_links_bytes, 0);
    EXPECT_EQ(s.max_input_buffer_bytes, 20'525);
    EXPECT_EQ(s.max_output_buffer_bytes, 0);
    EXPECT_EQ(s.lazyfree_pending_objects, 0);
    EXPECT_EQ(s.eviction_exceeded_ms, 239);
    EXPECT_EQ(s.cached_scripts, 0);
    EXPECT_EQ(s.connected_replicas, 0);
    EXPECT_EQ(s.keys, 29'684);
    EXPECT_EQ(s.expires, 0);
    EXPECT_EQ(s.evicted_keys, 0);
    EXPECT_EQ(s.expired_keys, 0);
    EXPECT_EQ(s.connected_clients, 2);
    EXPECT_EQ(s.oom_errors, 10'316);
    EXPECT_EQ(s.run_id.size(), 40U);
    EXPECT_EQ(s.server, "redis 7.0.15");
    EXPECT_TRUE(s.primary);
    EXPECT_FALSE(s.loading);
}

TEST(Info, LeavesWhatRedis62DoesNotSay) {
    const MemorySample s = sample_of("redis62");
    EXPECT_EQ(s.server, "redis 6.2.16");
    EXPECT_EQ(s.used_memory, 33'557'768);
    EXPECT_EQ(s.used_memory_scripts, 200);
    EXPECT_EQ(s.eviction_exceeded_ms, -1);
    EXPECT_EQ(s.replication_buffers_bytes, -1);
    EXPECT_EQ(s.cluster_links_bytes, -1);
}

TEST(Info, NamesValkeyByItsOwnVersionAndSumsDatabasesByFieldName) {
    const MemorySample s = sample_of("valkey9_shared_replies");
    EXPECT_EQ(s.server, "valkey 9.1.0");
    EXPECT_EQ(s.keys, 29'684 + 100);
    EXPECT_EQ(s.expires, 40);
    EXPECT_EQ(s.clients_normal_bytes, 209'715'200);
    EXPECT_EQ(s.used_memory_dataset, -1) << "an underflow of the server is no figure";
}

TEST(Info, ReadsAManagedServiceThatHidesItsLimit) {
    const MemorySample s = sample_of("managed_hidden");
    EXPECT_EQ(s.used_memory, 33'557'768);
    EXPECT_EQ(s.maxmemory, -1);
    EXPECT_EQ(s.policy, "");
    EXPECT_EQ(s.family, EvictionFamily::unknown);
    EXPECT_EQ(s.keys, 29'684) << "without its section's heading";
}

TEST(Info, ReplicaAndLoading) {
    MemorySample s;
    EXPECT_EQ(
        parse_info("loading:1\r\nrole:slave\r\nused_memory:1\r\nasync_loading:0\r\n", s),
        InfoProblem::none
    );
    EXPECT_FALSE(s.primary);
    EXPECT_TRUE(s.loading);
}

TEST(Info, StartsAfreshButForTheTimes) {
    MemorySample s = sample_of("noeviction_full", 7 * second);
    EXPECT_EQ(parse_info("used_memory:5\n", s), InfoProblem::none);
    EXPECT_EQ(s.answered_at, 7 * second);
    EXPECT_EQ(s.used_memory, 5);
    EXPECT_EQ(s.keys, 0);
    EXPECT_EQ(s.policy, "");
    EXPECT_EQ(s.server, "");
}

TEST(Info, ConcatenatedTextsCountTheKeyspaceOnce) {
    const std::string text = info_text("noeviction_full");
    MemorySample s;
    EXPECT_EQ(parse_info(text + "\r\n" + text, s), InfoProblem::none);
    EXPECT_EQ(s.keys, 29'684);
}

TEST(Info, NumbersThatAreNoneCountAsAbsent) {
    for (const std::string_view bad :
         {"",
          " 5",
          "5 ",
          "-5",
          "5x",
          "0x5",
          "9223372036854775808",
          "99999999999999999999999999",
          "1e9",
          "5.0",
          "+5"}) {
        MemorySample s;
        EXPECT_EQ(
            parse_info("maxmemory:" + std::string(bad) + "\nused_memory:1\n", s), InfoProblem::none
        );
        EXPECT_EQ(s.maxmemory, -1) << '"' << bad << '"';
    }
    MemorySample s;
    EXPECT_EQ(parse_info("used_memory:9223372036854775807\n", s), InfoProblem::none);
    EXPECT_EQ(s.used_memory, INT64_MAX);
}

TEST(Info, KeyCountsDoNotOverflow) {
    MemorySample s;
    EXPECT_EQ(
        parse_info(
            "used_memory:1\ndb0:keys=9223372036854775807,expires=1\ndb1:keys=9223372036854775807\n",
            s
        ),
        InfoProblem::none
    );
    EXPECT_EQ(s.keys, INT64_MAX);
    EXPECT_EQ(s.expires, 1);
}

TEST(Info, CountsCommandsThatMayPassTheLimitAtOnce) {
    MemorySample s;
    const std::string text =
        "used_memory:1\r\nuptime_in_seconds:77\r\n# Commandstats\r\n"
        "cmdstat_eval:calls=2,usec=500,usec_per_call=250.00,rejected_calls=0,failed_calls=0\r\n"
        "cmdstat_evalsha:calls=3,usec=100,usec_per_call=33.33,rejected_calls=1,failed_calls=0\r\n"
        "cmdstat_setrange:calls=6,usec=9,usec_per_call=1.50,rejected_calls=0,failed_calls=0\r\n"
        "cmdstat_json.set:calls=1,usec=9,usec_per_call=9.00,rejected_calls=0,failed_calls=0\r\n"
        "cmdstat_set:calls=9,usec=9,usec_per_call=1.00,rejected_calls=34,failed_calls=0\r\n"
        "# Keyspace\r\ndb0:keys=10,expires=6,avg_ttl=3000\r\n"
        "db1:keys=10,expires=2,avg_ttl=7000\r\n";
    ASSERT_EQ(parse_info(text, s), InfoProblem::none);
    EXPECT_EQ(s.uptime_s, 77);
    EXPECT_EQ(s.config_sets, 0) << "it is not among them";
    EXPECT_EQ(s.script_calls, 5);
    EXPECT_EQ(s.script_us, 600);
    EXPECT_EQ(s.bulk_calls, 7);
    EXPECT_EQ(s.bulk_command, "setrange");
    EXPECT_EQ(s.refused_command, "set");
    EXPECT_EQ(s.refused_calls, 34);
    EXPECT_DOUBLE_EQ(s.ttl_ms, 4000);
    ASSERT_EQ(refresh_from_info(text, s), InfoProblem::none);
    EXPECT_EQ(s.script_calls, 5) << "not twice";
    EXPECT_DOUBLE_EQ(s.ttl_ms, 4000);
}

TEST(Info, OnlyDatabasesCountAsDatabases) {
    MemorySample s;
    EXPECT_EQ(
        parse_info(
            "used_memory:1\ndb:keys=1\ndbsize:keys=2\ndb0x:keys=4\nmydb0:keys=8\ndb16:keys=16\n", s
        ),
        InfoProblem::none
    );
    EXPECT_EQ(s.keys, 16);
}

TEST(Info, SaysWhatIsWrongWithWhatIsNotInfo) {
    MemorySample s;
    EXPECT_EQ(parse_info("", s), InfoProblem::no_memory);
    EXPECT_EQ(parse_info("maxmemory:5\n", s), InfoProblem::no_memory);
    EXPECT_EQ(s.maxmemory, 5);
    const std::string huge(info_bytes_max + 1, 'x');
    EXPECT_EQ(parse_info(huge, s), InfoProblem::too_long);
    EXPECT_EQ(s.maxmemory, -1);
}

TEST(Info, NamesThatReachLogsAreShortAndPrintable) {
    MemorySample s;
    const std::string text = "used_memory:1\nrun_id:" + std::string(65, 'a') +
                             "\nredis_version:7.0\x1b[31m\nmaxmemory_policy:a b\n";
    EXPECT_EQ(parse_info(text, s), InfoProblem::none);
    EXPECT_EQ(s.run_id, "");
    EXPECT_EQ(s.server, "");
    EXPECT_EQ(s.policy, "");
}

// Cut anywhere, a text must never give a figure that the whole text does not have, but for the line
// that is cut.
TEST(Info, EveryCutOfARealTextIsRead) {
    const std::string text = info_text("noeviction_full");
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        MemorySample s;
        const InfoProblem problem = parse_info(std::string_view(text).substr(0, cut), s);
        EXPECT_EQ(problem == InfoProblem::none, s.used_memory >= 0);
        EXPECT_LE(s.used_memory, 33'557'768);
        EXPECT_LE(s.keys, 29'684);
    }
}

TEST(Info, FamiliesGoByPrefix) {
    EXPECT_EQ(eviction_family("noeviction"), EvictionFamily::noeviction);
    EXPECT_EQ(eviction_family("volatile-lrm"), EvictionFamily::volatile_keys);
    EXPECT_EQ(eviction_family("allkeys-lfu"), EvictionFamily::all_keys);
    EXPECT_EQ(eviction_family("allkeys"), EvictionFamily::unknown);
    EXPECT_EQ(eviction_family("noevictions"), EvictionFamily::unknown);
    EXPECT_EQ(eviction_family(""), EvictionFamily::unknown);
}

TEST(Info, KeepsTheKeysOfEachDatabase) {
    MemorySample sample;
    (void)parse_info(
        "used_memory:1\n# Keyspace\ndb0:keys=5,expires=1\ndb15:keys=7,expires=2\n"
        "db16:keys=9,expires=3\n",
        sample
    );
    EXPECT_EQ(sample.databases[0].keys, 5);
    EXPECT_EQ(sample.databases[15].keys, 7);
    EXPECT_EQ(sample.databases[15].expires, 2);
    EXPECT_EQ(sample.keys, 21) << "those of higher numbers count in the sum alone";
}

}  // namespace
}  // namespace spillway::policy
