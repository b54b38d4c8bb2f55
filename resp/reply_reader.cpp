// Finds where each reply and push of a backend ends, RESP2 and RESP3 alike, without building
// values.
#include "resp/reply_reader.hpp"

#include "resp/number.hpp"

#include <algorithm>
#include <cstring>

namespace spillway::resp {
namespace {

enum class Shape : std::uint8_t { none, line, number, bulk, aggregate, pairs };

constexpr Shape shape_of(char type) noexcept {
    switch (type) {
        case '+':
        case '-':
        case '_':
        case '#':
        case ',':
        case '(':
            return Shape::line;
        case ':':
            return Shape::number;
        case '$':
        case '=':
        case '!':
            return Shape::bulk;
        case '*':
        case '~':
        case '>':
            return Shape::aggregate;
        case '%':
        case '|':
            return Shape::pairs;
        default:
            return Shape::none;
    }
}

constexpr bool has_length(char type) noexcept {
    return shape_of(type) >= Shape::bulk;
}

constexpr bool is_error_type(char type) noexcept {
    return type == '-' || type == '!';
}

// More elements than this in one reply cannot be real, and sums of two stay far from overflow.
constexpr std::int64_t owed_max = std::int64_t{1} << 60;
constexpr std::int64_t aggregate_max = std::int64_t{1} << 40;

constexpr std::size_t terminator_size = 2;

// Whether `bytes` begin with these five: a comparison of constant size needs no call.
inline bool is_five(std::string_view bytes, const char (&text)[6]) noexcept {
    return bytes.size() >= 5 && std::memcmp(bytes.data(), text, 5) == 0;
}

// The size of a line that ends in CR LF, from its type byte on; 0 when it is not all there.
std::size_t line_size(std::string_view bytes) noexcept {
    const void* const cr = std::memchr(bytes.data(), '\r', bytes.size());
    if (cr == nullptr) {
        return 0;
    }
    const auto end = static_cast<std::size_t>(static_cast<const char*>(cr) - bytes.data()) + 1;
    return end < bytes.size() && bytes[end] == '\n' ? end + 1 : 0;
}

// The size of a value that lies at the front of `bytes` in full and is neither aggregate nor error;
// 0 when the long way must be gone. Both ways agree on every byte.
inline std::size_t plain_size(std::string_view bytes) noexcept {
    const char type = bytes.front();
    if (type == '$') {
        const ShortNumber length = short_number(bytes, 1);
        if (length.end == 0) {
            return is_five(bytes, "$-1\r\n") ? 5 : 0;
        }
        const std::size_t end = length.end + static_cast<std::size_t>(length.value);
        return bytes.data()[length.end - 1] == '\n' && end + terminator_size <= bytes.size()
                   ? end + terminator_size
                   : 0;
    }
    if (is_five(bytes, "+OK\r\n")) {
        return 5;
    }
    const Shape shape = shape_of(type);
    return (shape == Shape::line || shape == Shape::number) && type != '-' ? line_size(bytes) : 0;
}

// As plain_size, of an aggregate of plain values and of aggregates like it, with at most so many
// values in all. Pushes, attributes, errors and null aggregates go the long way.
constexpr std::uint64_t aggregate_values_max = 64;

std::size_t plain_aggregate_size(std::string_view bytes) noexcept {
    std::size_t at = 0;
    std::uint64_t owed = 1;
    for (std::uint64_t seen = 0; owed > 0; ++seen, --owed) {
        if (at >= bytes.size() || seen > aggregate_values_max) {
            return 0;
        }
        const std::string_view rest(bytes.data() + at, bytes.size() - at);
        const char type = rest.front();
        if (type == '*' || type == '%' || type == '~') {
            const ShortNumber count = short_number(rest, 1);
            if (count.end == 0 || rest[count.end - 1] != '\n' ||
                count.value > aggregate_values_max) {
                return 0;
            }
            owed += type == '%' ? 2 * count.value : count.value;
            at += count.end;
            continue;
        }
        const std::size_t size = plain_size(rest);
        if (size == 0) {
            return 0;
        }
        at += size;
    }
    return at;
}

}  // namespace

ReplyReader::Step ReplyReader::read(std::string_view bytes) {
    if (at_boundary() && !bytes.empty()) {
        if (const std::size_t size = plain_size(bytes); size > 0) {
            begin_reply(bytes.front());
            nested_error_last_ = false;
            return {ReplyEvent::reply, size};
        }
    }
    return read_on(bytes);
}

ReplyReader::PlainReplies ReplyReader::skip_plain(
    std::string_view bytes, std::uint64_t count_max, bool aggregates
) const noexcept {
    PlainReplies passed;
    while (passed.count < count_max && passed.size < bytes.size()) {
        const std::string_view rest(bytes.data() + passed.size, bytes.size() - passed.size);
        std::size_t size = plain_size(rest);
        if (size == 0 && aggregates) {
            size = plain_aggregate_size(rest);
        }
        if (size == 0) {
            break;
        }
        passed.size += size;
        ++passed.count;
    }
    return passed;
}

ReplyReader::Step ReplyReader::read_on(std::string_view bytes) {
    std::size_t at = 0;
    while (at < bytes.size()) {
        const Step step = advance(bytes.substr(at));
        at += step.consumed;
        if (step.event != ReplyEvent::need_more) {
            return {step.event, at};
        }
    }
    return {ReplyEvent::need_more, at};
}

ReplyReader::Step ReplyReader::advance(std::string_view bytes) {
    switch (stage_) {
        case Stage::type:
            return begin_value(bytes);
        case Stage::line:
            return pass_line(bytes);
        case Stage::line_feed:
            if (bytes.front() == '\n') {
                return {finish_line(), 1};
            }
            stage_ = Stage::line;  // the CR stood inside the line
            return take_line("\r") == 1 ? Step{} : Step{ReplyEvent::unfollowable, 0};
        case Stage::bulk:
            return pass_bulk(bytes);
    }
    return {};
}

void ReplyReader::begin_reply(char type) noexcept {
    top_type_ = type;
    owed_ = 1;
    pushes_ = 0;
    kind_size_ = 0;
    last_integer_ = 0;
}

// Passes the elements at the front of `bytes` that lie there in full, one after the other.
ReplyReader::Step ReplyReader::pass_plain(std::string_view bytes) {
    std::size_t at = 0;
    while (in_value_ && at < bytes.size()) {
        const std::string_view rest = bytes.substr(at);
        const std::size_t size = plain_size(rest);
        if (size == 0) {
            break;
        }
        type_ = rest.front();
        if (kind_wanted_) {
            kind_wanted_ = false;
            if (type_ == '+' || (type_ == '$' && rest[1] != '-')) {
                const std::size_t begin = type_ == '+' ? 1 : rest.find('\n') + 1;
                keep_kind(rest.substr(begin, size - terminator_size - begin));
            }
        }
        if (behind_attribute()) {
            begin_reply(type_);
        } else if (type_ == ':') {
            last_integer_ = parse_canonical(rest.substr(1, size - 3)).value_or(0);
        }
        at += size;
        if (const ReplyEvent event = finish_value(); event != ReplyEvent::need_more) {
            return {event, at};
        }
    }
    return {ReplyEvent::need_more, at};
}

ReplyReader::Step ReplyReader::begin_value(std::string_view bytes) {
    if (const Step plain = pass_plain(bytes); plain.consumed > 0) {
        return plain;
    }
    const char type = bytes.front();
    if (shape_of(type) == Shape::none) {
        return {ReplyEvent::unfollowable, 0};
    }
    type_ = type;
    header_size_ = 0;
    line_ending_told_ = false;
    stage_ = Stage::line;
    // A push never is what an attribute describes: it stands between the two.
    outermost_ = !in_value_ || (behind_attribute() && type != '>');
    kind_now_ = !outermost_ && kind_wanted_ && (type == '$' || type == '+');
    kind_wanted_ = outermost_ && (type == '*' || type == '>');
    if (outermost_) {
        begin_reply(type);
        in_value_ = true;
    }
    if (is_error_type(type)) {
        error_.clear();
    }
    if (has_length(type)) {
        const ShortNumber number = short_number(bytes, 1);
        if (number.end > 0 && bytes[number.end - 1] == '\n') {
            return {finish_header(static_cast<std::int64_t>(number.value)), number.end};
        }
    }
    return {ReplyEvent::need_more, 1};
}

// Passes what stands before the next CR.
ReplyReader::Step ReplyReader::pass_line(std::string_view bytes) {
    const std::size_t size = std::min(bytes.find('\r'), bytes.size());
    if (const std::size_t taken = take_line(bytes.substr(0, size)); taken < size) {
        return {ReplyEvent::unfollowable, taken};
    }
    if (size == bytes.size()) {
        return {ReplyEvent::need_more, size};
    }
    if (outermost_ && type_ == '-' && !line_ending_told_) {
        line_ending_told_ = true;
        return {ReplyEvent::line_ending, size};
    }
    stage_ = Stage::line_feed;
    return {ReplyEvent::need_more, size + 1};
}

// Keeps of a line what is asked for later; returns how much of `part` was taken, less than all of
// it when a length gets longer than any number.
std::size_t ReplyReader::take_line(std::string_view part) {
    if (has_length(type_) || type_ == ':') {
        const std::size_t taken = std::min(part.size(), header_.size() - header_size_);
        std::copy_n(part.begin(), taken, header_.begin() + header_size_);
        header_size_ = static_cast<std::uint8_t>(header_size_ + taken);
        return type_ == ':' ? part.size() : taken;
    }
    if (type_ == '-') {
        keep_error(part);
    } else if (kind_now_) {
        keep_kind(part);
    }
    return part.size();
}

ReplyReader::Step ReplyReader::pass_bulk(std::string_view bytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bulk_left_, bytes.size()));
    const std::uint64_t text_left =
        bulk_left_ - std::min<std::uint64_t>(bulk_left_, terminator_size);
    const auto text_size = static_cast<std::size_t>(std::min<std::uint64_t>(size, text_left));
    if (type_ == '!') {
        keep_error(bytes.substr(0, text_size));
    } else if (kind_now_) {
        keep_kind(bytes.substr(0, text_size));
    }
    bulk_left_ -= size;
    return {bulk_left_ == 0 ? finish_value() : ReplyEvent::need_more, size};
}

