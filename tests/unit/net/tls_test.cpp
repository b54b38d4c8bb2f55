// TLS over a pair of sockets: who is let in, what is said when not, and that no byte waits unseen.
#include "tests/unit/net/tls_fixtures.hpp"

#include <array>
#include <vector>

namespace spillway::net {
namespace {

conf::Tls server_settings(const std::string& name = "server") {
    conf::Tls settings;
    settings.cert = Certificates::get().file(name + ".pem");
    settings.key = Certificates::get().file(name + ".key");
    return settings;
}

conf::Tls client_settings() {
    conf::Tls settings;
    settings.ca = Certificates::get().file("ca.pem");
    return settings;
}

struct Outcome {
    std::string client_problem;  // "" = established
    std::string server_problem;
};

// Both in turn until nothing moves.
Outcome shake_hands(Pair& pair) {
    Outcome outcome{.client_problem = "unfinished", .server_problem = "unfinished"};
    for (int turn = 0; turn < 10; ++turn) {
        for (Stream* side : {&pair.client, &pair.server}) {
            std::string& problem =
                side == &pair.client ? outcome.client_problem : outcome.server_problem;
            if (side->tls()->established() || problem != "unfinished") {
                continue;
            }
            const IoResult result = side->tls()->handshake(side->fd());
            if (result.status == IoStatus::done) {
                problem.clear();
            } else if (result.status != IoStatus::blocked) {
                problem = side->tls()->problem();
            }
        }
    }
    return outcome;
}

Outcome shake_hands(
    Pair& pair, const conf::Tls& server, const conf::Tls& client, const std::string& host
) {
    EXPECT_TRUE(pair.server.secure(*context_of(TlsContext::for_listener(server))));
    EXPECT_TRUE(pair.client.secure(*context_of(TlsContext::for_backend(client, host))));
    return shake_hands(pair);
}

Outcome outcome_of(const conf::Tls& server, const conf::Tls& client, const std::string& host) {
    Pair pair;
    Outcome outcome = shake_hands(pair, server, client, host);
    // In TLS 1.3 the client is done before the server has looked at its certificate.
    std::array<char, 1024> area{};
    if (outcome.client_problem.empty() && pair.client.read(area).status == IoStatus::failed) {
        outcome.client_problem = pair.client.tls()->problem();
    }
    return outcome;
}

class TlsTest : public testing::Test {
  protected:
    void establish(std::string_view version = "") {
        conf::Tls server = server_settings();
        server.min_version = version == "1.3" ? conf::TlsVersion::v1_3 : conf::TlsVersion::v1_2;
        const Outcome outcome = shake_hands(pair, server, client_settings(), "redis.test");
        ASSERT_EQ(outcome.client_problem, "");
        ASSERT_EQ(outcome.server_problem, "");
    }

