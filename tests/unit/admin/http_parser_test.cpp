// The HTTP parser at every split point: whatever the cut, the same requests or the same refusal
// come out.
#include "proxy/admin/http_parser.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::admin {
namespace {

using Progress = HttpParser::Progress;

struct Outcome {
    std::vector<Request> requests;
    int status = 0;  // of the refusal that ended it; 0 = none
    std::string reason;
    bool in_request = false;

    [[nodiscard]] std::string text() const {
        std::string all;
        for (const Request& request : requests) {
            for (const std::string& field :
                 {request.method,
                  request.path,
                  request.query,
                  request.host,
                  request.origin,
                  request.authorization,
                  request.body}) {
                all += field + '|';
            }
            all += request.keep_alive ? "keep;" : "close;";
        }
        return all + std::to_string(status) + reason + (in_request ? " open" : "");
    }
};

// Feeds the pieces one after the other, as a connection does.
Outcome run(const std::vector<std::string_view>& pieces, ParserLimits limits = {}) {
    HttpParser parser(limits);
    Outcome outcome;
    for (std::string_view piece : pieces) {
        while (!piece.empty()) {
            const HttpParser::Fed fed = parser.feed(piece);
            piece.remove_prefix(fed.consumed);
            if (fed.progress == Progress::failed) {
                outcome.status = parser.error().status;
                outcome.reason = parser.error().reason;
                return outcome;
            }
            if (fed.progress == Progress::complete) {
                outcome.requests.push_back(parser.take_request());
            } else {
                EXPECT_TRUE(piece.empty()) << "asks for more with bytes left";
            }
        }
    }
    outcome.in_request = parser.in_request();
    return outcome;
}

// The outcome of the whole text, after checking that every cut in two, and single bytes, give the
// same.
Outcome run_split(std::string_view text, ParserLimits limits = {}) {
    const Outcome whole = run({text}, limits);
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
        EXPECT_EQ(run({text.substr(0, cut), text.substr(cut)}, limits).text(), whole.text())
            << "cut at " << cut;
    }
    std::vector<std::string_view> bytes;
    for (std::size_t at = 0; at < text.size(); ++at) {
        bytes.push_back(text.substr(at, 1));
    }
    EXPECT_EQ(run(bytes, limits).text(), whole.text()) << "byte by byte";
    return whole;
}

TEST(HttpParser, ReadsTheHeadersThatSomebodyReads) {
    const Outcome outcome = run_split(
        "GET /api/v1/incidents/7f3a?full=1&x=? HTTP/1.1\r\nHOST: localhost:9380\r\nAccept: */*\r\n"
        "Authorization:  Bearer secret \r\nOrigin: http://a\r\nX-Empty:\r\n\r\n"
    );
    ASSERT_EQ(outcome.requests.size(), 1U);
    const Request& request = outcome.requests[0];
    EXPECT_EQ(request.method, "GET");
    EXPECT_EQ(request.path, "/api/v1/incidents/7f3a");
    EXPECT_EQ(request.query, "full=1&x=?");
    EXPECT_EQ(request.host, "localhost:9380");
    EXPECT_EQ(request.authorization, "Bearer secret");
    EXPECT_EQ(request.origin, "http://a");
    EXPECT_EQ(request.body, "");
    EXPECT_TRUE(request.keep_alive);
    EXPECT_FALSE(outcome.in_request);
}

TEST(HttpParser, ReadsPipelinedRequestsWithBodiesOneByOne) {
    const Outcome outcome = run_split(
        "POST /api/v1/mode HTTP/1.1\r\nHost: a\r\nContent-Length: "
        "19\r\n\r\n{\"mode\":\"observe\"}\n"
        "GET /metrics HTTP/1.1\r\nHost: b\r\n\r\n"
        "\r\n"  // a stray line end before a request is to be ignored
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;note=1\r\nabc\r\n4\r\ndefg\r\n0\r\nHost: trailer\r\n\r\n"
        "HEAD /livez HTTP/1.0\r\n\r\n"
    );
    EXPECT_EQ(outcome.status, 0) << outcome.reason;
    ASSERT_EQ(outcome.requests.size(), 4U);
    EXPECT_EQ(outcome.requests[0].body, "{\"mode\":\"observe\"}\n");
    EXPECT_EQ(outcome.requests[1].host, "b");
    EXPECT_EQ(outcome.requests[1].body, "");
    EXPECT_EQ(outcome.requests[2].body, "abcdefg");
    EXPECT_EQ(outcome.requests[2].host, "");
    EXPECT_EQ(outcome.requests[3].method, "HEAD");
    EXPECT_FALSE(outcome.requests[3].keep_alive);
}

