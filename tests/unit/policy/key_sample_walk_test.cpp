// The walk over a model of a server: what it asks, that it is bounded, and that it finds what a
// sample misses.
#include "policy/key_sample_walk.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

struct ModelKey {
    std::string name;
    std::string type = "string";
    std::int64_t bytes = 100;
    std::int64_t ttl_ms = -1;
    std::int64_t length = 7;
};

// Answers as Redis does, keys in the order of their insertion.
class ModelServer {
  public:
    std::map<int, std::vector<ModelKey>> databases;
    std::string refused;  // a command that the user may not run
    std::map<std::string, int> calls;
    std::size_t pipeline_max = 0;
    Command first;

    void drive(KeyWalk& walk, int pipelines_max = 100'000) {
        for (auto commands = walk.next(); !commands.empty(); commands = walk.next()) {
            first = first.empty() ? commands.front() : first;
            ASSERT_GT(pipelines_max--, 0) << "it does not end";
            pipeline_max = std::max(pipeline_max, commands.size());
            std::vector<resp::Reply> replies;
            for (const Command& command : commands) {
                replies.push_back(answer(command));
            }
            walk.take(replies);
        }
    }

    [[nodiscard]] KeyWalkPlan plan(std::int64_t data_bytes) const {
        KeyWalkPlan plan;
        plan.data_bytes = data_bytes;
        plan.server.policy = "noeviction";
        for (const auto& [db, keys] : databases) {
            const auto count = static_cast<std::int64_t>(keys.size());
            plan.server.databases[static_cast<std::size_t>(db)] = {.keys = count, .expires = 0};
            plan.server.keys += count;
        }
        return plan;
    }

  private:
    resp::Reply answer(const Command& command) {
        ++calls[command[0]];
        EXPECT_NE(command[0], "KEYS");
        if (command[0] == refused) {
            return {.type = resp::ReplyType::error, .text = "NOPERM no permissions"};
        }
        if (command[0] == "SELECT") {
            database_ = std::stoi(command[1]);
            return text("OK");
        }
        if (command[0] == "SCAN") {
            return scan(command);
        }
        const std::vector<ModelKey>& keys = databases[database_];
        if (command[0] == "RANDOMKEY") {
            return text(keys[draw_++ * 7919 % keys.size()].name);
        }
        const std::string& name =
            command[0] == "MEMORY" || command[0] == "OBJECT" ? command[2] : command[1];
        const ModelKey* const found = find(name);
        if (found == nullptr) {
            return command[0] == "TYPE" ? text("none") : resp::Reply{};
        }
        if (command[0] == "TYPE") {
            return text(found->type);
        }
        if (command[0] == "MEMORY") {
            EXPECT_EQ(command[4], "5") << "SAMPLES 0 looks at every element";
            return integer(found->bytes);
        }
        return integer(
            command[0] == "PTTL"     ? found->ttl_ms
            : command[0] == "OBJECT" ? 3
                                     : found->length
        );
    }

    const ModelKey* find(const std::string& name) {
        auto& index = indexes_[database_];
        const std::vector<ModelKey>& keys = databases[database_];
        if (index.size() != keys.size()) {
            for (const ModelKey& key : keys) {
                index[key.name] = &key;
            }
        }
        const auto found = index.find(name);
        return found == index.end() ? nullptr : found->second;
    }

    resp::Reply scan(const Command& command) {
        const std::vector<ModelKey>& keys = databases[database_];
        const std::size_t from = std::stoul(command[1]);
        const std::size_t to = std::min(from + std::stoul(command[3]), keys.size());
        resp::Reply names{.type = resp::ReplyType::array};
        for (std::size_t i = from; i < to; ++i) {
            if (command.size() < 6 || keys[i].type == command[5]) {
                names.elements.push_back(text(keys[i].name));
            }
        }
        resp::Reply reply{.type = resp::ReplyType::array};
        reply.elements.push_back(text(to == keys.size() ? "0" : std::to_string(to)));
        reply.elements.push_back(std::move(names));
        return reply;
    }

