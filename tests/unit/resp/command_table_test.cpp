// Lookup by name in every letter case and near miss; overlays with a real COMMAND reply and with
// what a server should never send.
#include "resp/command_table.hpp"

#include "tests/unit/resp/command_fixture.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::resp {
namespace {

using test::entry;
using test::entry_with_subcommands;
using test::flags;
using test::list_of;

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    return out;
}

// Every other letter in upper case.
std::string mixed(std::string_view text) {
    std::string out(text);
    for (std::size_t i = 0; i < out.size(); i += 2) {
        out[i] = static_cast<char>(std::toupper(static_cast<unsigned char>(out[i])));
    }
    return out;
}

// "container|sub" or "command", as the facts and the live list write names.
const CommandInfo* find(const CommandTable& table, std::string_view name) {
    const std::size_t bar = name.find('|');
    if (bar == std::string_view::npos) {
        return table.find(name);
    }
    const CommandInfo* container = table.find(name.substr(0, bar));
    return container == nullptr ? nullptr : table.find_sub(*container, name.substr(bar + 1));
}

const CommandInfo& known(const CommandTable& table, std::string_view name) {
    static const CommandInfo none;
    const CommandInfo* info = find(table, name);
    EXPECT_NE(info, nullptr) << name;
    return info == nullptr ? none : *info;
}

TEST(CommandTable, FindsEveryNameInEveryLetterCase) {
    const CommandTable table;
    EXPECT_EQ(table.count(), command_facts().size());
    for (const CommandFacts& facts : command_facts()) {
        const CommandInfo& info = known(table, facts.name);
        std::string shown = upper(facts.name);
        std::replace(shown.begin(), shown.end(), '|', ' ');
        EXPECT_EQ(info.name(), shown);
        EXPECT_EQ(find(table, upper(facts.name)), &info) << facts.name;
        EXPECT_EQ(find(table, mixed(facts.name)), &info) << facts.name;
        EXPECT_EQ(&table.at(info.id), &info);
        EXPECT_TRUE(info.known);
        EXPECT_FALSE(info.live);
        EXPECT_EQ(info.growth, facts.growth);
        EXPECT_EQ(info.denyoom, facts.denyoom);
        EXPECT_EQ(info.write, facts.write);
        EXPECT_EQ(info.replies, facts.replies);
        EXPECT_EQ(info.subscription, facts.subscription);
        EXPECT_EQ(info.effect, facts.effect);
        EXPECT_EQ(info.keys.first, facts.keys.first);
        EXPECT_EQ(info.cost.per_command, facts.cost.per_command);
        EXPECT_EQ(info.offset_at, facts.offset_at);
        EXPECT_EQ(info.offset_in_bits, facts.offset_in_bits);
    }
}

TEST(CommandLookup, FindsWhatTheTableFindsTheFirstTimeAndAgain) {
    CommandLookup lookup;
    std::vector<std::string> names = {"", "GEX", "g", "zzzzzzz", "zzzzzzzz", "GET\xff"};
    names.push_back(std::string("GET\0", 4));
    for (const CommandInfo& command : lookup.table().commands()) {
        names.emplace_back(command.name());
        std::string lower(command.name());
        std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) {
            return static_cast<char>(std::tolower(c));
        });
        names.push_back(lower);
    }
    for (int round = 0; round < 3; ++round) {
        for (const std::string& name : names) {
            EXPECT_EQ(lookup.find(name), lookup.table().find(name)) << name;
            EXPECT_EQ(lookup.find(name), lookup.table().find(name)) << name;
        }
    }
}

TEST(CommandTable, NumbersCommandsFromZeroWithoutGaps) {
    const CommandTable table;
    for (std::size_t i = 0; i < table.count(); ++i) {
        EXPECT_EQ(table.commands()[i].id, i);
    }
}

