// The exposition: sums over shards, exact lines, what promtool says of it, and that it holds all
// the contract names.
#include "proxy/metrics/render.hpp"

#include "policy/cause.hpp"
#include "policy/memory_state.hpp"
#include "policy/modes.hpp"
#include "proxy/metrics/catalogue.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace spillway::metrics {
namespace {

// Every line that is no comment, by series.
std::map<std::string, std::string> series_of(const std::string& text) {
    std::map<std::string, std::string> series;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('#')) {
            continue;
        }
        const std::size_t space = line.rfind(' ');
        const bool is_new = series.emplace(line.substr(0, space), line.substr(space + 1)).second;
        EXPECT_TRUE(is_new) << "twice: " << line;
    }
    return series;
}

GlobalGauges one_backend() {
    GlobalGauges gauges;
    gauges.version = "1.2.3";
    gauges.cause_names = policy::cause_names;
    gauges.backends.push_back(
        {.name = "main",
         .up = true,
         .used_memory_bytes = 2e9,
         .headroom_bytes = -11136,
         .growth_bytes_per_second = 0.25,
         .time_to_ceiling_seconds = never}
    );
    return gauges;
}

TEST(Render, SumsOverShardsAndSkipsMissingOnes) {
    ShardMetrics one;
    ShardMetrics two;
    one.clients.add(3);
    two.clients.add(4);
    one.commands[CommandClass::growing][CommandVerdict::refused].add(2);
    two.commands[CommandClass::growing][CommandVerdict::refused].add(5);
    two.commands[CommandClass::other][CommandVerdict::pass].add(9);
    one.bytes[Direction::backend_out].add(100);
    two.oom_replies[Origin::guard][static_cast<std::size_t>(policy::Cause::near_ceiling)].add(7);
    one.sessions_closed[ClosedReason::quit].add();
    const std::array<const ShardMetrics*, 3> shards = {&one, nullptr, &two};

    const auto series = series_of(render(shards, one_backend()));

    EXPECT_EQ(series.at("spillway_clients"), "7");
    EXPECT_EQ(series.at(R"(spillway_commands_total{class="growing",verdict="refused"})"), "7");
    EXPECT_EQ(series.at(R"(spillway_commands_total{class="other",verdict="pass"})"), "9");
    EXPECT_EQ(series.at(R"(spillway_commands_total{class="other",verdict="held"})"), "0");
    EXPECT_EQ(series.at(R"(spillway_bytes_total{direction="backend_out"})"), "100");
    EXPECT_EQ(series.at(R"(spillway_oom_replies_total{origin="guard",cause="near-ceiling"})"), "7");
    EXPECT_EQ(
        series.at(R"(spillway_oom_replies_total{origin="backend",cause="near-ceiling"})"), "0"
    );
    EXPECT_EQ(series.at(R"(spillway_sessions_closed_total{reason="quit"})"), "1");
}

