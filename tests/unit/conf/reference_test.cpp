// Keeps conf/spillway.toml and the tables of docs/configuration.md what the schema says. To write
// them anew:
//     SPILLWAY_RENEW_DOCS=1 build/dev/tests/test_conf --gtest_filter='Reference.*'
#include "conf/load.hpp"
#include "conf/schema.hpp"
#include "conf/value.hpp"
#include "tests/unit/conf/files.hpp"

#include <cstdlib>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

constexpr const char* example_path = "conf/spillway.toml";
constexpr const char* document_path = "docs/configuration.md";

constexpr std::string_view example_head =
    R"(# Every key of Spillway with its default, and why one would change it. A key left out has its
# default; an unknown key or a value out of range is an error. `spillway check -c FILE` tells them all.
#
# Sizes are "64mb" (b, kb, mb, gb, tb: powers of two) or a number of bytes.
# Durations are "250ms" (us, ms, s, m, h).
# The second line of each comment says what the key accepts, and what a reload does to it:
# live (at once), new connections (only for those), restart (nothing until then).
#
# Generated from conf/schema.cpp, as is docs/configuration.md; a test keeps it so.
)";

// The defaults, and a rule to show what one looks like.
Config example() {
    Config config;
    config.guard.rules.push_back(
        {.name = "drain",
         .commands = {"LMOVE", "BRPOPLPUSH", "XACK"},
         .keys = {"queue:*"},
         .clients = {"worker-*"},
         .users = {},
         .priority = policy::Priority::critical}
    );
    return config;
}

std::string example_file() {
    const Config config = example();
    std::string text(example_head);
    for (const Section& section : sections()) {
        const std::string path(section.path);
        // The rule is an example, not a default: it stands in comments.
        const std::string prefix = count_of(section, Config{}) == 0 ? "# " : "";
        if (!path.empty()) {
            text += "\n# " + std::string(section.help) + "\n" + prefix +
                    (section.repeated() ? "[[" + path + "]]\n" : "[" + path + "]\n");
        }
        for (const Key& key : keys()) {
            if (key.section != section.path) {
                continue;
            }
            text += "\n# " + std::string(key.help) + "\n";
            text += "# " + accepted(key) + (key.required ? "; required; " : "; ") +
                    std::string(name_of(key.reload)) + "\n" + prefix + std::string(key.name) +
                    " = " + to_toml(key, config, 0) + "\n";
        }
    }
    return text;
}

// "| key | default | accepts | reload | why |" for each key of a section.
std::string table_of(const Section& section) {
    Config config;
    config.guard.rules.emplace_back();
    std::string text =
        "\n| key | default | accepts | reload | why one would change it |\n|---|---|---|---|---|\n";
    for (const Key& key : keys()) {
        if (key.section == section.path) {
            const std::string value =
                key.required ? "required" : "`" + to_toml(key, config, 0) + "`";
            text += "| `" + std::string(key.name) + "` | " + value + " | " + accepted(key) + " | " +
                    std::string(name_of(key.reload)) + " | " + std::string(key.help) + " |\n";
        }
    }
    return text + "\n";
}

std::string marker_of(const Section& section) {
    return "<!-- keys of " +
           (section.path.empty() ? "the top level" : "[" + std::string(section.path) + "]") +
           " -->\n";
}

// The document with each table between its marker and the next end marker written anew; its prose
// is kept.
std::string regenerated(std::string document) {
    constexpr std::string_view end_marker = "<!-- end -->\n";
    for (const Section& section : sections()) {
        const std::size_t marker = document.find(marker_of(section));
        const std::size_t begin = marker + marker_of(section).size();
        const std::size_t end = document.find(end_marker, marker);
        if (marker == std::string::npos || end == std::string::npos) {
            ADD_FAILURE() << document_path << " has no table after " << marker_of(section);
            return document;
        }
        document.replace(begin, end - begin, table_of(section));
    }
    return document;
}

bool must_write() {
    return std::getenv("SPILLWAY_RENEW_DOCS") != nullptr;
}

TEST(Reference, ExampleFileIsWhatTheSchemaSays) {
    if (must_write()) {
        write(example_path, example_file());
    }
    EXPECT_EQ(content_of(example_path), example_file())
        << "stale: see the top of this test for how to write it anew";
}

TEST(Reference, DocumentIsWhatTheSchemaSays) {
    const std::string document = content_of(document_path);
    if (must_write()) {
        write(document_path, regenerated(document));
    }
    EXPECT_EQ(content_of(document_path), regenerated(document))
        << "stale: see the top of this test";
}

TEST(Reference, ExampleFileSetsEveryKeyToItsDefault) {
    const auto result = load(example_path);
    ASSERT_TRUE(std::holds_alternative<Loaded>(result))
        << to_string(std::get<Problems>(result).front());
    const auto& loaded = std::get<Loaded>(result);
    EXPECT_EQ(loaded.config, Config{});
    for (const Key& key : keys()) {
        if (key.section != "guard.rule") {
            EXPECT_EQ(origin_of(loaded, key, 0).kind, Origin::Kind::file) << path_of(key);
        }
    }
}

TEST(Reference, ExampleRuleLoadsWhenItsCommentSignsAreTakenOff) {
    std::string text = content_of(example_path);
    for (const Key& key : keys()) {
        const std::string commented = "\n# " + std::string(key.name) + " = ";
        if (const auto at = text.find(commented);
            key.section == "guard.rule" && at != std::string::npos) {
            text.erase(at + 1, 2);
        }
    }
    text.erase(text.find("# [[guard.rule]]"), 2);
    const auto result = load_text(text, "example");
    ASSERT_TRUE(std::holds_alternative<Loaded>(result))
        << to_string(std::get<Problems>(result).front());
    EXPECT_EQ(std::get<Loaded>(result).config, example());
}

TEST(Schema, KeepsTheKeysOfASectionTogetherAndEachOnce) {
    std::string_view section;
    for (std::size_t i = 0; i < keys().size(); ++i) {
        const Key& key = keys()[i];
        EXPECT_NE(find_section(key.section), nullptr) << path_of(key);
        EXPECT_EQ(find_key(key.section, key.name), &key) << path_of(key) << " is there twice";
        EXPECT_FALSE(key.help.empty()) << path_of(key);
        EXPECT_TRUE(key.help.ends_with('.')) << path_of(key);
        if (key.section != section) {
            for (std::size_t before = 0; before < i; ++before) {
                EXPECT_NE(keys()[before].section, key.section) << path_of(key);
            }
            section = key.section;
        }
    }
}

}  // namespace
}  // namespace spillway::conf
