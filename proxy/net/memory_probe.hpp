// Reads the backend's memory state on a connection of its own, as often as wanted, through restarts
// and failures.
#pragma once

#include "conf/config.hpp"
#include "policy/memory_sample.hpp"
#include "proxy/net/control_connection.hpp"
#include "proxy/net/target.hpp"
#include "resp/command_table.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace spillway::net {

struct ProbeSettings {
    conf::Address address;
    conf::Credentials credentials;
    std::chrono::milliseconds connect_timeout{1000};
    std::chrono::milliseconds answer_timeout{3000};
    std::shared_ptr<const TlsContext> tls;  // null = plain
    conf::SendProxy send_proxy = conf::SendProxy::off;
};

// AUTH, with or without a user.
[[nodiscard]] std::vector<std::string> auth_question(const conf::Credentials& credentials);

// All are called on the io_context's thread.
struct ProbeHooks {
    std::function<void(std::shared_ptr<const Target>)> on_target;  // when it changed
    std::function<void(std::shared_ptr<const resp::CommandTable>)>
        on_commands;               // after each connect
    std::function<void()> on_ask;  // INFO goes out now
    std::function<void(const policy::MemorySample&)> on_sample;
    // No sample, at each try. `reachable`: the server answers, but not this.
    std::function<void(std::string reason, bool reachable)> on_failure;
    std::function<policy::Nanos()> interval;  // from one INFO to the next
    // The next sample is for people, not for the guard alone: all of it must be of this moment.
    std::function<bool()> wants_all;
};

class MemoryProbe {
  public:
    // The shortest time from one INFO to the next, however many are wished for.
    static constexpr policy::Nanos interval_min = 2 * policy::millisecond;

    MemoryProbe(boost::asio::io_context& context, ProbeSettings settings, ProbeHooks hooks);
    void start();
    void stop();
    // On the io_context's thread. Connects anew where address or credentials differ, not for other
    // certificates.
    void change(ProbeSettings settings);
    // The next sample is wanted early. On the io_context's thread.
    void hurry();

  private:
    boost::asio::awaitable<void> run();
    boost::asio::awaitable<std::string> open();
    void show_target(std::shared_ptr<const Target> target);
    void keep_clients_away(std::string_view why);
    [[nodiscard]] boost::asio::awaitable<std::string> log_in();
    boost::asio::awaitable<std::string> read_commands();
    boost::asio::awaitable<std::string> sample_once();
    [[nodiscard]] bool asks_for_all() const;
    boost::asio::awaitable<void> pause(policy::Nanos duration);

    boost::asio::io_context& context_;
    ProbeSettings settings_;
    ProbeHooks hooks_;
    ControlConnection connection_;
    boost::asio::steady_timer timer_;
    std::shared_ptr<const Target> target_;
    policy::MemorySample last_;       // while connected: what the next one need not ask for again
    policy::Nanos all_asked_at_ = 0;  // when all of it was; 0 = never on this connection
    policy::Nanos asked_at_ = 0;
    policy::Nanos resolved_at_ = 0;
    bool all_sections_ = true;  // several INFO sections in one call: Redis 7.0 and later
    bool hurried_ = false;
    bool sampling_ = false;    // in the pause between two samples, which hurry() may cut
    bool reachable_ = false;   // it has answered, though not what was asked
    bool shown_ = false;       // where clients are to go, or why they cannot
    bool introduced_ = false;  // with send_proxy: clients may go there, it has taken a header
    bool changed_ = false;     // and so the end of the connection is no failure
    bool stopped_ = false;
};

}  // namespace spillway::net
