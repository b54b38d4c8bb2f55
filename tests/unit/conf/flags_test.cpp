// The command line: each form of it, each mistake, and that no password is repeated.
#include "conf/flags.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

Invocation parse(std::vector<const char*> arguments) {
    return parse_flags(arguments);
}

std::string error_of(std::vector<const char*> arguments) {
    const auto result = parse(std::move(arguments));
    const auto* error = std::get_if<UsageError>(&result);
    return error == nullptr ? "" : error->message.substr(0, error->message.find('\n'));
}

std::vector<std::string> overrides_of(const Source& source) {
    std::vector<std::string> texts;
    for (const Override& each : source.overrides) {
        texts.push_back(path_of(*each.key) + " " + std::string(each.flag) + " " + each.value);
    }
    return texts;
}

TEST(ParseFlags, RunsWithNothing) {
    const auto result = parse({});
    ASSERT_TRUE(std::holds_alternative<conf::Run>(result));
    EXPECT_FALSE(std::get<conf::Run>(result).source.file);
    EXPECT_TRUE(std::get<conf::Run>(result).source.overrides.empty());
}

TEST(ParseFlags, TakesEveryOverrideInBothForms) {
    const std::vector<std::string> expected = {
        "listener.address --listen 127.0.0.1:1",
        "backend.url --backend redis://h",
        "guard.mode --mode observe",
        "admin.address --admin unix:/a",
        "log.format --log-format json",
        "log.level --log-level warn"};
    const auto apart = parse(
        {"-c",
         "f.toml",
         "--listen",
         "127.0.0.1:1",
         "--backend",
         "redis://h",
         "--mode",
         "observe",
         "--admin",
         "unix:/a",
         "--log-format",
         "json",
         "--log-level",
         "warn"}
    );
    const auto together = parse(
        {"--config=f.toml",
         "--listen=127.0.0.1:1",
         "--backend=redis://h",
         "--mode=observe",
         "--admin=unix:/a",
         "--log-format=json",
         "--log-level=warn"}
    );
    for (const auto& result : {apart, together}) {
        ASSERT_TRUE(std::holds_alternative<conf::Run>(result));
        EXPECT_EQ(std::get<conf::Run>(result).source.file, "f.toml");
        EXPECT_EQ(overrides_of(std::get<conf::Run>(result).source), expected);
    }
}

TEST(ParseFlags, TakesTheFileInEachForm) {
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {"-c", "f"}, {"-cf"}, {"--config", "f"}, {"--config=f"}}) {
        const auto result = parse(arguments);
        ASSERT_TRUE(std::holds_alternative<conf::Run>(result));
        EXPECT_EQ(std::get<conf::Run>(result).source.file, "f");
    }
    EXPECT_EQ(std::get<conf::Run>(parse({"--config=-"})).source.file, "-");
    EXPECT_EQ(std::get<conf::Run>(parse({"-c", "-"})).source.file, "-");
    EXPECT_EQ(std::get<conf::Run>(parse({"--config=a=b"})).source.file, "a=b");
}

TEST(ParseFlags, TakesListenMoreThanOnce) {
    const auto result = parse({"--listen", "h:1", "--listen", "h:2"});
    ASSERT_TRUE(std::holds_alternative<conf::Run>(result));
    EXPECT_EQ(std::get<conf::Run>(result).source.overrides.size(), 2U);
}

TEST(ParseFlags, ChecksWithTheSameOptions) {
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {"check", "-c", "f", "--mode", "off"}, {"-c", "f", "check", "--mode=off"}}) {
        const auto result = parse(arguments);
        ASSERT_TRUE(std::holds_alternative<conf::Check>(result));
        EXPECT_EQ(std::get<conf::Check>(result).source.file, "f");
        EXPECT_EQ(
            overrides_of(std::get<conf::Check>(result).source),
            std::vector<std::string>{"guard.mode --mode off"}
        );
    }
}

TEST(ParseFlags, DiagnosesAUrl) {
    const auto result = parse({"doctor", "redis://:pw@h:1", "--json"});
    ASSERT_TRUE(std::holds_alternative<conf::Doctor>(result));
    EXPECT_EQ(std::get<conf::Doctor>(result).url.address.host, "h");
    EXPECT_EQ(std::get<conf::Doctor>(result).url.password.reveal(), "pw");
    EXPECT_TRUE(std::get<conf::Doctor>(result).json);
    EXPECT_FALSE(std::get<conf::Doctor>(parse({"doctor", "redis://h"})).json);
}

TEST(ParseFlags, ShowsHelpForTheCommandAtHand) {
    const auto text = [](std::vector<const char*> arguments) {
        return std::get<ShowHelp>(parse(std::move(arguments))).text;
    };
    for (const std::string word :
         {"--config FILE",
          "--listen ADDR",
          "--backend URL",
          "--mode MODE",
          "--admin ADDR",
          "--log-format FORMAT",
          "--log-level LEVEL",
          "--version",
          "--help",
          "doctor URL",
          "[127.0.0.1:6380]",
          "off, observe or protect [protect]",
          "Exit codes"}) {
        EXPECT_NE(text({"--help"}).find(word), std::string::npos) << word;
    }
    EXPECT_EQ(text({"-h"}), text({"--help"}));
    EXPECT_NE(text({"doctor", "--help"}).find("--json"), std::string::npos);
    EXPECT_EQ(text({"doctor", "--help"}).find("--mode"), std::string::npos);
    EXPECT_NE(text({"check", "-h"}).find("spillway check"), std::string::npos);
    for (const auto& help : {text({"-h"}), text({"check", "-h"}), text({"doctor", "-h"})}) {
        for (std::size_t begin = 0; begin < help.size(); begin = help.find('\n', begin) + 1) {
            EXPECT_LE(help.find('\n', begin) - begin, 100U) << help.substr(begin, 100);
        }
        EXPECT_EQ(help.back(), '\n');
    }
}