    Pair pair;
    std::vector<char> area = std::vector<char>(64 * 1024);
};

std::string_view text_of(const std::vector<char>& area, const IoResult& result) {
    return {area.data(), result.bytes};
}

TEST_F(TlsTest, LetsInWhoTheCertificatesAreFor) {
    const conf::Tls client = client_settings();
    for (const std::string host : {"redis.test", "REDIS.test", "redis.test.", "127.0.0.1"}) {
        const Outcome outcome = outcome_of(server_settings(), client, host);
        EXPECT_EQ(outcome.client_problem, "") << host;
        EXPECT_EQ(outcome.server_problem, "") << host;
    }
    conf::Tls named = client;
    named.server_name = "redis.test";
    EXPECT_EQ(outcome_of(server_settings(), named, "10.0.0.9").client_problem, "");
}

TEST_F(TlsTest, RefusesABackendThatIsAnother) {
    const std::string refused = "the certificate is not accepted: ";
    const conf::Tls client = client_settings();
    EXPECT_EQ(
        outcome_of(server_settings(), client, "other.test").client_problem,
        refused + "hostname mismatch"
    );
    EXPECT_EQ(
        outcome_of(server_settings(), client, "127.0.0.2").client_problem,
        refused + "IP address mismatch"
    );
    EXPECT_EQ(
        outcome_of(server_settings("stranger"), client, "redis.test").client_problem,
        refused + "unable to get local issuer certificate"
    );
    EXPECT_EQ(
        outcome_of(server_settings("old"), client, "redis.test").client_problem,
        refused + "certificate has expired"
    );
    EXPECT_EQ(
        outcome_of(server_settings(), conf::Tls{}, "redis.test").client_problem,
        refused + "unable to get local issuer certificate"
    );
}

TEST_F(TlsTest, AsksClientsForACertificate) {
    conf::Tls server = server_settings();
    server.ca = Certificates::get().file("ca.pem");
    conf::Tls client = client_settings();
    EXPECT_EQ(
        outcome_of(server, client, "redis.test").server_problem, "peer did not return a certificate"
    );
    EXPECT_EQ(
        outcome_of(server, client, "redis.test").client_problem, "tlsv13 alert certificate required"
    );
    client.cert = Certificates::get().file("stranger.pem");
    client.key = Certificates::get().file("stranger.key");
    EXPECT_NE(outcome_of(server, client, "redis.test").server_problem, "");
    client.cert = Certificates::get().file("client.pem");
    client.key = Certificates::get().file("client.key");
    EXPECT_EQ(outcome_of(server, client, "redis.test").server_problem, "");
}

// Another connection between the same two contexts: whether it took up the session of the last.
bool resumes(const TlsContext& server, const TlsContext& client) {
    Pair pair;
    EXPECT_TRUE(pair.server.secure(server));
    EXPECT_TRUE(pair.client.secure(client));
    const Outcome outcome = shake_hands(pair);
    EXPECT_EQ(outcome.client_problem, "");
    EXPECT_EQ(outcome.server_problem, "");
    std::array<char, 1024> area{};
    EXPECT_EQ(pair.client.read(area).status, IoStatus::blocked);  // what it is resumed by
    EXPECT_EQ(pair.client.tls()->resumed(), pair.server.tls()->resumed());
    return pair.client.tls()->resumed();
}

TEST_F(TlsTest, ABackendsSessionIsResumedWithinOneConfiguration) {
    conf::Tls settings = server_settings();
    settings.ca = Certificates::get().file("ca.pem");
    conf::Tls own = client_settings();
    own.cert = Certificates::get().file("client.pem");
    own.key = Certificates::get().file("client.key");
    const auto server = context_of(TlsContext::for_listener(settings));
    const auto client = context_of(TlsContext::for_backend(own, "redis.test"));
    EXPECT_FALSE(resumes(*server, *client));
    EXPECT_TRUE(resumes(*server, *client));
    EXPECT_TRUE(resumes(*server, *client));
    // A server that knows nothing of it, as after its restart, costs a whole handshake, no more.
    const auto restarted = context_of(TlsContext::for_listener(settings));
    EXPECT_FALSE(resumes(*restarted, *client));
    EXPECT_TRUE(resumes(*restarted, *client));
    // Who trusts others by now asks for the certificate.
    const auto reloaded = context_of(TlsContext::for_backend(own, "redis.test"));
    EXPECT_FALSE(resumes(*restarted, *reloaded));
}

TEST_F(TlsTest, AConnectionMayOutliveItsContext) {
    auto client = context_of(TlsContext::for_backend(client_settings(), "redis.test"));
    EXPECT_TRUE(pair.server.secure(*context_of(TlsContext::for_listener(server_settings()))));
    EXPECT_TRUE(pair.client.secure(*client));
    client.reset();  // by a reload, while the handshake is under way
    EXPECT_EQ(shake_hands(pair).client_problem, "");
    EXPECT_EQ(pair.client.read(area).status, IoStatus::blocked);
}

TEST_F(TlsTest, SpeaksNoOlderVersionThanItMay) {
    conf::Tls server = server_settings();
    conf::Tls client = client_settings();
    server.min_version = conf::TlsVersion::v1_3;
    EXPECT_EQ(outcome_of(server, client, "redis.test").server_problem, "");
    server.min_version = conf::TlsVersion::v1_2;
    server.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    client.ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384";
    server.ciphersuites = "TLS_AES_128_GCM_SHA256";
    client.ciphersuites = "TLS_AES_256_GCM_SHA384";
    EXPECT_EQ(outcome_of(server, client, "redis.test").server_problem, "no shared cipher");
}

TEST_F(TlsTest, SaysWhatIsWrongWithAFile) {
    const auto problem = [](const conf::Tls& settings) {
        const auto opened = TlsContext::for_listener(settings);
        const auto* const found = std::get_if<TlsContext::Problem>(&opened);
        return found == nullptr ? "" : std::string(found->field) + ": " + found->message;
    };
    const auto file = [](const std::string& name) { return Certificates::get().file(name); };
    conf::Tls settings = server_settings();
    EXPECT_EQ(problem(settings), "");
    settings.key = file("client.key");
    EXPECT_EQ(
        problem(settings), "key: client.key: is not the key of the certificate in server.pem"
    );
    settings.key = file("locked.key");
    EXPECT_EQ(
        problem(settings),
        "key: locked.key: the key is encrypted, and nobody is asked for its passphrase: store it "
        "decrypted, readable by Spillway's user alone"
    );
    settings.key = file("empty.pem");
    EXPECT_EQ(problem(settings), "key: empty.pem: holds no private key (PEM)");
    settings.key = {};
    EXPECT_EQ(
        problem(settings),
        "cert: server.pem: holds no private key (PEM); where it has a file of its own, set tls.key"
    );
    settings.cert = file("both.pem");
    EXPECT_EQ(problem(settings), "");
    settings.cert = file("empty.pem");
    EXPECT_EQ(problem(settings), "cert: empty.pem: holds no certificate (PEM)");
    settings = server_settings();
    settings.ca = file("server.key");
    EXPECT_EQ(problem(settings), "ca: server.key: holds no certificate (PEM)");
    settings = server_settings();
    settings.ciphers = "NONSENSE";
    EXPECT_EQ(problem(settings), "ciphers: names no cipher of TLS 1.2 that OpenSSL has");
    settings.ciphersuites = "TLS_NONSENSE";
    const auto both = TlsContext::for_listener(settings);
    ASSERT_TRUE(std::holds_alternative<TlsContext::Problem>(both));
    ASSERT_EQ(std::get<TlsContext::Problem>(both).further.size(), 1U) << "all is said at once";
    EXPECT_EQ(std::get<TlsContext::Problem>(both).further[0].field, "ciphersuites");
    settings.ciphers.clear();
    EXPECT_EQ(
        problem(settings),
        "ciphersuites: names a cipher suite of TLS 1.3 that OpenSSL does not have"
    );
    const auto old = context_of(TlsContext::for_listener(server_settings("old")));
    ASSERT_EQ(old->warnings().size(), 1U);
    EXPECT_TRUE(old->warnings()[0].starts_with("old.pem: expired on ")) << old->warnings()[0];
}

TEST_F(TlsTest, EachSideSaysSoWhenTheOtherSpeaksNoTls) {
    EXPECT_TRUE(pair.server.secure(*context_of(TlsContext::for_listener(server_settings()))));
    const std::string_view ping = "*1\r\n$4\r\nPING\r\n";
    ASSERT_EQ(pair.client.write({&ping, 1}).bytes, ping.size());
    EXPECT_EQ(pair.server.tls()->handshake(pair.server.fd()).status, IoStatus::failed);
    EXPECT_EQ(pair.server.tls()->problem(), "the other side does not speak TLS");
}

TEST_F(TlsTest, OneThatGoesAwayAtOnceHasDoneNoWrong) {
    EXPECT_TRUE(pair.server.secure(*context_of(TlsContext::for_listener(server_settings()))));
    EXPECT_EQ(pair.server.tls()->handshake(pair.server.fd()).status, IoStatus::blocked);
    pair.client.close();
    EXPECT_EQ(pair.server.tls()->handshake(pair.server.fd()).status, IoStatus::closed);
}

TEST_F(TlsTest, HandshakeAndFirstBytesMayComeInOnePieceOrByteByByte) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{100'000}}) {
        Pair direct;
        EXPECT_TRUE(direct.server.secure(*context_of(TlsContext::for_listener(server_settings()))));
        EXPECT_TRUE(direct.client.secure(
            *context_of(TlsContext::for_backend(client_settings(), "redis.test"))
        ));
        // The server's socket is never read by its session: all comes as if read before.
        Stream apart;
        int ends[2] = {-1, -1};
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        apart.open(Fd(ends[0]));
        const Fd held(ends[1]);
        const std::string_view command = "PING\r\n";
        std::string heard;
        for (int turn = 0; turn < 10; ++turn) {
            if (!direct.client.tls()->established() &&
                direct.client.tls()->handshake(direct.client.fd()).status == IoStatus::done) {
                ASSERT_EQ(direct.client.write({&command, 1}).bytes, command.size());
            }
            IoResult got = read_some(direct.server.fd(), area);
            const std::string_view all = got.status == IoStatus::done ? text_of(area, got) : "";
            for (std::size_t at = 0; at < all.size(); at += step) {
                direct.server.tls()->take_early(all.substr(at, step));
                std::vector<char> into(64 * 1024);
                if (!direct.server.tls()->established()) {
                    const IoResult shaken = direct.server.tls()->handshake(apart.fd());
                    ASSERT_NE(shaken.status, IoStatus::failed) << direct.server.tls()->problem();
                }
                if (direct.server.tls()->established()) {
                    const IoResult read = direct.server.tls()->read(apart.fd(), into);
                    heard += text_of(into, {read.status, read.bytes, 0});
                }
            }
            const IoResult said = read_some(held.get(), area);
            const std::string_view answer = text_of(area, said);
            if (said.status == IoStatus::done) {
                ASSERT_EQ(write_some(direct.server.fd(), {&answer, 1}).bytes, answer.size());
            }
        }
        EXPECT_EQ(heard, command) << step;
    }
}

// A short read tells that nothing is left, wherever records begin and end: else a session that
// waits for the next event would wait for ever.
TEST_F(TlsTest, NothingIsLeftUnseenBehindAShortRead) {
    for (const char* version : {"1.2", "1.3"}) {
        pair = Pair();
        establish(version);
        std::string all;
        for (std::size_t size : {1U, 16'383U, 16'384U, 16'385U, 40'000U, 65'536U, 200'000U}) {
            const std::string text(size, static_cast<char>('a' + size % 26));
            std::string_view rest = text;
            std::string heard;
            while (heard.size() < size) {
                const IoResult sent = rest.empty() ? IoResult{} : pair.client.write({&rest, 1});
                rest.remove_prefix(sent.bytes);
                (void)pair.client.flush();
                bool drained = false;
                while (!drained) {
                    const IoResult got = pair.server.read(area);
                    ASSERT_NE(got.status, IoStatus::failed);
                    drained = got.status == IoStatus::blocked ||
                              pair.server.drained(got.bytes, area.size());
                    heard += text_of(area, got);
                }
                EXPECT_EQ(pair.server.read(area).status, IoStatus::blocked);
            }
            EXPECT_EQ(heard, text);
        }
    }
}

TEST_F(TlsTest, AnAreaSmallerThanARecordLosesNothing) {
    establish();
    const std::string text(50'000, 'x');
    const std::string_view all = text;
    ASSERT_EQ(pair.client.write({&all, 1}).bytes, all.size());
    std::vector<char> small(100);
    std::string heard;
    while (heard.size() < text.size()) {
        const IoResult got = pair.server.read(small);
        ASSERT_EQ(got.status, IoStatus::done);
        heard += text_of(small, got);
        EXPECT_TRUE(heard.size() == text.size() || !pair.server.drained(got.bytes, small.size()));
    }
    EXPECT_EQ(heard, text);
}

TEST_F(TlsTest, ManySmallPiecesAreOneRecord) {
    establish();
    const std::vector<std::string_view> pieces(60, ":1\r\n");
    ASSERT_EQ(pair.server.write(pieces).bytes, 240U);
    std::array<char, 1024> wire{};
    std::size_t bytes = 0;
    for (IoResult got; (got = read_some(pair.client.fd(), wire)).status == IoStatus::done;) {
        bytes += got.bytes;  // with the ticket, which came first
    }
    EXPECT_LT(bytes, 240U + 300U);
}

TEST_F(TlsTest, WhatTheSocketRefusesIsSentLaterAndIsBounded) {
    establish();
    const std::string text(1 << 20, 'x');
    std::string_view rest = text;
    const IoResult first = pair.server.write({&rest, 1});
    ASSERT_LT(first.bytes, text.size());
    EXPECT_TRUE(pair.server.unsent());
    rest.remove_prefix(first.bytes);
    EXPECT_EQ(pair.server.write({&rest, 1}).status, IoStatus::blocked);
    std::size_t heard = 0;
    for (int turn = 0; turn < 1000 && heard < text.size(); ++turn) {
        for (IoResult got; (got = pair.client.read(area)).status == IoStatus::done;) {
            heard += got.bytes;
        }
        const IoResult sent = pair.server.write({&rest, 1});
        rest.remove_prefix(sent.bytes);
        if (rest.empty()) {
            (void)pair.server.flush();
        }
    }
    EXPECT_EQ(heard, text.size());
}

TEST_F(TlsTest, TellsAnEndFromOneThatWasCut) {
    establish();
    const std::string_view text = "+OK\r\n";
    ASSERT_EQ(pair.client.write({&text, 1}).bytes, text.size());
    pair.client.finish();
    IoResult got = pair.server.read(area);
    EXPECT_EQ(text_of(area, got), text);
    EXPECT_FALSE(pair.server.drained(got.bytes, area.size()));
    EXPECT_EQ(pair.server.read(area).status, IoStatus::closed);
    EXPECT_FALSE(pair.server.tls()->truncated());
    // The other direction still works.
    ASSERT_EQ(pair.server.write({&text, 1}).bytes, text.size());
    EXPECT_EQ(text_of(area, pair.client.read(area)), text);
    pair.server.close();
    EXPECT_EQ(pair.client.read(area).status, IoStatus::closed);
    EXPECT_TRUE(pair.client.tls()->truncated());
}

TEST_F(TlsTest, AnEndIsSaidBehindWhatTheSocketRefused) {
    establish();
    const std::string text(1 << 20, 'x');
    const std::string_view all = text;
    const IoResult sent = pair.server.write({&all, 1});
    ASSERT_TRUE(pair.server.unsent());
    pair.server.finish();
    std::size_t heard = 0;
    IoResult got;
    while ((got = pair.client.read(area)).status != IoStatus::closed) {
        ASSERT_NE(got.status, IoStatus::failed);
        heard += got.bytes;
        (void)pair.server.flush();
    }
    EXPECT_EQ(heard, sent.bytes);
    EXPECT_FALSE(pair.client.tls()->truncated());
}

TEST_F(TlsTest, ABrokenRecordIsAFailure) {
    establish();
    const std::string_view noise("\x17\x03\x03\x00\x20 this is no record of theirs !!!!!", 37);
    ASSERT_EQ(write_some(pair.client.fd(), {&noise, 1}).bytes, noise.size());
    EXPECT_EQ(pair.server.read(area).status, IoStatus::failed);
    EXPECT_EQ(pair.server.tls()->problem(), "decryption failed or bad record mac");
    EXPECT_EQ(pair.server.read(area).status, IoStatus::failed);
}

}  // namespace
}  // namespace spillway::net
