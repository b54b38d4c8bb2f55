// What `spillway check` prints: valid TOML, aligned, with origins, without secrets.
#include "conf/effective.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

std::string printed(const LoadResult& result) {
    EXPECT_TRUE(std::holds_alternative<Loaded>(result));
    return render_effective(std::get<Loaded>(result));
}

bool has_line(const std::string& text, const std::string& line) {
    return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST(RenderEffective, PutsOriginsIntoOneColumn) {
    const std::vector<Override> flags = {{find_key("guard", "mode"), "--mode", "off"}};
    const std::string text =
        printed(load_text("workers = 3\n[guard]\nhold_max = \"1000ms\"\n", "a.toml", flags));
    EXPECT_TRUE(has_line(text, "workers = 3                     # a.toml:1")) << text;
    EXPECT_TRUE(has_line(text, "drain_timeout = \"30s\"           # default")) << text;
    EXPECT_TRUE(has_line(text, "url = \"redis://127.0.0.1:6379\"  # default")) << text;
    EXPECT_TRUE(has_line(text, "mode = \"off\"                    # flag --mode")) << text;
    EXPECT_TRUE(has_line(text, "hold_max = \"1s\"                 # a.toml:3")) << text;
    EXPECT_TRUE(has_line(text, "[[listener]]")) << text;
    EXPECT_EQ(text.find("guard.rule"), std::string::npos) << text;
}

TEST(RenderEffective, WritesSharesAsTheyAreDocumented) {
    const std::string text = printed(load_text("[guard]\nshed_at = 1\nevict_max = 1e-5\n", "f"));
    EXPECT_NE(text.find("\nshed_at = 1.0 "), std::string::npos) << text;
    EXPECT_NE(text.find("\nevict_max = 1e-05 "), std::string::npos) << text;
}

TEST(RenderEffective, DoesNotLetALongValuePushTheOthers) {
    const std::string text =
        printed(load_text("log.file = \"/" + std::string(200, 'a') + "\"", "f"));
    EXPECT_TRUE(has_line(text, "workers = 0                     # default")) << text;
    EXPECT_NE(text.find("aaa\"  # f:1\n"), std::string::npos) << text;
}

TEST(RenderEffective, MasksEverySecret) {
    const std::string text = printed(load("tests/conf/valid/everything.toml"));
    EXPECT_NE(text.find("token = \"****\""), std::string::npos) << text;
    EXPECT_NE(text.find("url = \"rediss://m%40nitor:****@redis.internal:6390\""), std::string::npos)
        << text;
    for (const std::string secret : {"not a real", "p:ss", "p%3Ass"}) {
        EXPECT_EQ(text.find(secret), std::string::npos) << text;
    }
}

TEST(RenderEffective, StaysTomlWhateverTheFileIsCalled) {
    for (const std::string name : {"a\nworkers = 9", "b\x01\x7f", "c\xff\xfe", "ünïcode"}) {
        const auto result = load_text("workers = 3", name);
        const auto again = load_text(printed(result), "printed");
        ASSERT_TRUE(std::holds_alternative<Loaded>(again)) << printed(result);
        EXPECT_EQ(std::get<Loaded>(again).config.workers, 3U);
    }
}

}  // namespace
}  // namespace spillway::conf
