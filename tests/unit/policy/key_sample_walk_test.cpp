// The walk over a model of a server: what it asks, that it is bounded, and that it finds what a
// sample misses.
#include "policy/key_sample_walk.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <random>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

struct ModelKey {
    std::string name;
    std::string type = "string";
    std::int64_t bytes = 100;
    std::int64_t ttl_ms = -1;
    std::int64_t length = 7;
    std::vector<std::int64_t> elements{};  // their sizes, as MEMORY USAGE meets them

    // Of so many elements, as Redis estimates it.
    [[nodiscard]] std::int64_t usage(std::size_t samples) const {
        if (elements.empty()) {
            return bytes;
        }
        const std::size_t seen = std::min(samples, elements.size());
        const std::int64_t sum = std::accumulate(
            elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(seen), std::int64_t{0}
        );
        return sum * static_cast<std::int64_t>(elements.size()) / static_cast<std::int64_t>(seen);
    }
};

// Answers as Redis does, keys in the order of their insertion.
class ModelServer {
  public:
    std::map<int, std::vector<ModelKey>> databases;
    std::string refused;  // a command that the user may not run
    std::map<std::string, int> calls;
    std::size_t pipeline_max = 0;
    std::size_t samples_max = 0;    // of one MEMORY USAGE
    std::size_t looked_at_max = 0;  // elements, by one pipeline
    std::size_t looked_at = 0;
    Command first;

    void drive(KeyWalk& walk, int pipelines_max = 100'000) {
        while (drive_once(walk)) {
            ASSERT_GT(pipelines_max--, 0) << "it does not end";
        }
    }

