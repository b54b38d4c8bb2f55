// The COMMAND reply of a real Redis 7.0.15 (RESP2), and shorthands to make such replies by hand.
#pragma once

#include "resp/reply_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::resp::test {

inline const std::string& command_reply_bytes() {
    static const std::string bytes = [] {
        std::ifstream file("tests/unit/resp/fixtures/command-redis-7.0.bin", std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    EXPECT_FALSE(bytes.empty()) << "the tests run from the root of the repository";
    return bytes;
}

inline const Reply& command_reply() {
    static const Reply reply = [] {
        Reply parsed;
        EXPECT_EQ(parse_reply(command_reply_bytes(), parsed).state, ReplyParse::complete);
        return parsed;
    }();
    return reply;
}

// Fields of an entry of the COMMAND reply.
inline constexpr std::size_t name_at = 0;
inline constexpr std::size_t flags_at = 2;
inline constexpr std::size_t first_key_at = 3;
inline constexpr std::size_t last_key_at = 4;
inline constexpr std::size_t step_at = 5;
inline constexpr std::size_t key_specs_at = 8;
inline constexpr std::size_t subcommands_at = 9;

inline bool has_flag(const Reply& entry, std::string_view flag) {
    for (const Reply& each : entry.elements[flags_at].elements) {
        if (each.text == flag) {
            return true;
        }
    }
    return false;
}

// Calls `visit(entry)` for every command and subcommand of the captured reply.
template <typename Visit>
void for_each_live_command(const Visit& visit) {
    for (const Reply& entry : command_reply().elements) {
        visit(entry);
        for (const Reply& sub : entry.elements[subcommands_at].elements) {
            visit(sub);
        }
    }
}

inline Reply text(std::string_view value) {
    return {.type = ReplyType::bulk, .text = value};
}
inline Reply integer(std::int64_t value) {
    return {.type = ReplyType::integer, .integer = value};
}

inline Reply flags(
    std::initializer_list<std::string_view> values, ReplyType type = ReplyType::array
) {
    Reply reply{.type = type};
    for (const std::string_view value : values) {
        reply.elements.push_back({.type = ReplyType::simple, .text = value});
    }
    return reply;
}

struct Keys {
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::int64_t step = 0;
};

// An entry as Redis 6.2 writes it; `name` must outlive it.
inline Reply entry(std::string_view name, Reply flag_list, Keys keys = {}) {
    Reply reply{.type = ReplyType::array};
    reply.elements = {
        text(name),
        integer(-2),
        std::move(flag_list),
        integer(keys.first),
        integer(keys.last),
        integer(keys.step),
        flags({"@slow"})};
    return reply;
}

// An entry as Redis 7.0 writes it.
inline Reply entry_with_subcommands(
    std::string_view name, Reply flag_list, std::initializer_list<Reply> subcommands
) {
    Reply reply = entry(name, std::move(flag_list));
    reply.elements.push_back({.type = ReplyType::array});
    reply.elements.push_back({.type = ReplyType::array});
    reply.elements.push_back({.type = ReplyType::array, .elements = subcommands});
    return reply;
}

inline Reply list_of(std::initializer_list<Reply> entries) {
    return {.type = ReplyType::array, .elements = entries};
}

}  // namespace spillway::resp::test
