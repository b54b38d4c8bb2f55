// What a person reads: the verdict first, figures aligned, nothing of a client's that could break a
// terminal.
#include "proxy/doctor/report.hpp"

#include "policy/info.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace spillway::doctor {
namespace {

policy::MemorySample sample_of(const std::string& fixture, policy::Nanos at) {
    std::ifstream file("tests/unit/policy/fixtures/" + fixture + ".info", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    policy::MemorySample sample;
    sample.asked_at = at;
    sample.answered_at = at;
    EXPECT_EQ(policy::parse_info(text, sample), policy::InfoProblem::none);
    return sample;
}

Findings findings_of(const std::string& fixture) {
    Findings findings;
    findings.target = "10.0.0.5:6379";
    findings.state = state_of({sample_of(fixture, policy::second)});
    findings.diagnosis = policy::diagnose({.state = findings.state});
    return findings;
}

std::size_t width_of(std::string_view line) {
    std::size_t width = 0;
    for (const char c : line) {
        width += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U ? 1 : 0;
    }
    return width;
}

TEST(DoctorReport, SaysWhatIsWrongWhyAndWhatToDo) {
    const std::string text = report_text(findings_of("noeviction_full"), {});
    for (const char* part :
         {"OUT OF MEMORY  noeviction-at-ceiling, ",
          "The data has reached maxmemory",
          "Where memory is",
          "Why we think so\n    - policy is noeviction",
          "What to do\n    1. ",
          "data "}) {
        EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
    }
    EXPECT_LT(text.find("OUT OF MEMORY"), text.find("Where memory is"));
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << "no colour unless asked for";
    EXPECT_EQ(text.find("\xe2\x96\x88"), std::string::npos) << "plain ASCII unless asked for";
}

TEST(DoctorReport, AHealthyServerIsSaidToBe) {
    const std::string text = report_text(findings_of("redis7_idle"), {});
    EXPECT_NE(text.find("HEALTHY"), std::string::npos);
    EXPECT_EQ(text.find("Why we think so"), std::string::npos);
}

policy::KeySummary wide_keys() {
    policy::KeySummary keys;
    keys.keys = 9'000'001;
    keys.sampled = 3'000;
    keys.groups.push_back(
        {.pattern = "tenant:*:department:*:" + std::string(80, 'x'),
         .type = policy::KeyType::stream,
         .keys = 8'765'432,
         .bytes = 13. * 1024,
         .share = {0, .0002, .001},
         .without_ttl = .0004}
    );
    keys.biggest.push_back(
        {.key = std::string(120, 'k'),
         .type = policy::KeyType::stream,
         .bytes = 900LL << 20,
         .ttl_ms = 86'399'000,
         .length = 87'654'321,
         .error = 200LL << 20}
    );
    return keys;
}

TEST(DoctorReport, LinesFitTheTerminal) {
    for (const unsigned width : {20U, 60U, 80U, 100U, 300U}) {
        const Style style{.colour = false, .blocks = true, .width = width};
        Findings findings = findings_of("noeviction_full");
        findings.keys = wide_keys();
        std::string text = report_text(findings, style);
        std::size_t widest = 0;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at);
            widest = std::max(widest, width_of(std::string_view(text).substr(at, end - at)));
            at = end + 1;
        }
        EXPECT_LE(widest, std::clamp(width, 60U, 110U)) << text;
    }
}

TEST(DoctorReport, CellsOfTablesStayApart) {
    Findings findings = findings_of("noeviction_full");
    findings.keys = wide_keys();
    const std::string text = report_text(findings, {.colour = false, .blocks = true, .width = 80});
    EXPECT_NE(text.find(".. stream   8,765,432     13 KiB  <0.1 %  <0.1 %\n"), std::string::npos)
        << text;
    EXPECT_NE(text.find(".. stream  87,654,321 about 900 MiB"), std::string::npos) << text;
}

TEST(DoctorReport, ColoursAndBlocksOnATerminal) {
    const std::string text =
        report_text(findings_of("noeviction_full"), {.colour = true, .blocks = true, .width = 100});
    EXPECT_NE(text.find("\x1b[1;31m OUT OF MEMORY \x1b[0m"), std::string::npos);
    EXPECT_NE(text.find("\xe2\x96\x88"), std::string::npos);
}

TEST(DoctorReport, KeysCannotBreakTheTerminal) {
    Findings findings = findings_of("noeviction_full");
    findings.keys.keys = findings.keys.sampled = 1;
    findings.keys.biggest.push_back({.key = "a\x1b[2Jb\n" + std::string(100, 'c'), .bytes = 100});
    policy::KeyGroup group;
    group.pattern = "p\x07*";
    findings.keys.groups.push_back(group);
    const std::string text = report_text(findings, {});
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find('\x07'), std::string::npos);
    EXPECT_NE(text.find(R"(a\x1b[2Jb\x0accc)"), std::string::npos) << text;
}

TEST(DoctorExamination, GrowthIsWhatEachHalfOfTheWatchShows) {
    policy::MemorySample a = sample_of("oversized_before", 0);
    policy::MemorySample b = a;
    policy::MemorySample c = a;
    b.answered_at = policy::second / 2;
    c.answered_at = policy::second;
    b.used_memory += 2'000'000;
    c.used_memory += 4'000'000;
    const policy::MemoryState grown = state_of({a, b, c});
    EXPECT_NEAR(grown.growth_bytes_per_s, 4e6, 1);
    EXPECT_TRUE(grown.time_to_ceiling_s.has_value());

    b.used_memory = a.used_memory - 1;
    EXPECT_EQ(state_of({a, b, c}).growth_bytes_per_s, 0) << "up and down";

    b.used_memory = a.used_memory + 50'000;
    c.used_memory = a.used_memory + 100'000;
    EXPECT_EQ(state_of({a, b, c}).growth_bytes_per_s, 0) << "noise";
    b.keys += 100;
    c.keys += 200;
    EXPECT_GT(state_of({a, b, c}).growth_bytes_per_s, 0) << "but not with more and more keys";

    c.clients_normal_bytes += 100'000;
    EXPECT_EQ(state_of({a, b, c}).growth_bytes_per_s, 0) << "buffers come and go";
}

TEST(DoctorExamination, WhatGoesUpAndDownOrExpiresIsNoGrowth) {
    std::vector<policy::MemorySample> watch;
    for (int i = 0; i < 7; ++i) {
        watch.push_back(sample_of("oversized_before", i * policy::second / 4));
        watch.back().used_memory += i * 500'000;
    }
    EXPECT_GT(state_of(watch).growth_bytes_per_s, 0);
    std::vector<policy::MemorySample> sawtooth = watch;
    sawtooth[2].used_memory += 1'000'000;
    EXPECT_EQ(state_of(sawtooth).growth_bytes_per_s, 0);

    std::vector<policy::MemorySample> churn = watch;
    churn.back().keys += 1000;
    churn.back().expires += 1000;
    churn.back().expired_keys += 900;
    EXPECT_GT(state_of(churn).growth_bytes_per_s, 0) << "more come than go";
    churn.back().expired_keys += 5000;
    EXPECT_EQ(state_of(churn).growth_bytes_per_s, 0);
    churn.back().keys += 1;
    EXPECT_GT(state_of(churn).growth_bytes_per_s, 0) << "and keys that stay";
}

}  // namespace
}  // namespace spillway::doctor
