// Finds where each command of a client begins and ends, and what stands in its head, without
// gathering its values.
//
// The reader sees a window that begins at the first byte of a command. It follows the server's own
// parser (networking.c): lengths rule, and the two bytes behind a line or a bulk are skipped, not
// scanned for. So proxy and server never disagree on where a command ends. What the server would
// refuse as a protocol error is `malformed` here.
//
//   window:  *3\r\n $3\r\nSET\r\n $4\r\nname\r\n $1000000\r\nxxxxxxxxx|          (the rest has not
//   arrived)
//            └──────────────── head ───────────────────────┘└─ body: only counted ──────────…
//
// A head is complete when the whole command lies in the window, or its last length is announced, or
// an argument that is too long to gather begins, or the window has head_bytes_max. Everything after
// it is body.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::resp {

// A head is gathered up to this many bytes before it is judged by what is known of it.
inline constexpr std::size_t head_bytes_max = std::size_t{16} * 1024;
// An argument that has not arrived in full is waited for when it is no longer than this.
inline constexpr std::size_t gathered_argument_bytes_max = std::size_t{4} * 1024;
// The server's own bound on an inline command whose newline has not come: such a window may grow to
// this size.
inline constexpr std::size_t inline_bytes_max = std::size_t{64} * 1024;
// More than this a caller never has to keep: of a longer window some bytes are consumed, or it is
// malformed.
inline constexpr std::size_t window_bytes_max = std::max(head_bytes_max, inline_bytes_max);
// Text and length are kept of so many arguments of a command; of those behind them only the sums
// are.
inline constexpr std::size_t arguments_kept_max = 256;

enum class HeadResult : std::uint8_t {
    need_more,  // keep the window's bytes and come back with more
    head,       // head() tells; consumed() bytes of the window belong to this command
    blank,  // consumed() bytes that the server skips without a reply: "*0", "*-1", an empty line
    malformed,  // the server would answer with a protocol error, or never find the line's end
};

class CommandReader {
  public:
    // Reads on in `window`, which starts at a command's first byte and never shrinks while
    // need_more is answered. To be called when in_body() is false, and not after malformed or
    // body_malformed().
    [[nodiscard]] HeadResult read_head(std::string_view window);

    // Of the last head or blank: bytes of the window that belong to it.
    [[nodiscard]] std::size_t consumed() const noexcept { return consumed_; }

    // Number of arguments, name included; at most 2^31 - 1.
    [[nodiscard]] std::uint32_t argument_count() const noexcept { return argc_; }
    // How many of them have their length announced in the head.
    [[nodiscard]] std::uint32_t arguments_announced() const noexcept { return announced_; }
    // Bytes of all announced arguments, where none counts for more than 2^48, and of the largest
    // one.
    [[nodiscard]] std::uint64_t argument_bytes() const noexcept { return argument_bytes_; }
    [[nodiscard]] std::uint64_t largest_argument_bytes() const noexcept { return largest_bytes_; }
    // Argument `i` (0 = name) as far as it lies in the window; data() is null when it was not
    // announced or is not kept. Valid while the window of the last read_head is, and until the next
    // call of it.
    [[nodiscard]] std::string_view argument(std::uint32_t i) const noexcept {
        const ArgumentRef* const argument = ref(i);
        if (argument == nullptr) {
            return {};
        }
        return {
            (base_ != nullptr ? base_ : inline_text_.data()) + argument->offset,
            argument->available};
    }
    [[nodiscard]] std::uint64_t argument_length(std::uint32_t i) const noexcept;

    // Forgets the head that was read: its window will be offered again.
    void rewind() noexcept { in_body_ = false; }

    // True while a head was given and its body has not been consumed in full.
    [[nodiscard]] bool in_body() const noexcept { return in_body_; }
    // Consumes body bytes; returns how many. in_body() is false afterwards when the command has
    // ended. A body that breaks the protocol sets body_malformed(): the rest cannot be followed.
    [[nodiscard]] std::size_t read_body(std::string_view bytes);
    [[nodiscard]] bool body_malformed() const noexcept { return body_malformed_; }
    // Argument bytes announced in the body since the last call: known too late for the verdict.
    [[nodiscard]] std::uint64_t take_late_bytes() noexcept;

  private:
    struct ArgumentRef {
        std::uint32_t offset = 0;
        std::uint32_t available = 0;
        std::uint64_t length = 0;
    };
    static constexpr std::size_t few_max = 4;

    void start();
    void give_memory_back();
    HeadResult read_inline(std::string_view window);
    HeadResult read_multibulk(std::string_view window);
    HeadResult read_arguments(std::string_view window);
    HeadResult read_more_arguments(std::string_view window);
    HeadResult read_odd_argument(std::string_view window);
    HeadResult finish_in_length(std::string_view window);
    HeadResult finish_in_argument(std::string_view window, std::size_t begin, std::uint64_t length);
    HeadResult finish_head(std::size_t consumed, std::uint64_t bulk_left, bool in_body);
    void note_argument(std::size_t offset, std::size_t available, std::uint64_t length);
    void keep(const ArgumentRef& argument);
    [[nodiscard]] const ArgumentRef* ref(std::uint32_t i) const noexcept {
        if (i < few_max) {
            return i < announced_ ? &few_.data()[i] : nullptr;
        }
        return i - few_max < more_.size() ? &more_[i - few_max] : nullptr;
    }
    void read_body_header(char c);
    void refuse_body();

    const char* base_ = nullptr;  // what the offsets of arguments refer to; null: inline_text_
    std::size_t at_ = 0;          // parsed up to here in the window
    std::size_t consumed_ = 0;
    std::uint32_t argc_ = 0;
    std::uint32_t announced_ = 0;
    std::uint64_t argument_bytes_ = 0;
    std::uint64_t largest_bytes_ = 0;
    std::array<ArgumentRef, few_max> few_{};
    std::vector<ArgumentRef> more_;  // at most arguments_kept_max - few_max
    std::string inline_text_;        // unescaped words of an inline command, end to end
    bool resuming_ = false;          // the head of this window was begun by an earlier call
    bool in_body_ = false;
    bool body_malformed_ = false;

    std::uint64_t bulk_left_ = 0;  // body: bytes of the current argument, terminator included
    std::uint64_t late_bytes_ = 0;
    std::uint32_t body_arguments_left_ = 0;
    std::uint8_t body_header_size_ = 0;
    std::array<char, 24> body_header_{};  // body: a length line as far as it has come
};

}  // namespace spillway::resp
