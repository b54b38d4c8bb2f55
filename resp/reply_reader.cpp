// Finds where each reply and push of a backend ends, RESP2 and RESP3 alike, without building values.
#include "resp/reply_reader.hpp"

#include <algorithm>
#include <cstring>

#include "resp/number.hpp"

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
        case '(': return Shape::line;
        case ':': return Shape::number;
        case '$':
        case '=':
        case '!': return Shape::bulk;
        case '*':
        case '~':
        case '>': return Shape::aggregate;
        case '%':
        case '|': return Shape::pairs;
        default: return Shape::none;
    }
}

constexpr bool has_length(char type) noexcept { return shape_of(type) >= Shape::bulk; }

// More elements than this in one reply cannot be real, and sums of two stay far from overflow.
constexpr std::int64_t owed_max = std::int64_t{1} << 60;
constexpr std::int64_t count_max = std::int64_t{1} << 40;

}  // namespace

// Replies that lie in `bytes` in full and are no aggregate; returns their size, 0 when the long way must be gone.
std::size_t ReplyReader::quick_reply(std::string_view bytes) {
    const char type = bytes.front();
    const Shape shape = shape_of(type);
    if ((shape != Shape::line && shape != Shape::number && type != '$') || type == '-') { return 0; }
    if (type != '$') {
        const void* cr = std::memchr(bytes.data(), '\r', bytes.size());
        if (cr == nullptr) { return 0; }
        const auto end = static_cast<std::size_t>(static_cast<const char*>(cr) - bytes.data()) + 1;
        if (end >= bytes.size() || bytes[end] != '\n') { return 0; }
        top_type_ = type;
        nested_error_last_ = false;
        return end + 1;
    }
    std::uint64_t length = 0;
    std::size_t i = 1;
    const std::size_t digits_end = std::min<std::size_t>(bytes.size(), 10);
    while (i < digits_end && bytes[i] >= '0' && bytes[i] <= '9') {
        length = length * 10 + static_cast<std::uint64_t>(bytes[i] - '0');
        ++i;
    }
    if (i == 1 || i + 2 > bytes.size() || bytes[i] != '\r' || bytes.size() - i - 2 < length + 2) { return 0; }
    top_type_ = type;
    nested_error_last_ = false;
    return i + 2 + static_cast<std::size_t>(length) + 2;
}

ReplyReader::Step ReplyReader::read(std::string_view bytes) {
    if (at_boundary() && !bytes.empty()) {
        if (const std::size_t size = quick_reply(bytes); size > 0) { return {ReplyEvent::reply, size}; }
    }
    std::size_t at = 0;
    while (at < bytes.size()) {
        ReplyEvent event = ReplyEvent::need_more;
        switch (stage_) {
            case Stage::type:
                if (!begin_value(bytes[at])) { return {ReplyEvent::unfollowable, at}; }
                ++at;
                break;
            case Stage::line: {
                const std::size_t cr = std::min(bytes.find('\r', at), bytes.size());
                if (!take_line(bytes.substr(at, cr - at))) { return {ReplyEvent::unfollowable, at}; }
                at = cr;
                if (at == bytes.size()) { break; }
                if (owed_ == 1 && pushes_ == 0 && type_ == '-' && top_type_ == '-') {
                    stage_ = Stage::error_end;
                    return {ReplyEvent::line_ending, at};
                }
                ++at;
                stage_ = Stage::line_feed;
                break;
            }
            case Stage::error_end:
                ++at;
                stage_ = Stage::line_feed;
                break;
            case Stage::line_feed:
                if (bytes[at] != '\n') {  // a CR inside the line
                    stage_ = Stage::line;
                    if (!take_line("\r")) { return {ReplyEvent::unfollowable, at}; }
                    break;
                }
                ++at;
                event = finish_line();
                break;
            case Stage::bulk: {
                const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(bulk_left_, bytes.size() - at));
                take_bulk(bytes.substr(at, step));
                at += step;
                bulk_left_ -= step;
                if (bulk_left_ == 0) { event = finish_value(); }
                break;
            }
        }
        if (event != ReplyEvent::need_more) { return {event, at}; }
    }
    return {ReplyEvent::need_more, at};
}

