// How many kinds of commands a nearly full server may be sent that it has not met before.
#include "policy/command_room.hpp"

#include "policy/key_sample_walk.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::string_view info =
    "# Latencystats\r\nlatency_percentiles_usec_scan:p50=1.003,p99=4.015\r\n"
    "latency_percentiles_usec_memory|usage:p50=0.001,p99=2.007\r\n";

MemorySample with_room(std::int64_t room, EvictionFamily family = EvictionFamily::noeviction) {
    MemorySample server;
    server.maxmemory = 64 << 20;
    server.used_memory = server.maxmemory - room;
    server.not_counted_for_evict = 0;
    server.family = family;
    server.keys = 10;
    return server;
}

TEST(CommandRoom, OnlyANearlyFullServerIsSparedAnything) {
    for (const MemorySample& server :
         {with_room(2 << 20),
          with_room(-1),
          with_room(100'000, EvictionFamily::all_keys),
          MemorySample{}}) {
        CommandRoom room(server, info);
        EXPECT_FALSE(room.is_bounded());
        EXPECT_TRUE(room.take({"a", "b", "c", "d", "e"}));
    }
    EXPECT_FALSE(CommandRoom(with_room(100'000), "# Stats\r\n").is_bounded()) << "none are kept";
    EXPECT_TRUE(CommandRoom(with_room(100'000), info).is_bounded());
    MemorySample ttl = with_room(100'000, EvictionFamily::volatile_keys);
    EXPECT_TRUE(CommandRoom(ttl, info).is_bounded());
    ttl.expires = 5;
    EXPECT_FALSE(CommandRoom(ttl, info).is_bounded()) << "evicting makes room";
}

TEST(CommandRoom, HalfOfTheRoomIsLeft) {
    CommandRoom room(with_room(200'000), info);
    EXPECT_TRUE(room.take({"scan", "memory|usage"})) << "they cost nothing more";
    EXPECT_FALSE(room.take({"type", "pttl", "llen"}));
    EXPECT_TRUE(room.take({"type", "pttl"}));
    EXPECT_TRUE(room.take({"type"})) << "once";
    EXPECT_FALSE(room.take({"llen"}));
}

TEST(CommandRoom, AWalkAsksWhatThereIsRoomFor) {
    const auto plan_with = [](std::int64_t bytes, std::vector<std::string>& left_out) {
        KeyWalkPlan plan;
        plan.server = with_room(bytes);
        plan.server.databases[0] = {.keys = 10, .expires = 0};
        CommandRoom room(plan.server, info);
        EXPECT_TRUE(fit(plan, room, left_out));
        return plan;
    };
    std::vector<std::string> left_out;
    const KeyWalkPlan all = plan_with(1'000'000, left_out);
    EXPECT_TRUE(all.asks_idle && all.asks_lengths && left_out.empty());
    const KeyWalkPlan few = plan_with(250'000, left_out);
    EXPECT_FALSE(few.asks_lengths);
    EXPECT_EQ(left_out.front(), "HLEN and its like");
    const auto commands = KeyWalk(few).next();
    EXPECT_EQ(commands.front().front(), "SCAN");

    KeyWalkPlan none;
    none.server = with_room(100'000);
    CommandRoom room(none.server, info);
    EXPECT_FALSE(fit(none, room, left_out));
}

}  // namespace
}  // namespace spillway::policy
