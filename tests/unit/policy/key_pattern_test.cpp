// Masks keys of the kinds that applications use, and of kinds that nobody should.
#include "policy/key_pattern.hpp"

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

std::string pattern(std::string_view key) {
    PatternBuffer buffer;
    return std::string(key_pattern(key, buffer));
}

TEST(KeyPattern, MasksPartsWithDigits) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"", ""},
        {"counter", "counter"},
        {"cart:4711", "cart:*"},
        {"cart:u4711:items", "cart:*:items"},
        {"user/42/profile.json", "user/*/profile.json"},
        {"a:1_b-2{c3}d|e4.f", "a:*_b-*{*}d|*.f"},
        {"{user:1000}.following", "{user:*}.following"},
        {"2024-05-01", "*-*-*"},
        {"::", "::"},
        {":1:", ":*:"},
        {"queue:mail:high", "queue:mail:high"},
    };
    for (const auto& [key, expected] : cases) {
        EXPECT_EQ(pattern(key), expected) << key;
    }
}

TEST(KeyPattern, MasksWhatLooksLikeAnIdWithoutAnyDigit) {
    EXPECT_EQ(pattern("obj:deadbeef"), "obj:*");
    EXPECT_EQ(pattern("obj:DEADBEEFCAFEBABEDEADBEEFCAFEBABE"), "obj:*");
    EXPECT_EQ(pattern("token:aXbQfKzPwLmVhRtYcNdJ"), "token:*") << "base62";
    EXPECT_EQ(pattern("token:aEbIOuCaDOfeGiHUjaKO"), "token:*") << "cases mixed as by dice";
    EXPECT_EQ(pattern("token:QWERTZPLKJHGFDSAYXCV"), "token:*") << "too few vowels";
    EXPECT_EQ(pattern("token:dGhpcyBpcyBub+Qgd29y="), "token:*") << "base64";
    EXPECT_EQ(pattern("user:someone@example.com"), "user:*.com") << "an address names a person";
    EXPECT_EQ(pattern("blob:" + std::string(33, 'a')), "blob:*") << "no word is so long";
    EXPECT_EQ(pattern("bin:\xff\xfe\x01\x02"), "bin:*") << "not text";
}

TEST(KeyPattern, KeepsWords) {
    for (const std::string key :
         {"feed",
          "facade:cafe",
          "notification_preferences",
          "getUserSessionTokenByAccountName",
          "CONFIGURATION:internationalization",
          "XMLHttp:response"}) {
        EXPECT_EQ(pattern(key), key);
    }
}

TEST(KeyPattern, MasksEveryGroupOfAUuid) {
    EXPECT_EQ(pattern("s:550e8400-e29b-41d4-a716-446655440000"), "s:*-*-*-*-*");
    EXPECT_EQ(pattern("s:550e8400-dead-beef-abcd-446655440000:x"), "s:*-*-*-*-*:x")
        << "groups of letters too";
    EXPECT_EQ(pattern("dead-beef"), "dead-beef") << "no uuid";
    EXPECT_EQ(pattern("s:550e8400-dead-beef-abcd-446655440000x"), "s:*-dead-beef-abcd-*")
        << "too long for one";
}

TEST(KeyPattern, EscapesWhatCannotBePrinted) {
    EXPECT_EQ(pattern("a\nb:c\x1b[m\x7f"), "a\\x0ab:c\\x1b[m\\x7f");
    EXPECT_EQ(pattern("caf\xc3\xa9:menu"), "caf\\xc3\\xa9:menu");
}

TEST(KeyPattern, SaysWhereItWasCut) {
    const std::string words(pattern_key_bytes_max + 1, ':');
    const std::string shown = pattern(words);
    EXPECT_EQ(shown, std::string(125, ':') + "...");
    std::string long_id = "a:" + std::string(pattern_key_bytes_max, '7');
    EXPECT_EQ(pattern(long_id), "a:*") << "an id is masked, however long";
}

