// Hosts are told apart, and none may have more clients than allowed.
#include "proxy/net/host_counts.hpp"

#include <gtest/gtest.h>

namespace spillway::net {
namespace {

TEST(HostCounts, EachHostHasItsOwn) {
    HostCounts counts;
    EXPECT_TRUE(counts.enter("10.0.0.1", 2));
    EXPECT_TRUE(counts.enter("10.0.0.1", 2));
    EXPECT_FALSE(counts.enter("10.0.0.1", 2));
    EXPECT_TRUE(counts.enter("10.0.0.2", 2));
    counts.leave("10.0.0.1");
    EXPECT_TRUE(counts.enter("10.0.0.1", 2));
    EXPECT_FALSE(counts.enter("10.0.0.1", 1)) << "a lowered bound holds for who comes";
    EXPECT_FALSE(counts.enter("10.0.0.3", 0));
}

TEST(HostCounts, WhoWasNotCountedDoesNoHarm) {
    HostCounts counts;
    counts.leave("10.0.0.1");
    EXPECT_TRUE(counts.enter("10.0.0.1", 1));
    counts.leave("10.0.0.1");
    counts.leave("10.0.0.1");
    EXPECT_TRUE(counts.enter("10.0.0.1", 1));
    EXPECT_FALSE(counts.enter("10.0.0.1", 1));
}

TEST(HostOf, IsTheAddressWithoutItsPort) {
    EXPECT_EQ(host_of("10.0.0.1:52110"), "10.0.0.1");
    EXPECT_EQ(host_of("[2001:db8::1]:52110"), "[2001:db8::1]");
    EXPECT_EQ(host_of("[::ffff:10.0.0.1]:52110"), "10.0.0.1") << "a balancer may say it either way";
    EXPECT_EQ(host_of("[::ffff:0:1]:52110"), "[::ffff:0:1]");
    EXPECT_EQ(host_of("unix:/run/app:1.sock"), "");
    EXPECT_EQ(host_of("unix:"), "");
}

}  // namespace
}  // namespace spillway::net
