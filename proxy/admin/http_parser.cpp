// llhttp's callbacks, gathered into a Request and held to the limits.
#include "proxy/admin/http_parser.hpp"

#include "proxy/admin/ascii_case.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <llhttp.h>

namespace spillway::admin {
namespace {

constexpr std::string_view version_refused = "only HTTP/1.0 and HTTP/1.1 are spoken here";
constexpr std::string_view body_refused = "the body is too large";

// A server must also take the absolute form of a target, "http://host/path" (RFC 9112, 3.2.2).
std::string without_authority(std::string_view target) {
    constexpr std::string_view scheme = "http://";
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) {
        return std::string(target);
    }
    const std::size_t end = std::min(target.find_first_of("/?", scheme.size()), target.size());
    const std::string_view rest = target.substr(end);
    return rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
}

// Optional space after a header's value is no part of it (RFC 9110, 5.5); llhttp drops only what
// comes before.
std::string without_trailing_space(std::string value) {
    value.erase(value.find_last_not_of(" \t") + 1);
    return value;
}

enum Kept : std::size_t { host, origin, authorization, expect, if_none_match };
constexpr std::array<std::string_view, 5> kept_headers = {
    "host", "origin", "authorization", "expect", "if-none-match"};

// What is known so far of the message being read.
struct Message {
    std::string target;
    std::string field;
    std::array<std::string, kept_headers.size()> values;
    std::array<bool, kept_headers.size()> seen{};
    std::string* value = nullptr;  // where the present header's value goes; null = nowhere
    std::string body;
    std::size_t bytes = 0;  // consumed since the message before it
    bool begun = false;
    bool head_done = false;
    bool complete = false;
    bool continue_wanted = false;
    bool keep_alive = false;
};

}  // namespace

struct HttpParser::State {
    explicit State(ParserLimits parser_limits) : limits(parser_limits) {
        llhttp_init(&parser, HTTP_REQUEST, &settings());
        parser.data = this;
    }

    static const llhttp_settings_t& settings();
    static State& of(llhttp_t* raw) { return *static_cast<State*>(raw->data); }

    // Also what a callback returns to stop llhttp.
    int fail(int status, std::string_view reason) {
        error = ParseError{.status = status, .reason = std::string(reason)};
        return -1;
    }

    // A kept header must not come twice: whoever stands before us may have read the other one.
    int on_field_complete() {
        message.value = nullptr;
        for (std::size_t index = 0; index < kept_headers.size(); ++index) {
            // What comes after the head are trailers, which nobody reads.
            if (message.head_done || !equals_ignoring_case(message.field, kept_headers[index])) {
                continue;
            }
            if (std::exchange(message.seen[index], true)) {
                return fail(400, "a header came twice: " + std::string(kept_headers[index]));
            }
            message.value = &message.values[index];
        }
        message.field.clear();
        return 0;
    }

    int on_head_complete() {
        message.head_done = true;
        if (parser.http_major != 1) {
            return fail(505, version_refused);
        }
        const bool has_length = (parser.flags & F_CONTENT_LENGTH) != 0;
        if (has_length && parser.content_length > limits.body_bytes_max) {
            return fail(413, body_refused);
        }
        const bool has_body =
            (parser.flags & F_CHUNKED) != 0 || (has_length && parser.content_length > 0);
        message.continue_wanted =
            has_body && parser.http_minor == 1 &&
            equals_ignoring_case(without_trailing_space(message.values[expect]), "100-continue");
        return 0;
    }

    int on_body(std::string_view text) {
        message.continue_wanted = false;
        if (text.size() > limits.body_bytes_max - message.body.size()) {
            return fail(413, body_refused);
        }
        message.body.append(text);
        return 0;
    }

    int on_complete() {
        message.keep_alive = llhttp_should_keep_alive(&parser) != 0;
        message.continue_wanted = false;
        message.complete = true;
        return HPE_PAUSED;
    }

    // How much of a message may still come: the head first, then twice the body, so that chunk
    // headers and trailers have room but no endless supply.
    [[nodiscard]] std::size_t allowance() const {
        const std::size_t after_head = message.head_done ? 2 * limits.body_bytes_max : 0;
        return limits.head_bytes_max + after_head - message.bytes;
    }