bool ReplyReader::begin_value(char type) {
    if (shape_of(type) == Shape::none) { return false; }
    type_ = type;
    header_size_ = 0;
    stage_ = Stage::line;
    if (!in_value_) {
        in_value_ = true;
        top_type_ = type;
        owed_ = 1;
        pushes_ = 0;
        kind_wanted_ = type == '*' || type == '>';
        kind_now_ = false;
        kind_size_ = 0;
        last_integer_ = 0;
    } else {
        kind_now_ = kind_wanted_;
        kind_wanted_ = false;
    }
    if (type == '-' || type == '!') { error_.clear(); }
    return true;
}

bool ReplyReader::take_line(std::string_view part) {
    if (has_length(type_) || type_ == ':') {
        if (part.size() > header_.size() - header_size_) { return type_ == ':'; }
        std::copy(part.begin(), part.end(), header_.begin() + header_size_);
        header_size_ = static_cast<std::uint8_t>(header_size_ + part.size());
    } else if (type_ == '-') {
        error_.append(part.substr(0, error_line_bytes_max - error_.size()));
    } else if (type_ == '+' && kind_now_) {
        take_bulk(part);
    }
    return true;
}

void ReplyReader::take_bulk(std::string_view part) {
    if (kind_now_) {
        // The terminator of a bulk is passed along with it, so it is left out here.
        const std::uint64_t text_left = stage_ == Stage::bulk ? bulk_left_ - std::min<std::uint64_t>(bulk_left_, 2) : part.size();
        const std::size_t room = frame_kind_bytes_max - kind_size_;
        part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>({part.size(), text_left, room})));
        std::copy(part.begin(), part.end(), kind_.begin() + kind_size_);
        kind_size_ = static_cast<std::uint8_t>(kind_size_ + part.size());
    } else if (type_ == '!' && stage_ == Stage::bulk) {
        const std::uint64_t text_left = bulk_left_ - std::min<std::uint64_t>(bulk_left_, 2);
        part = part.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(part.size(), text_left)));
        error_.append(part.substr(0, error_line_bytes_max - error_.size()));
    }
}

ReplyEvent ReplyReader::finish_line() {
    if (type_ == ':') {
        last_integer_ = parse_canonical({header_.data(), header_size_}).value_or(0);
        return finish_value();
    }
    if (!has_length(type_)) { return finish_value(); }
    const auto number = parse_canonical({header_.data(), header_size_});
    if (!number || *number < -1) { return ReplyEvent::unfollowable; }
    return finish_header(*number);
}

ReplyEvent ReplyReader::finish_header(std::int64_t number) {
    if (shape_of(type_) != Shape::bulk) { return open_aggregate(number); }
    if (number < 0) { return finish_value(); }
    bulk_left_ = static_cast<std::uint64_t>(number) + 2;
    stage_ = Stage::bulk;
    return ReplyEvent::need_more;
}

ReplyEvent ReplyReader::open_aggregate(std::int64_t count) {
    stage_ = Stage::type;
    const std::int64_t elements = std::max<std::int64_t>(count, 0) * (shape_of(type_) == Shape::pairs ? 2 : 1);
    if (count > count_max || owed_ > owed_max) { return ReplyEvent::unfollowable; }
    if (type_ == '|') {
        // Owes its pairs; the value that it describes is still owed as before. At top level that value is the reply.
        owed_ += elements;
        return ReplyEvent::need_more;
    }
    if (type_ == '>' && (top_type_ != '>' || owed_ != 1 || pushes_ != 0)) {
        if (elements == 0) { return ReplyEvent::need_more; }
        if (pushes_ == nested_pushes_max) { return ReplyEvent::unfollowable; }
        owed_outside_[pushes_++] = owed_;
        owed_ = elements;
        return ReplyEvent::need_more;
    }
    owed_ += elements;
    return finish_value();
}

ReplyEvent ReplyReader::finish_value() {
    const bool error = type_ == '-' || type_ == '!';
    stage_ = Stage::type;
    --owed_;
    while (owed_ == 0 && pushes_ > 0) { owed_ = owed_outside_[--pushes_]; }
    if (owed_ == 0) {
        in_value_ = false;
        nested_error_last_ = error && !is_error();
        return top_type_ == '>' ? ReplyEvent::push : ReplyEvent::reply;
    }
    return error ? ReplyEvent::nested_error : ReplyEvent::need_more;
}

}  // namespace spillway::resp
