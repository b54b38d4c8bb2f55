// Whatever an admin client sends, however it is cut: the same requests within the limits, each
// answered in full.
#include "proxy/admin/handlers.hpp"
#include "proxy/admin/http_parser.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

namespace {

using namespace spillway::admin;
using Progress = HttpParser::Progress;

constexpr ParserLimits limits{.head_bytes_max = 512, .body_bytes_max = 256};

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

const Sources& sources() {
    static const Sources all = [] {
        Sources made;
        made.metrics = [] { return std::string("spillway_clients 1\n"); };
        made.ready = [] { return Health{.ok = true, .reason = "ready"}; };
        made.incident = [](std::string_view id) -> std::optional<boost::json::value> {
            require(!id.empty() && id.find('/') == std::string_view::npos);
            return boost::json::value(id);
        };
        made.set_mode = [](spillway::policy::Mode) {
            return ActionResult{.status = ActionStatus::done, .message = ""};
        };
        return made;
    }();
    return all;
}

void check_answer(const Request& request) {
    require(request.path.size() + request.query.size() <= limits.head_bytes_max);
    require(request.body.size() <= limits.body_bytes_max);
    require(request.path.find('?') == std::string::npos);
    const Response response = answer(request, sources(), "secret");
    const std::string text = serialise(response, request.keep_alive);
    require(text.starts_with("HTTP/1.1 ") && response.status >= 200 && response.status < 600);
    const std::size_t head = text.find("\r\n\r\n");
    require(head != std::string::npos);
    const std::size_t body = text.size() - head - 4;
    require(body == (request.method == "HEAD" ? 0 : response.body.size()));
    const bool is_change = request.method == "POST" && response.status == 200;
    require(!is_change || request.authorization.ends_with("secret"));
}

// Feeds pieces of `step` bytes; the requests and the refusal, as one text.
std::string outcome(std::string_view input, std::size_t step) {
    HttpParser parser(limits);
    std::string text;
    while (!input.empty()) {
        std::string_view piece = input.substr(0, step);
        input.remove_prefix(piece.size());
        while (!piece.empty()) {
            const HttpParser::Fed fed = parser.feed(piece);
            require(fed.consumed <= piece.size());
            piece.remove_prefix(fed.consumed);
            if (fed.progress == Progress::failed) {
                require(!parser.error().reason.empty());
                return text + std::to_string(parser.error().status) + parser.error().reason;
            }
            if (fed.progress == Progress::need_more) {
                require(piece.empty());
                continue;
            }
            const Request request = parser.take_request();
            check_answer(request);
            for (const std::string& field :
                 {request.method,
                  request.path,
                  request.query,
                  request.host,
                  request.origin,
                  request.authorization,
                  request.body}) {
                text += field + '\0';
            }
            text += request.keep_alive ? 'k' : 'c';
        }
    }
    return text + (parser.in_request() ? "..." : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const std::string whole = outcome(input, input.size() + 1);
    require(outcome(input, 1) == whole);
    require(outcome(input, 7) == whole);
    require(outcome(input, 100) == whole);
    return 0;
}
