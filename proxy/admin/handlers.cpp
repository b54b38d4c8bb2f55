// Each endpoint's answer, and who may ask for a change.
#include "proxy/admin/handlers.hpp"

#include "proxy/admin/ascii_case.hpp"
#include "proxy/admin/embedded.hpp"
#include "proxy/admin/router.hpp"
#include "proxy/log/encode.hpp"

#include <algorithm>
#include <array>
#include <exception>
#include <optional>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

namespace spillway::admin {
namespace {

namespace json = boost::json;

constexpr std::string_view metrics_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view text_type = "text/plain; charset=utf-8";
// The dashboard is all that a browser may load, and nothing may frame it.
constexpr std::string_view page_headers =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n";

Response json_response(int status, const json::value& value) {
    return {.status = status, .body = log::to_line(value) + '\n'};
}

Response not_supported() {
    return error_response(501, "this version does not support it yet");
}

// How long it takes tells nothing about the token but, perhaps, its length.
bool same_secret(std::string_view given, std::string_view secret) {
    unsigned difference = given.size() == secret.size() ? 0 : 1;
    for (std::size_t index = 0; index < given.size(); ++index) {
        const char expected = secret.empty() ? '\0' : secret[index % secret.size()];
        difference |=
            static_cast<unsigned char>(given[index]) ^ static_cast<unsigned char>(expected);
    }
    return difference == 0;
}

// "Bearer <token>"; the scheme's name knows no case (RFC 9110, 11.1).
std::string_view bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (!equals_ignoring_case(authorization.substr(0, scheme.size()), scheme)) {
        return {};
    }
    authorization.remove_prefix(scheme.size());
    authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size())
    );
    return authorization;
}

// An address or localhost: a name that no foreign DNS server can point here.
bool is_own_name(std::string_view host) {
    if (host.empty() || host.starts_with('[')) {
        return true;
    }
    const std::string_view name = host.substr(0, host.find(':'));
    return name == "localhost" || name.find_first_not_of("0123456789.") == std::string_view::npos;
}

// Why the request may not change anything; empty when it may. A browser that was led here by some
// page names that page as the origin, or calls this address by a name of the page's; what is no
// browser sends no origin.
std::optional<Response> refusal_of_change(const Request& request, std::string_view token) {
    const bool own_origin = request.origin.empty() || request.origin == "http://" + request.host ||
                            request.origin == "https://" + request.host;
    if (!own_origin) {
        return error_response(403, "a page of another origin may not change anything here");
    }
    if (request.in_the_clear) {
        return error_response(
            403,
            "changes from another host need TLS, or their token is there for all to read: set "
            "admin.tls.cert and ask with https://, or ask on the proxy's own host"
        );
    }
    if (token.empty()) {
        if (!is_own_name(request.host)) {
            return error_response(
                403,
                "without a token, call this address as localhost or by number, or set admin.token"
            );
        }
        return std::nullopt;
    }
    if (same_secret(bearer_token(request.authorization), token)) {
        return std::nullopt;
    }
    Response response = error_response(
        401,
        request.authorization.empty() ? "this needs the header Authorization: Bearer <admin.token>"
                                      : "the token is wrong"
    );
    response.challenge = true;
    return response;
}

Response health_response(const Health& health) {
    std::string text = health.reason.empty() ? (health.ok ? "ok" : "not ok") : health.reason;
    return {
        .status = health.ok ? 200 : 503,
        .content_type = text_type,
        .body = std::move(text) + '\n',
    };
}

Response action_response(const ActionResult& result) {
    json::object body;
    const auto with_details = [&body, &result] {
        for (const auto& detail : result.details) {
            body[detail.key()] = detail.value();
        }
        return body;
    };
    switch (result.status) {
        case ActionStatus::done:
            body = {{"ok", true}, {"message", result.message}};
            return json_response(200, with_details());
        case ActionStatus::rejected:
            body = {{"error", result.message}};
            return json_response(409, with_details());
        case ActionStatus::not_supported:
            break;
    }
    return result.message.empty() ? not_supported() : error_response(501, result.message);
}

std::optional<policy::Mode> mode_named(std::string_view name) {
    for (const policy::Mode mode :
         {policy::Mode::off, policy::Mode::observe, policy::Mode::protect}) {
        if (name == policy::name_of(mode)) {
            return mode;
        }
    }
    return std::nullopt;
}

Response set_mode(const Request& request, const Sources& sources) {
    if (!sources.set_mode) {
        return not_supported();
    }
    boost::system::error_code error;
    const json::value body = json::parse(request.body, error);
    const json::object* fields = error ? nullptr : body.if_object();
    const json::value* field = fields == nullptr ? nullptr : fields->if_contains("mode");
    const json::string* name = field == nullptr ? nullptr : field->if_string();
    const auto mode = name == nullptr ? std::nullopt : mode_named({name->data(), name->size()});
    if (!mode) {
        return error_response(
            400, R"(the body must be {"mode": "off"}, {"mode": "observe"} or {"mode": "protect"})"
        );
    }
    return action_response(sources.set_mode(*mode));
}