TEST(HttpParser, KnowsWhenTheConnectionIsToClose) {
    EXPECT_FALSE(run({"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"}).requests.at(0).keep_alive);
    EXPECT_FALSE(run({"GET / HTTP/1.0\r\n\r\n"}).requests.at(0).keep_alive);
    EXPECT_TRUE(run({"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"}).requests.at(0).keep_alive
    );
}

TEST(HttpParser, StaysWithHttp1WhenAnUpgradeIsOffered) {
    const Outcome outcome = run_split(
        "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
        "h2c\r\n"
        "HTTP2-Settings: AAMA\r\n\r\nGET /livez HTTP/1.1\r\n\r\n"
    );
    ASSERT_EQ(outcome.requests.size(), 2U);
    EXPECT_EQ(outcome.requests[0].path, "/metrics");
    EXPECT_EQ(outcome.requests[1].path, "/livez");
}

TEST(HttpParser, TakesTheAbsoluteFormOfATarget) {
    EXPECT_EQ(run({"GET HTTP://h:1/livez?a HTTP/1.1\r\n\r\n"}).requests.at(0).path, "/livez");
    EXPECT_EQ(run({"GET http://h:1 HTTP/1.1\r\n\r\n"}).requests.at(0).path, "/");
    const Request bare = run({"GET http://h?a=/ HTTP/1.1\r\n\r\n"}).requests.at(0);
    EXPECT_EQ(bare.path, "/");
    EXPECT_EQ(bare.query, "a=/");
}

