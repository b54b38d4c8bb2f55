// The built-in facts, held against the COMMAND reply of a real server and against what is known of
// single commands.
#include "resp/command_facts.hpp"

#include "tests/unit/resp/command_fixture.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

const CommandFacts* facts_of(std::string_view name) {
    for (const CommandFacts& facts : command_facts()) {
        if (facts.name == name) {
            return &facts;
        }
    }
    return nullptr;
}

// The facts of a command that must be there.
const CommandFacts& known(std::string_view name) {
    static const CommandFacts none;
    const CommandFacts* facts = facts_of(name);
    EXPECT_NE(facts, nullptr) << name;
    return facts == nullptr ? none : *facts;
}

std::set<std::string> split(const std::string& words) {
    std::set<std::string> out;
    std::size_t begin = 0;
    while (begin < words.size()) {
        const std::size_t end = std::min(words.find(' ', begin), words.size());
        out.insert(words.substr(begin, end - begin));
        begin = end + 1;
    }
    return out;
}

TEST(CommandFacts, AreSortedAndNamedOnce) {
    const auto facts = command_facts();
    EXPECT_GT(facts.size(), 350U);
    for (std::size_t i = 1; i < facts.size(); ++i) {
        EXPECT_LT(facts[i - 1].name, facts[i].name);
    }
}

