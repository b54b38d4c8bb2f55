// What is known of values that were set, until something may have removed them.
#include "policy/set_values.hpp"

#include "policy/string_lengths.hpp"

#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

std::uint64_t key(const std::string& name) {
    return StringLengths::key_of(name, 0);
}

TEST(SetValues, CoverOnesAsLargeOrSmaller) {
    SetValues values;
    EXPECT_FALSE(values.in_use());
    EXPECT_FALSE(values.covers(key("a"), 1));
    values.note(key("a"), 100);
    EXPECT_TRUE(values.in_use());
    EXPECT_TRUE(values.covers(key("a"), 100));
    EXPECT_TRUE(values.covers(key("a"), 1));
    EXPECT_FALSE(values.covers(key("a"), 101));
    EXPECT_FALSE(values.covers(key("b"), 1));
    EXPECT_FALSE(values.covers(StringLengths::key_of("a", 1), 1)) << "of another database";
    values.note(key("a"), 50);
    EXPECT_FALSE(values.covers(key("a"), 51)) << "it has shrunk";
}

TEST(SetValues, AreForgotten) {
    SetValues values;
    values.note(key("a"), 100);
    values.note(key("b"), 100);
    values.forget(key("b"));
    EXPECT_TRUE(values.covers(key("a"), 100));
    EXPECT_FALSE(values.covers(key("b"), 1));
    values.forget_all();
    EXPECT_FALSE(values.covers(key("a"), 1));
    values.note(key("a"), 100);
    EXPECT_TRUE(values.covers(key("a"), 100));
}

TEST(SetValues, HoldNoSizesBeyondTheirs) {
    SetValues values;
    values.note(key("a"), 100);
    values.note(key("a"), SetValues::bytes_max + 1);
    EXPECT_FALSE(values.covers(key("a"), 1)) << "what it holds now is not known";
    EXPECT_FALSE(values.covers(key("a"), SetValues::bytes_max + 1));
    values.note(key("a"), 0);
    EXPECT_FALSE(values.covers(key("a"), 0));
}

TEST(SetValues, ManyKeysRarelyPushEachOtherOut) {
    SetValues values;
    constexpr int keys = 60'000;
    for (int i = 0; i < keys; ++i) {
        values.note(key("key:" + std::to_string(i)), 1000);
    }
    int known = 0;
    for (int i = 0; i < keys; ++i) {
        known += values.covers(key("key:" + std::to_string(i)), 1000) ? 1 : 0;
        EXPECT_FALSE(values.covers(key("other:" + std::to_string(i)), 1000));
    }
    EXPECT_GT(known, keys * 3 / 4);
}

}  // namespace
}  // namespace spillway::policy
