// Finds where each command of a client begins and ends, and what stands in its head, without gathering its values.
#include "resp/command_reader.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "resp/inline_words.hpp"
#include "resp/number.hpp"

namespace spillway::resp {
namespace {

// A canonical number has at most 20 characters; a longer line can only end in the server's protocol error.
constexpr std::size_t number_line_bytes_max = 22;
constexpr std::int64_t multibulk_count_max = std::numeric_limits<std::int32_t>::max();
// Sums of announced lengths stop growing by more than this a piece, so that no peer can make them overflow.
constexpr std::uint64_t summed_length_max = std::uint64_t{1} << 48;

struct NumberLine {
    enum class Kind : std::uint8_t { need_more, number, malformed } kind = Kind::need_more;
    std::int64_t value = 0;
    std::size_t end = 0;  // behind the line and the byte after its CR
};

// Reads the number of a header line whose type byte stands at `at`. The server wants CR and one byte more, any byte.
NumberLine read_number_line(std::string_view window, std::size_t at) noexcept {
    const std::size_t begin = at + 1;
    std::size_t i = begin;
    // Nearly all lengths are one to three plain digits: no search, no general parser.
    std::int64_t value = 0;
    const std::size_t quick_end = std::min(window.size(), begin + 9);
    while (i < quick_end && window[i] >= '0' && window[i] <= '9') {
        value = value * 10 + (window[i] - '0');
        ++i;
    }
    if (i > begin && i + 1 < window.size() && window[i] == '\r' && (window[begin] != '0' || i == begin + 1)) {
        return {NumberLine::Kind::number, value, i + 2};
    }
    const std::string_view line = window.substr(std::min(begin, window.size()), number_line_bytes_max);
    const std::size_t cr = line.find('\r');
    if (cr == std::string_view::npos) {
        return {line.size() == number_line_bytes_max ? NumberLine::Kind::malformed : NumberLine::Kind::need_more, 0, 0};
    }
    const auto number = parse_canonical(line.substr(0, cr));
    if (!number) { return {NumberLine::Kind::malformed, 0, 0}; }
    if (begin + cr + 1 >= window.size()) { return {}; }
    return {NumberLine::Kind::number, *number, begin + cr + 2};
}

}  // namespace

void CommandReader::start() {
    at_ = 0;
    consumed_ = 0;
    argc_ = 0;
    announced_ = 0;
    argument_bytes_ = 0;
    largest_bytes_ = 0;
    if (!more_.empty()) {
        more_.clear();
        if (more_.capacity() > 64) { more_.shrink_to_fit(); }
    }
}

HeadResult CommandReader::read_head(std::string_view window) {
    if (!resuming_) { start(); }
    resuming_ = false;
    if (window.empty()) { return HeadResult::need_more; }
    base_ = window.data();
    const HeadResult result = window.front() == '*' ? read_multibulk(window) : read_inline(window);
    resuming_ = result == HeadResult::need_more;
    return result;
}

HeadResult CommandReader::read_multibulk(std::string_view window) {
    if (at_ == 0) {
        const NumberLine line = read_number_line(window, 0);
        if (line.kind == NumberLine::Kind::need_more) { return HeadResult::need_more; }
        if (line.kind == NumberLine::Kind::malformed || line.value > multibulk_count_max) { return HeadResult::malformed; }
        if (line.value <= 0) {
            consumed_ = line.end;
            return HeadResult::blank;
        }
        argc_ = static_cast<std::uint32_t>(line.value);
        at_ = line.end;
    }
    return read_arguments(window);
}

HeadResult CommandReader::read_arguments(std::string_view window) {
    while (announced_ < argc_) {
        if (at_ < window.size() && window[at_] != '$') { return HeadResult::malformed; }
        const NumberLine line = at_ < window.size() ? read_number_line(window, at_) : NumberLine{};
        if (line.kind == NumberLine::Kind::malformed) { return HeadResult::malformed; }
        if (line.kind == NumberLine::Kind::need_more) {
            if (window.size() < head_bytes_max || announced_ == 0) { return HeadResult::need_more; }
            // Long enough to judge by what is known; the body takes over at this length line.
            consumed_ = at_;
            in_body_ = true;
            bulk_left_ = 0;
            body_arguments_left_ = argc_ - announced_;
            body_header_size_ = 0;
            return HeadResult::head;
        }
        if (line.value < 0) { return HeadResult::malformed; }
        const auto length = static_cast<std::uint64_t>(line.value);
        const std::size_t in_hand = window.size() - line.end;
        if (length > in_hand || in_hand - length < 2) { return finish_in_argument(window, line.end, length); }
        note_argument(line.end, length, length);
        at_ = line.end + static_cast<std::size_t>(length) + 2;
    }
    consumed_ = at_;
    in_body_ = false;
    return HeadResult::head;
}

HeadResult CommandReader::finish_in_argument(std::string_view window, std::size_t begin, std::uint64_t length) {
    if (length <= gathered_argument_bytes_max && window.size() < head_bytes_max) { return HeadResult::need_more; }
    const std::size_t in_hand = window.size() - begin;
    note_argument(begin, static_cast<std::size_t>(std::min<std::uint64_t>(length, in_hand)), length);
    consumed_ = window.size();
    in_body_ = true;
    bulk_left_ = length + 2 - in_hand;
    body_arguments_left_ = argc_ - announced_;
    body_header_size_ = 0;
    return HeadResult::head;
}

void CommandReader::note_argument(std::size_t offset, std::size_t available, std::uint64_t length) {
    const ArgumentRef noted{static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(available), length};
    if (announced_ < few_max) {
        few_[announced_] = noted;
    } else {
        more_.push_back(noted);
    }
    ++announced_;
    argument_bytes_ += std::min(length, summed_length_max);
    largest_bytes_ = std::max(largest_bytes_, length);
}

// The server looks for LF with strchr: a NUL before it hides it, and such a line never completes.
HeadResult CommandReader::read_inline(std::string_view window) {
    const std::size_t newline = window.find('\n', at_);
    const std::string_view line = window.substr(0, newline);
    if (std::memchr(line.data() + at_, '\0', line.size() - at_) != nullptr) { return HeadResult::malformed; }
    if (newline == std::string_view::npos) {
        at_ = window.size();
        return window.size() < head_bytes_max ? HeadResult::need_more : HeadResult::malformed;
    }
    InlineWords words;
    if (!split_inline(line, words)) { return HeadResult::malformed; }
    consumed_ = newline + 1;
    if (words.ends.empty()) { return HeadResult::blank; }
    inline_words_ = std::move(words.text);
    base_ = inline_words_.data();
    argc_ = static_cast<std::uint32_t>(words.ends.size());
    std::size_t begin = 0;
    for (const std::size_t end : words.ends) {
        note_argument(begin, end - begin, end - begin);
        begin = end;
    }
    in_body_ = false;
    return HeadResult::head;
}

std::string_view CommandReader::argument(std::uint32_t i) const noexcept {
    if (i >= announced_) { return {}; }
    const ArgumentRef& argument = ref(i);
    return {base_ + argument.offset, argument.available};
}

std::uint64_t CommandReader::argument_length(std::uint32_t i) const noexcept { return i < announced_ ? ref(i).length : 0; }

std::size_t CommandReader::read_body(std::string_view bytes) {
    std::size_t at = 0;
    while (in_body_) {
        if (bulk_left_ > 0) {
            const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(bulk_left_, bytes.size() - at));
            at += step;
            bulk_left_ -= step;
            if (bulk_left_ > 0) { return at; }
        }
        if (body_arguments_left_ == 0) {
            in_body_ = false;
            return at;
        }
        if (at == bytes.size()) { return at; }
        read_body_header(bytes[at++]);
    }
    return at;
}

void CommandReader::read_body_header(char c) {
    const bool line_ended = body_header_size_ > 0 && body_header_[body_header_size_ - 1U] == '\r';
    if (!line_ended) {
        if (body_header_size_ == body_header_.size() || (body_header_size_ == 0 && c != '$')) {
            body_malformed_ = true;
            in_body_ = false;
            return;
        }
        body_header_[body_header_size_++] = c;
        return;
    }
    const auto length = parse_canonical({body_header_.data() + 1, body_header_size_ - 2U});
    if (!length || *length < 0) {
        body_malformed_ = true;
        in_body_ = false;
        return;
    }
    body_header_size_ = 0;
    --body_arguments_left_;
    bulk_left_ = static_cast<std::uint64_t>(*length) + 2;
    late_bytes_ += std::min(static_cast<std::uint64_t>(*length), summed_length_max);
}

std::uint64_t CommandReader::take_late_bytes() noexcept {
    const std::uint64_t bytes = late_bytes_;
    late_bytes_ = 0;
    return bytes;
}

}  // namespace spillway::resp
