// Every record as it is written, in both formats.
#include "proxy/log/text.hpp"

#include "proxy/log/json.hpp"
#include "tests/unit/log/record_fixtures.hpp"

#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace spillway::log {
namespace {

using policy::RecordKind;
using testing::full_state;
using testing::incident_record;
using testing::noon;
using testing::oom_record;
using testing::refused_record;

template <class Record>
std::string text(const Record& record) {
    const std::string line = text_line(line_of(record), noon, false);
    EXPECT_EQ(line.substr(0, 25), "2024-02-29T12:00:00.000Z ");
    return line.substr(25);
}

template <class Record>
std::string json(const Record& record) {
    const std::string line = json_line(line_of(record), noon);
    constexpr std::string_view ts = R"({"ts":"2024-02-29T12:00:00.000Z",)";
    EXPECT_EQ(line.substr(0, ts.size()), ts);
    return line.substr(ts.size());
}

TEST(Text, OneAlignedLineAnEvent) {
    EXPECT_EQ(
        text(Started{.version = "0.1.0", .workers = 1, .mode = "protect", .config_file = ""}),
        "INFO  started          spillway 0.1.0, 1 worker, guard protect, no configuration file"
    );
    EXPECT_EQ(
        text(Started{
            .version = "0.1.0",
            .workers = 4,
            .mode = "observe",
            .config_file = "/etc/spillway.toml"}),
        "INFO  started          spillway 0.1.0, 4 workers, guard observe, configuration "
        "/etc/spillway.toml"
    );
    EXPECT_EQ(
        text(Listening{"listener", "127.0.0.1:6380"}),
        "INFO  listening        clients on 127.0.0.1:6380"
    );
    EXPECT_EQ(
        text(Listening{"admin", "127.0.0.1:9380"}),
        "INFO  listening        admin endpoint on 127.0.0.1:9380"
    );
    EXPECT_EQ(
        text(BackendUp{"redis://db:6379", "redis 7.0.15", full_state()}),
        "INFO  backend_up       redis://db:6379 answers: redis 7.0.15, 64 MiB of 64 MiB, noeviction"
    );
    EXPECT_EQ(
        text(BackendUp{"redis://db:6379", "", {}}),
        "INFO  backend_up       redis://db:6379 answers, memory not read yet"
    );
    EXPECT_EQ(
        text(BackendDown{"redis://db:6379", "connection refused"}),
        "ERROR backend_down     redis://db:6379 does not answer: connection refused"
    );
    EXPECT_EQ(
        text(ConfigReloaded{"s.toml", {"guard.mode", "log.level"}, {}, {"workers"}}),
        "INFO  config_reloaded  s.toml read, changed live: guard.mode, log.level; only at the next "
        "restart: workers"
    );
    EXPECT_EQ(
        text(ConfigReloaded{"s.toml", {}, {"backend.url"}, {}}),
        "INFO  config_reloaded  s.toml read, for new connections: backend.url"
    );
    EXPECT_EQ(
        text(ConfigReloaded{"s.toml", {}, {}, {}}),
        "INFO  config_reloaded  s.toml read, nothing changed"
    );
    const std::vector<std::string> six(6, "e");
    EXPECT_EQ(
        text(ConfigRejected{"s.toml", six}),
        "ERROR config_rejected  s.toml rejected, the old configuration stays: e; e; e; e; e (and 1 "
        "more)"
    );
    EXPECT_EQ(
        text(ConfigRejected{"s.toml", {"s.toml:3:1: unknown key", "s.toml:4:1: bad size"}}),
        "ERROR config_rejected  s.toml rejected, the old configuration stays: s.toml:3:1: unknown "
        "key; s.toml:4:1: bad size"
    );
    EXPECT_EQ(
        text(Stopping{"SIGTERM", 3}),
        "INFO  stopping         SIGTERM: waiting for 3 clients to finish"
    );
    EXPECT_EQ(text(Stopped{0, 0}), "INFO  stopped          stopped");
    EXPECT_EQ(text(Stopped{2, 0}), "INFO  stopped          stopped, 2 clients cut off");
    EXPECT_EQ(text(Stopped{1, 0}), "INFO  stopped          stopped, 1 client cut off");
    EXPECT_EQ(
        text(Note{Level::debug, "a client left", {{"id", 7}, {"name", "x"}}}),
        "DEBUG note             a client left id=7 name=x"
    );
}

TEST(Text, AGuardStateSaysWhyAndHowFull) {
    GuardStateChanged record{
        .backend = "db", .from = policy::GuardState::paced, .state = full_state()};
    record.state.state = policy::GuardState::ceiling;
    record.state.reason = "no head-room left";
    EXPECT_EQ(
        text(record),
        "WARN  guard_state      paced -> ceiling: no head-room left (64 MiB of 64 MiB, noeviction)"
    );
    record.state.state = policy::GuardState::plenty;
    EXPECT_EQ(line_of(record).level, Level::info);
}

TEST(Text, AGuardSummaryNamesTheHeaviest) {
    GuardSummary record{.backend = "db", .mode = policy::Mode::observe, .verdicts = {}};
    for (int i = 0; i < 1200; ++i) {
        record.verdicts.count("jobs", "worker", policy::Outcome::would_refuse, 10);
    }
    record.verdicts.count("", "", policy::Outcome::would_hold, 0);
    EXPECT_EQ(
        line_of(record).message,
        "the guard, since the last summary: would have held 1 and refused 1,200 commands; client "
        "worker by rule jobs: would have refused 1,200; clients without a name: would have held 1"
    );
    policy::VerdictTable both;
    both.count("", "web", policy::Outcome::held, 0);
    both.count("", "web", policy::Outcome::would_hold, 0);
    record.verdicts = both;
    EXPECT_EQ(
        line_of(record).message,
        "the guard, since the last summary: held 1, would have held 1 commands; client web: held "
        "1, would have held 1"
    );
    EXPECT_EQ(line_of(record).event, "guard_summary");
}

TEST(Text, AnOomIsABlockThatTellsTheStory) {
    EXPECT_EQ(
        text(oom_record()) + text_block(oom_record(), false),
        "WARN  oom              Redis refused SET cart:*: noeviction-at-ceiling (95 % sure)\n"
        "    what      SET of 1 MiB on cart:* (db 0) by checkout, 10.0.0.1:52110, user default, "
        "redis-py\n"
        "    memory    64 MiB counted of 64 MiB, noeviction, growing 5 MiB/s, 61,234 keys (12 with "
        "a TTL)\n"
        "    because   policy is noeviction, so nothing may be evicted\n"
        "              data takes 63 MiB\n"
        "    also      write-burst\n"
        "    advice    raise maxmemory above 64 MiB\n"
        "    growth    cart:*  checkout  SET  310 MiB, 100 % without a TTL\n"
        "    and       4,120 more like it since the last such record\n"
        "    incident  7f3a"
    );
}

TEST(Text, ARefusalAndAWouldBeRefusal) {
    EXPECT_EQ(
        text(refused_record()),
        "WARN  refused          refused SET cart:*: near-ceiling (priority sheddable)"
    );
    auto would = refused_record();
    would.report.event.would_refuse = true;
    EXPECT_EQ(
        text(would),
        "INFO  refused          would have refused SET cart:*: near-ceiling (priority sheddable)"
    );
}

TEST(Text, AnIncidentFromOpeningToEnd) {
    EXPECT_EQ(
        text(incident_record(RecordKind::incident_opened)),
        "WARN  incident_opened  incident 7f3a opened: noeviction-at-ceiling"
    );
    EXPECT_EQ(text_block(incident_record(RecordKind::incident_opened), false), "");
    EXPECT_EQ(
        text(incident_record(RecordKind::incident_updated)),
        "WARN  incident_updated incident 7f3a: the cause is noeviction-at-ceiling, not "
        "client-buffers"
    );
    const auto closed = incident_record(RecordKind::incident_closed);
    EXPECT_EQ(
        text(closed) + text_block(closed, false),
        "INFO  incident_closed  incident 7f3a is over: noeviction-at-ceiling, 4,121 OOM replies, 7 "
        "refusals in 12 s\n"
        "    commands  SET  4,000 OOM\n"
        "              HSET  121 OOM, 7 refused\n"
        "    clients   checkout  4,121 OOM, 7 refused\n"
        "    patterns  cart:*  4,121 OOM, 7 refused\n"
        "    memory    between 60 MiB and 64 MiB, ceiling 64 MiB\n"
        "    because   policy is noeviction, so nothing may be evicted\n"
        "              data takes 63 MiB\n"
        "    also      write-burst\n"
        "    advice    raise maxmemory above 64 MiB"
    );
}

TEST(Text, WithoutColourThereIsNoEscapeAndWithItTextStaysTheSame) {
    const auto record = oom_record();
    const std::string bare = text_line(line_of(record), noon, false) + text_block(record, false);
    std::string coloured = text_line(line_of(record), noon, true) + text_block(record, true);
    EXPECT_EQ(bare.find('\x1b'), std::string::npos);
    EXPECT_NE(coloured.find("\x1b[33m"), std::string::npos);
    for (std::size_t at = 0; (at = coloured.find('\x1b')) != std::string::npos;) {
        coloured.erase(at, coloured.find('m', at) - at + 1);
    }
    EXPECT_EQ(coloured, bare);
}

TEST(Text, ClientsCannotForgeLinesOrPaintTheTerminal) {
    auto record = oom_record();
    record.report.event.client.name = "x\nINFO  stopped\x1b[2J";
    record.report.event.command = "A\rB";
    record.report.top_growth[0].client = "\x1b]0;title\x07";
    const std::string shown = text_line(line_of(record), noon, false) + text_block(record, false);
    EXPECT_EQ(shown.find('\x1b'), std::string::npos);
    EXPECT_EQ(shown.find('\r'), std::string::npos);
    EXPECT_EQ(shown.find("\nINFO"), std::string::npos);
}

TEST(Json, RecordsBeginWithTheCommonFields) {
    EXPECT_EQ(
        json(Listening{"listener", "127.0.0.1:6380"}),
        R"("level":"info","event":"listening","msg":"clients on 127.0.0.1:6380","role":"listener","address":"127.0.0.1:6380"})"
    );
    EXPECT_EQ(
        json(Stopped{2, 0}),
        R"("level":"info","event":"stopped","msg":"stopped, 2 clients cut off","clients_cut":2,"exit_code":0})"
    );
}

TEST(Json, EveryRecordIsOneParsableLineWithItsEvent) {
    GuardStateChanged guard{
        .backend = "db", .from = policy::GuardState::paced, .state = full_state()};
    guard.state.state = policy::GuardState::reserve;
    const std::vector<std::pair<Line, std::string>> lines = {
        {line_of(Started{"0.1.0", 2, "protect", ""}), "started"},
        {line_of(Listening{"admin", "a"}), "listening"},
        {line_of(BackendUp{"b", "s", full_state()}), "backend_up"},
        {line_of(BackendDown{"b", "r"}), "backend_down"},
        {line_of(guard), "guard_state"},
        {line_of(oom_record()), "oom"},
        {line_of(refused_record()), "refused"},
        {line_of(incident_record(RecordKind::incident_opened)), "incident_opened"},
        {line_of(incident_record(RecordKind::incident_updated)), "incident_updated"},
        {line_of(incident_record(RecordKind::incident_closed)), "incident_closed"},
        {line_of(ConfigReloaded{"f", {}, {}, {}}), "config_reloaded"},
        {line_of(ConfigRejected{"f", {"e"}}), "config_rejected"},
        {line_of(Stopping{"SIGINT", 1}), "stopping"},
        {line_of(Stopped{}), "stopped"},
        {line_of(Note{Level::info, "hello", {}}), "note"},
    };
    for (const auto& [line, event] : lines) {
        const std::string written = json_line(line, noon);
        EXPECT_EQ(written.find('\n'), std::string::npos);
        boost::json::error_code error;
        const auto parsed = boost::json::parse(written, error);
        ASSERT_FALSE(error) << written;
        EXPECT_EQ(parsed.at("event"), boost::json::value(event));
        EXPECT_FALSE(parsed.at("msg").as_string().empty());
        EXPECT_EQ(parsed.at("ts"), "2024-02-29T12:00:00.000Z");
    }
    EXPECT_EQ(line_of(guard).fields.at("from"), "paced");
    EXPECT_EQ(line_of(guard).fields.at("to"), "reserve");
    EXPECT_EQ(
        line_of(incident_record(RecordKind::incident_updated)).fields.at("cause_before"),
        "client-buffers"
    );
}

TEST(Json, AFieldCannotReplaceACommonOne) {
    EXPECT_EQ(
        json(Note{Level::warn, "m", {{"event", "oom"}, {"x", 1}}}),
        R"("level":"warn","event":"note","msg":"m","x":1})"
    );
}

}  // namespace
}  // namespace spillway::log
