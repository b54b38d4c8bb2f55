// Plays storms, lulls and late samples to the desk and reads what it would have written.
#include "policy/incident_desk.hpp"

#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using testing::carts;
using testing::mib;
using testing::sample_of;
using testing::says;
using testing::small_set;
using testing::state_of;

// A desk with a clock: every step says how far it moves on.
class Desk {
  public:
    explicit Desk(KeyDisplay keys = {}) : desk_(keys, 0x7f3a) {}

    // What the monitor knows from now on; on_sample comes with sample().
    void knows(std::string_view fixture) { knows(sample_of(fixture)); }
    void knows(MemorySample sample) {
        sample.asked_at = now_ - millisecond;
        sample.answered_at = now_;
        state_ = state_of(std::move(sample));
        desk_.on_sample(state_, moment());
    }
    void event(OomEvent event) {
        event.at = now_;
        desk_.on_event(event, state_, carts, moment());
    }
    void oom(std::uint64_t count = 1) {
        OomEvent event = small_set(now_);
        event.count = count;
        this->event(event);
    }
    void refusal(Cause cause = Cause::near_ceiling, bool would = false) {
        OomEvent event = small_set(now_);
        event.origin = OomOrigin::guard;
        event.guard_cause = cause;
        event.would_refuse = would;
        this->event(event);
    }
    void wait(Nanos time) { now_ += time; }
    std::vector<Record> tick() { return desk_.tick(moment()); }

    // An incident whose first record is written.
    std::vector<Record> open_one(std::string_view fixture = "noeviction_full") {
        knows(fixture);
        wait(10 * millisecond);
        oom();
        wait(20 * millisecond);
        knows(fixture);
        return tick();
    }

    IncidentDesk& operator*() { return desk_; }
    IncidentDesk* operator->() { return &desk_; }
    [[nodiscard]] Moment moment() const {
        return {.at = now_, .unix_ms = 1'700'000'000'000 + now_ / millisecond};
    }
    [[nodiscard]] Nanos now() const { return now_; }

  private:
    IncidentDesk desk_;
    MemoryState state_;
    Nanos now_ = 1000 * second;
};

std::string kinds(const std::vector<Record>& records) {
    std::string text;
    for (const Record& record : records) {
        text.append(text.empty() ? "" : " ").append(name_of(record.kind));
    }
    return text;
}

TEST(IncidentDesk, TheFirstRecordWaitsForASampleAskedForAfterTheEvent) {
    Desk desk;
    desk.knows("noeviction_full");
    EXPECT_FALSE(desk->wants_sample());
    EXPECT_EQ(desk->next_tick(), std::nullopt);
    desk.wait(50 * millisecond);
    desk.oom();
    EXPECT_TRUE(desk->wants_sample());
    EXPECT_EQ(kinds(desk.tick()), "");
    EXPECT_EQ(desk->next_tick(), desk.now() + 300 * millisecond);

    MemorySample stale =
        sample_of("noeviction_full");  // asked for before the event, answered after it
    stale.asked_at = desk.now() - millisecond;
    stale.answered_at = desk.now() + millisecond;
    desk->on_sample(state_of(stale), desk.moment());
    EXPECT_TRUE(desk->wants_sample());
    EXPECT_EQ(kinds(desk.tick()), "");

    desk.wait(20 * millisecond);
    desk.knows("outbuf_at");
    EXPECT_FALSE(desk->wants_sample());
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_opened oom");
    const Record& oom = records[1];
    EXPECT_EQ(oom.incident_id, "7f3a");
    EXPECT_EQ(oom.suppressed, 0U);
    EXPECT_EQ(oom.report.diagnosis.cause, Cause::client_buffers) << "by the newer sample";
    EXPECT_EQ(oom.report.state.sample.maxmemory, 64 * mib);
    EXPECT_EQ(oom.report.sample_age_ms, 0);
    EXPECT_EQ(oom.report.unix_ms, desk.moment().unix_ms - 20);
    EXPECT_EQ(oom.report.event.key, "cart:*");
    EXPECT_EQ(oom.report.event.client.name, "checkout");
    EXPECT_EQ(oom.report.top_growth.at(0).pattern, "cart:*");
    EXPECT_EQ(records[0].incident->id, "7f3a");
    EXPECT_EQ(records[0].incident->report.diagnosis.cause, Cause::client_buffers);
    EXPECT_EQ(records[0].incident->opened_unix_ms, desk.moment().unix_ms - 20);
}