TEST(CommandTable, DoesNotFindWhatDiffersInOneByte) {
    const CommandTable table;
    for (const CommandInfo& info : table.commands()) {
        if (info.container != no_command) {
            continue;
        }
        const std::string name(info.name());
        for (std::size_t i = 0; i < name.size(); ++i) {
            // 0x20 is what letter cases differ in; elsewhere it makes another byte.
            for (const int bit : {0x20, 0x40, 0x80}) {
                std::string other = name;
                other[i] = static_cast<char>(static_cast<unsigned char>(other[i]) ^ bit);
                const bool only_case =
                    std::isalpha(static_cast<unsigned char>(name[i])) != 0 && bit == 0x20;
                EXPECT_EQ(table.find(other) == &info, only_case) << other;
            }
        }
        EXPECT_NE(table.find(name + '\0'), &info) << "a zero byte is a byte of the name";
        EXPECT_NE(table.find(name + ' '), &info);
        EXPECT_NE(table.find(name.substr(0, name.size() - 1)), &info);
        EXPECT_NE(table.find(name.substr(1)), &info);
    }
}

TEST(CommandTable, DoesNotFindNamesOfNoUsableLength) {
    const CommandTable table;
    EXPECT_EQ(table.find(""), nullptr);
    EXPECT_EQ(table.find(std::string_view()), nullptr);
    for (std::size_t size = 1; size <= 200; ++size) {
        EXPECT_EQ(table.find(std::string(size, 'q')), nullptr) << size;
        EXPECT_EQ(table.find(std::string(size, '\0')), nullptr) << size;
    }
}

TEST(CommandTable, ReadsNoByteBeyondTheName) {
    const CommandTable table;
    // On the heap, without a terminator, so that a sanitizer sees any byte read too many.
    for (const CommandFacts& facts : command_facts()) {
        const std::vector<char> exact(facts.name.begin(), facts.name.end());
        const std::string_view name(exact.data(), exact.size());
        EXPECT_EQ(table.find(name) != nullptr, facts.name.find('|') == std::string_view::npos);
    }
}

TEST(CommandTable, KeepsSubcommandsApartFromCommands) {
    const CommandTable table;
    const CommandInfo& client = known(table, "client");
    const CommandInfo& reply = known(table, "client|reply");
    EXPECT_TRUE(client.has_subcommands);
    EXPECT_FALSE(reply.has_subcommands);
    EXPECT_EQ(reply.container, client.id);
    EXPECT_EQ(reply.name(), "CLIENT REPLY");
    EXPECT_EQ(table.find("client|reply"), nullptr);
    EXPECT_EQ(table.find("CLIENT REPLY"), nullptr);
    EXPECT_EQ(table.find("reply"), nullptr);
    EXPECT_EQ(table.find_sub(client, "client reply"), nullptr);
    EXPECT_EQ(table.find_sub(client, "nothing"), nullptr);
    EXPECT_EQ(table.find_sub(client, ""), nullptr);
    EXPECT_EQ(table.find_sub(client, "get"), nullptr) << "CONFIG has GET, CLIENT has not";
    EXPECT_EQ(table.find_sub(known(table, "get"), "get"), nullptr);
    EXPECT_NE(
        table.find_sub(known(table, "config"), "get"),
        table.find_sub(known(table, "slowlog"), "get")
    );
}

TEST(CommandTable, PutsEachGrowingCommandIntoOneGroup) {
    const CommandTable table;
    EXPECT_TRUE(known(table, "set").in(CommandGroup::growing));
    EXPECT_TRUE(known(table, "setrange").in(CommandGroup::growing));
    EXPECT_FALSE(known(table, "set").in(CommandGroup::unbounded));
    EXPECT_TRUE(known(table, "copy").in(CommandGroup::unbounded));
    EXPECT_FALSE(known(table, "copy").in(CommandGroup::growing));
    EXPECT_TRUE(known(table, "eval").in(CommandGroup::script));
    for (const std::string_view name : {"get", "del", "expire", "eval_ro"}) {
        for (const CommandGroup group :
             {CommandGroup::growing, CommandGroup::unbounded, CommandGroup::script}) {
            EXPECT_FALSE(known(table, name).in(group)) << name;
        }
    }
}