Response incident(std::string_view id, const Sources& sources) {
    if (!sources.incident) {
        return not_supported();
    }
    const auto found = sources.incident(id);
    return found ? json_response(200, *found) : error_response(404, "no incident has this id");
}

std::string_view type_of(std::string_view name) {
    if (name.ends_with(".html")) {
        return "text/html; charset=utf-8";
    }
    return name.ends_with(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8";
}

// A file of the dashboard; the browser keeps it, and asks each time whether it is still the same.
Response dashboard_file(std::string_view name, std::string_view known_etag) {
    for (const EmbeddedFile& file : dashboard_files()) {
        if (file.name != name) {
            continue;
        }
        Response response{.content_type = type_of(name), .etag = file.etag};
        if (known_etag.find(file.etag) != std::string_view::npos) {
            response.status = 304;
        } else {
            response.body = file.text;
        }
        return response;
    }
    return error_response(404, "the dashboard has no such file");
}

Response document(const std::function<json::value()>& source) {
    return source ? json_response(200, source()) : not_supported();
}

Response respond(const Match& match, const Request& request, const Sources& sources) {
    switch (match.endpoint) {
        case Endpoint::index:
            return dashboard_file("index.html", request.if_none_match);
        case Endpoint::dashboard:
            return dashboard_file(match.parameter, request.if_none_match);
        case Endpoint::metrics:
            return sources.metrics
                       ? Response{.content_type = metrics_type, .body = sources.metrics()}
                       : not_supported();
        case Endpoint::live:
            return health_response(
                sources.live ? sources.live() : Health{.ok = true, .reason = "alive"}
            );
        case Endpoint::ready:
            return sources.ready ? health_response(sources.ready()) : not_supported();
        case Endpoint::status:
            return document(sources.status);
        case Endpoint::growth:
            return document(sources.growth);
        case Endpoint::incidents:
            return document(sources.incidents);
        case Endpoint::incident:
            return incident(match.parameter, sources);
        case Endpoint::diagnosis:
            return document(sources.diagnosis);
        case Endpoint::clients:
            return document(sources.clients);
        case Endpoint::config:
            return document(sources.config);
        case Endpoint::set_mode:
            return set_mode(request, sources);
        case Endpoint::reload:
            return sources.reload ? action_response(sources.reload()) : not_supported();
    }
    return not_supported();
}

Response routed(const Request& request, const Sources& sources, std::string_view token) {
    const Match match = route(request.method, request.path);
    if (match.outcome == Match::Outcome::no_such_path) {
        return error_response(
            404, "there is nothing at this path; the dashboard at / links what there is"
        );
    }
    if (match.outcome == Match::Outcome::wrong_method) {
        Response response = error_response(405, "this path does not take this method");
        response.allow = match.allow;
        return response;
    }
    if (request.method == "POST") {
        if (auto refusal = refusal_of_change(request, token)) {
            return *std::move(refusal);
        }
    }
    try {
        return respond(match, request, sources);
    } catch (const std::exception& error) {
        // One answer that cannot be made must not end the proxy.
        return error_response(500, std::string("the answer could not be made: ") + error.what());
    }
}

struct StatusName {
    int status;
    std::string_view name;
};

constexpr std::array<StatusName, 15> status_names = {{
    {200, "OK"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
}};

std::string_view status_name(int status) {
    for (const StatusName& candidate : status_names) {
        if (candidate.status == status) {
            return candidate.name;
        }
    }
    return "Unknown";
}

}  // namespace

Response answer(const Request& request, const Sources& sources, std::string_view token) {
    Response response = routed(request, sources, token);
    response.head_only = request.method == "HEAD";
    return response;
}

Response error_response(int status, std::string_view reason) {
    return json_response(status, json::object{{"error", reason}});
}

std::string serialise(const Response& response, bool keep_alive) {
    std::string text;
    text.reserve(256 + response.body.size());
    text += "HTTP/1.1 " + std::to_string(response.status) + ' ';
    text += status_name(response.status);
    text += "\r\nContent-Type: ";
    text += response.content_type;
    if (response.status != 304) {  // where it would be the length of what is not sent
        text += "\r\nContent-Length: " + std::to_string(response.body.size());
    }
    text += response.etag.empty() ? "\r\nCache-Control: no-store" : "\r\nCache-Control: no-cache";
    text += "\r\nX-Content-Type-Options: nosniff\r\n";
    if (!response.etag.empty()) {
        text += "ETag: ";
        text += response.etag;
        text += "\r\n";
        text += page_headers;
    }
    if (!response.allow.empty()) {
        text += "Allow: ";
        text += response.allow;
        text += "\r\n";
    }
    if (response.challenge) {
        text += "WWW-Authenticate: Bearer\r\n";
    }
    text += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    if (!response.head_only) {
        text += response.body;
    }
    return text;
}

}  // namespace spillway::admin