    bool drive_once(KeyWalk& walk) {
        const std::vector<Command> commands = walk.next();
        if (!commands.empty()) {
            first = first.empty() ? commands.front() : first;
            pipeline_max = std::max(pipeline_max, commands.size());
            std::vector<resp::Reply> replies;
            looked_at = 0;
            for (const Command& command : commands) {
                replies.push_back(answer(command));
            }
            looked_at_max = std::max(looked_at_max, looked_at);
            walk.take(replies);
        }
        return !commands.empty();
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
            const std::size_t samples = std::stoul(command[4]);
            EXPECT_GT(samples, 0U) << "SAMPLES 0 looks at every element";
            looked_at += samples;
            samples_max = std::max(samples_max, samples);
            return integer(found->usage(samples));
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
            index.clear();
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
    plan.server.family = EvictionFamily::all_keys;
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
        plan.server.family = EvictionFamily::all_keys;
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

// What an eviction policy for all keys would push out: a sample does not show it, and nothing that
// is missing hints at it.
TEST(KeySampleWalk, ASmallQueueIsFoundAmongMany) {
    for (const char* const type : {"list", "stream"}) {
        ModelServer server;
        add(server, 0, "cache:page:", 40'000);
        server.databases[0].insert(
            server.databases[0].begin() + 35'000, {.name = "mail", .type = type, .bytes = 100'000}
        );
        KeyWalkPlan plan = server.plan(4'100'000);
        plan.sampled_max = 500;
        KeyWalk walk(plan);
        server.drive(walk);
        EXPECT_EQ(walk.summary().queues, 1);
        EXPECT_LT(server.calls["MEMORY"], 600);
        EXPECT_LT(server.calls["SCAN"], 180);

        server.calls.clear();
        server.databases[0][35'000].ttl_ms = 60'000;
        KeyWalk cached(plan);
        server.drive(cached);
        EXPECT_EQ(cached.summary().queues, 0) << "it goes by itself";

        server.calls.clear();
        plan.server.family = EvictionFamily::all_keys;
        KeyWalk evicted(plan);
        server.drive(evicted);
        EXPECT_LT(server.calls["SCAN"], 20) << "the policy says that all may go";
    }
}

TEST(KeySampleWalk, AFewKeysAreSeenBeforeOneIsMeasuredClosely) {
    ModelServer server;
    for (int i = 0; i < 40; ++i) {
        server.databases[0].push_back(
            {.name = "union:" + std::to_string(i), .type = "set", .bytes = 1'400'000}
        );
    }
    KeyWalkPlan plan = server.plan(56'000'000);
    plan.candidates = {{0, "union:3"}};
    KeyWalk walk(std::move(plan));
    int pipelines = 0;
    while (!walk.has_begun() && server.drive_once(walk)) {
        ASSERT_LT(++pipelines, 5);
    }
    EXPECT_EQ(walk.summary().sampled, 40);
    EXPECT_TRUE(walk.summary().complete);
}

TEST(KeySampleWalk, CandidatesComeFirst) {
    ModelServer server;
    add(server, 0, "k:", 30'000);
    server.databases[0].push_back({.name = "sessions", .type = "hash", .bytes = 4'500'000});
    KeyWalkPlan plan = server.plan(7'500'000);
    plan.sampled_max = 100;
    plan.candidates = {{0, "sessions"}, {0, "gone"}};
    plan.server.family = EvictionFamily::all_keys;
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

// A collection whose elements come in this order.
ModelKey collection(std::string type, std::vector<std::int64_t> elements) {
    ModelKey key{.name = "big", .type = std::move(type)};
    key.length = static_cast<std::int64_t>(elements.size());
    key.bytes = std::accumulate(elements.begin(), elements.end(), std::int64_t{0});
    key.elements = std::move(elements);
    return key;
}

// One element of 25 is a thousand times larger; so many at the start are all small or all large.
std::vector<std::int64_t> uneven(std::size_t count, std::int64_t first, std::size_t alike) {
    std::mt19937 random(7);
    std::vector<std::int64_t> sizes(count);
    for (std::size_t i = 0; i < count; ++i) {
        sizes[i] = i < alike ? first : random() % 25 == 0 ? 40'000 : 40;
    }
    return sizes;
}

TEST(KeySampleWalk, UnevenCollectionsAreMeasuredAndFitTheData) {
    for (const std::int64_t first : {40, 40'000}) {
        for (const bool in_the_sample : {false, true}) {
            ModelServer server;
            add(server, 0, "k:", 12'000, 584);
            ModelKey hash = collection("hash", uneven(20'000, first, 9));
            auto& keys = server.databases[0];
            keys.insert(keys.begin() + (in_the_sample ? 50 : 9000), hash);
            const std::int64_t data = 12'000 * 584 + hash.bytes;
            KeyWalkPlan plan = server.plan(data);
            plan.sampled_max = 500;
            KeyWalk walk(std::move(plan));
            server.drive(walk);
            const KeySummary seen = walk.summary();
            const SampledKey& big = seen.biggest.front();
            ASSERT_EQ(big.key, "big");
            EXPECT_NEAR(
                static_cast<double>(big.bytes),
                static_cast<double>(hash.bytes),
                .05 * static_cast<double>(hash.bytes)
            );
            EXPECT_GT(big.error, 0) << "some of its elements alone were looked at";
            EXPECT_LE(std::abs(big.bytes - hash.bytes), big.error);
            EXPECT_NEAR(
                seen.bytes.value, static_cast<double>(data), .03 * static_cast<double>(data)
            );
            EXPECT_EQ(seen.unexplained, 0);
            EXPECT_LE(server.samples_max, 8192U);
            EXPECT_LE(server.looked_at_max, 8192U) << "one pipeline does not hold the server up";
        }
    }
}

TEST(KeySampleWalk, ALongListIsFollowedToItsEnd) {
    ModelServer server;
    add(server, 0, "k:", 2000, 584);
    std::vector<std::int64_t> nodes(6000, 8000);
    nodes.front() = 700;  // the one that elements are pushed to
    for (std::size_t i = 3000; i < nodes.size(); ++i) {
        nodes[i] = 2500;  // older elements were smaller
    }
    const ModelKey list = collection("list", nodes);
    server.databases[0].push_back(list);
    KeyWalkPlan plan = server.plan(2000 * 584 + list.bytes + 400'000);
    plan.candidates = {{0, "big"}};
    KeyWalk walk(std::move(plan));
    server.drive(walk);
    const SampledKey big = walk.summary().biggest.front();
    EXPECT_NEAR(static_cast<double>(big.bytes), static_cast<double>(list.bytes), 1000);
    EXPECT_EQ(error_of(big), 0);
}

TEST(KeySampleWalk, AKeyOfAllThatLooksSmallIsFound) {
    ModelServer server;
    add(server, 0, "k:", 100, 584);
    std::vector<std::int64_t> fields(40, 50);
    fields[30] = 30'000'000;
    server.databases[0].push_back(collection("hash", fields));
    KeyWalk walk(server.plan(100 * 584 + 30'500'000));
    server.drive(walk);
    EXPECT_TRUE(walk.summary().complete);
    EXPECT_GT(walk.summary().biggest.front().bytes, 30'000'000);
}

// Whoever waits for the first word on an OOM waits for one pipeline more, not for the last sample.
TEST(KeySampleWalk, ACandidateIsNamedAfterTheFirstCloserLook) {
    ModelServer server;
    add(server, 0, "k:", 2000, 584);
    const ModelKey hash = collection("hash", uneven(20'000, 40'000, 5));
    server.databases[0].push_back(hash);
    KeyWalkPlan plan = server.plan(2000 * 584 + hash.bytes);
    plan.candidates = {{0, "big"}};
    KeyWalk walk(std::move(plan));
    server.drive_once(walk);
    EXPECT_FALSE(walk.has_begun()) << "by five elements it would hold more than there is";
    server.drive_once(walk);
    EXPECT_TRUE(walk.has_begun());
    const SampledKey big = walk.summary().biggest.front();
    EXPECT_GT(big.error, 0);
    EXPECT_NEAR(static_cast<double>(big.bytes) / static_cast<double>(hash.bytes), 1, .4);
    server.drive(walk);
    const auto bytes = static_cast<double>(walk.summary().biggest.front().bytes);
    EXPECT_NEAR(bytes / static_cast<double>(hash.bytes), 1, .05);
}

TEST(KeySampleWalk, EvenCollectionsAreSettledSoon) {
    ModelServer server;
    add(server, 0, "k:", 500, 584);
    server.databases[0].push_back(collection("set", std::vector<std::int64_t>(100'000, 90)));
    KeyWalk walk(server.plan(500 * 584 + 9'000'000));
    server.drive(walk);
    EXPECT_EQ(walk.summary().biggest.front().bytes, 9'000'000);
    EXPECT_EQ(server.samples_max, 512U);
}

TEST(KeySampleWalk, AKeyThatGoesAwayIsNotAskedForever) {
    ModelServer server;
    add(server, 0, "k:", 100);
    server.databases[0].push_back(collection("hash", uneven(20'000, 40'000, 5)));
    KeyWalk walk(server.plan(50'000'000));
    while (walk.doing() != "measuring large keys") {
        ASSERT_TRUE(server.drive_once(walk));
    }
    server.databases[0].pop_back();
    server.drive(walk, 100);
    EXPECT_EQ(walk.summary().sampled, 101);
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
