// What a command's arguments say of its keys, of its growth and of how far it reaches into a
// string.
#pragma once

#include "resp/command_table.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

// The functions below take `arg_at(index)`, which answers an argument's text (0 is the command's
// name), or a view with a null data() where the head does not hold all of it: a part of an argument
// must not be taken for the whole. They ask for a bounded number of arguments, whatever `argc`
// says.

namespace spillway::resp {

// The server's bound on an argument and on a string (proto-max-bulk-len), unless its operator set
// another: what would be longer it refuses, an argument as soon as it is announced.
inline constexpr std::uint64_t string_bytes_max = std::uint64_t{512} << 20U;

// Where a command's keys stand: at most two runs of argument indexes, all below argc.
class KeyIndexes {
  public:
    struct Run {
        std::size_t first = 0;
        std::size_t count = 0;
        std::size_t step = 1;
    };

    class Iterator {
      public:
        Iterator(const KeyIndexes& keys, std::size_t position) noexcept
            : keys_(&keys), position_(position) {}
        std::size_t operator*() const noexcept { return (*keys_)[position_]; }
        Iterator& operator++() noexcept {
            ++position_;
            return *this;
        }
        bool operator==(const Iterator& other) const noexcept {
            return position_ == other.position_;
        }

      private:
        const KeyIndexes* keys_;
        std::size_t position_;
    };

    KeyIndexes(Run fixed, Run found) noexcept : fixed_(fixed), found_(found) {}

    [[nodiscard]] std::size_t size() const noexcept { return fixed_.count + found_.count; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    // The n-th key's argument index; `n` must be below size().
    [[nodiscard]] std::size_t operator[](std::size_t n) const noexcept {
        return n < fixed_.count ? fixed_.first + n * fixed_.step
                                : found_.first + (n - fixed_.count) * found_.step;
    }
    [[nodiscard]] Iterator begin() const noexcept { return {*this, 0}; }
    [[nodiscard]] Iterator end() const noexcept { return {*this, size()}; }

  private:
    Run fixed_;  // from first, last and step
    Run found_;  // behind the numkeys argument or a word
};

// How many arguments are searched for a word or read as operations.
inline constexpr std::size_t arguments_searched_max = 128;

// BITFIELD alone has its offsets at places that its other arguments decide.
[[nodiscard]] inline bool is_bitfield(const CommandInfo& command) noexcept {
    return command.growth == Growth::offset && command.name() == "BITFIELD";
}

namespace detail {

[[nodiscard]] KeyIndexes::Run fixed_keys(const KeyRange& keys, std::size_t argc) noexcept;
// 0 where no argument counts the keys.
[[nodiscard]] std::size_t numkeys_index(const KeyRange& keys) noexcept;
[[nodiscard]] KeyIndexes::Run counted_keys(
    const KeyRange& keys, std::size_t argc, std::string_view numkeys
) noexcept;
[[nodiscard]] KeyIndexes::Run keys_behind_word(
    KeyWord word, std::size_t word_at, std::size_t argc
) noexcept;
[[nodiscard]] bool is_key_word(KeyWord word, std::string_view text) noexcept;

struct WordSearch {
    std::size_t at = 0;   // 0 = not there
    bool certain = true;  // every argument that could have been the word was seen
};

// The last STORE wins, as in Redis; the first STREAMS does.
template <typename ArgAt>
[[nodiscard]] WordSearch find_word(const KeyRange& keys, std::size_t argc, const ArgAt& arg_at) {
    WordSearch search;
    const std::size_t end = std::min(argc, keys.word_from + arguments_searched_max);
    search.certain = end == argc;
    for (std::size_t i = keys.word_from; i < end; ++i) {
        const std::string_view text = arg_at(i);
        if (text.data() == nullptr) {
            search.certain = false;
        } else if (is_key_word(keys.word, text)) {
            search.at = i;
            if (keys.word == KeyWord::streams) {
                break;
            }
        }
    }
    return search;
}

// Walks the operations of BITFIELD; feed it each argument from the first operation on. The server
// checks all of them before it runs one, so what it would refuse writes nothing.
class BitfieldScan {
  public:
    void feed(std::string_view argument) noexcept;
    [[nodiscard]] bool writes() const noexcept { return writes_; }
    // Behind the last byte that any SET or INCRBY touches.
    [[nodiscard]] std::uint64_t bytes_reached() const noexcept { return bytes_reached_; }

