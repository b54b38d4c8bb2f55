// The facts themselves: one line for all commands that share them; expanded, sorted and checked by
// the compiler.
//
// Key positions and flags follow the COMMAND lists of Redis 6.2 to 8 and Valkey 7.2 to 9. Costs
// were measured on Redis 7.0 with small elements, tables and their doublings spread over the
// elements that caused them. They come on top of the argument bytes, which the allocator rounds up
// by a quarter at most.
#include "resp/command_facts.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace spillway::resp {
namespace {

using enum Growth;
using enum Effect;

// Where keys stand.
constexpr KeyRange k1 = {.first = 1, .last = 1, .step = 1};
constexpr KeyRange k2 = {.first = 2, .last = 2, .step = 1};
constexpr KeyRange k3 = {.first = 3, .last = 3, .step = 1};
constexpr KeyRange k1_k2 = {.first = 1, .last = 2, .step = 1};
constexpr KeyRange k1_on = {.first = 1, .last = -1, .step = 1};
constexpr KeyRange k2_on = {.first = 2, .last = -1, .step = 1};
constexpr KeyRange k1_to_timeout = {.first = 1, .last = -2, .step = 1};
constexpr KeyRange pairs = {.first = 1, .last = -1, .step = 2};
constexpr KeyRange count_at_1 = {.step = 1, .numkeys_at = 1};
constexpr KeyRange count_at_2 = {.step = 1, .numkeys_at = 2};
constexpr KeyRange k1_count_at_2 = {.first = 1, .last = 1, .step = 1, .numkeys_at = 2};
constexpr KeyRange count_at_1_pairs = {.step = 2, .numkeys_at = 1};

constexpr KeyRange streams_from(std::uint8_t argument) {
    return {.word = KeyWord::streams, .word_from = argument};
}
constexpr KeyRange k1_store_from(std::uint8_t argument) {
    return {.first = 1, .last = 1, .step = 1, .word = KeyWord::store, .word_from = argument};
}

// What a command costs beyond its argument bytes.
constexpr GrowthCost flat(std::uint16_t bytes) {
    return {.per_command = bytes};
}
constexpr GrowthCost each(
    std::uint16_t bytes, std::uint8_t first, std::uint8_t stride, std::uint16_t key_bytes = 0
) {
    return {
        .per_command = key_bytes,
        .per_element = bytes,
        .first_element = first,
        .element_stride = stride};
}
constexpr std::uint16_t string_key = 100;  // a new string with its dictionary entry
constexpr std::uint16_t small_key = 100;   // a new hash or sorted set
constexpr std::uint16_t list_key = 200;    // a new list or set
constexpr std::uint16_t ttl = 56;          // an entry among the expires

// What happens; the name follows when the rows are expanded.
constexpr CommandFacts plain(KeyRange keys = {}) {
    return {.keys = keys};
}
constexpr CommandFacts changes(KeyRange keys = {}) {
    return {.write = true, .keys = keys};
}
constexpr CommandFacts frees(KeyRange keys = {}) {
    return {.growth = freeing, .write = true, .keys = keys};
}
constexpr CommandFacts frees_all() {
    return {.growth = freeing, .write = true, .effect = flush};
}
constexpr CommandFacts frees_no_data() {
    return {.growth = freeing};
}
constexpr CommandFacts grows(KeyRange keys, GrowthCost cost) {
    return {.growth = proportional, .denyoom = true, .write = true, .keys = keys, .cost = cost};
}
constexpr CommandFacts reaches(std::uint8_t offset_at, bool in_bits) {
    return {
        .growth = offset,
        .denyoom = true,
        .write = true,
        .keys = k1,
        .cost = flat(string_key),
        .offset_at = offset_at,
        .offset_in_bits = in_bits,
    };
}
constexpr CommandFacts knows_no_bound(KeyRange keys, GrowthCost cost = {}) {
    return {.growth = unbounded, .denyoom = true, .write = true, .keys = keys, .cost = cost};
}
constexpr CommandFacts slips_through(KeyRange keys, GrowthCost cost) {
    return {.growth = ungated, .write = true, .keys = keys, .cost = cost};
}
constexpr CommandFacts slips_through_as_read(KeyRange keys = {}, GrowthCost cost = {}) {
    return {.growth = ungated, .keys = keys, .cost = cost};
}
constexpr CommandFacts runs_code(KeyRange keys) {
    return {.growth = script, .keys = keys};
}
constexpr CommandFacts connection(Effect effect) {
    return {.effect = effect};
}
constexpr CommandFacts answers(Replies replies) {
    return {.replies = replies};
}
constexpr CommandFacts subscribes(SubscriptionKind kind, KeyRange keys = {}) {
    return {
        .growth = ungated,
        .replies = Replies::subscribe,
        .subscription = kind,
        .keys = keys,
        .cost = each(260, 1, 1),
    };
}
constexpr CommandFacts unsubscribes(SubscriptionKind kind, KeyRange keys = {}) {
    return {.growth = freeing, .replies = Replies::unsubscribe, .subscription = kind, .keys = keys};
}
constexpr CommandFacts watches() {
    return {.growth = ungated, .effect = watch, .keys = k1_on, .cost = each(220, 1, 1)};
}

struct Row {
    std::string_view names;  // separated by single spaces
    CommandFacts facts;
};

constexpr auto rows = std::to_array<Row>({
    // Strings
    {"append getset setnx", grows(k1, flat(string_key))},
    {"psetex setex", grows(k1, flat(string_key + ttl))},
    {"set", grows(k1, flat(string_key + 20))},  // many give it a TTL
    {"decr decrby incr incrby incrbyfloat increx", grows(k1, flat(string_key))},
    {"mset msetnx", grows(pairs, each(string_key, 1, 2))},
    {"msetex", grows(count_at_1_pairs, each(string_key + ttl, 2, 2))},
    {"setrange", reaches(2, false)},
    {"setbit", reaches(2, true)},
    {"bitfield", reaches(4, true)},
    {"bitop", knows_no_bound(k2_on)},
    {"getex", slips_through(k1, flat(ttl))},
    {"delex delifeq getdel", frees(k1)},
    {"bitcount bitfield_ro bitpos digest get getbit getrange strlen substr", plain(k1)},
    {"lcs", plain(k1_k2)},
    {"mget", plain(k1_on)},

    // Hashes
    {"hmset hset", grows(k1, each(70, 2, 2, small_key))},
    {"hincrby hincrbyfloat hsetnx", grows(k1, flat(small_key + 70))},
    {"hsetex", grows(k1, each(130, 2, 2, small_key))},
    {"hexpire hexpireat hpexpire hpexpireat", slips_through(k1, each(60, 5, 1, 200))},
    {"hgetex", slips_through(k1, each(60, 4, 1))},
    {"hdel hgetdel hpersist", frees(k1)},
    {"hexists hexpiretime hget hgetall hkeys hlen hmget hpexpiretime hpttl", plain(k1)},
    {"hrandfield hscan hstrlen httl hvals", plain(k1)},

    // Lists
    {"lpush rpush", grows(k1, each(12, 2, 1, list_key))},
    {"lpushx rpushx", grows(k1, each(12, 2, 1))},
    {"linsert lset", grows(k1, flat(32))},
    {"blmove brpoplpush lmove rpoplpush", grows(k1_k2, flat(32))},
    {"lpop lrem ltrim rpop", frees(k1)},
    {"blpop brpop bzpopmax bzpopmin", frees(k1_to_timeout)},
    {"lmpop zmpop", frees(count_at_1)},
    {"blmpop bzmpop", frees(count_at_2)},
    {"lindex llen lpos lrange", plain(k1)},

    // Sets
    {"sadd", grows(k1, each(60, 2, 1, list_key))},
    {"sdiffstore sinterstore sunionstore", knows_no_bound(k1_on)},
    {"spop srem", frees(k1)},
    {"smove", changes(k1_k2)},
    {"scard sismember smembers smismember srandmember sscan", plain(k1)},
    {"sdiff sinter sunion", plain(k1_on)},
    {"sintercard", plain(count_at_1)},

    // Sorted sets and places
    {"zadd", grows(k1, each(118, 2, 2, small_key))},
    {"zincrby", grows(k1, flat(small_key + 110))},
    {"geoadd", grows(k1, each(110, 2, 3, small_key))},
    {"zdiffstore zinterstore zunionstore", knows_no_bound(k1_count_at_2)},
    {"geosearchstore zrangestore", knows_no_bound(k1_k2)},
    {"georadius", knows_no_bound(k1_store_from(6))},
    {"georadiusbymember", knows_no_bound(k1_store_from(5))},
    {"zpopmax zpopmin zrem zremrangebylex zremrangebyrank zremrangebyscore", frees(k1)},
    {"geodist geohash geopos georadius_ro georadiusbymember_ro geosearch", plain(k1)},
    {"zcard zcount zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore", plain(k1)},
    {"zrank zrevrange zrevrangebylex zrevrangebyscore zrevrank zscan zscore", plain(k1)},
    {"zdiff zinter zintercard zunion", plain(count_at_1)},

    // HyperLogLog: a merge or a growing sketch ends as 12 KB of registers.
    {"pfadd", grows(k1, each(12, 2, 1, 120))},
    {"pfmerge", knows_no_bound(k1_on, flat(12'900))},
    {"pfdebug", grows(k2, flat(12'900))},
    {"pfcount", plain(k1_on)},
    {"pfselftest", plain()},

    // Streams: the 4.3 KB of a new stream's first node are not charged to every entry.
    {"xadd", grows(k1, flat(150))},
    {"xgroup|create", grows(k2, flat(400))},
    {"xgroup|createconsumer", grows(k2, flat(150))},
    {"xidmprecord xsetid", grows(k1, flat(100))},
    {"xreadgroup", slips_through(streams_from(4), flat(100))},
    {"xautoclaim xclaim", slips_through(k1, flat(100))},
    {"xack xackdel xdel xdelex xnack xtrim", frees(k1)},
    {"xgroup|delconsumer xgroup|destroy", frees(k2)},
    {"xgroup|setid", changes(k2)},
    {"xcfgset", changes(k1)},
    {"xread", plain(streams_from(1))},
    {"xlen xpending xrange xrevrange", plain(k1)},
    {"xinfo|consumers xinfo|groups xinfo|stream", plain(k2)},
    {"xgroup xgroup|help xinfo xinfo|help", plain()},

    // Arrays and vector sets of Redis 8. A vector's links in the graph are estimated, not measured.
    {"arinsert armset arring arset", grows(k1, each(100, 2, 1, small_key))},
    {"vadd", grows(k1, flat(1'000))},
    {"vsetattr", slips_through(k1, flat(100))},
    {"vrem", frees(k1)},
    {"vcard vdim vemb vgetattr vinfo vismember vlinks vrandmember vrange vsim", plain(k1)},

    // Keys of any type
    {"copy", knows_no_bound(k1_k2)},
    {"restore restore-asking", knows_no_bound(k1)},
    {"sort", knows_no_bound(k1_store_from(2))},
    {"expire expireat pexpire pexpireat", slips_through(k1, flat(ttl))},
    {"del unlink", frees(k1_on)},
    {"persist", frees(k1)},
    {"flushall flushdb", frees_all()},
    {"rename renamenx", changes(k1_k2)},
    {"move", changes(k1)},
    {"migrate", changes(k3)},
    {"swapdb", changes()},
    {"dump expiretime pexpiretime pttl sort_ro ttl type", plain(k1)},
    {"exists touch", plain(k1_on)},
    {"memory|usage object|encoding object|freq object|idletime object|refcount", plain(k2)},
    {"clusterscan dbsize keys object object|help randomkey scan", plain()},

    // Scripts; the _RO forms cannot write.
    {"eval evalsha fcall", runs_code(count_at_2)},
    {"eval_ro evalsha_ro fcall_ro", plain(count_at_2)},
    {"script|load", slips_through_as_read({}, flat(200))},
    {"function|load", grows({}, flat(500))},
    {"function|restore", grows({}, flat(500))},
    {"function|delete function|flush", frees()},
    {"script|flush", frees_no_data()},
    {"script script|debug script|exists script|help script|kill script|show", plain()},
    {"function function|dump function|help function|kill function|list function|stats", plain()},

    // Messages
    {"subscribe", subscribes(SubscriptionKind::channel)},
    {"psubscribe", subscribes(SubscriptionKind::pattern)},
    {"ssubscribe", subscribes(SubscriptionKind::shard, k1_on)},
    {"unsubscribe", unsubscribes(SubscriptionKind::channel)},
    {"punsubscribe", unsubscribes(SubscriptionKind::pattern)},
    {"sunsubscribe", unsubscribes(SubscriptionKind::shard, k1_on)},
    {"publish", plain()},
    {"spublish", plain(k1)},
    {"pubsub pubsub|channels pubsub|help pubsub|numpat pubsub|numsub", plain()},
    {"pubsub|shardchannels pubsub|shardnumsub", plain()},

    // What changes the connection
    {"auth", connection(auth)},
    {"hello", connection(hello)},
    {"select", connection(Effect::select)},
    {"multi", connection(multi)},
    {"exec", connection(exec)},
    {"discard", connection(discard)},
    {"watch", watches()},
    {"unwatch", connection(unwatch)},
    {"reset", connection(reset)},
    {"quit", connection(quit)},
    {"asking client|caching", connection(one_shot)},
    {"client|setname", connection(client_setname)},
    {"client|setinfo", connection(client_setinfo)},
    {"client|reply", answers(Replies::client_reply)},
    {"client|tracking", slips_through_as_read()},
    {"client|kill", frees_no_data()},
    {"client client|capa client|getname client|getredir client|help client|id", plain()},
    {"client|import-source client|info client|list client|no-evict client|no-touch", plain()},
    {"client|pause client|trackinginfo client|unblock client|unpause", plain()},
    {"echo ping readonly readwrite", plain()},

    // What leaves the pattern of one reply a command
    {"monitor", answers(Replies::monitor)},
    {"cluster|syncslots psync sync", answers(Replies::replication)},

    // Administration
    {"acl acl|cat acl|deluser acl|dryrun acl|genpass acl|getuser acl|help acl|list", plain()},
    {"acl|load acl|log acl|save acl|setuser acl|users acl|whoami", plain()},
    {"bgrewriteaof bgsave debug failover info lastsave lolwut replconf replicaof role", plain()},
    {"save shutdown slaveof time wait waitaof", plain()},
    {"cluster cluster|addslots cluster|addslotsrange cluster|bumpepoch", plain()},
    {"cluster|cancelslotmigrations cluster|count-failure-reports", plain()},
    {"cluster|countkeysinslot cluster|delslots cluster|delslotsrange cluster|failover", plain()},
    {"cluster|flushslot cluster|flushslots cluster|forget cluster|getkeysinslot", plain()},
    {"cluster|getslotmigrations cluster|help cluster|info cluster|keyslot cluster|links", plain()},
    {"cluster|meet cluster|migrateslots cluster|migration cluster|myid cluster|myshardid", plain()},
    {"cluster|nodes cluster|replicas cluster|replicate cluster|reset cluster|saveconfig", plain()},
    {"cluster|set-config-epoch cluster|setslot cluster|shards cluster|slaves", plain()},
    {"cluster|slot-stats cluster|slots", plain()},
    {"command command|count command|docs command|getkeys command|getkeysandflags command|help",
     plain()},
    {"command|info command|list", plain()},
    {"commandlog commandlog|get commandlog|help commandlog|len commandlog|reset", plain()},
    {"config config|get config|help config|resetstat config|rewrite", plain()},
    {"config|set", connection(limit)},
    {"latency latency|doctor latency|graph latency|help latency|histogram", plain()},
    {"latency|history latency|latest latency|reset", plain()},
    {"memory memory|doctor memory|help memory|malloc-stats memory|purge memory|stats", plain()},
    {"module module|help module|list module|load module|loadex module|unload", plain()},
    {"slowlog slowlog|get slowlog|help slowlog|len slowlog|reset", plain()},
});

constexpr std::string_view small_replies =
    "append asking auth bitcount bitop bitpos client|getname client|id client|reply "
    "client|setinfo client|setname copy dbsize decr decrby del discard echo exists expire expireat "
    "expiretime "
    "geoadd getbit hdel hexists hincrby hincrbyfloat hlen hmset hset hsetnx hstrlen incr incrby "
    "incrbyfloat linsert llen lpush lpushx lrem lset ltrim move mset msetnx multi persist pexpire "
    "pexpireat pexpiretime pfadd pfcount pfmerge ping psetex pttl publish quit readonly readwrite "
    "rename renamenx reset rpush rpushx sadd scard sdiffstore select set setbit setex setnx "
    "setrange sinterstore sismember smismember smove spublish srem strlen sunionstore touch ttl "
    "type unlink unwatch watch xack xadd xdel xlen xtrim zadd zcard zcount zdiffstore zincrby "
    "zinterstore zlexcount zmscore zrangestore zrank zrem zremrangebylex zremrangebyrank "
    "zremrangebyscore zrevrank zscore zunionstore";

constexpr std::size_t count_names() {
    std::size_t count = 0;
    for (const Row& row : rows) {
        count += 1 + static_cast<std::size_t>(std::count(row.names.begin(), row.names.end(), ' '));
    }
    return count;
}

constexpr auto expand() {
    std::array<CommandFacts, count_names()> facts{};
    std::size_t next = 0;
    for (const Row& row : rows) {
        std::string_view rest = row.names;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(' '), rest.size());
            facts[next] = row.facts;
            facts[next].name = rest.substr(0, end);
            ++next;
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    std::sort(facts.begin(), facts.end(), [](const CommandFacts& a, const CommandFacts& b) {
        return a.name < b.name;
    });
    std::string_view rest = small_replies;
    while (!rest.empty()) {
        const std::string_view name = rest.substr(0, rest.find(' '));
        const auto place = std::lower_bound(
            facts.begin(),
            facts.end(),
            name,
            [](const CommandFacts& fact, std::string_view wanted) { return fact.name < wanted; }
        );
        place->small_reply = place->name == name;  // past the end is an error for the compiler
        rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    }
    return facts;
}

constexpr auto sorted_facts = expand();

static_assert(!sorted_facts.front().name.empty(), "two spaces, or one at an end");
static_assert(
    std::adjacent_find(
        sorted_facts.begin(),
        sorted_facts.end(),
        [](const CommandFacts& a, const CommandFacts& b) { return a.name == b.name; }
    ) == sorted_facts.end(),
    "a command stands in two rows"
);

}  // namespace

std::span<const CommandFacts> command_facts() noexcept {
    return sorted_facts;
}

}  // namespace spillway::resp
