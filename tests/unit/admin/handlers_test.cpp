// Routes and answers without a socket: status, body, headers, and who may change things.
#include "proxy/admin/handlers.hpp"

#include "proxy/admin/router.hpp"

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <gtest/gtest.h>

namespace spillway::admin {
namespace {

namespace json = boost::json;
using MatchOutcome = Match::Outcome;

TEST(Route, FindsEveryPathOfTheTableByItsMethodAndByNoOther) {
    std::set<Endpoint> found;
    for (const Route& row : routes()) {
        std::string path(row.path);
        if (path.ends_with('*')) {
            path.back() = '7';
        }
        const Match match = route(row.method, path);
        EXPECT_EQ(match.outcome, MatchOutcome::found) << path;
        EXPECT_EQ(match.endpoint, row.endpoint) << path;
        EXPECT_TRUE(found.insert(match.endpoint).second) << path;

        EXPECT_EQ(route("DELETE", path).outcome, MatchOutcome::wrong_method) << path;
        const bool is_get = row.method == "GET";
        EXPECT_EQ(route("HEAD", path).outcome == MatchOutcome::found, is_get) << path;
        EXPECT_EQ(route("DELETE", path).allow, is_get ? "GET, HEAD" : "POST") << path;
        EXPECT_EQ(route(row.method, path + "/").outcome, MatchOutcome::no_such_path) << path;
        EXPECT_EQ(route(row.method, path + "/x/y").outcome, MatchOutcome::no_such_path) << path;
    }
}

TEST(Route, TakesExactlyOneSegmentAsParameter) {
    EXPECT_EQ(route("GET", "/api/v1/incidents/7f3a").parameter, "7f3a");
    EXPECT_EQ(route("GET", "/api/v1/incidents/").outcome, MatchOutcome::no_such_path);
    EXPECT_EQ(route("GET", "/api/v1/incidents/a/b").outcome, MatchOutcome::no_such_path);
    EXPECT_EQ(route("GET", "").outcome, MatchOutcome::no_such_path);
    EXPECT_EQ(route("GET", "*").outcome, MatchOutcome::no_such_path);
}

Request request_of(std::string method, std::string path) {
    Request request;
    request.method = std::move(method);
    request.path = std::move(path);
    return request;
}

Request post(std::string path, std::string body = "") {
    Request request = request_of("POST", std::move(path));
    request.body = std::move(body);
    request.host = "127.0.0.1:9380";
    return request;
}

std::string error_of(const Response& response) {
    return std::string(json::parse(response.body).at("error").as_string());
}

TEST(Answer, ServesWhatTheSourcesSay) {
    Sources sources;
    sources.metrics = [] { return std::string("spillway_clients 1\n"); };
    sources.status = [] { return json::value{{"version", "1"}, {"clients", 2}}; };
    sources.incident = [](std::string_view id) -> std::optional<json::value> {
        if (id != "7f3a") {
            return std::nullopt;
        }
        return json::value{{"id", "7f3a"}};
    };

    const Response metrics = answer(request_of("GET", "/metrics"), sources, "");
    EXPECT_EQ(metrics.status, 200);
    EXPECT_EQ(metrics.body, "spillway_clients 1\n");
    EXPECT_TRUE(metrics.content_type.starts_with("text/plain; version=0.0.4"));

    const Response status = answer(request_of("GET", "/api/v1/status"), sources, "secret");
    EXPECT_EQ(status.status, 200);
    EXPECT_EQ(status.body, "{\"version\":\"1\",\"clients\":2}\n");
    EXPECT_EQ(status.content_type, "application/json");

    EXPECT_EQ(answer(request_of("GET", "/api/v1/incidents/7f3a"), sources, "").status, 200);
    const Response missing = answer(request_of("GET", "/api/v1/incidents/0"), sources, "");
    EXPECT_EQ(missing.status, 404);
    EXPECT_NE(error_of(missing), "");
}

TEST(Answer, Says501WhereASourceIsMissing) {
    const Sources none;
    for (const Route& row : routes()) {
        std::string path(row.path);
        if (path.ends_with('*')) {
            path.back() = '7';
        }
        Request request = request_of(std::string(row.method), path);
        request.body = R"({"mode":"off"})";
        const bool always = row.path == "/" || row.path == "/livez";
        const bool is_file = row.endpoint == Endpoint::dashboard;  // and none is called 7
        EXPECT_EQ(answer(request, none, "").status, always ? 200 : is_file ? 404 : 501) << path;
    }
}

TEST(Answer, TellsHealthByStatusAndReason) {
    Sources sources;
    bool ready = false;
    sources.ready = [&ready] {
        return ready ? Health{.ok = true, .reason = ""}
                     : Health{.ok = false, .reason = "no backend has answered yet"};
    };
    Response response = answer(request_of("GET", "/readyz"), sources, "");
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, "no backend has answered yet\n");
    ready = true;
    response = answer(request_of("GET", "/readyz"), sources, "");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "ok\n");

