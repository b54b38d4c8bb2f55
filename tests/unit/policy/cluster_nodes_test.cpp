// CLUSTER NODES: who the other primaries are, and a full node among empty ones.
#include "policy/cluster_nodes.hpp"

#include "tests/unit/policy/diagnosis_fixtures.hpp"

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

using namespace testing;

constexpr std::string_view nodes =
    "07c3 127.0.0.1:30004@31004,host4 slave e7d1 0 1426238317239 4 connected\n"
    "67ed 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922\n"
    "292f 127.0.0.1:30003@31003,host3 master - 0 1426238318243 3 connected 10923-16382 "
    "[77->-67ed]\n"
    "6ec2 127.0.0.1:30005@31005 master,fail - 0 1426238316232 5 disconnected 16383\n"
    "824f :0@0 master,noaddr - 0 1426238317741 6 disconnected\n"
    "e7d1 ::1:30001@31001 myself,master - 0 0 1 connected 0-5000 5002-5460\n";

TEST(ClusterNodes, KnowsTheOtherPrimariesAndTheSlots) {
    const ClusterView view = cluster_view(nodes, 16);
    EXPECT_EQ(view.own_slots, 5460);
    ASSERT_EQ(view.siblings.size(), 2U);
    EXPECT_EQ(view.siblings[0].port, 30002);
    EXPECT_EQ(view.siblings[0].host, "127.0.0.1");
    EXPECT_EQ(view.siblings[0].slots, 5462);
    EXPECT_EQ(view.siblings[1].slots, 5460);
    EXPECT_EQ(cluster_view(nodes, 1).siblings.size(), 1U);
}

TEST(ClusterNodes, NonsenseIsNoNode) {
    EXPECT_TRUE(cluster_view("", 9).siblings.empty());
    EXPECT_TRUE(cluster_view("a b c\n\n \n", 9).siblings.empty());
    EXPECT_TRUE(cluster_view("a :70000@1 master - 0 0 1 connected 0-9\n", 9).siblings.empty());
    EXPECT_TRUE(cluster_view("a h:1@1 master - 0 0 1 connected 9-0 -1 99999\n", 9).siblings.empty()
    );
}

struct Skew : ::testing::Test {
    std::vector<SiblingNode> siblings = {
        {.address = "10.0.0.2:6379", .counted = 10 * mib, .ceiling = 64 * mib, .slots = 5462},
        {.address = "10.0.0.3:6379", .counted = 14 * mib, .ceiling = 64 * mib, .slots = 5461}};

    [[nodiscard]] Diagnosis look(int own_slots = 5461) const {
        MemorySample at = sample_of("noeviction_full");
        at.clustered = true;
        const Scene scene({}, at);
        Evidence evidence = scene.evidence(false);
        evidence.siblings = siblings;
        evidence.own_slots = own_slots;
        return diagnose(evidence);
    }
};

TEST_F(Skew, AFullNodeAmongSiblingsWithRoom) {
    const Diagnosis d = look();
    EXPECT_EQ(d.cause, Cause::cluster_skew) << all_of(d);
    EXPECT_EQ(d.health, Health::oom);
    EXPECT_TRUE(says(d.evidence, "the other 2 primaries use 19 % on average")) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "10.0.0.2:6379 16 %, 10.0.0.3:6379 22 %")) << all_of(d);
    EXPECT_TRUE(says(d.evidence, "5,461 of 16,384 slots")) << all_of(d);
    EXPECT_TRUE(says(d.advice, "hash tag")) << all_of(d);
    EXPECT_TRUE(has(d.also, Cause::noeviction_at_ceiling));
}

TEST_F(Skew, TooManySlotsAreTheReason) {
    const Diagnosis d = look(12'000);
    EXPECT_EQ(d.cause, Cause::cluster_skew);
    EXPECT_TRUE(says(d.advice, "redis-cli --cluster rebalance")) << all_of(d);
}

TEST_F(Skew, WhereAllAreFullItIsNoSkew) {
    siblings[0].counted = 63 * mib;
    siblings[1].counted = 60 * mib;
    EXPECT_EQ(look().cause, Cause::noeviction_at_ceiling);
    siblings.clear();
    EXPECT_EQ(look().cause, Cause::noeviction_at_ceiling);
}

TEST_F(Skew, SiblingsWithoutALimitAreComparedByWhatTheyHold) {
    for (SiblingNode& sibling : siblings) {
        sibling.ceiling = 0;
    }
    EXPECT_EQ(look().cause, Cause::cluster_skew) << all_of(look());
}

}  // namespace
}  // namespace spillway::policy
