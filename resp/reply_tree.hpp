// Reads one complete RESP2 or RESP3 reply into a small tree: for the probe's own questions, never
// for a client's traffic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace spillway::resp {

enum class ReplyType : std::uint8_t {
    null,      // $-1, *-1, _
    simple,    // +
    error,     // - and !
    integer,   // :
    boolean,   // #, as integer 0 or 1
    number,    // , and ( as their text: a double or a big number
    bulk,      // $
    verbatim,  // =, the text without its three-letter format
    array,     // *
    map,       // %, keys and values by turns
    set,       // ~
    push,      // >, only ever the outermost type
};

// Texts are views into the bytes that were parsed, which must outlive the tree.
struct Reply {
    ReplyType type = ReplyType::null;
    std::int64_t integer = 0;  // integer and boolean
    std::string_view text{};   // simple, error, number, bulk, verbatim; without prefix and line end
    std::vector<Reply> elements{};  // array, map, set, push

    [[nodiscard]] bool is_error() const noexcept { return type == ReplyType::error; }
    // Array or set: RESP3 answers with a set where RESP2 has an array.
    [[nodiscard]] bool is_list() const noexcept {
        return type == ReplyType::array || type == ReplyType::set;
    }
    // Simple, bulk or verbatim: servers and versions differ in which they choose for a string.
    [[nodiscard]] bool is_text() const noexcept {
        return type == ReplyType::simple || type == ReplyType::bulk || type == ReplyType::verbatim;
    }
};

struct ReplyLimits {
    std::size_t bytes_max = std::size_t{16} << 20U;  // of the whole reply
    std::size_t depth_max = 16;            // aggregates within aggregates; above 64 counts as 64
    std::size_t elements_max = 1'000'000;  // of all aggregates together
};

enum class ReplyParse : std::uint8_t { complete, need_more, malformed, too_large };

struct ReplyParseResult {
    ReplyParse state = ReplyParse::malformed;
    // complete: how many bytes the reply took. need_more: no use in asking again before that many
    // bytes are there.
    std::size_t bytes = 0;
};

// Attributes, and pushes inside an aggregate, belong to no reply: they are read and left out. `out`
// is filled only when the result is complete. Streamed aggregates and strings ("*?", "$?") are
// malformed: no server sends them.
[[nodiscard]] ReplyParseResult parse_reply(
    std::string_view bytes, Reply& out, const ReplyLimits& limits = {}
);

}  // namespace spillway::resp