void ReplyReader::keep_error(std::string_view part) {
    error_.append(part.substr(0, error_line_bytes_max - error_.size()));
}

void ReplyReader::keep_kind(std::string_view part) noexcept {
    const std::size_t taken = std::min(part.size(), kind_.size() - kind_size_);
    std::copy_n(part.begin(), taken, kind_.begin() + kind_size_);
    kind_size_ = static_cast<std::uint8_t>(kind_size_ + taken);
}

ReplyEvent ReplyReader::finish_line() {
    if (!has_length(type_)) {
        if (type_ == ':' && !outermost_) {
            last_integer_ = parse_canonical({header_.data(), header_size_}).value_or(0);
        }
        return finish_value();
    }
    const auto number = parse_canonical({header_.data(), header_size_});
    return number && *number >= -1 ? finish_header(*number) : ReplyEvent::unfollowable;
}

// `number` is a count or a length, or -1 for null.
ReplyEvent ReplyReader::finish_header(std::int64_t number) {
    if (shape_of(type_) != Shape::bulk) {
        return open_aggregate(std::max<std::int64_t>(number, 0));
    }
    if (number < 0) {
        return finish_value();
    }
    bulk_bytes_ = bulk_left_ = static_cast<std::uint64_t>(number) + terminator_size;
    stage_ = Stage::bulk;
    return ReplyEvent::need_more;
}