TEST(IncidentDesk, AnIncidentCanBeReadBeforeItsFirstRecord) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.oom();
    const auto incident = desk->incidents().at(0);
    EXPECT_EQ(incident->report.event.command, "SET");
    EXPECT_EQ(incident->report.event.key, "cart:*");
    EXPECT_EQ(incident->report.diagnosis.cause, Cause::noeviction_at_ceiling);
    EXPECT_EQ(kinds(desk.tick()), "");
}

TEST(IncidentDesk, WritesWithWhatIsKnownWhenNoSampleComes) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.oom();
    desk.wait(IncidentDesk::sample_wait - 1);
    EXPECT_EQ(kinds(desk.tick()), "");
    desk.wait(1);
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_opened oom");
    EXPECT_EQ(records[1].report.sample_age_ms, 300);
    EXPECT_FALSE(desk->wants_sample());
}

TEST(IncidentDesk, WritesWithoutAnySampleAtAll) {
    Desk desk;
    desk.oom();
    desk.wait(IncidentDesk::sample_wait);
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_opened oom");
    EXPECT_EQ(records[1].report.sample_age_ms, -1);
}

TEST(IncidentDesk, KeepsTheOlderSampleWhenThePressureHasPassed) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.wait(50 * millisecond);
    desk.oom();
    MemorySample emptied = sample_of("noeviction_full");
    emptied.used_memory = 2 * mib;
    emptied.used_memory_dataset = mib;
    emptied.keys = 10;
    desk.wait(20 * millisecond);
    desk.knows(emptied);
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_opened oom");
    EXPECT_EQ(records[1].report.diagnosis.cause, Cause::noeviction_at_ceiling);
    EXPECT_LT(records[1].report.diagnosis.confidence, .95);
    EXPECT_GT(records[1].report.state.counted, 32 * mib) << "the figures that the cause rests on";
}

TEST(IncidentDesk, AfterTheFirstAtMostOneRecordASecondAndCause) {
    Desk desk;
    desk.open_one();
    std::uint64_t written = 1;
    std::uint64_t suppressed = 0;
    for (int i = 0; i < 1003; ++i) {  // 5 seconds and a little
        desk.wait(5 * millisecond);
        desk.oom();
        for (const Record& record : desk.tick()) {
            EXPECT_EQ(record.kind, RecordKind::oom);
            ++written;
            suppressed += record.suppressed;
        }
    }
    EXPECT_EQ(written, 6U);
    EXPECT_EQ(suppressed + written + 3, 1004U) << "three are waiting for the next record";
}

TEST(IncidentDesk, CausesAreLimitedEachForItself) {
    Desk desk;
    desk.open_one();
    desk.wait(10 * millisecond);
    OomEvent denied = small_set(0);
    denied.command = "EVALSHA";
    denied.form = OomForm::script_denied;
    desk.oom();
    desk.event(denied);
    desk.event(denied);
    desk.refusal();
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "oom");
    EXPECT_EQ(records[0].report.diagnosis.cause, Cause::script_refused);
    EXPECT_TRUE(desk->wants_sample()) << "the first refusal waits as the first OOM did";
}

TEST(IncidentDesk, AggregatedEventsCountInFull) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.oom(5000);
    desk.oom(7);
    desk.wait(IncidentDesk::sample_wait);
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_opened oom");
    EXPECT_EQ(records[1].suppressed, 5006U) << "with what came while it waited";
    const auto incident = desk->incidents().at(0);
    EXPECT_EQ(incident->oom_replies, 5007U);
    EXPECT_EQ(incident->by_command.at(0).name, "SET");
    EXPECT_EQ(incident->by_command.at(0).oom_replies, 5007U);
    EXPECT_EQ(incident->by_command.at(0).bytes, 5007U * 640);
    EXPECT_EQ(incident->by_client.at(0).name, "checkout");
    EXPECT_EQ(incident->by_pattern.at(0).name, "cart:*");
}

TEST(IncidentDesk, AnEventThatStandsForNothingOpensNothing) {
    Desk desk;
    desk.oom(0);
    EXPECT_TRUE(desk->incidents().empty());
    EXPECT_FALSE(desk->wants_sample());
}