TEST(CommandTable, KeepsItsCommandsWhenMoved) {
    CommandTable table;
    const CommandInfo* set = table.find("set");
    const CommandTable moved = std::move(table);
    EXPECT_EQ(moved.find("set"), set);
    EXPECT_EQ(set->name(), "SET");
}

TEST(Overlay, OfARealServerAgreesWithTheFacts) {
    const CommandTable built_in;
    const CommandTable table = overlay(built_in, test::command_reply());
    EXPECT_EQ(table.overlay_counts().taken, 366U);
    EXPECT_EQ(table.overlay_counts().skipped, 0U);
    EXPECT_EQ(table.overlay_counts().unknown, 0U);
    EXPECT_FALSE(table.overlay_counts().flags_hidden);
    EXPECT_EQ(table.count(), built_in.count());
    test::for_each_live_command([&](const Reply& live) {
        const std::string_view name = live.elements[test::name_at].text;
        const CommandInfo& info = known(table, name);
        const CommandInfo& before = known(built_in, name);
        EXPECT_TRUE(info.live) << name;
        EXPECT_EQ(info.id, before.id) << name;
        EXPECT_EQ(info.denyoom, before.denyoom) << name;
        EXPECT_EQ(info.write, before.write) << name;
        EXPECT_EQ(info.growth, before.growth) << name;
        EXPECT_EQ(info.keys.first, before.keys.first) << name;
        EXPECT_EQ(info.keys.numkeys_at, before.keys.numkeys_at) << name;
        EXPECT_EQ(info.movable_keys, test::has_flag(live, "movablekeys")) << name;
    });
}

TEST(Overlay, TrustsTheLiveListOverTheBuiltInFlags) {
    const CommandTable built_in;
    const CommandTable redis_7_0 = overlay(built_in, test::command_reply());
    EXPECT_TRUE(known(built_in, "hsetex").denyoom);
    EXPECT_FALSE(known(redis_7_0, "hsetex").denyoom) << "7.0 has no HSETEX to refuse";
    EXPECT_FALSE(known(redis_7_0, "hsetex").live);

    // Newer servers gate SUBSCRIBE; a server may also gate what ours does not.
    const CommandTable newer = overlay(
        built_in,
        list_of({entry("subscribe", flags({"pubsub", "denyoom"})), entry("set", flags({"write"}))})
    );
    EXPECT_TRUE(known(newer, "subscribe").denyoom);
    EXPECT_EQ(known(newer, "subscribe").growth, Growth::ungated);
    EXPECT_EQ(known(newer, "subscribe").replies, Replies::subscribe);
    EXPECT_FALSE(known(newer, "subscribe").write);
    EXPECT_FALSE(known(newer, "set").denyoom);
    EXPECT_TRUE(known(newer, "set").write);
    EXPECT_FALSE(known(newer, "mset").denyoom);
}