TEST(ParseFlags, ShowsTheVersion) {
    EXPECT_TRUE(std::holds_alternative<ShowVersion>(parse({"--version"})));
    EXPECT_TRUE(std::holds_alternative<ShowVersion>(parse({"--mode", "off", "--version"})));
}

TEST(ParseFlags, SaysWhatIsWrongAndWhereToLook) {
    const auto result = parse({"--listn", "x"});
    EXPECT_EQ(
        std::get<UsageError>(result).message,
        "spillway: unknown option --listn; did you mean --listen?\nTry: spillway --help"
    );
    EXPECT_TRUE(std::get<UsageError>(parse({"doctor", "--jsn"}))
                    .message.ends_with("Try: spillway doctor --help"));

    EXPECT_EQ(error_of({"-x"}), "spillway: unknown option -x");
    EXPECT_EQ(error_of({"--wholly-different"}), "spillway: unknown option --wholly-different");
    EXPECT_EQ(error_of({"chek"}), R"(spillway: unknown command "chek"; did you mean check?)");
    EXPECT_EQ(
        error_of({"serve"}), R"(spillway: unknown command "serve"; there are check and doctor)"
    );
    EXPECT_EQ(error_of({""}), R"(spillway: unknown command ""; there are check and doctor)");
    EXPECT_EQ(
        error_of({"f.toml"}),
        R"(spillway: unexpected argument "f.toml"; did you mean --config FILE?)"
    );
    EXPECT_EQ(
        error_of({"check", "f.toml"}),
        R"(spillway: unexpected argument "f.toml"; did you mean --config FILE?)"
    );
    EXPECT_EQ(error_of({"check", "check"}), R"(spillway: unexpected argument "check")");
    EXPECT_EQ(error_of({"--mode"}), "spillway: --mode needs a value: off, observe or protect");
    EXPECT_EQ(
        error_of({"--mode", "--json"}), "spillway: --mode needs a value: off, observe or protect"
    );
    EXPECT_EQ(error_of({"-c"}), "spillway: --config needs a value: FILE");
    EXPECT_EQ(error_of({"--config="}), "spillway: --config needs a value: FILE");
    EXPECT_EQ(error_of({"--help=1"}), "spillway: --help takes no value");
    EXPECT_EQ(error_of({"-hx"}), "spillway: --help takes no value");
    EXPECT_EQ(
        error_of({"--mode=on"}),
        R"(spillway: --mode: must be "off", "observe" or "protect", not "on")"
    );
    EXPECT_EQ(error_of({"--mode=off", "--mode=off"}), "spillway: --mode is given twice");
    EXPECT_EQ(error_of({"-c", "a", "--config", "b"}), "spillway: --config is given twice");
    EXPECT_EQ(error_of({"--listen", "unix:/\xff"}), "spillway: --listen: must be valid UTF-8");
    EXPECT_EQ(error_of({"--json"}), "spillway: --json belongs to spillway doctor");
    EXPECT_EQ(
        error_of({"doctor", "redis://h", "--mode", "off"}),
        "spillway: --mode has no meaning for spillway doctor"
    );
    EXPECT_EQ(error_of({"doctor", "redis://h", "x"}), R"(spillway: unexpected argument "x")");
    EXPECT_EQ(
        error_of({"doctor"}),
        "spillway: doctor needs the URL of a Redis, such as redis://127.0.0.1:6379"
    );
    EXPECT_EQ(
        error_of({"doctor", "redis://h", "--ca", "ca.pem"}),
        "spillway: --ca, --cert, --key and --server-name go with a URL that begins with rediss://"
    );
    EXPECT_EQ(error_of({"redis://h"}), "spillway: unexpected URL; did you mean --backend URL?");
}

TEST(ParseFlags, NeverRepeatsAPassword) {
    for (const auto& arguments : std::vector<std::vector<const char*>>{
             {"redis://:hunter2@h"},
             {"--backand=redis://:hunter2@h"},
             {"--redis://:hunter2@h"},
             {"user:hunter2@h"},
             {"--backend", "redis://:hunter2@h:x"},
             {"--backend", "http://:hunter2@h"},
             {"--listen", "me:hunter2@h:1"},
             {"doctor", "redis://:hunter2@"},
             {"doctor", "redis://h", "redis://:hunter2@h"},
             {"--mode", "redis://:hunter2@h"},
             {"--admin", "redis://:hunter2@h"}}) {
        const auto result = parse(arguments);
        ASSERT_TRUE(std::holds_alternative<UsageError>(result)) << arguments[0];
        EXPECT_EQ(std::get<UsageError>(result).message.find("hunter2"), std::string::npos)
            << std::get<UsageError>(result).message;
    }
}

TEST(ParseFlags, BoundsHowManyListenersItTakes) {
    std::vector<const char*> arguments;
    for (int i = 0; i < 65; ++i) {
        arguments.insert(arguments.end(), {"--listen", "h:0"});
    }
    EXPECT_EQ(error_of(arguments), "spillway: too many options");
}

}  // namespace
}  // namespace spillway::conf
