// Parses with a stack of its own, of bounded depth; grows only with what has arrived, never by an
// announced count.
#include "resp/reply_tree.hpp"

#include "resp/number.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace spillway::resp {
namespace {

constexpr std::size_t stack_size = 64;
constexpr std::size_t reply_bytes_min = 3;  // "_\r\n"
// Of a length or an integer. A line that is longer and still has no end is none.
constexpr std::size_t number_line_bytes_max = 32;

class Parser {
  public:
    Parser(std::string_view bytes, Reply& root, const ReplyLimits& limits) noexcept
        : bytes_(bytes.substr(0, limits.bytes_max)),
          root_(root),
          limits_(limits),
          depth_max_(std::min(limits.depth_max, stack_size)) {}

    ReplyParseResult run() {
        do {
            const ReplyParse state = read_one();
            if (state != ReplyParse::complete) {
                return {.state = state, .bytes = bytes_wanted(state)};
            }
            close_full();
        } while (depth_ > 0 || !root_done_);
        return {.state = ReplyParse::complete, .bytes = at_};
    }

  private:
    enum class Purpose : std::uint8_t {
        element,  // counts as one reply
        aside,    // attribute, or push within an aggregate: belongs to no reply
    };
    struct Frame {
        Reply* node = nullptr;
        std::uint64_t left = 0;  // elements still to come
        Purpose purpose = Purpose::element;
    };

    // Reads one scalar, or the head of one aggregate.
    ReplyParse read_one() {
        if (at_ >= bytes_.size()) {
            return need(at_ + reply_bytes_min);
        }
        const char prefix = bytes_[at_];
        switch (prefix) {
            case '+':
                return read_line(ReplyType::simple);
            case '-':
                return read_line(ReplyType::error);
            case ',':
            case '(':
                return read_line(ReplyType::number);
            case ':':
                return read_integer();
            case '#':
                return read_boolean();
            case '_':
                return read_null();
            case '$':
                return read_bulk(ReplyType::bulk);
            case '=':
                return read_bulk(ReplyType::verbatim);
            case '!':
                return read_bulk(ReplyType::error);
            case '*':
                return open(ReplyType::array, 1, Purpose::element);
            case '~':
                return open(ReplyType::set, 1, Purpose::element);
            case '%':
                return open(ReplyType::map, 2, Purpose::element);
            case '|':
                return open(ReplyType::map, 2, Purpose::aside);
            case '>':
                return open(ReplyType::push, 1, depth_ > 0 ? Purpose::aside : Purpose::element);
            default:
                return ReplyParse::malformed;
        }
    }

    // The text between the prefix at `at_` and CR LF; `next` is behind them.
    struct Line {
        ReplyParse state = ReplyParse::malformed;
        std::string_view text{};
        std::size_t next = 0;
    };

    Line line(std::size_t line_bytes_max) {
        const std::string_view rest = bytes_.substr(at_ + 1, line_bytes_max);
        const std::size_t end = rest.find('\r');
        if (end == std::string_view::npos) {
            return {
                .state = rest.size() == line_bytes_max ? ReplyParse::malformed
                                                       : need(bytes_.size() + 1)};
        }
        const std::size_t line_feed = at_ + 1 + end + 1;
        if (line_feed >= bytes_.size()) {
            return {.state = need(line_feed + 1)};
        }
        if (bytes_[line_feed] != '\n') {
            return {.state = ReplyParse::malformed};
        }
        return {.state = ReplyParse::complete, .text = rest.substr(0, end), .next = line_feed + 1};
    }

    ReplyParse read_line(ReplyType type) {
        const Line read = line(limits_.bytes_max);
        if (read.state != ReplyParse::complete) {
            return read.state;
        }
        return put({.type = type, .text = read.text}, read.next);
    }

    ReplyParse read_integer() {
        const Line read = line(number_line_bytes_max);
        if (read.state != ReplyParse::complete) {
            return read.state;
        }
        const std::optional<std::int64_t> value = parse_canonical(read.text);
        if (!value) {
            return ReplyParse::malformed;
        }
        return put({.type = ReplyType::integer, .integer = *value}, read.next);
    }

    ReplyParse read_boolean() {
        const Line read = line(number_line_bytes_max);
        if (read.state != ReplyParse::complete) {
            return read.state;
        }
        if (read.text != "t" && read.text != "f") {
            return ReplyParse::malformed;
        }
        return put({.type = ReplyType::boolean, .integer = read.text == "t" ? 1 : 0}, read.next);
    }

    ReplyParse read_null() {
        const Line read = line(number_line_bytes_max);
        if (read.state != ReplyParse::complete) {
            return read.state;
        }
        if (!read.text.empty()) {
            return ReplyParse::malformed;
        }
        return put({.type = ReplyType::null}, read.next);
    }