    EXPECT_EQ(answer(request_of("GET", "/livez"), sources, "").status, 200);
    sources.live = [] { return Health{.ok = false, .reason = "shard 1 stands still"}; };
    EXPECT_EQ(answer(request_of("GET", "/livez"), sources, "").status, 503);
}

TEST(Answer, SaysWhatAPathAllows) {
    const Response response = answer(post("/metrics"), Sources{}, "");
    EXPECT_EQ(response.status, 405);
    EXPECT_EQ(response.allow, "GET, HEAD");
    EXPECT_NE(serialise(response, true).find("\r\nAllow: GET, HEAD\r\n"), std::string::npos);
    EXPECT_EQ(answer(request_of("GET", "/api/v1/mode"), Sources{}, "").allow, "POST");
    EXPECT_EQ(answer(request_of("GET", "/nowhere"), Sources{}, "").status, 404);
}

TEST(Answer, LinksEveryGetEndpointOnTheFirstPage) {
    const Response page = answer(request_of("GET", "/"), Sources{}, "");
    EXPECT_TRUE(page.content_type.starts_with("text/html"));
    for (const std::string path : {"/metrics", "/livez", "/api/v1/status", "/api/v1/incidents"}) {
        EXPECT_NE(page.body.find("href=\"" + path.substr(1) + "\""), std::string::npos) << path;
    }
    EXPECT_EQ(page.body.find("api/v1/mode"), std::string::npos);
}

