// HTTP/1 requests from bytes, within limits; no sockets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace spillway::admin {

struct Request {
    std::string method;  // "GET"
    std::string path;    // up to '?', not decoded: no path of ours needs it
    std::string query;   // after '?'
    std::string host;    // the headers that somebody reads; each may come once
    std::string origin;
    std::string authorization;
    std::string if_none_match;
    std::string body;
    bool keep_alive = false;
    bool in_the_clear = false;  // it crossed a network without TLS: set by who received it
};

struct ParserLimits {
    std::size_t head_bytes_max = std::size_t{16} * 1024;
    std::size_t body_bytes_max = std::size_t{64} * 1024;
};

struct ParseError {
    int status = 400;  // 400, 413, 431 or 505
    std::string reason;
};

// Feed bytes as they come; after `complete` take the request and feed what was not consumed, after
// `failed` close.
class HttpParser {
  public:
    enum class Progress : std::uint8_t { need_more, complete, failed };

    struct Fed {
        Progress progress = Progress::need_more;
        std::size_t consumed = 0;
    };

    explicit HttpParser(ParserLimits limits = {});
    ~HttpParser();
    HttpParser(HttpParser&&) noexcept;
    HttpParser& operator=(HttpParser&&) noexcept;
    HttpParser(const HttpParser&) = delete;
    HttpParser& operator=(const HttpParser&) = delete;

    [[nodiscard]] Fed feed(std::string_view bytes);

    // True once any byte of a request was consumed and until the request is taken.
    [[nodiscard]] bool in_request() const noexcept;

    // True once per request: its head asks for "100 Continue" and its body is still to come.
    [[nodiscard]] bool take_continue_wanted() noexcept;

    // After `complete`: hands the request over and makes the parser ready for the next.
    [[nodiscard]] Request take_request();

    // After `failed`.
    [[nodiscard]] const ParseError& error() const noexcept;

  private:
    struct State;
    std::unique_ptr<State> state_;  // llhttp keeps pointers into it
};

}  // namespace spillway::admin
