// Each key's change is seen and carries the key's own reload class.
#include "conf/diff.hpp"

#include "conf/load.hpp"
#include "conf/value.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

TEST(Diff, IsEmptyBetweenEqualConfigurations) {
    EXPECT_TRUE(diff(Config{}, Config{}).empty());
}

TEST(Diff, NamesEachChangedKeyWithItsReloadClass) {
    Config after;
    after.workers = 2;
    after.listeners[0].max_clients = 1;
    after.guard.mode = policy::Mode::off;
    after.admin.token = Secret("x");
    const std::vector<Change> expected = {
        {"workers", Reload::restart},
        {"listener[0].max_clients", Reload::new_connections},
        {"guard.mode", Reload::live},
        {"admin.token", Reload::live}};
    EXPECT_EQ(diff(Config{}, after), expected);
}

TEST(Diff, TakesAddedTablesAsHardAsTheirHardestKey) {
    Config after;
    after.listeners.emplace_back();
    after.guard.rules.emplace_back();
    const std::vector<Change> expected = {
        {"listener", Reload::restart}, {"guard.rule", Reload::live}};
    EXPECT_EQ(diff(Config{}, after), expected);
}

TEST(Diff, SeesANewPasswordInTheSameFile) {
    Config after;
    after.monitor.password = Secret("new");
    EXPECT_EQ(
        diff(Config{}, after), (std::vector<Change>{{"monitor.password_file", Reload::live}})
    );
}

TEST(Diff, SeesANewTokenInTheSameFile) {
    Config after;
    after.admin.file_token = Secret("new");
    EXPECT_EQ(diff(Config{}, after), (std::vector<Change>{{"admin.token_file", Reload::live}}));
}

TEST(Diff, SeesEveryKey) {
    const auto result = load("tests/conf/valid/everything.toml");
    ASSERT_TRUE(std::holds_alternative<Loaded>(result));
    const Config& after = std::get<Loaded>(result).config;
    Config before;
    before.listeners.resize(after.listeners.size());
    before.guard.rules.resize(after.guard.rules.size());
    std::size_t expected = 0;
    for (const Section& section : sections()) {
        for (std::size_t item = 0; item < count_of(section, after); ++item) {
            for (const Key& key : keys()) {
                if (key.section == section.path && !same_value(key, before, after, item)) {
                    ++expected;
                }
            }
        }
    }
    EXPECT_EQ(diff(before, after).size(), expected);
    EXPECT_GT(expected, keys().size() - 4);
}

}  // namespace
}  // namespace spillway::conf