TEST(Overlay, AddsWhatOnlyTheServerKnows) {
    const CommandTable built_in;
    const CommandTable table = overlay(
        built_in,
        list_of(
            {entry("json.set", flags({"write", "denyoom", "module"}), {1, 1, 1}),
             entry("ft.search", flags({"readonly", "denyoom"})),
             entry("json.get", flags({"readonly", "movablekeys"}), {1, -1, 2}),
             entry_with_subcommands(
                 "module.box",
                 flags({"write"}),
                 {entry("module.box|fill", flags({"write", "denyoom"}), {2, 2, 1}),
                  entry("drain", flags({"write"}), {2, 2, 1})}
             )}
        )
    );
    EXPECT_EQ(table.overlay_counts().taken, 6U);
    EXPECT_EQ(table.overlay_counts().unknown, 6U);
    EXPECT_EQ(table.count(), built_in.count() + 6);

    const CommandInfo& set = known(table, "Json.Set");
    EXPECT_EQ(set.name(), "JSON.SET");
    EXPECT_EQ(set.growth, Growth::proportional);
    EXPECT_GT(set.cost.per_command, 0);
    EXPECT_TRUE(set.denyoom);
    EXPECT_TRUE(set.live);
    EXPECT_FALSE(set.known);
    EXPECT_EQ(set.keys.first, 1);
    EXPECT_EQ(table.find("JSON\x0eSET"), nullptr) << "'.' has no letter case";

    EXPECT_TRUE(known(table, "ft.search").denyoom);
    EXPECT_EQ(known(table, "ft.search").growth, Growth::other) << "a read never grows";
    EXPECT_EQ(known(table, "json.get").growth, Growth::other);
    EXPECT_TRUE(known(table, "json.get").movable_keys);
    EXPECT_EQ(known(table, "json.get").keys.last, -1);
    EXPECT_EQ(known(table, "json.get").keys.step, 2);

    EXPECT_TRUE(known(table, "module.box").has_subcommands);
    EXPECT_EQ(known(table, "module.box|fill").name(), "MODULE.BOX FILL");
    EXPECT_EQ(known(table, "module.box|fill").growth, Growth::proportional);
    EXPECT_EQ(known(table, "module.box|drain").growth, Growth::other);
}

TEST(Overlay, LetsAContainerOfRedis62StandForItsSubcommands) {
    const CommandTable table = overlay(
        CommandTable(),
        list_of(
            {entry("xgroup", flags({"write", "denyoom"}), {2, 2, 1}),
             entry("object", flags({"readonly"}), {2, 2, 1}),
             entry("set", flags({"write", "denyoom"}), {1, 1, 1})}
        )
    );
    EXPECT_TRUE(known(table, "xgroup|create").denyoom);
    EXPECT_TRUE(known(table, "xgroup|destroy").denyoom) << "6.2 refuses this, too …";
    EXPECT_EQ(known(table, "xgroup|destroy").growth, Growth::freeing) << "… but it still frees";
    EXPECT_FALSE(known(table, "object|freq").denyoom);
    EXPECT_FALSE(known(table, "function|load").denyoom) << "6.2 has no functions";
    EXPECT_EQ(known(table, "xgroup").keys.first, 2);

    // As of 7.0 the container's own flag says nothing of a subcommand that is listed or left out.
    const CommandTable nested = overlay(
        CommandTable(),
        list_of({entry_with_subcommands(
            "xgroup", flags({"denyoom"}), {entry("xgroup|create", flags({"write"}))}
        )})
    );
    EXPECT_FALSE(known(nested, "xgroup|create").denyoom);
    EXPECT_FALSE(known(nested, "xgroup|createconsumer").denyoom);
}

TEST(Overlay, KeepsBuiltInFlagsWhereTheServerShowsNone) {
    const CommandTable table = overlay(
        CommandTable(),
        list_of(
            {entry("set", flags({})), entry("get", flags({"readonly"})), entry("novel", flags({}))}
        )
    );
    EXPECT_TRUE(table.overlay_counts().flags_hidden);
    EXPECT_EQ(table.overlay_counts().taken, 3U);
    EXPECT_TRUE(known(table, "set").denyoom);
    EXPECT_TRUE(known(table, "set").write);
    EXPECT_TRUE(known(table, "hset").denyoom);
    EXPECT_FALSE(known(table, "get").denyoom);
    EXPECT_FALSE(known(table, "novel").denyoom);
}

TEST(Overlay, ReadsFlagsOfEitherProtocol) {
    const CommandTable table = overlay(
        CommandTable(),
        list_of(
            {entry("get", flags({"readonly"}, ReplyType::set)),
             entry("lpop", flags({"write", "denyoom"}, ReplyType::set), {1, 1, 1})}
        )
    );
    EXPECT_EQ(table.overlay_counts().taken, 2U);
    EXPECT_TRUE(known(table, "lpop").denyoom);
}