  private:
    enum class Expect : std::uint8_t { operation, encoding, offset, value, overflow, refused };
    Expect expect_ = Expect::operation;
    bool writing_ = false;
    bool writes_ = false;
    std::uint64_t bits_ = 0;
    std::uint64_t bytes_reached_ = 0;
};

// The end of `value_bytes` written at the offset; 0 where the text is no offset, which the server
// refuses.
[[nodiscard]] std::uint64_t bytes_reached_by(
    std::string_view offset_text, bool in_bits, std::uint64_t value_bytes
) noexcept;

template <typename ArgAt>
[[nodiscard]] bool scan_bitfield(std::size_t argc, const ArgAt& arg_at, BitfieldScan& scan) {
    constexpr std::size_t first_operation = 2;
    const std::size_t end = std::min(argc, first_operation + arguments_searched_max);
    for (std::size_t i = first_operation; i < end; ++i) {
        const std::string_view text = arg_at(i);
        if (text.data() == nullptr) {
            return false;
        }
        scan.feed(text);
    }
    return end == argc;
}

}  // namespace detail

// The argument indexes of the keys. A numkeys that is no number, or larger than the arguments that
// follow, names none: the server refuses such a command. Not followed: the BY and GET patterns of
// SORT, and MIGRATE … KEYS.
template <typename ArgAt>
[[nodiscard]] KeyIndexes keys_of(
    const CommandInfo& command, std::size_t argc, const ArgAt& arg_at
) {
    const KeyRange& keys = command.keys;
    const KeyIndexes::Run fixed = detail::fixed_keys(keys, argc);
    KeyIndexes::Run found;
    if (const std::size_t count_at = detail::numkeys_index(keys); count_at > 0) {
        if (count_at < argc) {
            found = detail::counted_keys(keys, argc, arg_at(count_at));
        }
    } else if (keys.word != KeyWord::none) {
        found = detail::keys_behind_word(keys.word, detail::find_word(keys, argc, arg_at).at, argc);
    }
    return {fixed, found};
}

// False where these arguments only read although the command could grow: SORT and GEORADIUS without
// STORE, BITFIELD with nothing but GET, and every command that never grows. True whenever the
// arguments at hand leave it open.
template <typename ArgAt>
[[nodiscard]] bool may_grow(const CommandInfo& command, std::size_t argc, const ArgAt& arg_at) {
    if (command.growth == Growth::other || command.growth == Growth::freeing) {
        return false;
    }
    if (command.keys.word == KeyWord::store) {
        const detail::WordSearch search = detail::find_word(command.keys, argc, arg_at);
        return search.at != 0 || !search.certain;
    }
    if (is_bitfield(command)) {
        detail::BitfieldScan scan;
        const bool certain = detail::scan_bitfield(argc, arg_at, scan);
        return scan.writes() || !certain;
    }
    return true;
}

// For Growth::offset: how long, in bytes, the string will at least be: SETRANGE's offset and value,
// SETBIT's bit, the farthest write of a BITFIELD. 0 for other commands and for arguments that are
// not at hand or that the server refuses. `value_bytes` is the announced length of SETRANGE's
// value; pass 0 elsewhere.
template <typename ArgAt>
[[nodiscard]] std::uint64_t string_bytes_reached(
    const CommandInfo& command, std::size_t argc, const ArgAt& arg_at, std::uint64_t value_bytes = 0
) {
    if (command.growth != Growth::offset || command.offset_at >= argc) {
        return 0;
    }
    if (is_bitfield(command)) {
        detail::BitfieldScan scan;
        (void)detail::scan_bitfield(argc, arg_at, scan);
        return scan.bytes_reached();
    }
    return detail::bytes_reached_by(arg_at(command.offset_at), command.offset_in_bits, value_bytes);
}

// What the command costs beyond its argument bytes: per command, and per element of those counted
// in `argc`.
[[nodiscard]] std::uint64_t overhead_bytes(const GrowthCost& cost, std::size_t argc) noexcept;

}  // namespace spillway::resp