TEST(HttpParser, RefusesWhatIsNoHttp) {
    for (const std::string_view text : {
             std::string_view("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),  // TLS
             std::string_view("*1\r\n$4\r\nPING\r\n"),
             std::string_view("FETCH / HTTP/1.1\r\n\r\n"),
             std::string_view("GET / HTTP/1.1\r\nNo colon\r\n\r\n"),
             std::string_view("GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n"),
             std::string_view("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n"),
             std::string_view("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"
             ),
             std::string_view("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: "
                              "chunked\r\n\r\n0\r\n\r\n"),
             std::string_view("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
             std::string_view("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
             std::string_view("GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: a\r\n\r\n"),
         }) {
        const Outcome outcome = run_split(text);
        EXPECT_EQ(outcome.status, 400) << text;
        EXPECT_NE(outcome.reason, "") << text;
        EXPECT_TRUE(outcome.requests.empty()) << text;
    }
}

TEST(HttpParser, RefusesOtherVersions) {
    EXPECT_EQ(run_split("GET / HTTP/2.0\r\n\r\n").status, 505);
    EXPECT_EQ(run_split("GET / HTTP/1.2\r\n\r\n").status, 505);
    EXPECT_EQ(run_split("GET / HTTP/0.9\r\n\r\n").status, 505);
    EXPECT_EQ(run_split("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status, 505);
}

std::string head_of_size(std::size_t size) {
    std::string head = "GET / HTTP/1.1\r\nX: ";
    head.append(size - head.size() - 4, 'a');
    return head + "\r\n\r\n";
}

TEST(HttpParser, HoldsTheHeadToItsLimitExactly) {
    const ParserLimits limits{.head_bytes_max = 100, .body_bytes_max = 100};
    EXPECT_EQ(run_split(head_of_size(100), limits).requests.size(), 1U);
    EXPECT_EQ(run_split(head_of_size(101), limits).status, 431);
    EXPECT_EQ(run_split("GET /" + std::string(200, 'a'), limits).status, 431);
    EXPECT_EQ(run_split("GET / HTTP/1.1\r\n" + std::string(200, 'a'), limits).status, 431);
    EXPECT_EQ(run_split(std::string(101, '\n'), limits).status, 431);
    // The limit is each request's own.
    EXPECT_EQ(run_split(head_of_size(100) + head_of_size(100), limits).requests.size(), 2U);
    EXPECT_EQ(run({head_of_size(16 * 1024)}).requests.size(), 1U);
    EXPECT_EQ(run({head_of_size(16 * 1024 + 1)}).status, 431);
}

TEST(HttpParser, HoldsTheBodyToItsLimitExactly) {
    const ParserLimits limits{.head_bytes_max = 100, .body_bytes_max = 20};
    const std::string fixed = "POST / HTTP/1.1\r\nContent-Length: ";
    EXPECT_EQ(
        run_split(fixed + "20\r\n\r\n" + std::string(20, 'b'), limits).requests.at(0).body.size(),
        20U
    );
    // Refused by the announcement alone: no byte of the body has come.
    EXPECT_EQ(run_split(fixed + "21\r\n\r\n", limits).status, 413);
    const std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string ten = "a\r\n0123456789\r\n";
    EXPECT_EQ(run_split(chunked + ten + ten + "0\r\n\r\n", limits).requests.at(0).body.size(), 20U);
    EXPECT_EQ(run_split(chunked + ten + ten + "1\r\nx\r\n0\r\n\r\n", limits).status, 413);
    EXPECT_EQ(run_split(chunked + "fffffff\r\n" + std::string(30, 'b'), limits).status, 413);
}

TEST(HttpParser, EndsAMessageWhoseChunksCarryNothingForTooLong) {
    const ParserLimits limits{.head_bytes_max = 100, .body_bytes_max = 20};
    const std::string chunked = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    EXPECT_EQ(run_split(chunked + "1;" + std::string(300, 'e'), limits).status, 413);
    EXPECT_EQ(run_split(chunked + "0\r\nT: " + std::string(300, 't'), limits).status, 413);
}

TEST(HttpParser, AsksOnceForABodyThatWaitsForContinue) {
    const std::string_view head =
        "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n";
    HttpParser waiting;
    EXPECT_EQ(waiting.feed(head).progress, Progress::need_more);
    EXPECT_TRUE(waiting.take_continue_wanted());
    EXPECT_FALSE(waiting.take_continue_wanted());
    EXPECT_EQ(waiting.feed("abc").progress, Progress::complete);

    HttpParser sent_at_once;
    EXPECT_EQ(sent_at_once.feed(std::string(head) + "a").progress, Progress::need_more);
    EXPECT_FALSE(sent_at_once.take_continue_wanted());

    HttpParser without_body;
    EXPECT_EQ(
        without_body.feed("GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n").progress,
        Progress::complete
    );
    EXPECT_FALSE(without_body.take_continue_wanted());
}

TEST(HttpParser, SaysWhetherARequestHasBegun) {
    HttpParser parser;
    EXPECT_FALSE(parser.in_request());
    EXPECT_EQ(parser.feed("\r\n").progress, Progress::need_more);
    EXPECT_FALSE(parser.in_request());
    EXPECT_EQ(parser.feed("G").progress, Progress::need_more);
    EXPECT_TRUE(parser.in_request());
    EXPECT_EQ(parser.feed("ET / HTTP/1.1\r\n\r\n").progress, Progress::complete);
    static_cast<void>(parser.take_request());
    EXPECT_FALSE(parser.in_request());
}

TEST(HttpParser, TakesNothingMoreAfterARefusal) {
    HttpParser parser;
    EXPECT_EQ(parser.feed("?").progress, Progress::failed);
    const HttpParser::Fed again = parser.feed("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(again.progress, Progress::failed);
    EXPECT_EQ(again.consumed, 0U);
}

}  // namespace
}  // namespace spillway::admin
