// CLIENT LIST: who holds much, and whose connections are one culprit.
#include "policy/client_list.hpp"

#include <string>

#include <gtest/gtest.h>

namespace spillway::policy {
namespace {

TEST(ClientList, ClientsThatHoldMuchComeFirst) {
    const auto clients = heavy_clients(
        "id=3 addr=1.2.3.4:5 name= omem=0 tot-mem=2000 qbuf=10 cmd=ping flags=N\n"
        "id=4 addr=[::1]:6 name=report omem=5000000 tot-mem=5002000 qbuf=0 cmd=lrange flags=N\n"
        "id=5 addr=1.2.3.4:9 name=r omem=9000000 tot-mem=9000000 cmd=replconf flags=S\n"
        "nonsense\n",
        5
    );
    ASSERT_EQ(clients.size(), 2U) << "a replica's buffers are not clients'";
    EXPECT_EQ(clients[0].id, 4);
    EXPECT_EQ(clients[0].name, "report");
    EXPECT_EQ(clients[0].output_bytes, 5'000'000);
    EXPECT_EQ(clients[0].query_bytes, 2000);
    EXPECT_EQ(clients[1].command, "ping");
    EXPECT_TRUE(heavy_clients("", 5).empty());
    EXPECT_EQ(heavy_clients("id=1 addr=a\nid=2 addr=b\n", 1).size(), 1U);
}

TEST(ClientList, SpillwaysOwnAreNotAmongThem) {
    const std::string list =
        "id=3 addr=127.0.0.1:1 name=spillway-monitor omem=900 qbuf=0 tot-mem=2000 cmd=info\n"
        "id=4 addr=127.0.0.1:2 name=spillway-doctor omem=900 qbuf=0 tot-mem=2000 cmd=client|list\n"
        "id=5 addr=127.0.0.1:3 name=web omem=100 qbuf=0 tot-mem=200 cmd=get\n";
    const std::vector<HeavyClient> clients = heavy_clients(list, 5, {});
    ASSERT_EQ(clients.size(), 1U);
    EXPECT_EQ(clients[0].name, "web");
}

TEST(ClientList, ConnectionsOfLikeNamesAreOne) {
    std::string list;
    for (int i = 0; i < 30; ++i) {
        const std::string n = std::to_string(i);
        list += "id=" + n + "1 addr=10.0.0.1:5" + n + " name=feeder-" + n +
                " omem=" + std::to_string(1000 + i) + " tot-mem=0 cmd=get flags=N\n";
    }
    list += "id=900 addr=10.0.0.2:1 name=web omem=20000 tot-mem=20000 cmd=get flags=N\n";
    const auto clients = heavy_clients(list, 5);
    ASSERT_EQ(clients.size(), 2U);
    EXPECT_EQ(clients[0].name, "feeder-*");
    EXPECT_EQ(clients[0].count, 30);
    EXPECT_EQ(clients[0].id, 291) << "the largest";
    EXPECT_EQ(clients[0].output_bytes, 30'435);
    EXPECT_EQ(clients[0].bytes_of_largest, 1029);
    EXPECT_EQ(clients[1].name, "web");
}

TEST(ClientList, ConnectionsWithoutANameAreThoseOfTheirHost) {
    const auto clients = heavy_clients(
        "id=1 addr=10.0.0.1:5 name= omem=10 tot-mem=10 cmd=get flags=N\n"
        "id=2 addr=10.0.0.1:6 name= omem=20 tot-mem=20 cmd=get flags=N\n"
        "id=3 addr=10.0.0.2:5 name= omem=25 tot-mem=25 cmd=get flags=N\n",
        5
    );
    ASSERT_EQ(clients.size(), 2U);
    EXPECT_EQ(clients[0].count, 2);
    EXPECT_EQ(clients[0].address, "10.0.0.1:6");
    EXPECT_EQ(clients[0].output_bytes, 30);
}

TEST(ClientList, FiguresThatNobodyCanHoldStayNumbers) {
    std::string list;
    for (int i = 1; i < 100; ++i) {
        list += "id=" + std::to_string(i) +
                " addr=a:1 name=x omem=9223372036854775807 tot-mem=9223372036854775807\n";
    }
    const auto clients = heavy_clients(list, 5);
    ASSERT_EQ(clients.size(), 1U);
    EXPECT_GT(clients[0].output_bytes, 0);
}

TEST(HeavyClients, BehindAProxyAreToldByTheirOwnAddress) {
    const AddressBook book{{"10.9.9.9:1", "10.0.0.1:52110"}, {"10.9.9.9:2", "10.0.0.2:52111"}};
    const auto clients = heavy_clients(
        "id=3 addr=10.9.9.9:1 omem=5000\nid=4 addr=10.9.9.9:2 omem=7000\n"
        "id=5 addr=10.9.9.9:3 omem=100\n",
        5,
        book
    );
    ASSERT_EQ(clients.size(), 3U) << "one host of the proxy's, three of the clients'";
    EXPECT_EQ(clients[0].address, "10.0.0.2:52111");
    EXPECT_EQ(clients[1].address, "10.0.0.1:52110");
    EXPECT_EQ(clients[2].address, "10.9.9.9:3");
}

}  // namespace
}  // namespace spillway::policy
