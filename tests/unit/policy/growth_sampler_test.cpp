// Sends the sampler traffic whose growth is known, with the replies of a server, and holds what the
// ledger says against it.
#include "policy/growth_sampler.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using Kind = GrowthReply::Kind;

class Words final : public GrowthArguments {
  public:
    explicit Words(std::vector<std::string> words) : words_(std::move(words)) {}
    [[nodiscard]] std::uint32_t count() const override {
        return static_cast<std::uint32_t>(words_.size());
    }
    [[nodiscard]] std::uint64_t length(std::uint32_t i) const override {
        return i < words_.size() ? words_[i].size() : 0;
    }
    [[nodiscard]] std::string_view text(std::uint32_t i) const override {
        return i < words_.size() ? std::string_view(words_[i]) : std::string_view();
    }
    [[nodiscard]] std::uint64_t bytes() const override {
        std::uint64_t sum = 0;
        for (const std::string& word : words_) {
            sum += word.size();
        }
        return sum;
    }

  private:
    std::vector<std::string> words_;
};

// What a session does with each command, less the wire.
class Traffic {
  public:
    explicit Traffic(std::uint64_t seed = GrowthSampler::seed_default) : sampler(seed) {}

    void send(const std::vector<std::string>& words, GrowthReply reply, std::int64_t bound) {
        const bool removes = bound == 0;
        const std::int64_t counted = removes ? GrowthSampler::removal_bytes : bound;
        if (!sampler.takes(counted)) {
            return;
        }
        look(words, reply, counted, bound);
    }
    void look(
        const std::vector<std::string>& words,
        GrowthReply reply,
        std::int64_t counted,
        std::int64_t bound
    ) {
        ++looks;
        GrowthSample sample;
        sample.stands_for = static_cast<float>(sampler.draw(counted));
        sample.model = growth_model(words[0], Words(words), bound);
        if (sample.model.shape == GrowthShape::nothing) {
            return;
        }
        sample.lasting = sample.model.ttl_s == 0;
        sample.pattern_size =
            static_cast<std::uint8_t>(key_pattern(words[1], sample.pattern).size());
        sample.key = std::hash<std::string>{}(words[1]);
        sampler.settle(sample, reply, "client", words[0], now);
    }
    void set(const std::string& key, std::size_t bytes, std::vector<std::string> options = {}) {
        const auto bound = static_cast<std::int64_t>(bytes * 5 / 4 + 140);
        if (!sampler.takes(bound)) {
            return;
        }
        std::vector<std::string> words{"SET", key, std::string(bytes, 'x')};
        words.insert(words.end(), options.begin(), options.end());
        look(words, {Kind::other}, bound, bound);
    }
    std::map<std::string, double> told(double most = HUGE_VAL) const {
        std::map<std::string, double> bytes;
        for (const GrowthRow& row : sampler.ledger().top(256, now, most)) {
            bytes[row.pattern] += static_cast<double>(row.bytes);
        }
        return bytes;
    }

    GrowthSampler sampler;
    Nanos now = second;
    int looks = 0;
};

constexpr double mb = 1e6;