TEST(Answer, KeepsTheDashboardFromLoadingAnythingOfOthers) {
    const std::string text = serialise(answer(request_of("GET", "/"), Sources{}, ""), true);
    EXPECT_NE(
        text.find("\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "),
        std::string::npos
    );
    EXPECT_NE(text.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_NE(text.find("\r\nCache-Control: no-cache\r\n"), std::string::npos);
}

TEST(Answer, SendsAFileOfTheDashboardOnlyWhenTheBrowserHasNotGotIt) {
    Request request = request_of("GET", "/dashboard/page.js");
    const Response first = answer(request, Sources{}, "");
    EXPECT_EQ(first.status, 200);
    EXPECT_TRUE(first.content_type.starts_with("text/javascript"));
    EXPECT_FALSE(first.body.empty());

    request.if_none_match = "\"other\", W/" + std::string(first.etag);
    const Response again = answer(request, Sources{}, "");
    EXPECT_EQ(again.status, 304);
    const std::string text = serialise(again, true);
    EXPECT_TRUE(text.ends_with("\r\n\r\n"));
    EXPECT_EQ(text.find("Content-Length"), std::string::npos);
    EXPECT_NE(text.find("\r\nETag: " + std::string(first.etag) + "\r\n"), std::string::npos);

    request.if_none_match = "\"other\"";
    EXPECT_EQ(answer(request, Sources{}, "").status, 200);
    request.path = "/dashboard/nosuch.js";
    EXPECT_EQ(answer(request, Sources{}, "").status, 404);
}

TEST(Answer, TurnsAnExceptionOfASourceIntoA500) {
    Sources sources;
    sources.status = []() -> json::value { throw std::runtime_error("snapshot is gone"); };
    const Response response = answer(request_of("GET", "/api/v1/status"), sources, "");
    EXPECT_EQ(response.status, 500);
    EXPECT_NE(error_of(response).find("snapshot is gone"), std::string::npos);
}

TEST(Answer, SetsTheModeOnlyFromABodyThatNamesOne) {
    std::vector<policy::Mode> set;
    Sources sources;
    sources.set_mode = [&set](policy::Mode mode) {
        set.push_back(mode);
        return ActionResult{.status = ActionStatus::done, .message = "the guard observes"};
    };
    for (const char* body : {
             "",
             "observe",
             "\"observe\"",
             "[]",
             "{}",
             R"({"mode":1})",
             R"({"mode":"Observe"})",
             R"({"mode":"observe"} x)",
         }) {
        EXPECT_EQ(answer(post("/api/v1/mode", body), sources, "").status, 400) << body;
    }
    EXPECT_TRUE(set.empty());
    const Response response = answer(post("/api/v1/mode", R"({"mode": "observe"})"), sources, "");
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(json::parse(response.body).at("message").as_string(), "the guard observes");
    EXPECT_EQ(answer(post("/api/v1/mode", R"({"mode":"off"})"), sources, "").status, 200);
    EXPECT_EQ(answer(post("/api/v1/mode", R"({"mode":"protect"})"), sources, "").status, 200);
    EXPECT_EQ(set, (std::vector{policy::Mode::observe, policy::Mode::off, policy::Mode::protect}));
}

TEST(Answer, PassesOnWhyAnActionWasRejectedOrIsNotSupported) {
    Sources sources;
    ActionResult result{.status = ActionStatus::rejected, .message = "line 3: unknown key"};
    sources.reload = [&result] { return result; };
    Response response = answer(post("/api/v1/reload"), sources, "");
    EXPECT_EQ(response.status, 409);
    EXPECT_EQ(error_of(response), "line 3: unknown key");
    result.details = {{"problems", json::array{"line 3", "line 4"}}};
    response = answer(post("/api/v1/reload"), sources, "");
    EXPECT_EQ(json::parse(response.body).at("problems").as_array().size(), 2U);
    result = {.status = ActionStatus::not_supported, .message = "later"};
    response = answer(post("/api/v1/reload"), sources, "");
    EXPECT_EQ(response.status, 501);
    EXPECT_EQ(error_of(response), "later");
}

// Changes go through `reload`, which needs no body.
class Change : public ::testing::Test {
  protected:
    Change() {
        sources_.reload = [this] {
            ++changes_;
            return ActionResult{.status = ActionStatus::done, .message = ""};
        };
    }
    int ask(const Request& request, std::string_view token) {
        const int before = changes_;
        const int status = answer(request, sources_, token).status;
        EXPECT_EQ(changes_ - before, status == 200 ? 1 : 0);
        return status;
    }

    Sources sources_;
    int changes_ = 0;
};

TEST_F(Change, NeedsTheTokenWhenOneIsSet) {
    Request request = post("/api/v1/reload");
    EXPECT_EQ(ask(request, "secret"), 401);
    EXPECT_NE(
        serialise(answer(request, sources_, "secret"), true)
            .find("\r\nWWW-Authenticate: Bearer\r\n"),
        std::string::npos
    );
    for (const char* wrong : {
             "Bearer ",
             "Bearer secre",
             "Bearer secreT",
             "Bearer secretsecret",
             "Bearer secret ",
             "Basic secret",
             "secret",
             "Bearer",
         }) {
        request.authorization = wrong;
        EXPECT_EQ(ask(request, "secret"), 401) << wrong;
    }
    for (const char* right : {"Bearer secret", "bearer secret", "BEARER   secret"}) {
        request.authorization = right;
        EXPECT_EQ(ask(request, "secret"), 200) << right;
    }
    request.host = "spillway.example:9380";
    EXPECT_EQ(ask(request, "secret"), 200);
}

TEST_F(Change, IsRefusedToAPageOfAnotherOrigin) {
    Request request = post("/api/v1/reload");
    request.authorization = "Bearer secret";
    for (const char* origin : {"http://evil.example", "null", "http://127.0.0.1:80"}) {
        request.origin = origin;
        EXPECT_EQ(ask(request, ""), 403) << origin;
        EXPECT_EQ(ask(request, "secret"), 403) << origin;
    }
    for (const char* origin : {"", "http://127.0.0.1:9380", "https://127.0.0.1:9380"}) {
        request.origin = origin;
        EXPECT_EQ(ask(request, ""), 200) << origin;
    }
}

TEST_F(Change, IsRefusedWhereItsTokenWasThereForAllToRead) {
    Request request = post("/api/v1/reload");
    request.authorization = "Bearer secret";
    request.in_the_clear = true;
    EXPECT_EQ(ask(request, "secret"), 403);
    request.in_the_clear = false;
    EXPECT_EQ(ask(request, "secret"), 200);
}

TEST_F(Change, WithoutATokenIsRefusedUnderAForeignName) {
    Request request = post("/api/v1/reload");
    for (const char* host : {"evil.example", "evil.example:9380", "127.0.0.1.evil.example", "x"}) {
        request.host = host;
        request.origin = std::string("http://") + host;  // as a rebound name would have it
        EXPECT_EQ(ask(request, ""), 403) << host;
    }
    request.origin.clear();
    for (const char* host : {"", "localhost", "localhost:9380", "127.0.0.1", "[::1]:9380"}) {
        request.host = host;
        EXPECT_EQ(ask(request, ""), 200) << host;
    }
}

TEST(Serialise, WritesOneCompleteResponse) {
    const Response response{.status = 404, .body = "{}\n"};
    EXPECT_EQ(
        serialise(response, true),
        "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 3\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: keep-alive\r\n\r\n{}\n"
    );
}

TEST(Serialise, AnnouncesTheBodyOfAHeadRequestWithoutSendingIt) {
    const Response response = answer(request_of("HEAD", "/livez"), Sources{}, "");
    const std::string text = serialise(response, false);
    EXPECT_NE(text.find("\r\nContent-Length: 6\r\n"), std::string::npos);
    EXPECT_TRUE(text.ends_with("Connection: close\r\n\r\n"));
}

TEST(Serialise, HasANameForEveryStatusThatIsUsed) {
    for (const int status :
         {200, 304, 400, 401, 403, 404, 405, 408, 409, 413, 431, 500, 501, 503, 505}) {
        EXPECT_EQ(serialise(error_response(status, ""), true).find("Unknown"), std::string::npos);
    }
}

}  // namespace
}  // namespace spillway::admin
