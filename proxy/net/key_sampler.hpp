// Samples a server's keys on a connection of ours, within a budget of the server's time.
#pragma once

#include "policy/diagnose.hpp"
#include "policy/key_sample_walk.hpp"
#include "proxy/net/control_connection.hpp"
#include "proxy/net/memory_probe.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace spillway::net {

struct SamplerPace {
    std::chrono::microseconds budget{5000};         // of server time a second
    std::chrono::microseconds search_budget{5000};  // the same while large keys are looked for
    std::chrono::milliseconds time_max{10'000};
    std::chrono::milliseconds answer_timeout{1000};
};

// Why it ended.
struct SamplerEnd {
    std::string problem;  // the connection is of no further use
    bool slow = false;    // the server took too long to answer: it has more important things to do
    bool in_time = true;  // false: time_max came first
    policy::Nanos server_time = 0;  // spent there, as far as round trips tell
};

// One pipeline at a time, and a pause behind each that brings its cost down to the budget. What a
// pipeline costs the server is taken from its round trip, less the shortest one of an empty
// question: never too little.
[[nodiscard]] boost::asio::awaitable<SamplerEnd> sample_keys(
    boost::asio::io_context& context,
    ControlConnection& connection,
    policy::KeyWalk& walk,
    SamplerPace pace,
    std::function<bool()> goes_on  // after each pipeline; false ends it
);

struct SamplerHooks {
    // Called when the candidates have been looked at, when the sample is complete and a search
    // begins, when one type has been searched (`over` false all these times), and at the end.
    std::function<void(policy::KeySummary keys, bool over, std::string problem)> on_keys;
    // Before that: the answer to CLIENT LIST.
    std::function<void(std::string_view list)> on_clients;
};

// Samples the backend's keys for a running proxy, one sample at a time, on connections that it
// makes for each. Everything on the io_context's thread.
class KeySampler {
  public:
    KeySampler(boost::asio::io_context& context, SamplerHooks hooks);

    // False while one is under way. What `plan` says of the server is read anew first: in a burst
    // the last reading is already another server's, so to say. No `sampled_max`: clients alone.
    bool start(policy::KeyWalkPlan plan, ProbeSettings settings, SamplerPace pace);
    // What is under way is of another server by now: it ends, and nothing of it is told.
    void drop() noexcept;
    void stop() noexcept;

  private:
    boost::asio::awaitable<void> run(policy::KeyWalkPlan plan);
    [[nodiscard]] boost::asio::awaitable<std::string> look_around(policy::KeyWalkPlan& plan);
    [[nodiscard]] boost::asio::awaitable<std::string> read_clients();

    boost::asio::io_context& context_;
    ProbeSettings settings_;
    SamplerPace pace_;
    SamplerHooks hooks_;
    ControlConnection connection_;
    bool busy_ = false;
    bool dropped_ = false;
    bool stopped_ = false;
};

}  // namespace spillway::net