TEST(Overlay, SkipsAndCountsWhatItCannotRead) {
    const std::string longest(command_name_bytes_max, 'n');
    const std::string too_long(command_name_bytes_max + 1, 'n');
    const std::string sub_too_long(command_name_bytes_max - 3, 'n');
    Reply short_entry{.type = ReplyType::array};
    short_entry.elements = {test::text("set"), test::integer(-3)};
    Reply odd_name = entry("set", flags({"denyoom"}));
    odd_name.elements[test::name_at] = {.type = ReplyType::error, .text = "set"};
    Reply odd_flags = entry("append", flags({}));
    odd_flags.elements[test::flags_at] = test::integer(7);
    Reply odd_type = entry("append", flags({}));
    odd_type.type = ReplyType::map;

    const CommandTable table = overlay(
        CommandTable(),
        list_of(
            {entry("set", flags({"denyoom"})),
             short_entry,
             odd_name,
             odd_flags,
             odd_type,
             Reply{},
             test::text("set"),
             entry("", flags({})),
             entry(too_long, flags({})),
             entry("two words", flags({})),
             entry("b|r", flags({})),
             entry("new\nline", flags({})),
             entry("de\x7flete", flags({})),
             entry("z\xc3\xa9ro", flags({})),
             entry(longest, flags({})),
             entry_with_subcommands("box", flags({}), {entry(sub_too_long, flags({})), Reply{}})}
        )
    );
    EXPECT_EQ(table.overlay_counts().taken, 3U);
    EXPECT_EQ(table.overlay_counts().skipped, 15U);
    EXPECT_EQ(known(table, longest).name(), upper(longest));
    EXPECT_FALSE(known(table, "box").has_subcommands);
}

TEST(Overlay, TakesNoKeyPositionsThatCannotBe) {
    for (const test::Keys keys :
         {test::Keys{0, 0, 0},
          {-1, -1, 1},
          {1, -1, 0},
          {1, -1, -1},
          {128, 128, 1},
          {200, -1, 1},
          {1, -1, 200},
          {1, 1000, 1},
          {1, -1000, 1}}) {
        const CommandTable table = overlay(
            CommandTable(),
            list_of({entry("append", flags({"denyoom"}), keys), entry("novel", flags({}), keys)})
        );
        EXPECT_EQ(known(table, "append").keys.first, 1) << "our own facts stay";
        EXPECT_EQ(known(table, "append").keys.last, 1);
        EXPECT_EQ(known(table, "novel").keys.first, 0);
    }
    // Without any positions the flags still count.
    Reply bare{.type = ReplyType::array};
    bare.elements = {test::text("append"), test::integer(3), flags({"denyoom"})};
    const CommandTable table = overlay(CommandTable(), list_of({bare}));
    EXPECT_TRUE(known(table, "append").live);
    EXPECT_EQ(known(table, "append").keys.first, 1);
}

TEST(Overlay, DoesNotLetLivePositionsHideACountOrAWord) {
    const CommandTable table = overlay(
        CommandTable(),
        list_of(
            {entry("eval", flags({"denyoom"}), {1, 1, 1}),
             entry("xread", flags({"readonly"}), {1, 1, 1})}
        )
    );
    EXPECT_EQ(known(table, "eval").keys.first, 0);
    EXPECT_EQ(known(table, "eval").keys.numkeys_at, 2);
    EXPECT_EQ(known(table, "xread").keys.word, KeyWord::streams);
}