// What a server grew by, as measured (Redis 7.0, jemalloc), within a tenth.
TEST(GrowthSampler, TellsWhatARealServerGrewBy) {
    struct Case {
        const char* name;
        double real_mb;
        int count;
        std::function<void(Traffic&, int)> send;
    };
    const auto n = [](int i) { return std::to_string(i); };
    const auto added = GrowthReply{Kind::integer, 1};
    const std::vector<Case> cases{
        {"SET 1 KB", 44, 40'000, [&](Traffic& t, int i) { t.set("k:" + n(i), 1000); }},
        {"SET 1 byte",
         11,
         200'000,
         [&](Traffic& t, int i) {
             t.send({"SET", "c" + n(i), "1"}, {Kind::other}, 133);
         }},
        {"SET 100 KB", 91.8, 800, [&](Traffic& t, int i) { t.set("k:" + n(i), 100'000); }},
        {"LPUSH 400",
         24.7,
         60'000,
         [&](Traffic& t, int i) {
             t.send({"LPUSH", "q", std::string(400, 'x')}, {Kind::integer, i + 1}, 720);
         }},
        {"HSET 200",
         16.3,
         60'000,
         [&](Traffic& t, int i) {
             t.send({"HSET", "h", "u" + n(i), std::string(200, 'x')}, added, 440);
         }},
        {"ZADD",
         22.3,
         200'000,
         [&](Traffic& t, int i) {
             t.send({"ZADD", "z", n(i), "player-" + n(i)}, added, 250);
         }},
        {"XADD 300",
         19,
         60'000,
         [&](Traffic& t, int) {
             t.send({"XADD", "e", "*", "url", std::string(300, 'x')}, {Kind::bulk, 15}, 536);
         }},
        {"SADD",
         4.4,
         60'000,
         [&](Traffic& t, int i) {
             t.send({"SADD", "s", "m" + n(i) + "-xxxxxxxxxxxxxxx"}, added, 300);
         }},
    };
    for (const Case& of : cases) {
        Traffic traffic;
        for (int i = 0; i < of.count; ++i) {
            of.send(traffic, i);
        }
        double sum = 0;
        for (const auto& [pattern, bytes] : traffic.told()) {
            sum += bytes;
        }
        EXPECT_NEAR(sum / mb, of.real_mb, .1 * of.real_mb) << of.name;
    }
}

// Six writes and one of another kind, over and over, 4 KB in all: with a fixed gap it is the same
// one of them that is looked at each time.
TEST(GrowthSampler, DoesNotFallIntoStepWithPeriodicTraffic) {
    for (std::uint64_t seed = 1; seed < 6; ++seed) {
        Traffic traffic(seed * 7919);
        constexpr int rounds = 20'000;
        const std::string value(350, 'x');
        for (int i = 0; i < rounds; ++i) {
            const std::string id = std::to_string(i);
            for (int k = 0; k < 6; ++k) {
                traffic.send({"SET", "task:" + id + std::to_string(k), value}, {Kind::other}, 600);
            }
            traffic.send({"SADD", "reply", "m" + id}, {Kind::integer, 1}, 496);
        }
        auto told = traffic.told();
        EXPECT_NEAR(told["task:*"] / mb, rounds * 6 * 475 / mb, 6) << seed;
        EXPECT_NEAR(told["reply"] / mb, rounds * 62 / mb, .6) << seed;
    }
}

TEST(GrowthSampler, AnySeedTellsTheSame) {
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        Traffic traffic(seed * 7919);
        for (int i = 0; i < 40'000; ++i) {
            traffic.set("k:" + std::to_string(i), 1000);
        }
        EXPECT_NEAR(traffic.told().at("k:*") / mb, 44, 4) << seed;
    }
}

TEST(GrowthSampler, WhatIsOverwrittenDoesNotGrow) {
    std::mt19937 random(3);
    for (const int written : {20'000, 60'000, 160'000}) {
        Traffic traffic;
        for (int i = 0; i < written; ++i) {
            traffic.set("stock:" + std::to_string(random() % 2000), 1000);
            if (i % 5 == 0) {
                traffic.set("thumb:" + std::to_string(i), 1000);
            }
        }
        const auto told = traffic.told();
        const double leaked = written / 5.0 * 1100;
        EXPECT_NEAR(told.at("thumb:*"), leaked, (written < 60'000 ? .3 : .15) * leaked) << written;
        if (written >= 60'000) {
            EXPECT_LT(told.at("stock:*"), 9 * mb) << written << ", of which 2.2 are there";
            EXPECT_LT(told.at("stock:*"), told.at("thumb:*")) << written;
        }
    }
}

TEST(GrowthSampler, AValueThatGetsLongerGrowsByThat) {
    Traffic traffic;
    for (int i = 0; i < 1000; ++i) {
        traffic.set("config", 100'000);
    }
    EXPECT_LT(traffic.told().at("config"), .2 * mb);
    for (int i = 0; i < 200; ++i) {
        traffic.set("config", 5'000'000);
    }
    EXPECT_NEAR(traffic.told().at("config") / mb, 5, .6);
}

TEST(GrowthSampler, AQueueThatIsConsumedDoesNotGrow) {
    Traffic traffic;
    int length = 0;
    for (int i = 0; i < 100'000; ++i) {
        traffic.send({"LPUSH", "jobs", std::string(1000, 'x')}, {Kind::integer, ++length}, 1450);
        if (i >= 60) {
            traffic.send({"RPOP", "jobs"}, {Kind::bulk, 1000}, 0);
            --length;
        }
    }
    EXPECT_LT(traffic.told()["jobs"], mb) << "of 100 that went through it";
}

// Queues of a moment, one a job: hardly any is looked at twice.
TEST(GrowthSampler, RemovalsCountAgainstTheirPattern) {
    struct Case {
        std::vector<std::string> adds;
        std::vector<std::string> removes;
        GrowthReply added;
        GrowthReply removed;
        std::int64_t bound;
    };
    const std::string value(400, 'x');
    const GrowthReply one{Kind::integer, 1};
    const std::vector<Case> cases{
        {{"SET", "", value}, {"DEL", ""}, {Kind::other}, one, 640},
        {{"SET", "", value}, {"UNLINK", ""}, {Kind::other}, one, 640},
        {{"SET", "", value}, {"GETDEL", ""}, {Kind::other}, {Kind::bulk, 400}, 640},
        {{"LPUSH", "", value}, {"RPOP", ""}, one, {Kind::bulk, 400}, 720},
        {{"LPUSH", "", value}, {"BRPOP", "", "0"}, one, {Kind::array, 2}, 720},
        {{"SADD", "s", value}, {"SREM", "s", value}, one, one, 770},
        {{"ZADD", "z", "1", value}, {"ZREM", "z", value}, one, one, 720},
        {{"ZADD", "z", "1", value}, {"ZPOPMIN", "z"}, one, {Kind::array, 2}, 720},
        {{"HSET", "h", "f", value}, {"HDEL", "h", "f"}, one, one, 680},
        {{"HSET", "", "f", value}, {"DEL", ""}, one, one, 680},
        {{"XADD", "x", "*", "f", value}, {"XDEL", "x", "1-1"}, {Kind::bulk, 15}, one, 660},
        {{"XADD", "x", "*", "f", value}, {"XTRIM", "x", "MAXLEN", "0"}, {Kind::bulk, 15}, one, 660},
    };
    for (const Case& of : cases) {
        Traffic balanced;
        Traffic growing;
        auto adds = of.adds;
        auto removes = of.removes;
        for (int i = 0; i < 60'000; ++i) {
            if (of.adds[1].empty()) {
                adds[1] = removes[1] = "job:" + std::to_string(i);
            }
            balanced.send(adds, of.added, of.bound);
            balanced.send(removes, of.removed, 0);
            growing.send(adds, of.added, of.bound);
            growing.send(removes, {Kind::integer, 0}, 0);
        }
        const auto sum = [](const Traffic& traffic) {
            double bytes = 0;
            for (const auto& row : traffic.told()) {
                bytes += row.second;
            }
            return bytes;
        };
        EXPECT_GT(sum(growing), 20 * mb) << of.adds[0] << ' ' << of.removes[0];
        EXPECT_LT(sum(balanced), .15 * sum(growing)) << of.adds[0] << ' ' << of.removes[0];
    }
}

TEST(GrowthSampler, AnEmptyQueueThatIsPolledLosesNothing) {
    Traffic traffic;
    for (int i = 0; i < 100'000; ++i) {
        traffic.send({"SADD", "s:1", std::string(100, 'x')}, {Kind::integer, 1}, 400);
        traffic.send({"SPOP", "s:2"}, {Kind::null}, 0);
    }
    EXPECT_GT(traffic.told().at("s:*"), 12 * mb);
}

TEST(GrowthSampler, CappedListsAndStreamsStayAsTheyAre) {
    Traffic traffic;
    int length = 0;
    for (int i = 0; i < 60'000; ++i) {
        length = std::min(length + 1, 1001);
        traffic.send({"LPUSH", "recent", std::string(500, 'x')}, {Kind::integer, length}, 840);
        traffic.send({"LTRIM", "recent", "0", "999"}, {Kind::other}, 0);
        length = std::min(length, 1000);
        traffic.send(
            {"XADD", "events", "MAXLEN", "~", "1000", "*", "f", std::string(500, 'x')},
            {Kind::bulk, 15},
            800
        );
    }
    auto told = traffic.told();
    EXPECT_LT(told["recent"], .7 * mb);
    EXPECT_LT(told["events"], .7 * mb);
}

TEST(GrowthSampler, WhatIsThereOrWasRefusedAddsNothing) {
    Traffic traffic;
    for (int i = 0; i < 30'000; ++i) {
        const std::string member = "m" + std::to_string(i);
        traffic.send({"SADD", "s", member}, {Kind::integer, 0}, 300);
        traffic.send({"ZADD", "z", "1", member}, {Kind::integer, 0}, 300);
        traffic.send({"HSET", "h", member, "v"}, {Kind::integer, 0}, 300);
        traffic.send({"SETNX", "n:" + member, "v"}, {Kind::integer, 0}, 300);
        traffic.send({"SET", "x:" + member, "v", "NX"}, {Kind::null}, 300);
        traffic.send({"SET", "o:" + member, "v"}, {Kind::failed}, 300);
        traffic.send({"INCR", "i"}, {Kind::integer, i + 2}, 120);
    }
    EXPECT_TRUE(traffic.told().empty());
    EXPECT_GT(traffic.looks, 500);
}

TEST(GrowthSampler, WhatExpiresIsGone) {
    Traffic traffic;
    for (int s = 0; s < 300; ++s) {
        traffic.now += second;
        for (int i = 0; i < 200; ++i) {
            const std::string id = std::to_string(s * 200 + i);
            traffic.set("session:" + id, 1000, {"EX", "20"});
            if (i % 20 == 0) {
                traffic.set("leak:" + id, 1000);
            }
        }
        traffic.sampler.expire(traffic.now);
    }
    auto told = traffic.told();
    EXPECT_LT(told["session:*"], 6 * mb) << "20 seconds of them are 4.4 MB; 66 were written";
    EXPECT_GT(told["leak:*"], 2 * mb);
}

TEST(GrowthSampler, MovesTakeFromOneListWhatTheOtherGets) {
    Traffic traffic;
    int length = 0;
    for (int i = 0; i < 100'000; ++i) {
        traffic.send({"LPUSH", "todo", std::string(500, 'x')}, {Kind::integer, ++length}, 840);
        traffic.send({"RPOPLPUSH", "todo", "doing"}, {Kind::bulk, 500}, 300);
        --length;
    }
    EXPECT_LT(traffic.told()["todo"], mb);
}

TEST(GrowthSampler, ScriptsCountOncePerText) {
    Traffic traffic;
    GrowthSample sample;
    sample.model = growth_model("EVAL", Words({"EVAL", std::string(1000, 'x'), "0"}), 1250);
    sample.key = 1;
    sample.stands_for = 50;
    sample.pattern_size = 0;
    for (int i = 0; i < 1000; ++i) {
        traffic.sampler.settle(sample, {Kind::other}, "orm", "EVAL", traffic.now);
    }
    EXPECT_LT(traffic.told().at(""), 2000);
}

}  // namespace
}  // namespace spillway::policy