// Where the cut falls depends on the lengths of ids: neither a piece of an id nor its absence may
// tell keys of one kind apart.
TEST(KeyPattern, IsOneForLongKeysOfOneKind) {
    for (std::size_t size = pattern_key_bytes_max - 16; size < pattern_key_bytes_max; ++size) {
        const std::string key =
            "page:" + std::string(size - 5, '7') + "a:item-abcdef12345678901234";
        const std::string shown = pattern(key);
        EXPECT_TRUE(shown == "page:*:*" || shown == "page:*:item-*" || shown == "page:*") << shown;
        EXPECT_EQ(shown, pattern(key.substr(0, pattern_key_bytes_max))) << "cut before or here";
    }
    const std::string digits(pattern_key_bytes_max - 9, '7');
    EXPECT_EQ(pattern("q:" + digits + ":abc123"), "q:*:*");
    EXPECT_EQ(pattern("q:" + digits + "7:abc123"), "q:*:*");
    EXPECT_EQ(pattern("q:" + digits + "777:abc123"), "q:*:*");
}

TEST(KeyPattern, AnyBytesGiveBoundedPrintableAscii) {
    std::mt19937 random(20240501);
    for (int round = 0; round < 20'000; ++round) {
        std::string key(random() % 300, '\0');
        for (char& c : key) {
            c = round % 2 == 0 ? static_cast<char>(random())
                               : ":/._-{}|abcXYZ019\xc3\xa9 "[random() % 20];
        }
        PatternBuffer buffer;
        buffer.fill('!');
        const std::string_view shown = key_pattern(key, buffer);
        ASSERT_LE(shown.size(), pattern_bytes_max);
        ASSERT_EQ(shown.empty(), key.empty());
        for (const char c : shown) {
            ASSERT_TRUE(c >= ' ' && c < '\x7f');
            ASSERT_FALSE(c >= '0' && c <= '9' && shown.find("\\x") == std::string_view::npos)
                << shown;
        }
    }
}

TEST(DisplayKey, FollowsTheMode) {
    const std::string key = "cart:4711\n";
    EXPECT_EQ(display_key(key, {.mode = KeyMode::full}), "cart:4711\\x0a");
    EXPECT_EQ(display_key(key, {.mode = KeyMode::pattern}), "cart:*");
    EXPECT_EQ(display_key(key, {.mode = KeyMode::none}), "");
    const std::string hash = display_key(key, {.mode = KeyMode::hash});
    EXPECT_EQ(hash.size(), 17U);
    EXPECT_EQ(hash.find_first_not_of("0123456789abcdef", 1), std::string::npos);
    EXPECT_EQ(
        display_key(std::string(300, 'k'), {.mode = KeyMode::full}), std::string(256, 'k') + "..."
    );
}

TEST(DisplayKey, HashesAreSipHashOfTheKeyUnderTheSecret) {
    // The first and the 16th of the reference vectors: key 00 01 … 0f, input 00 01 … (n - 1).
    const KeyDisplay reference{
        .mode = KeyMode::hash, .secret = {0x0706050403020100U, 0x0f0e0d0c0b0a0908U}};
    std::string input;
    for (int i = 0; i < 15; ++i) {
        input.push_back(static_cast<char>(i));
    }
    EXPECT_EQ(display_key(input, reference), "#a129ca6149be45e5");
    EXPECT_EQ(display_key(input.substr(0, 1), reference), "#74f839c593dc67fd");
    EXPECT_NE(
        display_key("k", {.mode = KeyMode::hash, .secret = {1, 0}}),
        display_key("k", {.mode = KeyMode::hash})
    );
    EXPECT_EQ(display_key("", reference), "") << "no key";
}

TEST(DisplayKey, PatternsAreShownHashedOrHidden) {
    EXPECT_EQ(display_pattern("cart:*", {.mode = KeyMode::full}), "cart:*");
    EXPECT_EQ(display_pattern("cart:*", {.mode = KeyMode::pattern}), "cart:*");
    EXPECT_EQ(display_pattern("cart:*", {.mode = KeyMode::hash}).size(), 17U);
    EXPECT_EQ(display_pattern("cart:*", {.mode = KeyMode::none}), "");
}

}  // namespace
}  // namespace spillway::policy
