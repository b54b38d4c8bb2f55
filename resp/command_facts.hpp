// What is known of each command beyond what COMMAND tells: how it grows memory, how it is answered,
// what it changes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace spillway::resp {

// How a command may change memory. The order is that of the `class` label of the metrics.
enum class Growth : std::uint8_t {
    other,         // reads, administration: nothing worth counting
    proportional,  // about its argument bytes plus a constant per element
    offset,        // SETRANGE, SETBIT: a number in the arguments decides
    unbounded,     // depends on other keys or on a compressed payload: COPY, *STORE, RESTORE
    script,        // runs code
    ungated,       // grows, but Redis never refuses it for memory: EXPIRE, SUBSCRIBE, XREADGROUP
    freeing,
};

// The `class` label of the metrics, and the group that a rule names as "@growing", "@unbounded",
// "@script".
[[nodiscard]] constexpr std::string_view class_label(Growth growth) noexcept {
    switch (growth) {
        case Growth::proportional:
        case Growth::offset:
            return "growing";
        case Growth::unbounded:
            return "unbounded";
        case Growth::script:
            return "script";
        case Growth::ungated:
            return "ungated";
        case Growth::freeing:
            return "freeing";
        case Growth::other:
            break;
    }
    return "other";
}

// How many replies a command gets, and whether what follows can still be paired.
enum class Replies : std::uint8_t {
    one,
    subscribe,     // one frame per argument
    unsubscribe,   // one frame per argument; without arguments one per subscription, at least one
    monitor,       // +OK, then an endless stream
    replication,   // SYNC, PSYNC: the stream leaves RESP
    client_reply,  // CLIENT REPLY ON|OFF|SKIP
};

// Which set of subscriptions a subscribe or unsubscribe command works on.
enum class SubscriptionKind : std::uint8_t { channel, pattern, shard };

// What a command changes in the connection itself, or in what its reply tells of the server.
enum class Effect : std::uint8_t {
    none,
    auth,
    hello,
    select,
    multi,
    exec,
    discard,
    watch,
    unwatch,
    reset,
    quit,
    client_setname,
    client_setinfo,
    limit,     // what is known of the server's limit may no longer hold: CONFIG SET
    flush,     // nor what is known of its data: FLUSHALL, FLUSHDB
    one_shot,  // binds to the next command the server sees: ASKING, CLIENT CACHING
};

// A word among the arguments after which further keys stand.
enum class KeyWord : std::uint8_t {
    none,
    streams,  // XREAD, XREADGROUP: the first half of what follows STREAMS are keys
    store,    // SORT, GEORADIUS: STORE or STOREDIST names one key, and without it the command only
              // reads
};

// Where keys stand, counting the command's name as argument 0 (a subcommand's name is argument 1):
// first, first+step, … up to last (negative counts from the end; first = 0: no keys there), and,
// where `numkeys_at` > 0, as many as that argument says right behind it, and, where `word` is set,
// those behind the word, looked for from `word_from` on.
struct KeyRange {
    std::int8_t first = 0;
    std::int8_t last = 0;
    std::int8_t step = 0;
    std::int8_t numkeys_at = 0;
    KeyWord word = KeyWord::none;
    std::uint8_t word_from = 0;
};

// Bytes a command costs beyond its argument bytes, per key that it may create and per element, as
// measured on Redis 7.0.
struct GrowthCost {
    std::uint16_t per_command = 0;
    std::uint16_t per_element = 0;
    std::uint8_t first_element = 0;   // argument index of the first element
    std::uint8_t element_stride = 0;  // arguments per element; 0 = no elements
};

struct CommandFacts {
    std::string_view name{};  // lower case; "container|sub" for subcommands
    Growth growth = Growth::other;
    bool denyoom =
        false;  // as of Redis 7.0, or of the release that brought the command; the live list wins
    bool write = false;  // may change the data set, as the server flags it
    Replies replies = Replies::one;
    SubscriptionKind subscription = SubscriptionKind::channel;
    Effect effect = Effect::none;
    KeyRange keys{};
    GrowthCost cost{};
    std::uint8_t offset_at = 0;  // for Growth::offset: the argument that holds the (first) offset …
    bool offset_in_bits = false;  // … in bits (SETBIT, BITFIELD) or bytes (SETRANGE)
    bool small_reply = false;     // a status, a number or little more than the request, whatever
                                  // the key holds; SET with GET is for the caller to know
};

// Every command whose facts differ from "one reply, no growth, no keys", plus all well-known
// commands, sorted by name.
[[nodiscard]] std::span<const CommandFacts> command_facts() noexcept;

}  // namespace spillway::resp
