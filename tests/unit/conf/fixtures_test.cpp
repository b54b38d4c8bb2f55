// Every file of tests/conf: valid ones load and survive being printed; invalid ones give the
// problems beside them.
#include "conf/effective.hpp"
#include "conf/load.hpp"
#include "conf/value.hpp"
#include "tests/unit/conf/files.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

std::string lines_of(const LoadResult& result) {
    std::string lines;
    if (const auto* problems = std::get_if<Problems>(&result)) {
        for (const Problem& problem : *problems) {
            lines += to_string(problem) + "\n";
        }
    }
    return lines;
}

// Secrets are masked when printed and a mask is refused, so they are put back before reading again.
std::string with_secrets(std::string text, const Config& config) {
    const auto put_back = [&text](const std::string& masked, const std::string& secret) {
        if (const auto at = text.find(masked); at != std::string::npos) {
            text.replace(at, masked.size(), secret);
        }
    };
    put_back("token = \"****\"", "token = \"" + config.admin.token.reveal() + "\"");
    put_back(":****@", ":" + config.backend.url.password.reveal() + "@");
    return text;
}

TEST(Fixtures, ValidOnesLoadAndLoadTheSameOncePrinted) {
    const auto paths = fixtures("valid");
    ASSERT_GE(paths.size(), 4U);
    for (const auto& path : paths) {
        const auto first = load(path.string());
        ASSERT_TRUE(std::holds_alternative<Loaded>(first)) << lines_of(first);
        const auto& loaded = std::get<Loaded>(first);

        const std::string printed = with_secrets(render_effective(loaded), loaded.config);
        const auto second = load_text(printed, "printed");
        ASSERT_TRUE(std::holds_alternative<Loaded>(second)) << lines_of(second) << printed;
        EXPECT_EQ(std::get<Loaded>(second).config, loaded.config) << printed;
    }
}

TEST(Fixtures, InvalidOnesGiveExactlyTheProblemsBesideThem) {
    const auto paths = fixtures("invalid");
    ASSERT_GE(paths.size(), 20U);
    for (const auto& path : paths) {
        const auto expected = std::filesystem::path(path).replace_extension(".txt");
        const auto result = load(path.string());
        EXPECT_TRUE(std::holds_alternative<Problems>(result)) << path;
        EXPECT_EQ(lines_of(result), content_of(expected)) << path;
        EXPECT_EQ(lines_of(result).find("hunter"), std::string::npos)
            << "a password got out: " << path;
    }
}

// Together with the first test: each key is printed as it must be, none is forgotten.
TEST(Fixtures, OneSetsEveryKeyToSomethingElseThanItsDefault) {
    const auto result = load("tests/conf/valid/everything.toml");
    ASSERT_TRUE(std::holds_alternative<Loaded>(result)) << lines_of(result);
    const auto& loaded = std::get<Loaded>(result);
    Config defaults;
    defaults.guard.rules.emplace_back();
    for (const Key& key : keys()) {
        if (path_of(key) == "admin.token_file") {
            continue;  // it stands in the place of admin.token
        }
        EXPECT_EQ(origin_of(loaded, key, 0).kind, Origin::Kind::file) << path_of(key);
        EXPECT_FALSE(same_value(key, loaded.config, defaults, 0)) << path_of(key);
    }
}

}  // namespace
}  // namespace spillway::conf