TEST(IncidentDesk, ARevisedCauseIsSaidOnceAndKept) {
    Desk desk;
    desk.knows("outbuf_before");
    desk.wait(50 * millisecond);
    desk.oom();
    MemorySample lagging = sample_of("outbuf_at");
    lagging.used_memory_dataset += lagging.clients_normal_bytes - 23'000;
    lagging.used_memory_overhead -= lagging.clients_normal_bytes - 23'000;
    lagging.clients_normal_bytes = 23'000;
    lagging.max_output_buffer_bytes = 0;
    desk.wait(20 * millisecond);
    desk.knows(lagging);
    EXPECT_EQ(desk.tick().at(1).report.diagnosis.cause, Cause::noeviction_at_ceiling);
    desk.wait(900 * millisecond);
    desk.knows("outbuf_at");
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_updated");
    EXPECT_EQ(records[0].cause_before, Cause::noeviction_at_ceiling);
    EXPECT_EQ(records[0].incident->report.diagnosis.cause, Cause::client_buffers);
    desk.wait(100 * millisecond);
    desk.knows("outbuf_at");
    EXPECT_EQ(kinds(desk.tick()), "");
    desk.wait(IncidentDesk::quiet_close);
    EXPECT_EQ(desk.tick().at(0).incident->report.diagnosis.cause, Cause::client_buffers);
}

TEST(IncidentDesk, ACauseIsNotRevisedLaterNorByASampleWithoutPressure) {
    Desk late;
    late.open_one();
    late.wait(IncidentDesk::revise_window);
    late.knows("outbuf_at");
    EXPECT_EQ(kinds(late.tick()), "");

    Desk relieved;
    relieved.open_one();
    relieved.wait(200 * millisecond);
    relieved.knows("outbuf_after");
    EXPECT_EQ(kinds(relieved.tick()), "");
}

TEST(IncidentDesk, ACauseIsNotRevisedToOneThatIsLessThanLikely) {
    Desk desk;
    desk.open_one();
    desk.wait(200 * millisecond);
    desk.knows("allkeys_full");  // explains no OOM at all
    EXPECT_EQ(kinds(desk.tick()), "");
}

TEST(IncidentDesk, RevisionsAreBounded) {
    Desk desk;
    desk.open_one();
    int updates = 0;
    for (int i = 0; i < 18; ++i) {
        desk.wait(100 * millisecond);
        desk.knows(i % 2 == 0 ? "outbuf_at" : "noeviction_full");
        updates += static_cast<int>(desk.tick().size());
    }
    EXPECT_EQ(updates, 3);
}

TEST(IncidentDesk, ClosesAfterTenQuietSecondsWithTheWholeStory) {
    Desk desk;
    desk.open_one();
    desk.wait(2 * second);
    desk.oom(9);
    desk.tick();
    desk.wait(IncidentDesk::quiet_close - 1);
    EXPECT_EQ(kinds(desk.tick()), "");
    EXPECT_EQ(desk->next_tick(), desk.now() + 1);
    desk.wait(1);
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_closed");
    const Incident& incident = *records[0].incident;
    EXPECT_EQ(incident.id, "7f3a");
    EXPECT_EQ(incident.closed_unix_ms, desk.moment().unix_ms);
    EXPECT_NEAR(incident.duration_s, 2.02, .001) << "from the first to the last event";
    EXPECT_EQ(incident.oom_replies, 10U);
    EXPECT_EQ(incident.refusals, 0U);
    EXPECT_EQ(incident.report.diagnosis.cause, Cause::noeviction_at_ceiling);
    EXPECT_FALSE(incident.report.diagnosis.advice.empty());
    EXPECT_GE(incident.curve.size(), 1U);
    EXPECT_EQ(incident.curve[0].ceiling, 32 * mib);
    EXPECT_EQ(desk->next_tick(), std::nullopt);
    EXPECT_EQ(desk->incidents().size(), 1U);
    EXPECT_EQ(desk->find("7f3a"), records[0].incident);
    EXPECT_EQ(desk->find("ffff"), nullptr);
}

TEST(IncidentDesk, AnEndOfTheProcessTellsWhatIsLeftToTell) {
    Desk desk;
    EXPECT_EQ(kinds(desk->finish(desk.moment())), "");
    desk.knows("noeviction_full");
    desk.oom();  // its record still waits for a sample
    const auto records = desk->finish(desk.moment());
    EXPECT_EQ(kinds(records), "incident_opened oom incident_closed");
    EXPECT_EQ(desk->incidents().size(), 1U);
    EXPECT_EQ(kinds(desk->finish(desk.moment())), "");
}

