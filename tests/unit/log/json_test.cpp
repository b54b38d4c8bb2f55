// Holds the JSON shapes to the contract: names, order, and null for what is not known.
#include "proxy/log/json.hpp"

#include "tests/unit/log/record_fixtures.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::log {
namespace {

using testing::full_state;
using testing::incident_record;
using testing::oom_record;
using testing::refused_record;

std::vector<std::string> names(const boost::json::object& object) {
    std::vector<std::string> out;
    for (const auto& member : object) {
        out.emplace_back(member.key());
    }
    return out;
}

TEST(Json, MemoryAndKeyspace) {
    EXPECT_EQ(
        to_line(memory_json(full_state(), 12)),
        R"({"used":67120000,"counted":67120000,"ceiling":67108864,"headroom":-11136,"evictable":0,"policy":"noeviction",)"
        R"("sample_age_ms":12,"growth_bytes_per_s":5242880,"time_to_ceiling_s":11.2})"
    );
    EXPECT_EQ(to_line(keyspace_json(full_state().sample)), R"({"keys":61234,"with_ttl":12})");
}

TEST(Json, VerdictsByRuleAndClientWithTheRestInOneRow) {
    policy::VerdictTable verdicts;
    verdicts.count("jobs", "worker", policy::Outcome::would_refuse, 10);
    verdicts.count("jobs", "worker", policy::Outcome::would_hold, 10);
    verdicts.count("", "", policy::Outcome::refused, 5);
    EXPECT_EQ(
        to_line(verdicts_json(verdicts, 1)),
        R"({"held":0,"refused":1,"would_hold":1,"would_refuse":1,"bytes":15,"by":[{"rule":"jobs","client":"worker",)"
        R"("held":0,"refused":0,"would_hold":1,"would_refuse":1,"bytes":10}],)"
        R"("other":{"held":0,"refused":1,"would_hold":0,"would_refuse":0,"bytes":5}})"
    );
    EXPECT_EQ(
        to_line(boost::json::object{{"by", verdicts_json(verdicts, 9)["by"].as_array()[1]}}),
        R"({"by":{"rule":null,"client":null,"held":0,"refused":1,"would_hold":0,"would_refuse":0,"bytes":5}})"
    );
}

TEST(Json, WhatIsNotKnownIsNull) {
    EXPECT_EQ(
        to_line(memory_json({}, -1)),
        R"({"used":null,"counted":null,"ceiling":null,"headroom":null,"evictable":null,"policy":null,)"
        R"("sample_age_ms":null,"growth_bytes_per_s":0,"time_to_ceiling_s":null})"
    );
    EXPECT_EQ(to_line(keyspace_json({})), R"({"keys":null,"with_ttl":null})");
    policy::MemoryState unlimited = full_state();
    unlimited.ceiling = 0;
    EXPECT_TRUE(memory_json(unlimited, 0).at("headroom").is_null());
    EXPECT_EQ(memory_json(unlimited, 0).at("counted"), 67'120'000);
}

TEST(Json, AnOomReportHasTheContractsFieldsInItsOrder) {
    const auto report = report_fields(oom_record().report, "7f3a", 4120);
    EXPECT_EQ(
        names(report),
        (std::vector<std::string>{
            "origin",
            "incident",
            "command",
            "bytes",
            "key",
            "db",
            "client",
            "memory",
            "keyspace",
            "cause",
            "confidence",
            "evidence",
            "also",
            "advice",
            "top_growth",
            "form",
            "reply",
            "suppressed"})
    );
    EXPECT_EQ(
        to_line(report.at("client")),
        R"({"addr":"10.0.0.1:52110","name":"checkout","user":"default","lib":"redis-py"})"
    );
    EXPECT_EQ(
        to_line(report.at("top_growth")),
        R"([{"pattern":"cart:*","client":"checkout","command":"SET","bytes":325000000,"without_ttl":1}])"
    );
    EXPECT_EQ(to_line(report.at("confidence")), "0.95");
    EXPECT_EQ(to_line(report.at("also")), R"(["write-burst"])");
    EXPECT_EQ(report.at("form"), "top-level");
    EXPECT_EQ(report.at("suppressed"), 4120);
}

TEST(Json, ARefusalHasWhatTheGuardKnows) {
    const auto report = report_fields(refused_record().report, "", 0);
    EXPECT_EQ(report.at("origin"), "guard");
    EXPECT_TRUE(report.at("incident").is_null());
    EXPECT_EQ(report.at("cause"), "near-ceiling");
    EXPECT_EQ(report.at("priority"), "sheddable");
    EXPECT_EQ(report.at("rule"), "reports");
    EXPECT_EQ(report.at("verdict"), "refused");
    EXPECT_FALSE(report.contains("form"));
    auto would = refused_record();
    would.report.event.would_refuse = true;
    would.report.event.rule.clear();
    EXPECT_EQ(report_fields(would.report, "", 0).at("verdict"), "would_refuse");
    EXPECT_TRUE(report_fields(would.report, "", 0).at("rule").is_null());
}

TEST(Json, NamesOfClientsAreMadeValid) {
    auto record = oom_record();
    record.report.event.client.name = "\xff\"\n";
    const std::string line = to_line(report_fields(record.report, "", 0));
    EXPECT_NE(line.find(R"("name":"\\xff\"\n")"), std::string::npos) << line;
}

TEST(Json, AnIncidentIsItsFirstRecordAndItsStory) {
    const auto record = incident_record(policy::RecordKind::incident_closed);
    const auto json = incident_json(*record.incident);
    for (const char* name :
         {"id",
          "opened",
          "closed",
          "duration_s",
          "oom_replies",
          "refusals",
          "by_command",
          "by_client",
          "by_pattern",
          "curve",
          "origin",
          "incident",
          "command",
          "memory",
          "cause",
          "advice",
          "top_growth",
          "suppressed"}) {
        EXPECT_TRUE(json.contains(name)) << name;
    }
    EXPECT_EQ(json.at("opened"), "2024-02-29T12:00:00.000Z");
    EXPECT_EQ(json.at("closed"), "2024-02-29T12:00:22.500Z");
    EXPECT_EQ(to_line(json.at("duration_s")), "12.5");
    EXPECT_EQ(json.at("suppressed"), 4127);
    EXPECT_EQ(
        to_line(json.at("by_command")),
        R"([{"name":"SET","oom_replies":4000,"refusals":0,"bytes":4000000},)"
        R"({"name":"HSET","oom_replies":121,"refusals":7,"bytes":9}])"
    );
    EXPECT_EQ(
        to_line(json.at("curve")), "[[1709208000,62914560,67108864],[1709208001,67108864,67108864]]"
    );
    const auto open = incident_record(policy::RecordKind::incident_opened);
    EXPECT_TRUE(incident_json(*open.incident).at("closed").is_null());
    const std::vector<std::shared_ptr<const policy::Incident>> all = {
        open.incident, record.incident};
    EXPECT_EQ(incidents_json(all).at("incidents").as_array().size(), 2U);
    EXPECT_EQ(to_line(incidents_json({})), R"({"incidents":[]})");
}

TEST(Json, GrowthHasItsWindow) {
    EXPECT_EQ(to_line(growth_json({}, 600)), R"({"window_s":600,"top":[]})");
}

TEST(Json, DoctorSaysNoCauseWhenHealthy) {
    DoctorReport report;
    report.target = "redis://127.0.0.1:6379";
    report.state = full_state();
    report.state.sample.server = "redis 7.0.15";
    report.diagnosis = oom_record().report.diagnosis;
    report.unavailable = {"keys are not sampled"};
    const auto json = doctor_json(report);
    EXPECT_EQ(
        names(json),
        (std::vector<std::string>{
            "target",
            "server",
            "state",
            "cause",
            "confidence",
            "evidence",
            "also",
            "advice",
            "memory",
            "keyspace",
            "sampled",
            "unavailable"})
    );
    EXPECT_EQ(json.at("state"), "oom");
    EXPECT_EQ(json.at("cause"), "noeviction-at-ceiling");
    report.diagnosis.health = policy::Health::healthy;
    EXPECT_TRUE(doctor_json(report).at("cause").is_null());
    report.diagnosis.health = policy::Health::at_risk;
    EXPECT_EQ(doctor_json(report).at("state"), "at-risk");
    EXPECT_EQ(doctor_json(report).at("cause"), "noeviction-at-ceiling");
}

}  // namespace
}  // namespace spillway::log