ReplyEvent ReplyReader::open_aggregate(std::int64_t count) {
    if (count > aggregate_max || owed_ > owed_max) {
        return ReplyEvent::unfollowable;
    }
    stage_ = Stage::type;
    const std::int64_t elements = shape_of(type_) == Shape::pairs ? count * 2 : count;
    if (type_ == '|') {
        // Owes its pairs; the value that it describes is still owed as before. At top level that
        // value is the reply.
        owed_ += elements;
        return ReplyEvent::need_more;
    }
    if (type_ == '>' && !outermost_) {
        if (elements == 0) {
            return ReplyEvent::need_more;
        }
        if (pushes_ == nested_pushes_max) {
            return ReplyEvent::unfollowable;
        }
        owed_outside_[pushes_++] = owed_;
        owed_ = elements;
        return ReplyEvent::need_more;
    }
    owed_ += elements;
    return finish_value();
}

ReplyEvent ReplyReader::finish_value() {
    const bool error = is_error_type(type_);
    stage_ = Stage::type;
    --owed_;
    if (owed_ == 0 && pushes_ > 0) {  // the push settles nothing, so what it stands in still waits
        owed_ = owed_outside_[--pushes_];
    }
    if (owed_ == 0) {
        in_value_ = false;
        nested_error_last_ = error && !is_error();
        return top_type_ == '>' ? ReplyEvent::push : ReplyEvent::reply;
    }
    return error ? ReplyEvent::nested_error : ReplyEvent::need_more;
}

}  // namespace spillway::resp
