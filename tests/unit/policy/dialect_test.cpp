// What servers and services say of their memory, each in its own dialect, and what they hide.
#include "policy/oom_reply.hpp"
#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <optional>
#include <ostream>

namespace spillway::policy {
namespace {

using namespace testing;

struct Dialect {
    std::string_view fixture;
    std::string_view server;
    std::int64_t used;
    std::int64_t ceiling;  // -1 = hidden, 0 = none
    std::string_view policy;
    EvictionFamily family;
    bool dataset_known;
    bool clustered = false;

    friend std::ostream& operator<<(std::ostream& out, const Dialect& d) {
        return out << d.fixture;
    }
};

constexpr auto none = EvictionFamily::noeviction;
constexpr auto with_ttl = EvictionFamily::volatile_keys;

const std::vector<Dialect> dialects = {
    {"dragonfly_cache",
     "dragonfly df-v1.12.0",
     289'091'120,
     536'870'912,
     "eviction",
     EvictionFamily::all_keys,
     false},
    {"dragonfly_store", "dragonfly df-v1.31.0", 16'511'056, 419'430'400, "noeviction", none, false},
    {"keydb", "keydb 6.3.2", 3'512'168, 0, "noeviction", none, false},
    {"redis_cloud", "redis 6.0.9", 1'054'058'256, -1, "", EvictionFamily::unknown, false},
    {"elasticache", "redis 6.0.5", 395'000'000, 402'653'184, "volatile-lru", with_ttl, true, true},
    {"memorydb", "redis 7.1.0", 5'200'000'000, 10'527'885'773, "noeviction", none, false, true},
    {"azure", "redis 6.0.14", 1'010'000'000, 1'100'000'000, "volatile-lru", with_ttl, true},
    {"memorystore", "redis 7.2.4", 700'000'000, 1'073'741'824, "noeviction", none, true},
    {"redis_8_0", "redis 8.0.2", 2'167'372'880, 0, "noeviction", none, true},
    {"redis_8_4", "redis 8.4.0", 1'873'792'128, 0, "noeviction", none, true},
    {"valkey_8_1", "valkey 8.1.5", 961'465'813, 2'684'354'560, "noeviction", none, true, true},
    {"valkey_9_0", "valkey 9.0.3", 87'243'357'216, 0, "noeviction", none, true},
};

MemorySample read(std::string_view fixture) {
    return sample_of("dialects/" + std::string(fixture));
}

class Dialects : public ::testing::TestWithParam<Dialect> {};

TEST_P(Dialects, AreReadAsTheyAreMeant) {
    const Dialect& wanted = GetParam();
    const MemorySample sample = read(wanted.fixture);
    EXPECT_EQ(sample.server, wanted.server);
    EXPECT_EQ(sample.used_memory, wanted.used);
    EXPECT_EQ(sample.maxmemory, wanted.ceiling);
    EXPECT_EQ(sample.policy, wanted.policy);
    EXPECT_EQ(sample.family, wanted.family);
    EXPECT_EQ(sample.used_memory_dataset >= 0, wanted.dataset_known);
    EXPECT_EQ(sample.clustered, wanted.clustered);
    EXPECT_TRUE(sample.primary);
}

// Nothing that is hidden may turn into an alarm, a figure or a crash.
TEST_P(Dialects, AreExplainedWithoutInventions) {
    Scene scene({}, read(GetParam().fixture));
    const Diagnosis look = scene.look();
    const bool risky = GetParam().fixture == "elasticache";  // 12 keys with a TTL, 97 % full
    EXPECT_EQ(look.health == Health::healthy, !risky) << all_of(look);
    EXPECT_FALSE(look.evidence.empty());
    EXPECT_FALSE(scene.diagnosis().advice.empty()) << "of an OOM reply that comes all the same";
}

INSTANTIATE_TEST_SUITE_P(Corpus, Dialects, ::testing::ValuesIn(dialects), [](const auto& row) {
    return std::string(row.param.fixture);
});

TEST(Dialect, AServiceThatRefusesWithRoomHasALimitOfItsOwn) {
    Scene scene({}, read("memorystore"));
    scene.event.reply = "OOM command not allowed under OOM prevention.";
    scene.event.form = *classify_error(scene.event.reply, ErrorPlace::top_level);
    EXPECT_EQ(scene.diagnosis().cause, Cause::provider_limit);
    EXPECT_TRUE(says(scene.diagnosis().advice, "defragmentation"));
    EXPECT_TRUE(says(scene.diagnosis().evidence, "resident memory is 992 MiB"));
}

TEST(Dialect, AHiddenLimitIsAskedFor) {
    Scene scene({}, read("redis_cloud"));
    EXPECT_EQ(scene.diagnosis().cause, Cause::provider_limit);
    EXPECT_TRUE(says(scene.diagnosis().advice, "[monitor] ceiling"));
    scene.state.ceiling = 1'060'000'000;  // told
    scene.state.sample.family = EvictionFamily::noeviction;
    EXPECT_EQ(scene.diagnosis().cause, Cause::noeviction_at_ceiling);
}

TEST(Dialect, Replies) {
    struct Reply {
        std::string_view line;
        std::optional<OomForm> form;
    };
    constexpr auto top = OomForm::top_level;
    const std::vector<Reply> replies = {
        {"OOM command not allowed when used memory > 'maxmemory'.", top},
        {"OOM command not allowed under OOM prevention.", OomForm::provider},  // Memorystore
        {"Out of memory", OomForm::provider},                                  // Dragonfly
        {"OOM command not allowed when used memory > 'maxmemory'. script: 6c3f, on @user_script:1.",
         OomForm::in_script},  // Redis 7.0 and later
        {"OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1.",
         OomForm::in_script},  // Valkey 9.1
        {"ERR Error running script (call to f_6c3f): @user_script:1: @user_script: 1: -OOM command "
         "not allowed when used memory > 'maxmemory'.",
         OomForm::in_script},  // Redis 6.2
        {"OOM allow-oom flag is not set on the script, can not run it when used memory > "
         "'maxmemory'",
         OomForm::script_denied},
        {"EXECABORT Transaction discarded because of: OOM command not allowed when used memory > "
         "'maxmemory'.",
         OomForm::exec_abort},
        {"EXECABORT Transaction discarded because of previous errors.", std::nullopt},
        {"MISCONF Redis is configured to save RDB snapshots", std::nullopt},
    };
    for (const Reply& reply : replies) {
        EXPECT_EQ(classify_error(reply.line, ErrorPlace::top_level), reply.form) << reply.line;
    }
}

}  // namespace
}  // namespace spillway::policy
