// Finds where each command of a client begins and ends, and what stands in its head, without
// gathering its values.
#include "resp/command_reader.hpp"

#include "resp/inline_words.hpp"
#include "resp/number.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace spillway::resp {
namespace {

// A canonical number has at most 20 characters; a longer line can only end in the server's protocol
// error.
constexpr std::size_t number_line_bytes_max = 22;
constexpr std::size_t terminator_bytes = 2;  // behind a bulk; never looked at
constexpr std::int64_t multibulk_count_max = std::numeric_limits<std::int32_t>::max();
// An announced length adds no more than this to a sum, so that no peer can make a sum overflow.
constexpr std::uint64_t summed_length_max = std::uint64_t{1} << 48;
// Memory that a command may leave behind for the next one.
constexpr std::size_t kept_refs_max = 64;
constexpr std::size_t kept_text_bytes_max = 1024;

enum class LineState : std::uint8_t { need_more, number, malformed };

struct NumberLine {
    std::int64_t value = 0;
    std::size_t end = 0;  // behind the line's CR and the byte after it
    LineState state = LineState::need_more;
};

NumberLine read_long_number_line(std::string_view window, std::size_t at) noexcept {
    const std::string_view line = window.substr(at, number_line_bytes_max);
    const std::size_t cr = line.find('\r');
    if (cr == std::string_view::npos) {
        return {
            .state =
                line.size() == number_line_bytes_max ? LineState::malformed : LineState::need_more};
    }
    const auto number = parse_canonical(line.substr(0, cr));
    if (!number) {
        return {.state = LineState::malformed};
    }
    if (at + cr + 1 >= window.size()) {
        return {};
    }
    return {*number, at + cr + 2, LineState::number};
}

// Reads the number of a header line from behind its type byte. The server wants CR and one byte
// more, any byte.
inline NumberLine read_number_line(std::string_view window, std::size_t at) noexcept {
    if (const ShortNumber number = short_number(window, at); number.end > 0) {
        return {static_cast<std::int64_t>(number.value), number.end, LineState::number};
    }
    return read_long_number_line(window, at);
}

// An argument that lies in the window in full, terminator and all.
struct WholeArgument {
    std::size_t length = 0;
    std::size_t begin = 0;  // 0: it does not
};

[[gnu::always_inline]] inline WholeArgument whole_argument(
    std::string_view window, std::size_t at
) noexcept {
    if (at >= window.size() || window.data()[at] != '$') {
        return {};
    }
    const ShortNumber line = short_number(window, at + 1);
    const auto length = static_cast<std::size_t>(line.value);
    return line.end != 0 && length + terminator_bytes <= window.size() - line.end
               ? WholeArgument{length, line.end}
               : WholeArgument{};
}

}  // namespace

void CommandReader::start() {
    at_ = 0;
    consumed_ = 0;
    argc_ = 0;
    announced_ = 0;
    argument_bytes_ = 0;
    largest_bytes_ = 0;
    if (!more_.empty() || !inline_text_.empty()) {
        give_memory_back();
    }
}

void CommandReader::give_memory_back() {
    more_.clear();
    inline_text_.clear();
    if (more_.capacity() > kept_refs_max) {
        more_.shrink_to_fit();
    }
    if (inline_text_.capacity() > kept_text_bytes_max) {
        inline_text_.shrink_to_fit();
    }
}

HeadResult CommandReader::read_head(std::string_view window) {
    if (window.empty()) {
        return HeadResult::need_more;
    }
    if (!resuming_) {
        start();
    }
    base_ = window.data();
    const HeadResult result = window.front() == '*' ? read_multibulk(window) : read_inline(window);
    resuming_ = result == HeadResult::need_more;
    return result;
}

HeadResult CommandReader::read_multibulk(std::string_view window) {
    if (at_ > 0) {
        return read_arguments(window);
    }
    if (const ShortNumber count = short_number(window, 1); count.value > 0) {
        argc_ = static_cast<std::uint32_t>(count.value);
        at_ = count.end;
        return read_arguments(window);
    }
    const NumberLine count = read_number_line(window, 1);
    if (count.state != LineState::number) {
        return count.state == LineState::malformed ? HeadResult::malformed : HeadResult::need_more;
    }
    if (count.value > multibulk_count_max) {
        return HeadResult::malformed;
    }
    if (count.value <= 0) {
        consumed_ = count.end;
        return HeadResult::blank;
    }
    argc_ = static_cast<std::uint32_t>(count.value);
    at_ = count.end;
    return read_arguments(window);
}

void CommandReader::note_argument(std::size_t offset, std::size_t available, std::uint64_t length) {
    const ArgumentRef noted{
        static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(available), length};
    if (announced_ < few_max) {
        few_[announced_] = noted;
    } else if (announced_ < arguments_kept_max) {
        keep(noted);
    }
    ++announced_;
    argument_bytes_ += std::min(length, summed_length_max);
    largest_bytes_ = std::max(largest_bytes_, length);
}

// Apart, so that the way of short commands stays short.
void CommandReader::keep(const ArgumentRef& argument) {
    more_.push_back(argument);
}

// The first few arguments, when they lie in the window in full: all there is of most commands.
// What they add up to is kept in registers and written once.
HeadResult CommandReader::read_arguments(std::string_view window) {
    std::size_t at = at_;
    std::uint32_t count = announced_;
    std::uint64_t bytes = argument_bytes_;
    std::uint64_t largest = largest_bytes_;
    const std::uint32_t end = std::min(argc_, static_cast<std::uint32_t>(few_max));
    while (count < end) {
        const auto [length, begin] = whole_argument(window, at);
        if (begin == 0) {
            break;
        }
        few_.data()[count] = {
            static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(length), length};
        ++count;
        bytes += length;
        largest = std::max(largest, length);
        at = begin + length + terminator_bytes;
    }
    at_ = at;
    announced_ = count;
    argument_bytes_ = bytes;
    largest_bytes_ = largest;
    return count == argc_ ? finish_head(at, 0, false) : read_more_arguments(window);
}

