// Addresses and URLs: what is taken, what is refused, and that no password gets out.
#include "conf/address.hpp"

#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::conf {
namespace {

Address tcp(std::string host, std::uint16_t port) {
    return {.host = std::move(host), .port = port, .unix_path = {}};
}

Address socket_at(std::string path) {
    return {.host = {}, .port = 0, .unix_path = std::move(path)};
}

std::string fault_of(const Parsed<BackendUrl>& parsed) {
    const auto* fault = std::get_if<Fault>(&parsed);
    return fault == nullptr ? "" : fault->message;
}

TEST(ParseAddress, TakesTheThreeForms) {
    EXPECT_EQ(std::get<Address>(parse_address("127.0.0.1:6380")), tcp("127.0.0.1", 6380));
    EXPECT_EQ(
        std::get<Address>(parse_address("redis-1.internal_a:0")), tcp("redis-1.internal_a", 0)
    );
    EXPECT_EQ(std::get<Address>(parse_address("[::1]:65535")), tcp("::1", 65535));
    EXPECT_EQ(std::get<Address>(parse_address("[fe80::1%eth0]:1")), tcp("fe80::1%eth0", 1));
    EXPECT_EQ(
        std::get<Address>(parse_address("unix:/run/a b@c:1.sock")), socket_at("/run/a b@c:1.sock")
    );
}

TEST(ParseAddress, TakesAUnixPathUpToTheKernelsLimit) {
    const std::string longest = "/" + std::string(unix_path_bytes_max - 1, 'a');
    EXPECT_EQ(std::get<Address>(parse_address("unix:" + longest)), socket_at(longest));
    EXPECT_TRUE(std::holds_alternative<Fault>(parse_address("unix:" + longest + "a")));
}

TEST(ParseAddress, RefusesTheRest) {
    for (const std::string_view text :
         {"",
          ":",
          ":1",
          "host",
          "host:",
          "host:x",
          "host:-1",
          "host:65536",
          "host:1:2",
          "::1:1",
          "[::1]",
          "[::1]1",
          "[]:1",
          "[::1",
          "[1.2.3.4]:1",
          "[::1%]:1",
          "[::1%e/0]:1",
          "1.2.3:1",
          "1.2.3.256:1",
          "ho st:1",
          "host/x:1",
          "user@host:1",
          "unix:",
          "unix:/",
          "unix:x",
          "unix://run/x",
          "unix:/a\nb",
          "redis://host:1",
          "host:1 "}) {
        EXPECT_TRUE(std::holds_alternative<Fault>(parse_address(text))) << text;
    }
    EXPECT_TRUE(std::holds_alternative<Fault>(parse_address(std::string(254, 'a') + ":1")));
    EXPECT_TRUE(std::holds_alternative<Fault>(parse_address(std::string_view("a\0b:1", 5))));
}

TEST(ParseBackendUrl, ReadsSchemeAddressAndCredentials) {
    const auto plain = std::get<BackendUrl>(parse_backend_url("redis://127.0.0.1"));
    EXPECT_EQ(plain, BackendUrl{});

    const auto full =
        std::get<BackendUrl>(parse_backend_url("redis://us%65r:p%40ss%3a@[::1]:7000/15"));
    EXPECT_EQ(full.address, tcp("::1", 7000));
    EXPECT_EQ(full.user, "user");
    EXPECT_EQ(full.password.reveal(), "p@ss:");

    const auto old_style = std::get<BackendUrl>(parse_backend_url("redis://:pass@host/"));
    EXPECT_EQ(old_style.address, tcp("host", 6379));
    EXPECT_EQ(old_style.user, "");
    EXPECT_EQ(old_style.password.reveal(), "pass");

    const auto local = std::get<BackendUrl>(parse_backend_url("unix://me:pw@/run/redis@1.sock"));
    EXPECT_EQ(local.scheme, BackendUrl::Scheme::unix_socket);
    EXPECT_EQ(local.address, socket_at("/run/redis@1.sock"));
    EXPECT_EQ(local.user, "me");
    EXPECT_EQ(local.password.reveal(), "pw");

    EXPECT_EQ(std::get<BackendUrl>(parse_backend_url("unix:///a@/b")).address, socket_at("/a@/b"));
    EXPECT_EQ(
        std::get<BackendUrl>(parse_backend_url("rediss://h")).scheme, BackendUrl::Scheme::rediss
    );
}

TEST(ParseBackendUrl, TakesSignsInAPasswordThatOughtToBeEncoded) {
    const auto url = std::get<BackendUrl>(parse_backend_url("redis://:p@s/s:w@host:1"));
    EXPECT_EQ(url.password.reveal(), "p@s/s:w");
    EXPECT_EQ(url.address, tcp("host", 1));
}

TEST(ParseBackendUrl, RefusesTheRestAndNeverRepeatsIt) {
    for (const std::string_view text :
         {"",
          "127.0.0.1:6379",
          "http://hunter2@h",
          "redis:/h",
          "redis://",
          "redis://:hunter2@",
          "redis://hunter2@h",
          "redis://:hunter2@h:x",
          "redis://:hunter2@h:0",
          "redis://:hunter2@h/x",
          "redis://:hunter2@h?db=1",
          "redis://:hunter2%@h",
          "redis://:hunter2%4@h",
          "redis://:hunter2%zz@h",
          "redis://hunter2%zz:@h",
          "redis://:hunter2",
          "unix://run/x",
          "unix://hunter2@/run/x",
          "unix://",
          "unix:/run/x",
          "redis://h:1:hunter2"}) {
        const std::string fault = fault_of(parse_backend_url(text));
        EXPECT_FALSE(fault.empty()) << text;
        EXPECT_EQ(fault.find("hunter2"), std::string::npos) << text;
    }
}

TEST(ToString, WritesWhatCanBeReadBackButThePassword) {
    for (const std::string_view text : {"127.0.0.1:1", "[::1]:0", "unix:/run/x"}) {
        EXPECT_EQ(to_string(std::get<Address>(parse_address(text))), text);
    }
    for (const std::string_view text :
         {"redis://h:1", "rediss://[::1]:1", "unix:///run/x", "redis://a%20%2Fb:****@h:1"}) {
        EXPECT_EQ(to_string(std::get<BackendUrl>(parse_backend_url(text))), text);
    }
    EXPECT_EQ(
        to_string(std::get<BackendUrl>(parse_backend_url("redis://me:hunter2@h/0"))),
        "redis://me:****@h:6379"
    );
    EXPECT_EQ(
        to_string(std::get<BackendUrl>(parse_backend_url("unix://:hunter2@/run/x"))),
        "unix://:****@/run/x"
    );
}

TEST(IsLocal, KnowsWhatOtherHostsCannotReach) {
    for (const std::string_view text :
         {"127.0.0.1:1",
          "127.8.9.10:1",
          "localhost:1",
          "[::1]:1",
          "[::ffff:127.0.0.1]:1",
          "unix:/run/x"}) {
        EXPECT_TRUE(is_local(std::get<Address>(parse_address(text)))) << text;
    }
    for (const std::string_view text :
         {"0.0.0.0:1",
          "[::]:1",
          "10.0.0.1:1",
          "127.example.org:1",
          "[::ffff:10.0.0.1]:1",
          "[::2]:1",
          "host:1"}) {
        EXPECT_FALSE(is_local(std::get<Address>(parse_address(text)))) << text;
    }
}

TEST(Secret, IsPrintedAsAMaskOfConstantLength) {
    std::ostringstream out;
    out << Secret("a") << ' ' << Secret("a long one") << ' ' << Secret() << '.';
    EXPECT_EQ(out.str(), "**** **** .");
}

}  // namespace
}  // namespace spillway::conf
