// Finds where each reply and push of a backend ends, RESP2 and RESP3 alike, without building
// values.
//
// Elements still owed are one number, whatever the nesting: an aggregate of n settles one and owes
// n more. Only pushes need a place to put that number aside, because they may stand anywhere, even
// inside an aggregate, and never count as elements. Attributes owe their pairs and settle nothing:
// the value that they describe follows.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::resp {

// Of an error line, and of the first word of a frame, this much is kept.
inline constexpr std::size_t error_line_bytes_max = 512;
inline constexpr std::size_t frame_kind_bytes_max = 16;

enum class ReplyEvent : std::uint8_t {
    need_more,    // all bytes are taken, nothing ended
    line_ending,  // an error line at top level has come to its first CR, which is not consumed yet;
                  // told once a line
    nested_error,  // an error inside an aggregate ended; the reply goes on
    reply,         // a reply ended
    push,          // a RESP3 push ended at top level
    unfollowable,  // not RESP, or a form that the server never sends: from here on boundaries are
                   // unknown
};

class ReplyReader {
  public:
    struct Step {
        ReplyEvent event = ReplyEvent::need_more;
        std::size_t consumed = 0;
    };
    // Takes bytes until something happens. Call again with what is left; but not after
    // unfollowable, where the byte behind the consumed ones, or the line that they end with, is
    // what cannot be followed.
    [[nodiscard]] Step read(std::string_view bytes);

    struct PlainReplies {
        std::uint64_t count = 0;
        std::size_t size = 0;
    };
    // At a boundary: passes at most `count_max` replies at the front of `bytes` that lie there in
    // full and hold no error; of aggregates those of few values, if asked for. What is said of the
    // reply that ended last is then not said of these.
    [[nodiscard]] PlainReplies skip_plain(
        std::string_view bytes, std::uint64_t count_max, bool aggregates
    ) const noexcept;

    // True between replies: nothing of the next one has been taken.
    [[nodiscard]] bool at_boundary() const noexcept { return stage_ == Stage::type && !in_value_; }

    // Of the reply or push that ended last:
    [[nodiscard]] bool is_error() const noexcept { return top_type_ == '-' || top_type_ == '!'; }
    // Its type byte; behind an attribute that of the value which is described.
    [[nodiscard]] char type() const noexcept { return top_type_; }
    // Null, in any of its spellings: EXEC answers so when a watched key has changed.
    [[nodiscard]] bool is_null() const noexcept {
        return top_type_ == '_' || (outermost_ && (top_type_ == '*' || top_type_ == '$') &&
                                    std::string_view(header_.data(), header_size_) == "-1");
    }
    // The reply is no error itself, but the last element in it was one; no nested_error was told
    // for that.
    [[nodiscard]] bool ended_with_nested_error() const noexcept { return nested_error_last_; }
    // The error at top level or inside, without its type byte and line end, as far as it is kept.
    [[nodiscard]] std::string_view error_line() const noexcept { return error_; }
    // First string of an array or push ("message", "subscribe"), cut at frame_kind_bytes_max.
    [[nodiscard]] std::string_view frame_kind() const noexcept {
        return {kind_.data(), kind_size_};
    }
    // The last integer in an array or push, 0 without one: the count in a subscription frame.
    [[nodiscard]] std::int64_t last_integer() const noexcept { return last_integer_; }
    // Length of the bulk that is being passed, its terminator included; 0 outside of one.
    [[nodiscard]] std::uint64_t bulk_bytes() const noexcept {
        return stage_ == Stage::bulk ? bulk_bytes_ : 0;
    }

  private:
    enum class Stage : std::uint8_t { type, line, line_feed, bulk };
    static constexpr std::size_t nested_pushes_max = 4;
    static constexpr std::size_t header_bytes_max = 24;

    [[nodiscard]] Step read_on(std::string_view bytes);
    [[nodiscard]] Step advance(std::string_view bytes);
    [[nodiscard]] Step pass_plain(std::string_view bytes);
    [[nodiscard]] Step begin_value(std::string_view bytes);
    [[nodiscard]] Step pass_line(std::string_view bytes);
    [[nodiscard]] Step pass_bulk(std::string_view bytes);
    [[nodiscard]] std::size_t take_line(std::string_view part);
    [[nodiscard]] ReplyEvent finish_line();
    [[nodiscard]] ReplyEvent finish_header(std::int64_t number);
    [[nodiscard]] ReplyEvent open_aggregate(std::int64_t count);
    [[nodiscard]] ReplyEvent finish_value();
    [[nodiscard]] bool behind_attribute() const noexcept {
        return top_type_ == '|' && owed_ == 1 && pushes_ == 0;
    }
    void begin_reply(char type) noexcept;
    void keep_error(std::string_view part);
    void keep_kind(std::string_view part) noexcept;

    Stage stage_ = Stage::type;
    bool in_value_ = false;     // a top-level value has begun
    bool kind_wanted_ = false;  // the next string is the frame's first word …
    bool kind_now_ = false;     // … and this is it
    bool outermost_ = false;    // the value being read is the reply or push itself
    bool line_ending_told_ = false;
    bool nested_error_last_ = false;
    char type_ = 0;  // of the line or bulk being read
    char top_type_ = 0;
    std::uint8_t kind_size_ = 0;
    std::uint8_t header_size_ = 0;
    std::uint8_t pushes_ = 0;  // pushes open inside the value
    std::int64_t owed_ = 0;    // values still to come in the current reply or push
    std::int64_t last_integer_ = 0;
    std::uint64_t bulk_bytes_ = 0;  // terminator included
    std::uint64_t bulk_left_ = 0;   // of them
    std::array<std::int64_t, nested_pushes_max> owed_outside_{};
    std::array<char, header_bytes_max> header_{};
    std::array<char, frame_kind_bytes_max> kind_{};
    std::string error_;  // at most error_line_bytes_max; empty unless an error passed by
};

}  // namespace spillway::resp