TEST(CommandFacts, NameTheContainerOfEverySubcommand) {
    for (const CommandFacts& facts : command_facts()) {
        for (const char c : facts.name) {
            EXPECT_TRUE(
                (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '|'
            ) << facts.name;
        }
        const std::size_t bar = facts.name.find('|');
        if (bar == std::string_view::npos) {
            continue;
        }
        EXPECT_NE(facts_of(facts.name.substr(0, bar)), nullptr) << facts.name;
        EXPECT_EQ(facts.name.find('|', bar + 1), std::string_view::npos) << facts.name;
    }
}

TEST(CommandFacts, KnowEveryCommandOfALiveServer) {
    std::size_t live = 0;
    test::for_each_live_command([&live](const Reply& entry) {
        ++live;
        EXPECT_NE(facts_of(entry.elements[test::name_at].text), nullptr)
            << entry.elements[test::name_at].text;
    });
    EXPECT_EQ(live, 366U) << "240 commands and 126 subcommands were captured";
}

TEST(CommandFacts, FlagDenyoomAsTheLiveServerDoes) {
    std::set<std::string> live;
    std::set<std::string> ours;
    test::for_each_live_command([&](const Reply& entry) {
        const std::string name(entry.elements[test::name_at].text);
        if (test::has_flag(entry, "denyoom")) {
            live.insert(name);
        }
        if (known(name).denyoom) {
            ours.insert(name);
        }
    });
    EXPECT_EQ(live.size(), 59U);
    EXPECT_EQ(ours, live);
}

TEST(CommandFacts, FlagDenyoomOfNewerReleases) {
    std::set<std::string> newer;
    for (const CommandFacts& facts : command_facts()) {
        if (facts.denyoom) {
            newer.insert(std::string(facts.name));
        }
    }
    test::for_each_live_command([&](const Reply& entry) {
        newer.erase(std::string(entry.elements[test::name_at].text));
    });
    EXPECT_EQ(newer, split("arinsert armset arring arset hsetex increx msetex vadd xidmprecord"));
}

TEST(CommandFacts, FlagWritesAsTheLiveServerDoes) {
    test::for_each_live_command([](const Reply& entry) {
        const std::string_view name = entry.elements[test::name_at].text;
        EXPECT_EQ(known(name).write, test::has_flag(entry, "write")) << name;
    });
}

TEST(CommandFacts, PlaceFixedKeysAsTheLiveServerDoes) {
    test::for_each_live_command([](const Reply& entry) {
        const std::string_view name = entry.elements[test::name_at].text;
        const KeyRange& keys = known(name).keys;
        EXPECT_EQ(keys.first, entry.elements[test::first_key_at].integer) << name;
        EXPECT_EQ(keys.last, entry.elements[test::last_key_at].integer) << name;
        if (keys.first != 0) {
            EXPECT_EQ(keys.step, entry.elements[test::step_at].integer) << name;
        }
    });
}

// A map of the reply, whose keys are texts.
const Reply& field(const Reply& map, std::string_view key) {
    for (std::size_t i = 0; i + 1 < map.elements.size(); i += 2) {
        if (map.elements[i].text == key) {
            return map.elements[i + 1];
        }
    }
    ADD_FAILURE() << "no field " << key;
    return map;
}

TEST(CommandFacts, FindMovableKeysAsTheLiveServerDoes) {
    std::size_t counted = 0;
    std::size_t behind_words = 0;
    test::for_each_live_command([&](const Reply& entry) {
        const std::string_view name = entry.elements[test::name_at].text;
        KeyRange live;
        for (const Reply& key_spec : entry.elements[test::key_specs_at].elements) {
            const Reply& search = field(key_spec, "begin_search");
            const Reply& find = field(key_spec, "find_keys");
            const std::string_view way = field(search, "type").text;
            if (way == "index" && field(find, "type").text == "keynum") {
                EXPECT_EQ(field(field(find, "spec"), "firstkey").integer, 1) << name;
                live.numkeys_at =
                    static_cast<std::int8_t>(field(field(search, "spec"), "index").integer);
                ++counted;
            } else if (way == "keyword" && name != "migrate") {
                const std::string_view word = field(field(search, "spec"), "keyword").text;
                live.word = word == "STREAMS" ? KeyWord::streams : KeyWord::store;
                live.word_from =
                    static_cast<std::uint8_t>(field(field(search, "spec"), "startfrom").integer);
                ++behind_words;
            }
        }
        // The server cannot describe where SORT's STORE stands; it may be any argument behind the
        // key.
        if (name == "sort") {
            live = {.word = KeyWord::store, .word_from = 2};
        }
        const KeyRange& keys = known(name).keys;
        EXPECT_EQ(keys.numkeys_at, live.numkeys_at) << name;
        EXPECT_EQ(keys.word, live.word) << name;
        EXPECT_EQ(keys.word_from, live.word_from) << name;
    });
    EXPECT_EQ(counted, 18U);
    EXPECT_EQ(behind_words, 6U);
}

TEST(CommandFacts, GiveAGrowthClassToAllThatTheServerGates) {
    for (const CommandFacts& facts : command_facts()) {
        const bool gated = facts.growth == Growth::proportional || facts.growth == Growth::offset ||
                           facts.growth == Growth::unbounded;
        EXPECT_EQ(facts.denyoom, gated) << facts.name;
        EXPECT_TRUE(facts.write || !facts.denyoom) << facts.name;
        EXPECT_EQ(facts.growth == Growth::offset, facts.offset_at != 0) << facts.name;
        EXPECT_EQ(facts.cost.per_element == 0, facts.cost.element_stride == 0) << facts.name;
    }
}

std::set<std::string> names_in(Growth growth) {
    std::set<std::string> names;
    for (const CommandFacts& facts : command_facts()) {
        if (facts.growth == growth) {
            names.insert(std::string(facts.name));
        }
    }
    return names;
}

TEST(CommandFacts, TellWhatNoArgumentBounds) {
    EXPECT_EQ(names_in(Growth::offset), split("bitfield setbit setrange"));
    EXPECT_EQ(
        names_in(Growth::unbounded),
        split("bitop copy georadius georadiusbymember geosearchstore pfmerge restore "
              "restore-asking sdiffstore sinterstore sort "
              "sunionstore zdiffstore zinterstore zrangestore zunionstore")
    );
    EXPECT_EQ(names_in(Growth::script), split("eval evalsha fcall"));
}

TEST(CommandFacts, TellWhatFreesAndIsNeverToBeHeld) {
    const std::string freeing =
        "del unlink getdel flushdb flushall hdel lpop rpop ltrim lrem lmpop blpop brpop blmpop "
        "srem spop zrem zremrangebylex "
        "zremrangebyrank zremrangebyscore zpopmin zpopmax zmpop bzpopmin bzpopmax bzmpop xdel "
        "xtrim xack xgroup|destroy "
        "xgroup|delconsumer function|delete function|flush script|flush persist client|kill "
        "delifeq delex hgetdel hpersist "
        "xackdel xdelex vrem unsubscribe punsubscribe sunsubscribe";
    for (const std::string& name : split(freeing)) {
        EXPECT_EQ(known(name).growth, Growth::freeing) << name;
    }
}

TEST(CommandFacts, TellWhatGrowsThoughTheServerDoesNotGateIt) {
    const std::string ungated =
        "expire pexpire expireat pexpireat getex hexpire hgetex xreadgroup xclaim xautoclaim watch "
        "subscribe psubscribe "
        "ssubscribe client|tracking script|load";
    for (const std::string& name : split(ungated)) {
        EXPECT_EQ(known(name).growth, Growth::ungated) << name;
        EXPECT_FALSE(known(name).denyoom) << name;
    }
    for (const std::string& name :
         split("get eval_ro evalsha_ro fcall_ro info config|set sort_ro bitfield_ro multi exec")) {
        EXPECT_EQ(known(name).growth, Growth::other) << name;
    }
}

TEST(CommandFacts, TellWhichCommandsChangeTheConnection) {
    const std::map<std::string, Effect> expected = {
        {"auth", Effect::auth},
        {"hello", Effect::hello},
        {"select", Effect::select},
        {"multi", Effect::multi},
        {"exec", Effect::exec},
        {"discard", Effect::discard},
        {"watch", Effect::watch},
        {"unwatch", Effect::unwatch},
        {"reset", Effect::reset},
        {"quit", Effect::quit},
        {"client|setname", Effect::client_setname},
        {"client|setinfo", Effect::client_setinfo},
        {"config|set", Effect::limit},
        {"flushall", Effect::flush},
        {"flushdb", Effect::flush},
        {"asking", Effect::one_shot},
        {"client|caching", Effect::one_shot},
    };
    for (const CommandFacts& facts : command_facts()) {
        const auto found = expected.find(std::string(facts.name));
        EXPECT_EQ(facts.effect, found == expected.end() ? Effect::none : found->second)
            << facts.name;
    }
    for (const auto& [name, effect] : expected) {
        EXPECT_NE(facts_of(name), nullptr) << name;
    }
}

TEST(CommandFacts, TellWhichCommandsAreNotAnsweredOnce) {
    using Shape = std::pair<Replies, SubscriptionKind>;
    const std::map<std::string, Shape> expected = {
        {"subscribe", {Replies::subscribe, SubscriptionKind::channel}},
        {"psubscribe", {Replies::subscribe, SubscriptionKind::pattern}},
        {"ssubscribe", {Replies::subscribe, SubscriptionKind::shard}},
        {"unsubscribe", {Replies::unsubscribe, SubscriptionKind::channel}},
        {"punsubscribe", {Replies::unsubscribe, SubscriptionKind::pattern}},
        {"sunsubscribe", {Replies::unsubscribe, SubscriptionKind::shard}},
        {"monitor", {Replies::monitor, SubscriptionKind::channel}},
        {"sync", {Replies::replication, SubscriptionKind::channel}},
        {"psync", {Replies::replication, SubscriptionKind::channel}},
        {"cluster|syncslots", {Replies::replication, SubscriptionKind::channel}},
        {"client|reply", {Replies::client_reply, SubscriptionKind::channel}},
    };
    for (const CommandFacts& facts : command_facts()) {
        const auto found = expected.find(std::string(facts.name));
        const Shape shape = found == expected.end() ? Shape{} : found->second;
        EXPECT_EQ(Shape(facts.replies, facts.subscription), shape) << facts.name;
    }
    for (const auto& [name, shape] : expected) {
        EXPECT_NE(facts_of(name), nullptr) << name;
    }
}

TEST(CommandFacts, ChargeWhatWasMeasured) {
    EXPECT_EQ(known("set").cost.per_command, 120);
    EXPECT_EQ(known("setnx").cost.per_command, 100);
    EXPECT_EQ(known("setex").cost.per_command, 156) << "with an entry among the expires";
    EXPECT_EQ(known("watch").cost.per_element, 220);
    EXPECT_EQ(known("mset").cost.per_command, 0);
    EXPECT_EQ(known("mset").cost.per_element, 100);
    EXPECT_EQ(known("mset").cost.element_stride, 2);
    EXPECT_EQ(known("setrange").offset_at, 2);
    EXPECT_FALSE(known("setrange").offset_in_bits);
    EXPECT_EQ(known("setbit").offset_at, 2);
    EXPECT_TRUE(known("setbit").offset_in_bits);
    EXPECT_EQ(known("bitfield").offset_at, 4);
    EXPECT_TRUE(known("bitfield").offset_in_bits);
}

TEST(CommandFacts, ClassLabelsAreThoseOfTheMetrics) {
    EXPECT_EQ(class_label(Growth::proportional), "growing");
    EXPECT_EQ(class_label(Growth::offset), "growing");
    EXPECT_EQ(class_label(Growth::unbounded), "unbounded");
    EXPECT_EQ(class_label(Growth::script), "script");
    EXPECT_EQ(class_label(Growth::ungated), "ungated");
    EXPECT_EQ(class_label(Growth::freeing), "freeing");
    EXPECT_EQ(class_label(Growth::other), "other");
}

}  // namespace
}  // namespace spillway::resp
