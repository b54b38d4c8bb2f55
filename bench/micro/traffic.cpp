// Drives a Session with the bytes of one kind of load.
#include "bench/micro/traffic.hpp"

#include <array>
#include <stdexcept>

namespace spillway::bench {
namespace {

std::string text_of(std::size_t size) {
    return std::string(size, 'x');
}

std::string wire(std::initializer_list<std::string_view> words) {
    std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string_view word : words) {
        bytes += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
    }
    return bytes;
}

std::string bulk(std::size_t size) {
    return "$" + std::to_string(size) + "\r\n" + text_of(size) + "\r\n";
}

struct Texts {
    std::string get = wire({"GET", "key:000000000%"});
    std::string set = wire({"SET", "key:000000000%", text_of(64)});
    std::string set_16k = wire({"SET", "key:000000000%", text_of(16'384)});
    std::string mget = wire({"MGET", "key:%", "key:1", "key:2", "key:3", "key:4"});
    std::string hset = wire({"HSET", "user:%", "name", "somebody", "mail", "somebody@example.org"});
    std::string lpush = wire({"LPUSH", "queue:%", text_of(128)});
    std::string hgetall = wire({"HGETALL", "user:%"});
    std::string value = bulk(64);
    std::string value_16k = bulk(16'384);
    std::string five = "*5\r\n" + bulk(8) + bulk(8) + bulk(8) + bulk(8) + bulk(8);
    std::string map = "%2\r\n+name\r\n" + bulk(8) + "+mail\r\n" + bulk(20);
};

}  // namespace

std::span<const Mix> mixes() {
    static const Texts texts;
    static const std::array all{
        Mix{"get", texts.get, texts.value, 1},
        Mix{"set", texts.set, "+OK\r\n", 1},
        Mix{"get-p16", texts.get, texts.value, 16},
        Mix{"set-p16", texts.set, "+OK\r\n", 16},
        Mix{"get-p64", texts.get, texts.value, 64},
        Mix{"set-p64", texts.set, "+OK\r\n", 64},
        Mix{"get-16k", texts.get, texts.value_16k, 1},
        Mix{"set-16k", texts.set_16k, "+OK\r\n", 1},
        Mix{"mget-p16", texts.mget, texts.five, 16},
        Mix{"hset-p16", texts.hset, ":2\r\n", 16},
        Mix{"lpush-p16", texts.lpush, ":7\r\n", 16},
        Mix{"hgetall-resp3-p16", texts.hgetall, texts.map, 16},
    };
    return all;
}

Traffic::Traffic(const Mix& mix)
    : pipeline_(mix.pipeline),
      context_(pool_, cells_, settings_),
      session_(context_, 1, "127.0.0.1:50000") {
    for (std::uint32_t i = 0; i < pipeline_; ++i) {
        for (const char byte : mix.command) {
            requests_ += byte == '%' ? static_cast<char>('0' + i % 10) : byte;
        }
        replies_ += mix.reply;
    }
    context_.rules = std::make_shared<const policy::Rules>();
    context_.now = policy::second;
    // Plenty of room, as on most days: what is counted is what every command pays.
    pool_.freeze();
    pool_.grant({.open = std::int64_t{1} << 50, .room = std::int64_t{1} << 50, .reserve = 0});
    context_.guard.publish({
        .state = policy::GuardState::plenty,
        .family = policy::EvictionFamily::noeviction,
        .steady = true,
        .ceiling = std::int64_t{1} << 32,
        .counted = std::int64_t{1} << 31,
        .evictable = 0,
    });
}

std::uint64_t Traffic::pass() {
    context_.now += policy::millisecond;
    std::uint64_t sent = 0;
    std::size_t taken = 0;
    while (taken < requests_.size()) {
        taken += session_.client_bytes(std::string_view(requests_).substr(taken), output_).taken;
        sent += collect();
    }
    std::uint64_t shown = 0;
    taken = 0;
    while (taken < replies_.size()) {
        taken += session_.backend_bytes(std::string_view(replies_).substr(taken), output_);
        shown += collect();
    }
    context_.guard.flush();
    if (sent != requests_.size() || shown != replies_.size()) {
        throw std::logic_error("bytes were lost or held: nothing is measured");
    }
    return sent + shown;
}

std::uint64_t Traffic::collect() {
    std::uint64_t bytes = 0;
    for (const std::string_view piece : output_.pieces()) {
        bytes += piece.size();
    }
    output_.clear();
    return bytes;
}

void Traffic::measured(std::uint64_t passes) {
    for (std::uint64_t i = 0; i < passes; ++i) {
        pass();
    }
}

}  // namespace spillway::bench
