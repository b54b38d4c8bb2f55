// Loading: types, defaults, flags over files, where values come from, and bounds.
#include "conf/load.hpp"

#include "conf/toml_document.hpp"
#include "tests/unit/conf/files.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

using namespace std::chrono_literals;

Loaded loaded(std::string_view text, std::span<const Override> overrides = {}) {
    auto result = load_text(text, "test.toml", overrides);
    if (const auto* problems = std::get_if<Problems>(&result)) {
        ADD_FAILURE() << to_string(problems->front());
        return {};
    }
    return std::get<Loaded>(std::move(result));
}

std::vector<std::string> problems_of(const LoadResult& result) {
    std::vector<std::string> lines;
    if (const auto* problems = std::get_if<Problems>(&result)) {
        for (const Problem& problem : *problems) {
            lines.push_back(to_string(problem));
        }
    }
    return lines;
}

Override flag(
    std::string_view section, std::string_view name, std::string_view word, std::string value
) {
    return {find_key(section, name), word, std::move(value)};
}

TEST(Load, WithNothingGivesTheDocumentedDefaults) {
    const auto result = load(std::nullopt);
    ASSERT_TRUE(std::holds_alternative<Loaded>(result));
    const Config& config = std::get<Loaded>(result).config;
    EXPECT_EQ(config, Config{});
    EXPECT_EQ(config.workers, 0U);
    EXPECT_EQ(config.drain_timeout, 30s);
    ASSERT_EQ(config.listeners.size(), 1U);
    EXPECT_EQ(to_string(config.listeners[0].address), "127.0.0.1:6380");
    EXPECT_EQ(config.listeners[0].max_clients, 10'000U);
    EXPECT_EQ(to_string(config.backend.url), "redis://127.0.0.1:6379");
    EXPECT_EQ(config.backend.connect_timeout, 1s);
    EXPECT_EQ(config.monitor.interval, 100ms);
    EXPECT_EQ(config.monitor.ceiling, std::nullopt);
    EXPECT_EQ(config.monitor.policy, std::nullopt);
    EXPECT_EQ(config.guard.mode, policy::Mode::protect);
    EXPECT_EQ(config.guard.throttle_at, 0.85);
    EXPECT_EQ(config.guard.shed_at, 0.97);
    EXPECT_EQ(config.guard.horizon, 10s);
    EXPECT_EQ(config.guard.hold_max, 250ms);
    EXPECT_EQ(config.guard.write_max, 0U);
    EXPECT_EQ(config.guard.evict_max, 0.5);
    EXPECT_EQ(config.guard.spool_client, 64U << 20U);
    EXPECT_EQ(config.guard.spool_total, 1U << 30U);
    EXPECT_EQ(config.guard.spool_overflow, SpoolOverflow::disconnect);
    EXPECT_EQ(config.guard.stale_after, 3s);
    EXPECT_FALSE(config.guard.retry_oom);
    EXPECT_TRUE(config.guard.rules.empty());
    EXPECT_FALSE(config.diagnosis.annotate_replies);
    EXPECT_TRUE(config.diagnosis.sample);
    EXPECT_EQ(config.diagnosis.sample_budget, 5ms);
    EXPECT_EQ(config.log.format, LogFormat::text);
    EXPECT_EQ(config.log.level, LogLevel::info);
    EXPECT_EQ(config.log.keys, KeyDisplay::pattern);
    EXPECT_EQ(to_string(config.admin.address), "127.0.0.1:9380");
    EXPECT_TRUE(config.admin.token.empty());
}

TEST(Load, FillsEveryTypeOfField) {
    const auto result = load("tests/conf/valid/everything.toml");
    ASSERT_TRUE(std::holds_alternative<Loaded>(result)) << problems_of(result).front();
    const Config& config = std::get<Loaded>(result).config;
    EXPECT_EQ(config.workers, 4U);
    EXPECT_EQ(config.drain_timeout, 60s);
    ASSERT_EQ(config.listeners.size(), 2U);
    EXPECT_EQ(config.listeners[1].address.unix_path, "/run/spillway/client.sock");
    EXPECT_EQ(config.listeners[1].max_clients, 20U);
    EXPECT_EQ(config.backend.url.user, "m@nitor");
    EXPECT_EQ(config.backend.url.password.reveal(), "p:ss");
    EXPECT_EQ(config.monitor.password.reveal(), "not a real password");
    EXPECT_EQ(config.monitor.ceiling, 12ULL << 30U);
    EXPECT_EQ(config.monitor.policy, "volatile-lru");
    EXPECT_EQ(config.guard.mode, policy::Mode::observe);
    EXPECT_EQ(config.guard.shed_at, 1.0);
    EXPECT_EQ(config.guard.horizon, 0s);
    EXPECT_EQ(config.guard.write_max, 1'048'577U);
    EXPECT_EQ(config.guard.spool_overflow, SpoolOverflow::backpressure);
    EXPECT_TRUE(config.guard.retry_oom);
    ASSERT_EQ(config.guard.rules.size(), 2U);
    const std::vector<std::string> commands = {
        "LMOVE", "BRPOPLPUSH", "JSON.SET", "CONFIG SET", "XGROUP CREATE", "@growing"};
    EXPECT_EQ(config.guard.rules[0].commands, commands);
    EXPECT_EQ(config.guard.rules[0].priority, policy::Priority::critical);
    EXPECT_TRUE(config.guard.rules[1].keys.empty());
    EXPECT_EQ(config.diagnosis.sample_budget, 250us);
    EXPECT_EQ(config.log.keys, KeyDisplay::hash);
    EXPECT_EQ(config.admin.address.host, "2001:db8::1");
    EXPECT_EQ(config.admin.token.reveal(), "not a real token");
}

TEST(Load, GivesListenersTheirNames) {
    const auto result = load("tests/conf/valid/everything.toml");
    ASSERT_TRUE(std::holds_alternative<Loaded>(result)) << problems_of(result).front();
    const Config& config = std::get<Loaded>(result).config;
    EXPECT_EQ(label_of(config.listeners[0]), "public");
    EXPECT_EQ(label_of(config.listeners[1]), "unix:/run/spillway/client.sock");
    EXPECT_EQ(find_listener(config.listeners, "0.0.0.0:6380"), &config.listeners[0]);
    EXPECT_EQ(find_listener(config.listeners, ""), nullptr);
    const std::vector<std::string> named = {"public", "unix:/run/spillway/client.sock"};
    EXPECT_EQ(config.guard.rules[0].listeners, named);
}

TEST(Load, ListenersOfFlagsDoNotShareAName) {
    const std::vector<Override> flags = {
        flag("listener", "address", "--listen", "127.0.0.1:7001"),
        flag("listener", "address", "--listen", "127.0.0.1:7002")};
    const auto config =
        loaded("[[listener]]\naddress = \"127.0.0.1:7000\"\nname = \"web\"\n", flags).config;
    ASSERT_EQ(config.listeners.size(), 2U);
    EXPECT_EQ(config.listeners[0].name, "web");
    EXPECT_EQ(label_of(config.listeners[1]), "127.0.0.1:7002");
}

TEST(Load, RemembersWhereEachValueStands) {
    const auto config = loaded(
        "[guard]\nmode = \"off\"\n\n[[guard.rule]]\nname = \"a\"\n[[guard.rule]]\n\nname = \"b\"\n"
    );
    const auto said = [&config](std::string_view section, std::string_view name, std::size_t item) {
        return to_string(origin_of(config, *find_key(section, name), item), config.file);
    };
    EXPECT_EQ(said("guard", "mode", 0), "test.toml:2");
    EXPECT_EQ(said("guard", "shed_at", 0), "default");
    EXPECT_EQ(said("guard.rule", "name", 0), "test.toml:5");
    EXPECT_EQ(said("guard.rule", "name", 1), "test.toml:8");
    EXPECT_EQ(said("guard.rule", "priority", 1), "default");
}

TEST(Load, LetsFlagsWinOverTheFile) {
    const std::vector<Override> flags = {
        flag("guard", "mode", "--mode", "observe"),
        flag("backend", "url", "--backend", "unix:///run/redis.sock")};
    const auto config = loaded("[guard]\nmode = \"off\"\n[log]\nlevel = \"warn\"\n", flags);
    EXPECT_EQ(config.config.guard.mode, policy::Mode::observe);
    EXPECT_EQ(config.config.backend.url.address.unix_path, "/run/redis.sock");
    EXPECT_EQ(config.config.log.level, LogLevel::warn);
    EXPECT_EQ(
        to_string(origin_of(config, *find_key("guard", "mode"), 0), config.file), "flag --mode"
    );
}

TEST(Load, ReplacesTheFilesListenersByThoseOfFlags) {
    const std::vector<Override> flags = {
        flag("listener", "address", "--listen", "127.0.0.1:7001"),
        flag("listener", "address", "--listen", "127.0.0.1:7002")};
    const auto config = loaded(
        "[[listener]]\naddress = \"127.0.0.1:1\"\nmax_clients = 7\n"
        "[[listener]]\naddress = \"127.0.0.1:2\"\nmax_clients = 8\n"
        "[[listener]]\naddress = \"127.0.0.1:3\"\n",
        flags
    );
    const auto& listeners = config.config.listeners;
    ASSERT_EQ(listeners.size(), 2U);
    EXPECT_EQ(listeners[0].address.port, 7001);
    EXPECT_EQ(listeners[1].address.port, 7002);
    EXPECT_EQ(listeners[0].max_clients, 7U);
    EXPECT_EQ(listeners[1].max_clients, 7U);
    for (const std::size_t item : {0U, 1U}) {
        EXPECT_EQ(
            to_string(origin_of(config, *find_key("listener", "address"), item), "f"),
            "flag --listen"
        );
        EXPECT_EQ(
            to_string(origin_of(config, *find_key("listener", "max_clients"), item), "f"), "f:3"
        );
    }
    EXPECT_FALSE(config.origins.contains("listener[2].address"));
}

TEST(Load, NamesTheFlagThatIsWrongOrMadeAConflict) {
    const std::vector<Override> wrong = {flag("guard", "mode", "--mode", "on")};
    EXPECT_EQ(
        problems_of(load_text("", "f", wrong)),
        std::vector<std::string>{R"(--mode: must be "off", "observe" or "protect", not "on")"}
    );

    const std::vector<Override> conflict = {flag("admin", "address", "--admin", "0.0.0.0:9380")};
    EXPECT_EQ(
        problems_of(load_text("[admin]\ntoken = \"\"\n", "f", conflict)),
        std::vector<std::string>{
            "--admin: admin.address: other hosts can reach 0.0.0.0:9380: set admin.token or "
            "admin.token_file, or listen on 127.0.0.1"}
    );
    EXPECT_TRUE(problems_of(load_text("[admin]\ntoken = \"x\"\n", "f", conflict)).empty());
}

TEST(Load, SaysNothingOfAConflictWithAValueThatItRefused) {
    const auto problems = problems_of(load_text("[guard]\nthrottle_at = 2\nshed_at = 0.5\n", "f"));
    EXPECT_EQ(
        problems,
        std::vector<std::string>{
            "f:2:15: guard.throttle_at: must be a number above 0, up to 1, not 2"}
    );
}

TEST(Load, ReadsAPasswordOnlyFromAReadableRegularFile) {
    EXPECT_EQ(
        problems_of(load_text("monitor.password_file = \"/dev/null\"", "f")),
        std::vector<std::string>{
            R"(f:1:25: monitor.password_file: "/dev/null": not a regular file)"}
    );
    EXPECT_EQ(
        problems_of(load_text("monitor.password_file = \"tests/conf/valid/empty.toml\"", "f"))
            .size(),
        0U
    );
}

TEST(Load, TakesTheOneLineOfAPasswordFile) {
    const TemporaryFolder folder;
    const std::string path = folder.file("password");
    const auto text = "monitor.password_file = \"" + path + "\"";
    const std::string where = "f:1:25: monitor.password_file: \"" + path + "\": ";
    write(path, "pass word\r\n");
    EXPECT_EQ(loaded(text).config.monitor.password.reveal(), "pass word");
    write(path, "\n");
    EXPECT_EQ(
        problems_of(load_text(text, "f")), std::vector<std::string>{where + "holds no password"}
    );
    write(path, "a\nb\n");
    EXPECT_EQ(
        problems_of(load_text(text, "f")),
        std::vector<std::string>{where + "holds more than one line"}
    );
    write(path, std::string(4097, 'a'));
    EXPECT_EQ(
        problems_of(load_text(text, "f")),
        std::vector<std::string>{where + "larger than 4096 bytes"}
    );
}

TEST(Load, TakesTheTokenOfItsFile) {
    const TemporaryFolder folder;
    const std::string path = folder.file("token");
    const std::string open = "[admin]\naddress = \"0.0.0.0:9380\"\n";
    const auto text = open + "token_file = \"" + path + "\"";
    const std::string where = "f:3:14: admin.token_file: ";
    EXPECT_EQ(
        problems_of(load_text(text, "f")),
        std::vector<std::string>{where + "\"" + path + "\": cannot open: No such file or directory"}
    );
    write(path, "\n");
    EXPECT_EQ(
        problems_of(load_text(text, "f")),
        std::vector<std::string>{where + "\"" + path + "\": holds no token"}
    );
    write(path, "sesame\n");
    EXPECT_EQ(admin_token(loaded(text).config.admin).reveal(), "sesame");
    EXPECT_EQ(
        problems_of(load_text(text + "\ntoken = \"another\"", "f")),
        std::vector<std::string>{
            "f:4:9: admin.token_file: admin.token is set, too: one of the two must go"}
    );
    EXPECT_EQ(admin_token(loaded(open + "token = \"another\"").config.admin).reveal(), "another");
}

TEST(Load, ReadsAFileUpToItsBound) {
    const TemporaryFolder folder;
    const std::string path = folder.file("large.toml");
    write(path, std::string(file_bytes_max, '#'));
    EXPECT_TRUE(std::holds_alternative<Loaded>(load(path)));
    write(path, std::string(file_bytes_max + 1, '#'));
    EXPECT_EQ(
        problems_of(load(path)), std::vector<std::string>{path + ": larger than 1048576 bytes"}
    );
}

TEST(Load, SaysWhyAFileCannotBeRead) {
    EXPECT_EQ(
        problems_of(load("tests/conf/none.toml")),
        std::vector<std::string>{"tests/conf/none.toml: cannot open: No such file or directory"}
    );
    EXPECT_EQ(
        problems_of(load("tests/conf")),
        std::vector<std::string>{"tests/conf: cannot read: Is a directory"}
    );
    EXPECT_EQ(
        problems_of(load("/dev/zero")),
        std::vector<std::string>{"/dev/zero: larger than 1048576 bytes"}
    );
}

TEST(Load, BoundsWhatItReports) {
    std::string text;
    for (int i = 0; i < 20'000; ++i) {
        text += "key" + std::to_string(i) + " = 1\n";
    }
    const auto problems = problems_of(load_text(text, "f"));
    ASSERT_EQ(problems.size(), problems_max);
    EXPECT_TRUE(problems.front().starts_with("f:1:1: unknown key \"key0\"")) << problems.front();
    EXPECT_EQ(problems.back(), "f: and 19901 problems more");
}

TEST(Load, BoundsListsAndTables) {
    std::string listeners;
    std::string commands = "[[guard.rule]]\nname = \"a\"\ncommands = [";
    for (int i = 0; i < 65; ++i) {
        listeners += "[[listener]]\naddress = \"127.0.0.1:" + std::to_string(7000 + i) + "\"\n";
    }
    for (int i = 0; i < 257; ++i) {
        commands += "\"SET\",";
    }
    EXPECT_EQ(
        problems_of(load_text(listeners, "f")),
        std::vector<std::string>{"f:1:3: listener: must be given from 1 to 64 times, not 65"}
    );
    EXPECT_EQ(
        problems_of(load_text(commands + "]", "f")),
        std::vector<std::string>{"f:3:12: guard.rule[0].commands: at most 256 elements, not 257"}
    );
}

TEST(Load, BoundsTheNestingThatTheParserWouldFreeRecursively) {
    const std::string dotted = [] {
        std::string key = "a";
        for (int i = 0; i < 100'000; ++i) {
            key += ".a";
        }
        return key;
    }();
    // After a string whose end could be missed, on the same line or the next.
    for (const std::string& text :
         {dotted + " = 1",
          "[" + dotted + "]",
          "x = { " + dotted + " = 1 }",
          "x = [\"\"\"\"\"\"\", { " + dotted + " = 1 }]",
          "x = [''''''', { " + dotted + " = 1 }]",
          "x = \"\\\"\"\n" + dotted + " = 1",
          "x = [\"\\\"\", { " + dotted + " = 1 }]"}) {
        const auto problems = problems_of(load_text(text, "f"));
        ASSERT_EQ(problems.size(), 1U) << text.substr(0, 40);
        EXPECT_TRUE(problems[0].ends_with("a key has too many dotted parts")) << problems[0];
    }
}

TEST(Load, CountsNoDotsInStringsAndComments) {
    const std::string dots(100, '.');
    EXPECT_TRUE(problems_of(load_text("log.file = \"\\\"" + dots + "\" # " + dots, "f")).empty());
    EXPECT_TRUE(problems_of(load_text("log.file = '" + dots + "'", "f")).empty());
    EXPECT_TRUE(problems_of(load_text("log.file = \"\"\"" + dots + "\"\"\"\"", "f")).empty());
    EXPECT_TRUE(problems_of(load_text("log.file = '''" + dots + "''''", "f")).empty());
}

TEST(MonitorCredentials, PreferTheMonitorsOwnOverTheUrls) {
    Config config;
    EXPECT_EQ(monitor_credentials(config).user, "");
    config.backend.url.user = "from-url";
    config.backend.url.password = Secret("url-password");
    EXPECT_EQ(monitor_credentials(config).user, "from-url");
    EXPECT_EQ(monitor_credentials(config).password.reveal(), "url-password");
    config.monitor.password = Secret("file-password");
    EXPECT_EQ(monitor_credentials(config).user, "from-url");
    EXPECT_EQ(monitor_credentials(config).password.reveal(), "file-password");
    config.monitor.user = "own";
    EXPECT_EQ(monitor_credentials(config).user, "own");
    EXPECT_EQ(monitor_credentials(config).password.reveal(), "file-password");
    config.monitor.password = Secret();
    EXPECT_TRUE(monitor_credentials(config).password.empty());
}

}  // namespace
}  // namespace spillway::conf