TEST(IncidentDesk, RefusalsOpenAndProlongToo) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.wait(50 * millisecond);
    desk.refusal();
    desk.wait(10 * millisecond);
    desk.knows("noeviction_full");
    auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_opened refused");
    EXPECT_EQ(records[1].report.diagnosis.cause, Cause::near_ceiling);
    desk.wait(9 * second);
    desk.refusal();
    desk.wait(9 * second);
    EXPECT_EQ(kinds(desk.tick()), "refused");
    EXPECT_EQ(desk->incidents().at(0)->refusals, 2U);
    EXPECT_EQ(desk->incidents().at(0)->closed_unix_ms, std::nullopt);
}

TEST(IncidentDesk, WhatTheServerSaysOverrulesTheGuard) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.wait(millisecond);
    desk.refusal();
    desk.wait(10 * millisecond);
    desk.knows("noeviction_full");
    desk.tick();
    desk.wait(5 * second);
    desk.oom();
    desk.wait(10 * millisecond);
    desk.knows("noeviction_full");
    const auto records = desk.tick();
    ASSERT_EQ(kinds(records), "incident_updated oom");
    EXPECT_EQ(records[0].cause_before, Cause::near_ceiling);
    EXPECT_EQ(records[0].incident->report.diagnosis.cause, Cause::noeviction_at_ceiling);
}

TEST(IncidentDesk, WouldBeRefusalsAreWrittenAndCountedButOpenAndProlongNothing) {
    Desk desk;
    desk.knows("noeviction_full");
    desk.refusal(Cause::near_ceiling, true);
    EXPECT_FALSE(desk->wants_sample());
    auto records = desk.tick();
    ASSERT_EQ(kinds(records), "refused");
    EXPECT_EQ(records[0].incident_id, "");
    EXPECT_TRUE(records[0].report.event.would_refuse);
    desk.refusal(Cause::near_ceiling, true);
    EXPECT_EQ(kinds(desk.tick()), "") << "one a second";
    EXPECT_TRUE(desk->incidents().empty());

    desk.open_one();
    desk.wait(9 * second);
    desk.refusal(Cause::near_ceiling, true);
    EXPECT_EQ(desk.tick().at(0).incident_id, "7f3a");
    EXPECT_EQ(desk->incidents().at(0)->would_refuse, 1U);
    EXPECT_EQ(desk->incidents().at(0)->refusals, 0U);
    desk.wait(1 * second);
    EXPECT_EQ(kinds(desk.tick()), "incident_closed");
}

TEST(IncidentDesk, IdsDifferAndTheOldestIncidentsGo) {
    Desk desk;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < IncidentDesk::incidents_max + 5; ++i) {
        desk.open_one();
        ids.push_back(desk->incidents().at(0)->id);
        desk.wait(11 * second);
        desk.tick();
    }
    std::vector<std::string> kept;
    for (const auto& incident : desk->incidents()) {
        kept.push_back(incident->id);
    }
    EXPECT_EQ(kept.size(), IncidentDesk::incidents_max);
    EXPECT_EQ(kept, std::vector<std::string>(ids.rbegin(), ids.rend() - 5)) << "newest first";
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

TEST(IncidentDesk, SnapshotsDoNotChange) {
    Desk desk;
    desk.open_one();
    const auto before = desk->incidents().at(0);
    EXPECT_EQ(before, desk->incidents().at(0)) << "the same until something happens";
    desk.oom(5);
    EXPECT_EQ(before->oom_replies, 1U);
    EXPECT_EQ(desk->incidents().at(0)->oom_replies, 6U);
}

TEST(IncidentDesk, TheCurveBeginsBeforeTheIncident) {
    Desk desk;
    for (int i = 0; i < 20; ++i) {
        desk.knows("oversized_before");
        desk.wait(second);
    }
    desk.open_one("oversized_at");
    const auto incident = desk->incidents().at(0);
    const auto& curve = incident->curve;
    ASSERT_EQ(curve.size(), 10U) << "of the last ten seconds";
    EXPECT_EQ(curve.front().counted, 45'033'496);
    EXPECT_EQ(curve.front().ceiling, 64 * mib);
    EXPECT_EQ(curve.back().counted, 70'203'560);
    EXPECT_EQ(curve.back().unix_s, desk.moment().unix_ms / 1000);
}

