// Looks at one live server: reads what it says of itself, watches it for a moment, samples its
// keys, and lets the diagnosis explain what was seen.
#pragma once

#include "conf/config.hpp"
#include "policy/command_room.hpp"
#include "policy/diagnose.hpp"
#include "policy/key_sample.hpp"
#include "policy/key_sample_walk.hpp"
#include "policy/memory_history.hpp"
#include "policy/memory_state.hpp"
#include "proxy/net/control_connection.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace spillway::doctor {

struct Findings {
    std::string target;  // without credentials
    policy::MemoryState state;
    policy::Nanos looked_at = 0;
    policy::Diagnosis diagnosis;
    policy::KeySummary keys;
    policy::Nanos sampling_cost = 0;  // of the server's time
    std::vector<policy::HeavyClient> clients;
    std::vector<std::string> unavailable;  // what could not be looked at, and why
};

// What is being done, and how far it is (0 to 1).
using Progress = std::function<void(std::string_view doing, double done)>;

class Examination {
  public:
    // `history` is what earlier examinations of the same server left, if any; `tls`: null = plain.
    Examination(
        boost::asio::io_context& context,
        conf::BackendUrl url,
        policy::MemoryHistory& history,
        std::shared_ptr<const net::TlsContext> tls,
        Progress progress
    );

    // Empty when `findings` are complete, else why not, and what to do.
    [[nodiscard]] boost::asio::awaitable<std::string> run(Findings& findings);

  private:
    static constexpr unsigned samples_before = 3;  // of the keys being sampled, and after it

    [[nodiscard]] boost::asio::awaitable<std::string> connect();
    [[nodiscard]] boost::asio::awaitable<std::string> take_sample(Findings& findings);
    [[nodiscard]] boost::asio::awaitable<std::string> watch(Findings& findings, unsigned samples);
    [[nodiscard]] boost::asio::awaitable<void> read_hidden_limit(policy::MemorySample& sample);
    [[nodiscard]] boost::asio::awaitable<std::string> sample_keys(Findings& findings);
    [[nodiscard]] boost::asio::awaitable<void> read_clients(Findings& findings);
    [[nodiscard]] boost::asio::awaitable<std::vector<std::pair<std::int32_t, std::string>>>
    slow_keys();
    [[nodiscard]] boost::asio::awaitable<void> read_siblings();
    [[nodiscard]] boost::asio::awaitable<std::string> ask_sibling(
        conf::Address address, policy::SiblingNode& into
    );
    void conclude(Findings& findings);
    [[nodiscard]] bool may_ask(std::string_view command, const std::string& what);
    [[nodiscard]] bool is_full_anyway() const;
    [[nodiscard]] policy::MemoryState judged_state() const;
    [[nodiscard]] policy::Diagnosis judge(
        const policy::MemoryState& state, const Findings& findings
    ) const;
    [[nodiscard]] bool look_has_reclaimed() const;
    void tell_reclaimed(policy::Diagnosis& diagnosis) const;
    void lack(std::string what, std::string_view reason);
    void lack_room(const std::string& what);
    [[nodiscard]] boost::asio::awaitable<std::string> give_name();

    boost::asio::io_context& context_;
    conf::BackendUrl url_;
    std::shared_ptr<const net::TlsContext> tls_;
    Progress progress_;
    net::ControlConnection connection_;
    bool all_sections_ = true;
    bool limit_hidden_ = false;
    policy::TypesByUse types_;
    policy::CommandRoom command_room_;
    std::int64_t limit_ = -1;  // by CONFIG GET, where INFO hides it
    std::string policy_;

    policy::MemoryHistory& history_;
    std::int64_t ooms_before_ = 0;
    std::vector<policy::MemorySample> samples_;
    std::vector<policy::SiblingNode> siblings_;
    int own_slots_ = 0;
    std::vector<std::string> unavailable_;
};

// What samples, oldest first, say together: the last one, and growth where it is no mere noise.
[[nodiscard]] policy::MemoryState state_of(const std::vector<policy::MemorySample>& samples);

}  // namespace spillway::doctor