TEST(Render, CumulatesBucketsAcrossShardsAndTellsSeconds) {
    ShardMetrics one;
    ShardMetrics two;
    one.hold_seconds.observe(50'000, 2);          // on the first bound: within it
    two.hold_seconds.observe(50'001);             // just above: the second bucket
    two.hold_seconds.observe(20'000'000'000, 1);  // beyond the last bound
    one.command_seconds[CommandClass::script].observe(1'500'000'000);
    const std::array<const ShardMetrics*, 2> shards = {&one, &two};

    const auto series = series_of(render(shards, one_backend()));

    EXPECT_EQ(series.at(R"(spillway_hold_seconds_bucket{le="0.00005"})"), "2");
    EXPECT_EQ(series.at(R"(spillway_hold_seconds_bucket{le="0.0001"})"), "3");
    EXPECT_EQ(series.at(R"(spillway_hold_seconds_bucket{le="10"})"), "3");
    EXPECT_EQ(series.at(R"(spillway_hold_seconds_bucket{le="+Inf"})"), "4");
    EXPECT_EQ(series.at("spillway_hold_seconds_count"), "4");
    EXPECT_EQ(series.at("spillway_hold_seconds_sum"), "20.000150001");
    EXPECT_EQ(series.at(R"(spillway_command_seconds_bucket{class="script",le="1"})"), "0");
    EXPECT_EQ(series.at(R"(spillway_command_seconds_bucket{class="script",le="2.5"})"), "1");
    EXPECT_EQ(series.at(R"(spillway_command_seconds_sum{class="script"})"), "1.5");
    EXPECT_EQ(series.at(R"(spillway_command_seconds_count{class="other"})"), "0");
}

TEST(Render, SaysNaNWhatIsNotKnownAndInfinityForNever) {
    const auto series = series_of(render({}, one_backend()));
    EXPECT_EQ(series.at("spillway_backend_up"), "1");
    EXPECT_EQ(series.at("spillway_backend_used_memory_bytes"), "2e+09");
    EXPECT_EQ(series.at("spillway_backend_ceiling_bytes"), "NaN");
    EXPECT_EQ(series.at("spillway_backend_headroom_bytes"), "-11136");
    EXPECT_EQ(series.at("spillway_backend_growth_bytes_per_second"), "0.25");
    EXPECT_EQ(series.at("spillway_backend_time_to_ceiling_seconds"), "+Inf");
}

TEST(Render, NamesTheBackendOnlyWhenThereAreSeveral) {
    GlobalGauges gauges = one_backend();
    EXPECT_EQ(render({}, gauges).find("backend=\""), std::string::npos);
    gauges.backends.push_back({.name = R"(odd"\name)"});
    const auto series = series_of(render({}, gauges));
    EXPECT_EQ(series.at(R"(spillway_backend_up{backend="main"})"), "1");
    EXPECT_EQ(series.at(R"(spillway_backend_up{backend="odd\"\\name"})"), "0");
}

TEST(Render, ShowsStateAndModeOneHotForEveryNameThatPolicyKnows) {
    using policy::GuardState;
    using policy::Mode;
    for (const GuardState state :
         {GuardState::off,
          GuardState::blind,
          GuardState::plenty,
          GuardState::paced,
          GuardState::reserve,
          GuardState::ceiling}) {
        for (const Mode mode : {Mode::off, Mode::observe, Mode::protect}) {
            GlobalGauges gauges = one_backend();
            gauges.guard_state = policy::name_of(state);
            gauges.guard_mode = policy::name_of(mode);
            int hot = 0;
            for (const auto& [name, value] : series_of(render({}, gauges))) {
                const bool is_state = name.starts_with("spillway_guard_state");
                if ((is_state || name.starts_with("spillway_guard_mode")) && value == "1") {
                    const auto expected = is_state ? gauges.guard_state : gauges.guard_mode;
                    EXPECT_NE(name.find('"' + std::string(expected) + '"'), std::string::npos);
                    ++hot;
                }
            }
            EXPECT_EQ(hot, 2) << gauges.guard_state << ' ' << gauges.guard_mode;
        }
    }
}

TEST(Render, CountsReloadsByResult) {
    GlobalGauges gauges = one_backend();
    gauges.config_reloads_applied = 12'345'678;
    gauges.config_reloads_rejected = 3;
    const auto series = series_of(render({}, gauges));
    EXPECT_EQ(series.at(R"(spillway_config_reloads_total{result="applied"})"), "12345678");
    EXPECT_EQ(series.at(R"(spillway_config_reloads_total{result="rejected"})"), "3");
    EXPECT_EQ(series.at(R"(spillway_build_info{version="1.2.3"})"), "1");
}

TEST(Catalogue, HoldsEveryMetricOfTheContract) {
    const std::set<std::string_view> promised = {
        "build_info",
        "clients",
        "client_connections_total",
        "client_connections_refused_total",
        "backend_connections",
        "backend_up",
        "commands_total",
        "bytes_total",
        "backend_used_memory_bytes",
        "backend_counted_memory_bytes",
        "backend_ceiling_bytes",
        "backend_headroom_bytes",
        "backend_evictable_bytes",
        "backend_growth_bytes_per_second",
        "backend_time_to_ceiling_seconds",
        "backend_sample_age_seconds",
        "guard_state",
        "guard_mode",
        "oom_replies_total",
        "held_commands",
        "hold_seconds",
        "command_seconds",
        "relay_buffer_bytes",
        "spool_bytes",
        "spool_overflows_total",
        "config_reloads_total",
    };
    std::set<std::string_view> declared;
    for (const Metric& metric : catalogue()) {
        EXPECT_TRUE(declared.insert(metric.name).second) << "twice: " << metric.name;
        EXPECT_LE(metric.labels.size(), 2U) << metric.name;
        EXPECT_EQ(metric.name.ends_with("_total"), metric.type == MetricType::counter)
            << metric.name;
        EXPECT_EQ(
            metric.type == MetricType::histogram,
            std::holds_alternative<HistogramFromShards>(metric.source)
        ) << metric.name;
    }
    for (const std::string_view name : promised) {
        EXPECT_TRUE(declared.contains(name)) << name;
    }
}

TEST(Catalogue, HasRoomForEveryCause) {
    EXPECT_LE(policy::cause_names.size(), causes_max);
}

// What promtool prints about the text; empty when it has no complaint.
std::string complaints_of_promtool(const std::string& text) {
    std::string path =
        (std::filesystem::temp_directory_path() / "spillway_metrics_XXXXXX").string();
    const int file = ::mkstemp(path.data());
    EXPECT_GE(file, 0);
    ::close(file);
    std::ofstream(path) << text;
    const std::string command = "promtool check metrics < '" + path + "' 2>&1";
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string output;
    std::array<char, 512> chunk{};
    while (const std::size_t size = std::fread(chunk.data(), 1, chunk.size(), pipe)) {
        output.append(chunk.data(), size);
    }
    const int status = ::pclose(pipe);
    std::filesystem::remove(path);
    if (status != 0 && output.empty()) {
        output = "promtool ended with status " + std::to_string(status);
    }
    return output;
}

TEST(Render, IsAcceptedByPromtoolWithoutComplaint) {
    if (std::system("command -v promtool > /dev/null") != 0) {
        GTEST_SKIP() << "promtool is not installed (Debian package prometheus)";
    }
    ShardMetrics shard;
    shard.hold_seconds.observe(1'000'000, 3);
    const std::array<const ShardMetrics*, 1> shards = {&shard};
    EXPECT_EQ(complaints_of_promtool(render(shards, one_backend())), "");
    EXPECT_EQ(complaints_of_promtool(render({}, GlobalGauges{})), "");

    GlobalGauges several = one_backend();
    several.backends.push_back({.name = R"(odd"\name)"});
    EXPECT_EQ(complaints_of_promtool(render(shards, several)), "");

    EXPECT_NE(complaints_of_promtool("spillway_x_total 1\nspillway_x_total 2\n"), "");
}

TEST(CataloguePage, IsTheOneInTheDocuments) {
    const std::filesystem::path path =
        "docs/metrics.md";  // tests run at the root of the repository
    const std::string page = catalogue_page(policy::cause_names);
    if (std::getenv("SPILLWAY_RENEW_DOCS") != nullptr) {
        std::ofstream(path) << page;
    }
    std::ifstream file(path);
    ASSERT_TRUE(file) << path << " is missing";
    std::ostringstream present;
    present << file.rdbuf();
    EXPECT_TRUE(present.str() == page) << path
                                       << " is out of date; renew it with: SPILLWAY_RENEW_DOCS=1 "
                                          "ctest --preset dev -R CataloguePage";
}

}  // namespace
}  // namespace spillway::metrics