TEST(IncidentDesk, KeysAreShownAsTheOperatorChose) {
    for (const KeyMode mode : {KeyMode::full, KeyMode::hash, KeyMode::none}) {
        Desk desk({.mode = mode});
        const auto records = desk.open_one();
        const Report& report = records.at(1).report;
        const auto incident = desk->incidents().at(0);
        if (mode == KeyMode::full) {
            EXPECT_EQ(report.event.key, "cart:4711");
            EXPECT_EQ(incident->by_pattern.at(0).name, "cart:*");
            continue;
        }
        for (const std::string& shown :
             {report.event.key, report.top_growth.at(0).pattern, incident->by_pattern.at(0).name}) {
            EXPECT_EQ(shown.find("cart"), std::string::npos);
        }
        EXPECT_FALSE(says(report.diagnosis.advice, "cart"));
    }
}

TEST(IncidentDesk, ClientsWithoutANameAreKnownByTheirHost) {
    Desk desk;
    desk.open_one();
    for (int port = 1; port < 100; ++port) {
        OomEvent event = small_set(0);
        event.client.name.clear();
        event.client.address = "10.0.0.9:" + std::to_string(port);
        desk.event(event);
    }
    EXPECT_EQ(desk->incidents().at(0)->by_client.at(0).name, "10.0.0.9");
    EXPECT_EQ(desk->incidents().at(0)->by_client.at(0).oom_replies, 99U);
}

TEST(IncidentDesk, AStormOfUniqueNamesStaysBoundedAndExact) {
    Desk desk;
    desk.open_one();
    constexpr std::uint64_t storms = 5000;
    for (std::uint64_t i = 0; i < storms; ++i) {
        OomEvent event = small_set(0);
        event.command = "CMD" + std::to_string(i);
        event.client.name = "client-" + std::to_string(i);
        event.key = std::string(1, static_cast<char>('a' + i % 26)) +
                    static_cast<char>('a' + i / 26 % 26) + "key";
        event.bytes = 10;
        desk.event(event);
        if (i % 3 == 0) {
            desk.oom();
        }
    }
    const auto incident = desk->incidents().at(0);
    for (const auto* table : {&incident->by_command, &incident->by_client, &incident->by_pattern}) {
        ASSERT_EQ(table->size(), Incident::rows_max);
        EXPECT_EQ(table->back().name, other_row);
        std::uint64_t sum = 0;
        for (const auto& row : *table) {
            sum += row.oom_replies;
        }
        EXPECT_EQ(sum, incident->oom_replies);
    }
    EXPECT_EQ(incident->by_command.front().name, "SET") << "who counts much keeps a row";
    EXPECT_EQ(incident->by_command.front().oom_replies, 1668U);
    EXPECT_LE(desk.tick().size(), IncidentDesk::records_max);
}

TEST(CountTable, BytesDoNotOverflow) {
    CountTable table;
    table.add("a", {.oom_replies = 1, .bytes = UINT64_MAX});
    table.add("a", {.oom_replies = 1, .bytes = 5});
    EXPECT_EQ(table.rows().at(0).bytes, UINT64_MAX);
}

TEST(MemoryCurve, KeepsTheHighestOfASecondAndJoinsNeighboursWhenFull) {
    MemoryCurve curve;
    curve.add({.unix_s = 0, .counted = 5, .ceiling = 9});
    curve.add({.unix_s = 0, .counted = 7, .ceiling = 9});
    curve.add({.unix_s = 0, .counted = 6, .ceiling = 9});
    ASSERT_EQ(curve.points().size(), 1U);
    EXPECT_EQ(curve.points()[0].counted, 7);
    for (std::int64_t s = 1; s < 5000; ++s) {
        curve.add({.unix_s = s, .counted = s == 1234 ? 1'000'000 : s, .ceiling = 9});
        ASSERT_LE(curve.points().size(), Incident::curve_max);
    }
    EXPECT_GE(curve.points().size(), Incident::curve_max / 2);
    EXPECT_EQ(curve.points().front().unix_s, 0);
    for (std::size_t i = 1; i < curve.points().size(); ++i) {
        EXPECT_EQ(curve.points()[i].unix_s - curve.points()[i - 1].unix_s, 16)
            << "evenly, old and new";
    }
    EXPECT_GE(curve.points().back().unix_s, 4980);
    std::int64_t highest = 0;
    for (const auto& point : curve.points()) {
        highest = std::max(highest, point.counted);
    }
    EXPECT_EQ(highest, 1'000'000) << "a peak is never smoothed away";
    curve.add({.unix_s = 0, .counted = 2'000'000, .ceiling = 9});
    EXPECT_EQ(curve.points().back().counted, 2'000'000) << "a clock set back";
}

}  // namespace
}  // namespace spillway::policy
