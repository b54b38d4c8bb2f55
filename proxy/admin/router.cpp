// The table of endpoints, and the search in it.
#include "proxy/admin/router.hpp"

#include <array>

namespace spillway::admin {
namespace {

// A path that ends in '/*' takes one more segment as its parameter.
constexpr std::array<Route, 14> table = {{
    {"GET", "/", Endpoint::index},
    {"GET", "/dashboard/*", Endpoint::dashboard},
    {"GET", "/metrics", Endpoint::metrics},
    {"GET", "/livez", Endpoint::live},
    {"GET", "/readyz", Endpoint::ready},
    {"GET", "/api/v1/status", Endpoint::status},
    {"GET", "/api/v1/growth", Endpoint::growth},
    {"GET", "/api/v1/incidents", Endpoint::incidents},
    {"GET", "/api/v1/incidents/*", Endpoint::incident},
    {"GET", "/api/v1/diagnosis", Endpoint::diagnosis},
    {"GET", "/api/v1/clients", Endpoint::clients},
    {"GET", "/api/v1/config", Endpoint::config},
    {"POST", "/api/v1/mode", Endpoint::set_mode},
    {"POST", "/api/v1/reload", Endpoint::reload},
}};

// True when the path is the route's; `parameter` is then set for a route that takes one.
bool matches(const Route& route, std::string_view path, std::string_view& parameter) {
    if (!route.path.ends_with("/*")) {
        return path == route.path;
    }
    const std::string_view prefix = route.path.substr(0, route.path.size() - 1);
    if (!path.starts_with(prefix)) {
        return false;
    }
    const std::string_view rest = path.substr(prefix.size());
    if (rest.empty() || rest.find('/') != std::string_view::npos) {
        return false;
    }
    parameter = rest;
    return true;
}

}  // namespace

std::span<const Route> routes() noexcept {
    return table;
}

Match route(std::string_view method, std::string_view path) noexcept {
    for (const Route& candidate : table) {
        Match match;
        if (!matches(candidate, path, match.parameter)) {
            continue;
        }
        match.endpoint = candidate.endpoint;
        const bool is_get = candidate.method == "GET";
        if (method == candidate.method || (is_get && method == "HEAD")) {
            match.outcome = Match::Outcome::found;
        } else {
            match.outcome = Match::Outcome::wrong_method;
            match.allow = is_get ? "GET, HEAD" : candidate.method;
        }
        return match;
    }
    return {};
}

}  // namespace spillway::admin