    void note_error(llhttp_errno_t code) {
        if (error) {
            return;  // a callback knew better
        }
        if (code == HPE_INVALID_VERSION || code == HPE_PAUSED_H2_UPGRADE) {
            fail(505, version_refused);
            return;
        }
        const char* reason = llhttp_get_error_reason(&parser);
        fail(400, reason != nullptr && *reason != '\0' ? reason : "this is not HTTP");
    }

    ParserLimits limits;
    llhttp_t parser{};
    Message message;
    std::optional<ParseError> error;
};

const llhttp_settings_t& HttpParser::State::settings() {
    static const llhttp_settings_t table = [] {
        llhttp_settings_t callbacks;
        llhttp_settings_init(&callbacks);
        callbacks.on_message_begin = [](llhttp_t* raw) {
            of(raw).message.begun = true;
            return 0;
        };
        callbacks.on_url = [](llhttp_t* raw, const char* at, std::size_t size) {
            of(raw).message.target.append(at, size);
            return 0;
        };
        callbacks.on_header_field = [](llhttp_t* raw, const char* at, std::size_t size) {
            of(raw).message.field.append(at, size);
            return 0;
        };
        callbacks.on_header_field_complete = [](llhttp_t* raw) {
            return of(raw).on_field_complete();
        };
        callbacks.on_header_value = [](llhttp_t* raw, const char* at, std::size_t size) {
            if (std::string* value = of(raw).message.value) {
                value->append(at, size);
            }
            return 0;
        };
        callbacks.on_headers_complete = [](llhttp_t* raw) { return of(raw).on_head_complete(); };
        callbacks.on_body = [](llhttp_t* raw, const char* at, std::size_t size) {
            return of(raw).on_body({at, size});
        };
        callbacks.on_message_complete = [](llhttp_t* raw) { return of(raw).on_complete(); };
        return callbacks;
    }();
    return table;
}

HttpParser::HttpParser(ParserLimits limits) : state_(std::make_unique<State>(limits)) {}
HttpParser::~HttpParser() = default;
HttpParser::HttpParser(HttpParser&&) noexcept = default;
HttpParser& HttpParser::operator=(HttpParser&&) noexcept = default;

HttpParser::Fed HttpParser::feed(std::string_view bytes) {
    State& state = *state_;
    std::size_t consumed = 0;
    while (!state.error && !state.message.complete && consumed < bytes.size()) {
        const std::string_view slice = bytes.substr(consumed, state.allowance());
        if (slice.empty()) {
            if (state.message.head_done) {
                state.fail(413, body_refused);
            } else {
                state.fail(431, "the request line and headers are too large");
            }
            break;
        }
        const llhttp_errno_t code = llhttp_execute(&state.parser, slice.data(), slice.size());
        std::size_t taken = slice.size();
        if (code != HPE_OK) {
            taken = static_cast<std::size_t>(llhttp_get_error_pos(&state.parser) - slice.data());
        }
        if (code != HPE_OK && !state.message.complete) {
            state.note_error(code);
        }
        consumed += taken;
        state.message.bytes += taken;
    }
    if (state.error) {
        return {.progress = Progress::failed, .consumed = consumed};
    }
    return {
        .progress = state.message.complete ? Progress::complete : Progress::need_more,
        .consumed = consumed};
}

bool HttpParser::in_request() const noexcept {
    return state_->message.begun;
}

bool HttpParser::take_continue_wanted() noexcept {
    return std::exchange(state_->message.continue_wanted, false);
}

Request HttpParser::take_request() {
    Message& message = state_->message;
    Request request;
    request.method = llhttp_method_name(static_cast<llhttp_method_t>(state_->parser.method));
    request.path = without_authority(message.target);
    if (const std::size_t mark = request.path.find('?'); mark != std::string::npos) {
        request.query = request.path.substr(mark + 1);
        request.path.resize(mark);
    }
    request.host = without_trailing_space(std::move(message.values[host]));
    request.origin = without_trailing_space(std::move(message.values[origin]));
    request.authorization = without_trailing_space(std::move(message.values[authorization]));
    request.if_none_match = without_trailing_space(std::move(message.values[if_none_match]));
    request.body = std::move(message.body);
    request.keep_alive = message.keep_alive;
    message = Message{};
    llhttp_reset(&state_->parser);
    return request;
}

const ParseError& HttpParser::error() const noexcept {
    static const ParseError none{.status = 400, .reason = "no error"};
    return state_->error ? *state_->error : none;
}

}  // namespace spillway::admin