TEST(Overlay, BoundsTheTable) {
    std::vector<std::string> names;
    for (int i = 0; i < 5000; ++i) {
        names.push_back("module.command" + std::to_string(i));
    }
    Reply list{.type = ReplyType::array};
    for (const std::string& name : names) {
        list.elements.push_back(entry(name, flags({"denyoom"})));
    }
    const CommandTable built_in;
    const CommandTable table = overlay(built_in, list);
    EXPECT_EQ(table.count(), CommandTable::commands_max);
    EXPECT_EQ(table.overlay_counts().taken, CommandTable::commands_max - built_in.count());
    EXPECT_EQ(table.overlay_counts().skipped, 5000 - table.overlay_counts().taken);
    std::set<CommandId> ids;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const CommandInfo* info = table.find(names[i]);
        EXPECT_EQ(info != nullptr, i < table.overlay_counts().taken) << names[i];
        if (info != nullptr) {
            ids.insert(info->id);
        }
    }
    EXPECT_EQ(ids.size(), table.overlay_counts().taken);
    EXPECT_EQ(known(table, "set").name(), "SET");
}

// The n-th name of six letters in counting order.
std::string numbered_name(std::string_view prefix, int n) {
    std::string name = std::string(prefix) + "AAAAAA";
    for (std::size_t at = name.size() - 1; n > 0; --at, n /= 26) {
        name[at] = static_cast<char>('A' + n % 26);
    }
    return name;
}

TEST(Overlay, DoesNotFindNamesThatOnlyHashAlike) {
    // In a full table about one of a hundred thousand lookups meets the sixteen bits of another
    // name.
    for (const std::string_view prefix : {"", "SUBCOMMAND"}) {
        std::vector<std::string> names;
        Reply list{.type = ReplyType::array};
        for (int i = 0; i < 3600; ++i) {
            names.push_back(numbered_name(prefix, i));
        }
        for (const std::string& name : names) {
            list.elements.push_back(entry(name, flags({"denyoom"})));
        }
        const CommandTable table = overlay(CommandTable(), list);
        ASSERT_EQ(table.overlay_counts().skipped, 0U);
        for (int i = 3600; i < 400'000; ++i) {
            const std::string name = numbered_name(prefix, i);
            const CommandInfo* found = table.find(name);
            ASSERT_TRUE(found == nullptr || found->name() == name) << name;
        }
    }
}

TEST(Overlay, ChangesNothingWithoutAUsableEntry) {
    const CommandTable before = overlay(CommandTable(), test::command_reply());
    Reply error{.type = ReplyType::error, .text = "NOPERM no"};
    for (const Reply& reply : {Reply{}, error, list_of({}), list_of({Reply{}, test::integer(1)})}) {
        const CommandTable after = overlay(before, reply);
        EXPECT_EQ(after.overlay_counts().taken, 0U);
        EXPECT_EQ(after.count(), before.count());
        EXPECT_TRUE(known(after, "set").live);
        EXPECT_TRUE(known(after, "set").denyoom);
        EXPECT_FALSE(known(after, "hsetex").denyoom);
    }
}

TEST(Overlay, OfAnotherServerKeepsIdsButNotFlags) {
    const CommandTable first = overlay(
        CommandTable(),
        list_of(
            {entry("json.set", flags({"write", "denyoom", "movablekeys"})),
             entry("set", flags({"denyoom"}))}
        )
    );
    const CommandTable second = overlay(first, test::command_reply());
    const CommandInfo& gone = known(second, "json.set");
    EXPECT_EQ(gone.id, known(first, "json.set").id);
    EXPECT_FALSE(gone.live);
    EXPECT_FALSE(gone.denyoom);
    EXPECT_FALSE(gone.movable_keys);
    EXPECT_EQ(known(second, "set").id, known(first, "set").id);
    EXPECT_EQ(second.overlay_counts().taken, 366U);
}

TEST(Overlay, CountsARepeatedEntryOnce) {
    const CommandTable table = overlay(
        CommandTable(),
        list_of(
            {entry("set", flags({})),
             entry("SET", flags({"denyoom"})),
             entry("one", flags({})),
             entry("one", flags({}))}
        )
    );
    EXPECT_EQ(table.overlay_counts().taken, 2U);
    EXPECT_EQ(table.overlay_counts().unknown, 1U);
    EXPECT_TRUE(known(table, "set").denyoom);
}

}  // namespace
}  // namespace spillway::resp
