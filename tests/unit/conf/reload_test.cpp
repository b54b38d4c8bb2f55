// A reload takes over what can change while clients are served, and keeps the rest as it runs.
#include "conf/reload.hpp"

#include "conf/effective.hpp"
#include "conf/value.hpp"

#include <string_view>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

using Paths = std::vector<std::string>;

Loaded loaded(std::string_view text, std::span<const Override> overrides = {}) {
    LoadResult result = load_text(text, "s.toml", overrides);
    if (const auto* problems = std::get_if<Problems>(&result)) {
        ADD_FAILURE() << to_string(problems->front());
        return {};
    }
    return std::get<Loaded>(std::move(result));
}

ReloadPlan planned(std::string_view running, std::string_view read) {
    auto result = plan_reload(loaded(running), loaded(read));
    if (const auto* problems = std::get_if<Problems>(&result)) {
        ADD_FAILURE() << to_string(problems->front());
        return {};
    }
    return std::get<ReloadPlan>(std::move(result));
}

TEST(Reload, OfTheSameFileChangesNothing) {
    const auto result = load("tests/conf/valid/everything.toml");
    const auto& running = std::get<Loaded>(result);
    const auto plan = std::get<ReloadPlan>(plan_reload(running, running));
    EXPECT_EQ(plan.live, Paths{});
    EXPECT_EQ(plan.new_connections, Paths{});
    EXPECT_EQ(plan.restart, Paths{});
    EXPECT_EQ(render_effective(plan.next), render_effective(running));
}

TEST(Reload, TellsWhenEachChangeTakesEffect) {
    const ReloadPlan plan = planned(
        "",
        "workers = 3\n[[listener]]\nmax_clients = 5\n[backend]\nconnect_timeout = \"2s\"\n"
        "[guard]\nmode = \"observe\"\n[[guard.rule]]\nname = \"a\"\n[log]\nlevel = \"warn\"\n"
        "keys = \"hash\"\n"
    );
    EXPECT_EQ(plan.live, (Paths{"guard.mode", "guard.rule", "log.level", "log.keys"}));
    EXPECT_EQ(plan.new_connections, (Paths{"listener[0].max_clients", "backend.connect_timeout"}));
    EXPECT_EQ(plan.restart, (Paths{"workers"}));
    EXPECT_EQ(plan.next.config.guard.mode, policy::Mode::observe);
    EXPECT_EQ(plan.next.config.guard.rules.size(), 1U);
    EXPECT_EQ(plan.next.config.listeners[0].max_clients, 5U);
}

// So that what is shown is what runs, and the next reload still says what waits.
TEST(Reload, KeepsWhatNeedsARestartAsItRuns) {
    const std::string_view running = "workers = 2\n[log]\nformat = \"json\"\n";
    const std::string_view read = "workers = 3\n[guard]\nshed_at = 0.9\n";
    const ReloadPlan plan = planned(running, read);
    EXPECT_EQ(plan.restart, (Paths{"workers", "log.format"}));
    EXPECT_EQ(plan.next.config.workers, 2U);
    EXPECT_EQ(plan.next.config.log.format, LogFormat::json);
    EXPECT_EQ(plan.next.config.guard.shed_at, 0.9);
    EXPECT_EQ(plan.next.origins.at("workers").place.line, 1U);
    EXPECT_EQ(plan.next.origins.at("log.format").kind, Origin::Kind::file);
    const auto again = std::get<ReloadPlan>(plan_reload(plan.next, loaded(read)));
    EXPECT_EQ(again.restart, plan.restart);
    EXPECT_EQ(again.live, Paths{});
}

TEST(Reload, GivesTheSettingsOfOneAddressToNoOther) {
    const std::string_view running =
        "[[listener]]\naddress = \"127.0.0.1:1\"\nmax_clients = 10\n"
        "[[listener]]\naddress = \"127.0.0.1:2\"\nmax_clients = 20\n";
    const ReloadPlan swapped = planned(
        running,
        "[[listener]]\naddress = \"127.0.0.1:2\"\nmax_clients = 20\n"
        "[[listener]]\naddress = \"127.0.0.1:1\"\nmax_clients = 10\n"
    );
    EXPECT_EQ(swapped.new_connections, Paths{});
    EXPECT_EQ(swapped.restart.size(), 4U);
    EXPECT_EQ(swapped.next.config.listeners, loaded(running).config.listeners);
    EXPECT_EQ(swapped.next.origins.at("listener[1].max_clients").place.line, 6U);

    const ReloadPlan fewer = planned(running, "[guard]\nmode = \"off\"\n");
    EXPECT_EQ(fewer.restart, (Paths{"listener"}));
    EXPECT_EQ(fewer.next.config.listeners.size(), 2U);
    EXPECT_EQ(fewer.next.config.guard.mode, policy::Mode::off);
}

// Taken over alone, this would serve changes to everybody.
TEST(Reload, DoesNotTakeTheTokenFromAnAddressThatNeedsIt) {
    const auto result = plan_reload(
        loaded("[admin]\naddress = \"0.0.0.0:9380\"\ntoken = \"t\"\n"),
        loaded("[admin]\n\naddress = \"127.0.0.1:9380\"\n")
    );
    const auto& problems = std::get<Problems>(result);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].file, "s.toml");
    EXPECT_EQ(problems[0].line, 3U);
    EXPECT_NE(problems[0].message.find("set admin.token"), std::string::npos);
    EXPECT_NE(problems[0].message.find("restart"), std::string::npos);
}

// A rule whose listener does not exist yet would match nothing, or everything.
TEST(Reload, RefusesARuleOfAListenerThatWaitsForARestart) {
    const auto result = plan_reload(
        loaded(""),
        loaded("[[listener]]\nname = \"batch\"\n[[guard.rule]]\nname = \"a\"\n"
               "listeners = [\"batch\"]\n")
    );
    const auto& problems = std::get<Problems>(result);
    EXPECT_EQ(problems.at(0).line, 5U);
}

TEST(Reload, FlagsStillWin) {
    const Override mode{.key = find_key("guard", "mode"), .flag = "--mode", .value = "off"};
    const auto plan = std::get<ReloadPlan>(plan_reload(
        loaded("", {&mode, 1}), loaded("[guard]\nmode = \"protect\"\nshed_at = 0.9\n", {&mode, 1})
    ));
    EXPECT_EQ(plan.live, (Paths{"guard.shed_at"}));
    EXPECT_EQ(plan.next.config.guard.mode, policy::Mode::off);
}

}  // namespace
}  // namespace spillway::conf