    ReplyParse read_bulk(ReplyType type) {
        const Line head = line(number_line_bytes_max);
        if (head.state != ReplyParse::complete) {
            return head.state;
        }
        const std::optional<std::int64_t> length = parse_canonical(head.text);
        if (!length || *length < -1 || (*length == -1 && type != ReplyType::bulk)) {
            return ReplyParse::malformed;
        }
        if (*length == -1) {
            return put({.type = ReplyType::null}, head.next);
        }
        if (static_cast<std::uint64_t>(*length) > limits_.bytes_max) {
            return ReplyParse::too_large;
        }
        const auto size = static_cast<std::size_t>(*length);
        const std::size_t end = head.next + size;
        if (bytes_.size() < end + 2) {
            return need(end + 2);
        }
        if (bytes_.substr(end, 2) != "\r\n") {
            return ReplyParse::malformed;
        }
        std::string_view text = bytes_.substr(head.next, size);
        if (type == ReplyType::verbatim) {
            constexpr std::size_t format_size = 4;  // "txt:"
            if (size < format_size || text[format_size - 1] != ':') {
                return ReplyParse::malformed;
            }
            text.remove_prefix(format_size);
        }
        return put({.type = type, .text = text}, end + 2);
    }

    ReplyParse open(ReplyType type, std::uint64_t replies_per_item, Purpose purpose) {
        const Line head = line(number_line_bytes_max);
        if (head.state != ReplyParse::complete) {
            return head.state;
        }
        const std::optional<std::int64_t> count = parse_canonical(head.text);
        if (!count || *count < -1 || (*count == -1 && type != ReplyType::array)) {
            return ReplyParse::malformed;
        }
        if (*count == -1) {
            return put({.type = ReplyType::null}, head.next);
        }
        if (static_cast<std::uint64_t>(*count) > limits_.elements_max || depth_ >= depth_max_) {
            return ReplyParse::too_large;
        }
        Reply* node = add({.type = type}, purpose);
        if (node == nullptr) {
            return ReplyParse::too_large;
        }
        at_ = head.next;
        frames_[depth_++] = {
            .node = node,
            .left = static_cast<std::uint64_t>(*count) * replies_per_item,
            .purpose = purpose};
        return ReplyParse::complete;
    }

    ReplyParse put(Reply&& reply, std::size_t next) {
        if (add(std::move(reply), Purpose::element) == nullptr) {
            return ReplyParse::too_large;
        }
        at_ = next;
        return ReplyParse::complete;
    }

    // Where the reply belongs: the innermost open aggregate, or the root. Null past `elements_max`.
    Reply* add(Reply&& reply, Purpose purpose) {
        if (depth_ == 0) {
            root_done_ = purpose == Purpose::element;
            root_ = std::move(reply);
            return &root_;
        }
        if (++elements_ > limits_.elements_max) {
            return nullptr;
        }
        Frame& frame = frames_[depth_ - 1];
        if (purpose == Purpose::element) {
            --frame.left;
        }
        return &frame.node->elements.emplace_back(std::move(reply));
    }

    // Leaves the aggregates that have all their elements, and drops what belongs to no reply.
    void close_full() {
        while (depth_ > 0 && frames_[depth_ - 1].left == 0) {
            --depth_;
            if (frames_[depth_].purpose == Purpose::aside && depth_ > 0) {
                frames_[depth_ - 1].node->elements.pop_back();
            }
        }
    }

    ReplyParse need(std::size_t bytes) noexcept {
        if (bytes > limits_.bytes_max) {
            return ReplyParse::too_large;
        }
        bytes_wanted_ = bytes;
        return ReplyParse::need_more;
    }

    [[nodiscard]] std::size_t bytes_wanted(ReplyParse state) const noexcept {
        return state == ReplyParse::need_more ? bytes_wanted_ : 0;
    }

    std::string_view
        bytes_;  // at most bytes_max of them, so whoever needs more than that is too large
    Reply& root_;
    ReplyLimits limits_;
    std::size_t depth_max_;
    std::array<Frame, stack_size> frames_{};
    std::size_t depth_ = 0;
    std::size_t at_ = 0;
    std::size_t elements_ = 0;
    std::size_t bytes_wanted_ = 0;
    bool root_done_ = false;
};

}  // namespace

ReplyParseResult parse_reply(std::string_view bytes, Reply& out, const ReplyLimits& limits) {
    out = {};
    const ReplyParseResult result = Parser(bytes, out, limits).run();
    if (result.state != ReplyParse::complete) {
        out = {};
    }
    return result;
}

}  // namespace spillway::resp
