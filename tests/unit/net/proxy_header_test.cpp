// Who the client is, by headers of both versions, whole, in pieces, cut short and made up.
#include "proxy/net/proxy_header.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::net {
namespace {

using conf::ProxyProtocol;
using State = ProxyHeader::State;

std::string v2(unsigned char command, unsigned char family, const std::string& block) {
    std::string text("\r\n\r\n\0\r\nQUIT\n", 12);
    text += static_cast<char>(command);
    text += static_cast<char>(family);
    text += static_cast<char>(block.size() >> 8U);
    text += static_cast<char>(block.size() & 0xffU);
    return text + block;
}

const std::string v4_block("\x0a\x00\x00\x01\x0a\x00\x00\x02\xcb\x8e\x18\xec", 12);
const std::string v6_block = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + '\x01' +
                             std::string(16, '\x09') + std::string("\xcb\x8e\x18\xec", 4);
const std::string unix_block = [] {
    std::string block = "/run/app.sock";
    block.resize(216);
    return block;
}();

struct Case {
    std::string header;
    std::string client;
};

std::vector<Case> good_v1() {
    return {
        {"PROXY TCP4 10.0.0.1 10.0.0.2 52110 6380\r\n", "10.0.0.1:52110"},
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
        {"PROXY TCP6 2001:db8::1 ::1 0 6380\r\n", "[2001:db8::1]:0"},
        {"PROXY UNKNOWN\r\n", ""},
        {"PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", ""},
    };
}

std::vector<Case> good_v2() {
    return {
        {v2(0x21, 0x11, v4_block), "10.0.0.1:52110"},
        {v2(0x21, 0x11, v4_block + std::string("\x04\x00\x02hi", 5)), "10.0.0.1:52110"},
        {v2(0x21, 0x11, v4_block + std::string(4096 - 16 - 12, '\0')), "10.0.0.1:52110"},
        {v2(0x21, 0x21, v6_block), "[2001:db8::1]:52110"},
        {v2(0x21, 0x31, unix_block), "unix:/run/app.sock"},
        {v2(0x21, 0x31, std::string(216, 'x')), "unix:" + std::string(108, 'x')},
        {v2(0x21, 0x00, ""), ""},
        {v2(0x20, 0x00, ""), ""},
        {v2(0x20, 0x11, v4_block), ""},  // LOCAL: the addresses mean nothing
        {v2(0x20, 0xff, "whatever"), ""},
    };
}

void expect_at_every_split(const std::vector<Case>& cases, ProxyProtocol accepted) {
    for (const Case& each : cases) {
        for (std::size_t size = 0; size < each.header.size(); ++size) {
            const auto part = read_proxy_header(each.header.substr(0, size), accepted);
            ASSERT_EQ(part.state, State::need_more) << each.header << " at " << size;
        }
        for (const std::string behind : {"", "*1\r\n$4\r\nPING\r\n", "\n"}) {
            const auto whole = read_proxy_header(each.header + behind, accepted);
            ASSERT_EQ(whole.state, State::complete) << each.header << whole.problem;
            EXPECT_EQ(whole.bytes, each.header.size());
            EXPECT_EQ(whole.client, each.client);
        }
    }
}

TEST(ProxyHeader, OfEitherVersionIsReadAtEverySplit) {
    expect_at_every_split(good_v1(), ProxyProtocol::v1);
    expect_at_every_split(good_v1(), ProxyProtocol::any);
    expect_at_every_split(good_v2(), ProxyProtocol::v2);
    expect_at_every_split(good_v2(), ProxyProtocol::any);
}

TEST(ProxyHeader, OfTheOtherVersionFailsAtItsFirstByte) {
    EXPECT_EQ(read_proxy_header("P", ProxyProtocol::v2).state, State::failed);
    EXPECT_EQ(read_proxy_header("\r", ProxyProtocol::v1).state, State::failed);
}

TEST(ProxyHeader, MustComeFirst) {
    for (const std::string text :
         {"*1\r\n$4\r\nPING\r\n",
          "PING\r\n",
          "PROXX",
          "proxy TCP4",
          "\r\n\r\nGET",
          "\x16\x03\x01"}) {
        const auto header = read_proxy_header(text, ProxyProtocol::any);
        EXPECT_EQ(header.state, State::failed) << text;
        EXPECT_FALSE(header.problem.empty());
    }
}

TEST(ProxyHeader, OfVersion1ThatIsMalformedFails) {
    for (const std::string text : {
             "PROXY TCP5 10.0.0.1 10.0.0.2 1 2\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 1 2 \r\n",
             "PROXY TCP4  10.0.0.1 10.0.0.2 1 2\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 65536 2\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 01 2\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 -1 2\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 1 x\r\n",
             "PROXY TCP4 10.0.0.256 10.0.0.2 1 2\r\n",
             "PROXY TCP4 10.0.0.1 name 1 2\r\n",
             "PROXY TCP4 ::1 ::1 1 2\r\n",
             "PROXY TCP6 10.0.0.1 ::1 1 2\r\n",
             "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\n",
             "PROXY \r\n",
             "PROXY UNKNOWNS\r\n",
         }) {
        EXPECT_EQ(read_proxy_header(text, ProxyProtocol::any).state, State::failed) << text;
    }
    const std::string with_nul("PROXY TCP4 10.0.0.1\0 10.0.0.2 1 2\r\n", 35);
    EXPECT_EQ(read_proxy_header(with_nul, ProxyProtocol::any).state, State::failed);
}

TEST(ProxyHeader, OfVersion1HasAtMost107Bytes) {
    const std::string begin = "PROXY UNKNOWN ";
    const std::string longest = begin + std::string(105 - begin.size(), 'x') + "\r\n";
    EXPECT_EQ(read_proxy_header(longest, ProxyProtocol::v1).state, State::complete);
    const std::string longer = begin + std::string(106 - begin.size(), 'x') + "\r\n";
    EXPECT_EQ(read_proxy_header(longer, ProxyProtocol::v1).state, State::failed);
    EXPECT_EQ(read_proxy_header(longer.substr(0, 106), ProxyProtocol::v1).state, State::need_more);
    EXPECT_EQ(read_proxy_header(longer.substr(0, 107), ProxyProtocol::v1).state, State::failed);
}

TEST(ProxyHeader, OfVersion2ThatIsMalformedFails) {
    const std::vector<std::string> bad = {
        v2(0x11, 0x11, v4_block),                // version 1 in the form of version 2
        v2(0x22, 0x11, v4_block),                // an unknown command
        v2(0x21, 0x12, v4_block),                // datagrams
        v2(0x21, 0x41, v4_block),                // an unknown family
        v2(0x21, 0x11, v4_block.substr(0, 11)),  // cut short
        v2(0x21, 0x21, v6_block.substr(0, 35)),
        v2(0x21, 0x31, unix_block.substr(0, 215)),
    };
    for (const std::string& text : bad) {
        EXPECT_EQ(read_proxy_header(text, ProxyProtocol::any).state, State::failed);
    }
}

TEST(ProxyHeader, OfVersion2HasAtMost4096Bytes) {
    std::string text = v2(0x21, 0x11, v4_block + std::string(4096 - 16 - 12 + 1, '\0'));
    EXPECT_EQ(read_proxy_header(text, ProxyProtocol::v2).state, State::failed);
    text.resize(16);  // its announced length is enough to know
    EXPECT_EQ(read_proxy_header(text, ProxyProtocol::v2).state, State::failed);
}

Endpoint endpoint(const std::string& host, std::uint16_t port) {
    conf::Address address;
    (host.front() == '/' ? address.unix_path : address.host) = host;
    address.port = port;
    return numeric_endpoints(address).at(0);
}

TEST(ProxyHeader, WritesWhatTheProtocolSays) {
    const Endpoint v4 = endpoint("10.0.0.2", 6380);
    using conf::SendProxy;
    EXPECT_EQ(
        write_proxy_header(SendProxy::v1, "10.0.0.1:52110", v4),
        "PROXY TCP4 10.0.0.1 10.0.0.2 52110 6380\r\n"
    );
    EXPECT_EQ(write_proxy_header(SendProxy::v2, "10.0.0.1:52110", v4), v2(0x21, 0x11, v4_block));
    EXPECT_EQ(write_proxy_header(SendProxy::v1, {}, {}), "PROXY UNKNOWN\r\n");
    EXPECT_EQ(write_proxy_header(SendProxy::v2, {}, {}), v2(0x20, 0, ""));
    EXPECT_EQ(write_proxy_header(SendProxy::v2, "unix:", endpoint("/s", 0)), v2(0x21, 0, ""));
}

TEST(ProxyHeader, WhatIsWrittenIsRead) {
    struct Pair {
        std::string client;
        Endpoint to;
        std::string read;
    };
    const std::vector<Pair> pairs = {
        {"10.0.0.1:65535", endpoint("10.0.0.2", 6380), "10.0.0.1:65535"},
        {"[2001:db8::1]:1", endpoint("::1", 6380), "[2001:db8::1]:1"},
        {"10.0.0.1:9", endpoint("::1", 6380), "[::ffff:10.0.0.1]:9"},
        {"[2001:db8::1]:1", endpoint("10.0.0.2", 6380), "[2001:db8::1]:1"},
        {"unix:/run/app.sock", endpoint("/run/s", 0), ""},
        {"[fe80::1%eth0]:1", endpoint("::1", 6380), ""},
        {"nonsense", endpoint("10.0.0.2", 6380), ""},
    };
    for (const Pair& pair : pairs) {
        for (const auto version : {conf::SendProxy::v1, conf::SendProxy::v2}) {
            const std::string header = write_proxy_header(version, pair.client, pair.to);
            const ProxyHeader read = read_proxy_header(header + "PING", ProxyProtocol::any);
            EXPECT_EQ(read.state, State::complete);
            EXPECT_EQ(read.bytes, header.size());
            EXPECT_EQ(read.client, pair.read);
        }
    }
}

}  // namespace
}  // namespace spillway::net