    resp::Reply text(std::string_view value) {
        texts_.emplace_back(value);
        return {.type = resp::ReplyType::bulk, .text = texts_.back()};
    }
    static resp::Reply integer(std::int64_t value) {
        return {.type = resp::ReplyType::integer, .integer = value};
    }

    std::map<int, std::map<std::string, const ModelKey*>> indexes_;
    int database_ = 0;
    std::size_t draw_ = 1;
    std::deque<std::string> texts_;
};

void add(
    ModelServer& server, int db, const std::string& prefix, int count, std::int64_t bytes = 100
) {
    for (int i = 0; i < count; ++i) {
        server.databases[db].push_back({.name = prefix + std::to_string(i), .bytes = bytes});
    }
}

TEST(KeySampleWalk, AnEmptyServerIsAskedNothing) {
    KeyWalk walk{KeyWalkPlan{}};
    EXPECT_TRUE(walk.next().empty());
    EXPECT_FALSE(walk.summary().known());
}

TEST(KeySampleWalk, AFewKeysAreAllLookedAt) {
    ModelServer server;
    add(server, 0, "cart:", 300);
    add(server, 3, "session:", 100);
    KeyWalk walk(server.plan(40'000));
    server.drive(walk);
    const KeySummary seen = walk.summary();
    EXPECT_TRUE(seen.complete);
    EXPECT_EQ(seen.sampled, 400);
    EXPECT_EQ(seen.bytes.value, 40'000);
    EXPECT_EQ(seen.biggest.front().length, 7);
    EXPECT_LE(server.pipeline_max, 64U * 4 + 1);
}

TEST(KeySampleWalk, ManyKeysAreSampledInProportionToTheirDatabases) {
    ModelServer server;
    add(server, 0, "cart:", 8000);
    add(server, 1, "session:", 2000);
    KeyWalkPlan plan = server.plan(1'000'000);
    plan.sampled_max = 500;
    KeyWalk walk(std::move(plan));
    server.drive(walk);
    const KeySummary seen = walk.summary();
    EXPECT_FALSE(seen.complete);
    EXPECT_LT(server.calls["MEMORY"], 700);
    EXPECT_NEAR(seen.bytes.value, 1'000'000, 10'000);
    EXPECT_NEAR(seen.groups[0].share.value, .8, .1);
    EXPECT_LT(server.calls["SCAN"], 20) << "nothing is unexplained, nothing is looked for";
}

TEST(KeySampleWalk, ACollectionOfSixtyPercentIsFoundAmongMany) {
    for (const bool clustered : {false, true}) {
        ModelServer server;
        add(server, 0, "k:", 30'000);
        server.databases[0].insert(
            server.databases[0].begin() + 20'000,
            {.name = "sessions",
             .type = "hash",
             .bytes = 4'500'000,
             .ttl_ms = 5000,
             .length = 123'456}
        );
        KeyWalkPlan plan = server.plan(7'500'000);
        plan.sampled_max = 1000;
        plan.clustered = clustered;
        KeyWalk walk(std::move(plan));
        server.drive(walk);
        const KeySummary seen = walk.summary();
        ASSERT_EQ(seen.biggest.front().key, "sessions");
        EXPECT_EQ(seen.biggest.front().length, 123'456);
        EXPECT_EQ(seen.unexplained, 0);
        EXPECT_EQ(seen.biggest.front().ttl_ms, 5000);
        EXPECT_LT(server.calls["MEMORY"], 1100) << "of the many, only the sample";
        EXPECT_LT(server.calls["SCAN"], 60) << "it stops where it is found";
    }
}

TEST(KeySampleWalk, CandidatesComeFirst) {
    ModelServer server;
    add(server, 0, "k:", 30'000);
    server.databases[0].push_back({.name = "sessions", .type = "hash", .bytes = 4'500'000});
    KeyWalkPlan plan = server.plan(7'500'000);
    plan.sampled_max = 100;
    plan.candidates = {{0, "sessions"}, {0, "gone"}};
    KeyWalk walk(std::move(plan));
    server.drive(walk);
    EXPECT_EQ(server.first, (Command{"MEMORY", "USAGE", "sessions", "SAMPLES", "5"}));
    EXPECT_EQ(walk.summary().biggest.front().key, "sessions");
    EXPECT_LT(server.calls["SCAN"], 4) << "nothing was left to look for";
}

TEST(KeySampleWalk, ACandidateThatIsSmallIsAKeyLikeTheOthers) {
    ModelServer server;
    add(server, 0, "k:", 50);
    KeyWalkPlan plan = server.plan(50 * 100);
    plan.candidates = {
        {0, server.databases[0][3].name}, {0, server.databases[0][7].name}, {0, "gone"}};
    KeyWalk walk(std::move(plan));
    server.drive(walk);
    EXPECT_EQ(walk.summary().sampled, 50);
    EXPECT_TRUE(walk.summary().complete);
}

TEST(KeySampleWalk, TheSearchIsBounded) {
    ModelServer server;
    add(server, 0, "k:", 20'000);
    KeyWalkPlan plan = server.plan(1'000'000'000);
    plan.sampled_max = 100;
    plan.searched_max = 3000;
    KeyWalk walk(std::move(plan));
    server.drive(walk);
    EXPECT_LT(server.calls["SCAN"], 12);
    EXPECT_GT(walk.summary().unexplained, 9e8);
    EXPECT_LT(walk.summary().searched, .1);

    plan = server.plan(1'000'000'000);
    plan.sampled_max = 100;
    plan.found_max = 500;
    plan.types = {.order = {KeyType::string}, .used = 1};
    KeyWalk strings(std::move(plan));
    server.calls.clear();
    server.drive(strings);
    EXPECT_LT(server.calls["MEMORY"], 1300);
}

TEST(KeySampleWalk, WhatIsRefusedIsToldOnceAndWorkedAround) {
    ModelServer server;
    add(server, 0, "k:", 200);
    server.refused = "SCAN";
    KeyWalk drawn(server.plan(20'000));
    server.drive(drawn);
    ASSERT_EQ(drawn.refused().size(), 1U);
    EXPECT_EQ(drawn.refused()[0], "SCAN: NOPERM no permissions");
    EXPECT_GT(drawn.summary().sampled, 50) << "by RANDOMKEY instead";

    server.refused = "MEMORY";
    KeyWalk blind(server.plan(20'000));
    server.drive(blind);
    EXPECT_EQ(blind.refused().front(), "MEMORY USAGE: NOPERM no permissions");
    EXPECT_FALSE(blind.summary().known());

    server.refused = "OBJECT";
    KeyWalk no_idle(server.plan(20'000));
    server.drive(no_idle);
    EXPECT_EQ(no_idle.summary().sampled, 200);
    EXPECT_EQ(no_idle.summary().idle_hour_bytes, -1);
}

TEST(KeySampleWalk, IdleTimeIsNotAskedUnderLfu) {
    ModelServer server;
    add(server, 0, "k:", 10);
    KeyWalkPlan plan = server.plan(1000);
    plan.server.policy = "allkeys-lfu";
    KeyWalk walk(std::move(plan));
    server.drive(walk);
    EXPECT_EQ(server.calls["OBJECT"], 0);
    EXPECT_TRUE(walk.summary().complete);
}

TEST(KeySampleWalk, AReplyOfUnknownShapeEndsIt) {
    ModelServer server;
    add(server, 0, "k:", 10);
    KeyWalk walk(server.plan(1000));
    ASSERT_FALSE(walk.next().empty());
    const std::vector<resp::Reply> strange(1, resp::Reply{.type = resp::ReplyType::array});
    walk.take(strange);
    server.drive(walk, 10);
    EXPECT_FALSE(walk.summary().known());
}

TEST(KeySampleWalk, TypesThatWereWrittenAreLookedThroughFirst) {
    EXPECT_EQ(types_by_use("").order.front(), KeyType::hash);
    const auto types =
        types_by_use("# Commandstats\r\ncmdstat_xadd:calls=1\r\ncmdstat_set:calls=9\r\n");
    EXPECT_EQ(types.order.size(), 6U);
    EXPECT_EQ(types.order[0], KeyType::stream);
    EXPECT_EQ(types.order[1], KeyType::string);
    EXPECT_EQ(types.used, 2U);
}

}  // namespace
}  // namespace spillway::policy
