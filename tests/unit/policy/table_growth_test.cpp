// When a table doubles and what it costs, as measured on Redis 7.0 and Valkey 9.1.
#include "policy/table_growth.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

constexpr std::int64_t mib = 1 << 20;

TEST(TableGrowth, KnowsTheServersTables) {
    EXPECT_EQ(table_kind("redis 7.0.15"), TableKind::chained);
    EXPECT_EQ(table_kind("redis 8.0.3"), TableKind::chained);
    EXPECT_EQ(table_kind("valkey 7.2.13"), TableKind::chained);
    EXPECT_EQ(table_kind("valkey 8.0.9"), TableKind::chained);
    EXPECT_EQ(table_kind("valkey 8.1.7"), TableKind::buckets_of_seven);
    EXPECT_EQ(table_kind("valkey 9.1.0"), TableKind::buckets_of_seven);
    EXPECT_EQ(table_kind("valkey"), TableKind::chained);
    EXPECT_EQ(table_kind(""), TableKind::chained);
}

TEST(TableGrowth, JumpsAreThoseThatWereMeasured) {
    const auto jump = [](std::int64_t entries, TableKind kind) {
        const TableJump next = next_jump(entries, kind);
        return std::pair(next.at_entries, next.bytes);
    };
    EXPECT_EQ(
        jump(4'000, TableKind::chained), std::pair(std::int64_t{4'096}, std::int64_t{65'536})
    );
    EXPECT_EQ(jump(65'536, TableKind::chained), std::pair(std::int64_t{65'536}, mib));
    EXPECT_EQ(jump(1'000'000, TableKind::chained), std::pair(std::int64_t{1'048'576}, 16 * mib));
    EXPECT_EQ(
        jump(7'000, TableKind::buckets_of_seven),
        std::pair(std::int64_t{7'168}, std::int64_t{131'072})
    );
    EXPECT_EQ(
        jump(900'000, TableKind::buckets_of_seven), std::pair(std::int64_t{917'504}, 16 * mib)
    );
}

TEST(TableGrowth, OnlyWhatIsWithinReachAndHasRoomIsForeseen) {
    MemorySample sample;
    sample.server = "redis 7.0.15";
    sample.databases[0] = {.keys = 65'000, .expires = 0};
    EXPECT_EQ(TableGrowth().jumps_to_come(sample, 500, 10 * mib), 0);
    EXPECT_EQ(TableGrowth().jumps_to_come(sample, 1'000, 10 * mib), mib);
    EXPECT_EQ(TableGrowth().jumps_to_come(sample, 1'000, mib - 1), 0) << "the server puts it off";
    sample.databases[0].expires = 65'000;
    EXPECT_EQ(TableGrowth().jumps_to_come(sample, 1'000, 10 * mib), 2 * mib);
    sample.databases[3] = {.keys = 130'800, .expires = 0};
    EXPECT_EQ(TableGrowth().jumps_to_come(sample, 1'000, 10 * mib), 4 * mib);
    EXPECT_EQ(TableGrowth().jumps_to_come(sample, 1'000, 3 * mib), 2 * mib);
}

TEST(TableGrowth, ATableThatHasBeenLargerDoesNotGrowAgain) {
    MemorySample sample;
    sample.server = "redis 7.0.15";
    TableGrowth tables;
    sample.databases[1] = {.keys = 66'000, .expires = 0};
    tables.note(sample);
    sample.databases[1].keys = 65'000;
    tables.note(sample);
    EXPECT_EQ(tables.jumps_to_come(sample, 1'000, 10 * mib), 0);
    sample.databases[1].keys = 130'900;
    EXPECT_EQ(tables.jumps_to_come(sample, 1'000, 10 * mib), 2 * mib) << "the next one";
    sample.databases[1].keys = 1'000;  // the server makes the table smaller
    tables.note(sample);
    sample.databases[1].keys = 65'000;
    tables.note(sample);
    EXPECT_EQ(tables.jumps_to_come(sample, 1'000, 10 * mib), mib);
    tables.forget();
    EXPECT_EQ(tables.jumps_to_come(sample, 1'000, 10 * mib), mib);
}

}  // namespace
}  // namespace spillway::policy
