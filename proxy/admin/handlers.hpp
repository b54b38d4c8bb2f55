// From a request to its answer: routing, the right to change things, and the bodies.
#pragma once

#include "proxy/admin/http_parser.hpp"
#include "proxy/admin/sources.hpp"

#include <string>
#include <string_view>

namespace spillway::admin {

struct Response {
    int status = 200;
    std::string_view content_type = "application/json";
    std::string body = {};
    std::string_view allow = {};  // header Allow, when set
    std::string_view etag = {};   // header ETag, when set: a file that a browser may keep
    bool head_only = false;       // HEAD: announce the body, do not send it
    bool challenge = false;       // header WWW-Authenticate: Bearer
};

// `token` is that of the configuration; empty = none is asked for.
[[nodiscard]] Response answer(
    const Request& request, const Sources& sources, std::string_view token
);

// {"error": reason}
[[nodiscard]] Response error_response(int status, std::string_view reason);

// The bytes to send; `keep_alive` decides the Connection header.
[[nodiscard]] std::string serialise(const Response& response, bool keep_alive);

}  // namespace spillway::admin
