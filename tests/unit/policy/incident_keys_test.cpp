// A sample of the keys reaches the desk: before the first record, after it, never, or long ago.
#include "policy/incident_desk.hpp"
#include "tests/unit/policy/diagnosis_fixtures.hpp"

namespace spillway::policy {
namespace {

using namespace testing;

KeySummary one_big_hash() {
    KeySummary keys;
    keys.keys = 29'684;  // as noeviction_full
    keys.sampled = 500;
    keys.biggest.push_back(
        {.key = "sessions:4711", .type = KeyType::hash, .bytes = 20'000'000, .length = 300'000}
    );
    return keys;
}

class IncidentKeys : public ::testing::Test {
  protected:
    void SetUp() override { sample(); }

    void sample() {
        MemorySample at = sample_of("noeviction_full");
        at.asked_at = now - millisecond;
        at.answered_at = now;
        state = state_of(std::move(at));
        desk.on_sample(state, moment());
    }
    // An OOM reply, and the sample that was asked for after it.
    void refuse() {
        desk.on_event(small_set(now), state, {}, moment());
        now += 20 * millisecond;
        sample();
    }
    [[nodiscard]] Moment moment() const {
        return {.at = now, .unix_ms = 1'700'000'000'000 + now / millisecond};
    }

    IncidentDesk desk{{.mode = KeyMode::pattern, .secret = {}}, 1};
    MemoryState state;
    Nanos now = 1000 * second;
};

TEST_F(IncidentKeys, TheFirstRecordNamesTheKeyThatWasRefused) {
    desk.expect_keys(now + 100 * millisecond);
    refuse();
    EXPECT_TRUE(desk.tick(moment()).empty());
    EXPECT_EQ(desk.next_tick(), 1000 * second + 100 * millisecond);
    desk.on_keys(one_big_hash(), state, moment());
    const auto records = desk.tick(moment());
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[1].report.diagnosis.cause, Cause::big_key);
    EXPECT_TRUE(says(records[1].report.diagnosis.evidence, "sessions:*"));
}

TEST_F(IncidentKeys, AFirstRecordDoesNotWaitForEver) {
    desk.expect_keys(now + 100 * millisecond);
    refuse();
    now += 100 * millisecond;
    const auto records = desk.tick(moment());
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[1].report.diagnosis.cause, Cause::noeviction_at_ceiling);
}

TEST_F(IncidentKeys, ALaterLookRevisesTheCause) {
    refuse();
    ASSERT_EQ(desk.tick(moment()).size(), 2U);
    now += 5 * second;
    sample();
    desk.on_keys(one_big_hash(), state, moment());
    const auto records = desk.tick(moment());
    ASSERT_EQ(records.size(), 1U);
    EXPECT_EQ(records[0].kind, RecordKind::incident_updated);
    EXPECT_EQ(records[0].cause_before, Cause::noeviction_at_ceiling);
    EXPECT_EQ(desk.incidents().front()->report.diagnosis.cause, Cause::big_key);
}

TEST_F(IncidentKeys, WhatIsShownBesideItAgrees) {
    Diagnosis other;
    other.cause = Cause::write_burst;
    other.confidence = .55;
    EXPECT_EQ(desk.agreed(other, now).cause, Cause::write_burst) << "nothing is open";
    refuse();
    (void)desk.tick(moment());
    EXPECT_EQ(desk.agreed(other, now).cause, Cause::noeviction_at_ceiling);
    other.confidence = .99;
    EXPECT_EQ(desk.agreed(other, now).cause, Cause::write_burst) << "it is surer";
    other.confidence = .55;
    now += 60 * second;
    EXPECT_EQ(desk.agreed(other, now).cause, Cause::write_burst) << "long ago";
}

TEST_F(IncidentKeys, WhereTheCauseStaysItGainsItsNames) {
    refuse();
    (void)desk.tick(moment());
    KeySummary keys;
    keys.keys = keys.sampled = 100;
    keys.keys = state.sample.keys;
    keys.complete = true;
    keys.collections = 1;
    KeyGroup carts;
    carts.pattern = "cart:*";
    carts.share = {1, 1, 1};
    keys.groups.push_back(carts);
    desk.on_keys(keys, state, moment());
    EXPECT_TRUE(desk.tick(moment()).empty());
    EXPECT_TRUE(says(desk.incidents().front()->report.diagnosis.evidence, "cart:* (other) holds"));
}

TEST_F(IncidentKeys, AnotherServersKeysAndClientsAreForgotten) {
    desk.on_keys(one_big_hash(), state, moment());
    desk.on_clients({HeavyClient{.id = 7, .name = "report"}}, state, moment());
    ASSERT_NE(desk.keys_sample(state.sample, now), nullptr);
    ASSERT_EQ(desk.heavy_clients(now).size(), 1U);
    desk.forget_server();
    EXPECT_EQ(desk.keys_sample(state.sample, now), nullptr);
    EXPECT_TRUE(desk.heavy_clients(now).empty());
}

TEST_F(IncidentKeys, ClientsThatHoldMuchAreNamedWhileTheyDo) {
    refuse();
    (void)desk.tick(moment());
    now += 5 * second;
    state.sample.asked_at = now - millisecond;
    state.sample.answered_at = now;
    state.sample.clients_normal_bytes = 20 << 20;
    state.sample.used_memory_overhead += 20 << 20;
    state.sample.used_memory_dataset -= 20 << 20;
    desk.on_sample(state, moment());
    const std::vector<HeavyClient> clients = {
        {.id = 7, .address = "10.0.0.1:5", .name = "report", .output_bytes = 19 << 20}};
    desk.on_clients(clients, state, moment());
    EXPECT_TRUE(says(desk.incidents().front()->report.diagnosis.evidence, "client report at"));
    EXPECT_EQ(desk.incidents().front()->report.diagnosis.cause, Cause::client_buffers);
    now += 16 * second;
    EXPECT_TRUE(desk.heavy_clients(now).empty()) << "buffers come and go";
}

TEST_F(IncidentKeys, AnOldSampleSaysNothing) {
    desk.on_keys(one_big_hash(), state, moment());
    EXPECT_NE(desk.keys_sample(state.sample, now), nullptr);
    now += 301 * second;
    EXPECT_EQ(desk.keys_sample(state.sample, now), nullptr);
    sample();
    refuse();
    EXPECT_EQ(desk.tick(moment()).at(1).report.diagnosis.cause, Cause::noeviction_at_ceiling);
}

}  // namespace
}  // namespace spillway::policy