HeadResult CommandReader::read_more_arguments(std::string_view window) {
    while (announced_ < argc_) {
        const auto [length, begin] = whole_argument(window, at_);
        if (begin == 0) {
            return read_odd_argument(window);
        }
        note_argument(begin, length, length);
        at_ = begin + length + terminator_bytes;
    }
    return finish_head(at_, 0, false);
}

// The next argument has not come in full, or breaks the protocol. (A length too long for
// short_number is longer than any window.)
HeadResult CommandReader::read_odd_argument(std::string_view window) {
    if (at_ >= window.size()) {
        return finish_in_length(window);
    }
    if (window[at_] != '$') {
        return HeadResult::malformed;
    }
    const NumberLine line = read_number_line(window, at_ + 1);
    if (line.state == LineState::need_more) {
        return finish_in_length(window);
    }
    if (line.state == LineState::malformed || line.value < 0) {
        return HeadResult::malformed;
    }
    return finish_in_argument(window, line.end, static_cast<std::uint64_t>(line.value));
}

// The next length has not arrived in full. A window of head_bytes_max is judged without it: the
// line begins the body.
HeadResult CommandReader::finish_in_length(std::string_view window) {
    return window.size() < head_bytes_max ? HeadResult::need_more : finish_head(at_, 0, true);
}

HeadResult CommandReader::finish_in_argument(
    std::string_view window, std::size_t begin, std::uint64_t length
) {
    if (length <= gathered_argument_bytes_max && window.size() < head_bytes_max) {
        return HeadResult::need_more;
    }
    const std::size_t in_hand = window.size() - begin;
    note_argument(
        begin, static_cast<std::size_t>(std::min<std::uint64_t>(length, in_hand)), length
    );
    return finish_head(window.size(), length + 2 - in_hand, true);
}

HeadResult CommandReader::finish_head(std::size_t consumed, std::uint64_t bulk_left, bool in_body) {
    consumed_ = consumed;
    in_body_ = in_body;
    bulk_left_ = bulk_left;
    body_arguments_left_ = argc_ - announced_;
    return HeadResult::head;
}

// The server looks for LF with strchr: a NUL before it hides it, and such a line never completes.
HeadResult CommandReader::read_inline(std::string_view window) {
    const std::size_t newline = window.find('\n', at_);
    const std::string_view line = window.substr(0, newline);
    if (line.find('\0', at_) != std::string_view::npos) {
        return HeadResult::malformed;
    }
    if (newline == std::string_view::npos) {
        at_ = window.size();
        return window.size() <= inline_bytes_max ? HeadResult::need_more : HeadResult::malformed;
    }
    InlineWords words;
    if (!split_inline(line, words)) {
        return HeadResult::malformed;
    }
    if (words.ends.empty()) {
        consumed_ = newline + 1;
        return HeadResult::blank;
    }
    inline_text_ = std::move(words.text);
    base_ = nullptr;
    argc_ = static_cast<std::uint32_t>(words.ends.size());
    std::size_t begin = 0;
    for (const std::size_t end : words.ends) {
        note_argument(begin, end - begin, end - begin);
        begin = end;
    }
    return finish_head(newline + 1, 0, false);
}

std::uint64_t CommandReader::argument_length(std::uint32_t i) const noexcept {
    const ArgumentRef* const argument = ref(i);
    return argument != nullptr ? argument->length : 0;
}

std::size_t CommandReader::read_body(std::string_view bytes) {
    std::size_t at = 0;
    while (in_body_) {
        if (bulk_left_ > 0) {
            const auto step =
                static_cast<std::size_t>(std::min<std::uint64_t>(bulk_left_, bytes.size() - at));
            at += step;
            bulk_left_ -= step;
            if (bulk_left_ > 0) {
                return at;
            }
        }
        if (body_arguments_left_ == 0) {
            in_body_ = false;
            return at;
        }
        if (at == bytes.size()) {
            return at;
        }
        read_body_header(bytes[at++]);
    }
    return at;
}

// Judges each byte as early as the head does: the type byte, the length at its CR, then any byte.
void CommandReader::read_body_header(char c) {
    const auto number = [this] {
        return parse_canonical({body_header_.data() + 1, body_header_size_ - 2U});
    };
    if (body_header_size_ > 0 && body_header_[body_header_size_ - 1U] == '\r') {
        const auto length = static_cast<std::uint64_t>(number().value_or(0));
        body_header_size_ = 0;
        --body_arguments_left_;
        bulk_left_ = length + 2;
        late_bytes_ += std::min(length, summed_length_max);
        return;
    }
    body_header_[body_header_size_++] = c;
    if (body_header_size_ == 1) {
        if (c != '$') {
            refuse_body();
        }
    } else if (c == '\r') {
        if (number().value_or(-1) < 0) {
            refuse_body();
        }
    } else if (body_header_size_ > number_line_bytes_max) {
        refuse_body();
    }
}

void CommandReader::refuse_body() {
    body_malformed_ = true;
    in_body_ = false;
}

std::uint64_t CommandReader::take_late_bytes() noexcept {
    const std::uint64_t bytes = late_bytes_;
    late_bytes_ = 0;
    return bytes;
}

}  // namespace spillway::resp
