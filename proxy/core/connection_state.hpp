// What a connection has become: database, user, name, MULTI, CLIENT REPLY; learnt by watching
// commands and their replies.
#pragma once

#include "resp/command_facts.hpp"
#include "resp/command_reader.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::core {

class ConnectionState {
  public:
    // What the client is known as. Cut at 256 bytes each.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    // The name that it has asked for last, whether the server has granted it yet or not. (The user
    // is only what has been granted: rules may give one user more than another.)
    [[nodiscard]] const std::string& name_asked_for() const noexcept;
    [[nodiscard]] const std::string& user() const noexcept { return user_; }
    [[nodiscard]] const std::string& library() const noexcept { return library_; }
    [[nodiscard]] std::int32_t db() const noexcept { return db_; }
    // False while a change is under way, and after a SELECT that EXEC may have run or not.
    [[nodiscard]] bool db_is_certain() const noexcept { return !changes_ && !selected_in_multi_; }

    // The request side. Nothing special is the usual case, and one test.
    [[nodiscard]] bool plain() const noexcept { return plain_; }
    [[nodiscard]] bool in_multi() const noexcept { return in_multi_; }
    [[nodiscard]] bool quitting() const noexcept { return quitting_; }
    [[nodiscard]] bool replies_off() const noexcept { return reply_off_; }
    // The command now seen gets no reply.
    [[nodiscard]] bool reply_suppressed() const noexcept { return reply_off_ || skip_replies_ > 0; }
    [[nodiscard]] bool skips_a_reply() const noexcept { return skip_replies_ > 0; }
    // The command now seen must reach the server, or a modifier would bind to the one after it.
    [[nodiscard]] bool bound_by_modifier() const noexcept { return one_shot_ || skip_replies_ > 0; }

    // Takes note of a command that goes to the server; true when a change then awaits its reply:
    // see settle_effect. `next` is called for every command that goes to the server, at its end.
    [[nodiscard]] bool on_effect(resp::Effect effect, const resp::CommandReader& head);
    void on_client_reply(std::string_view argument);
    void next(bool one_shot) noexcept {
        one_shot_ = one_shot;
        if (skip_replies_ > 0) {
            --skip_replies_;
        }
        plain_ = !in_multi_ && !reply_off_ && skip_replies_ == 0 && !one_shot_ && !quitting_;
    }

    // Estimates of what is queued in MULTI: charged once more when EXEC runs it.
    void queue(std::int64_t charged, std::int64_t lasting) noexcept {
        queued_charge_ += charged;
        queued_lasting_ += lasting;
    }
    // Something that may remove keys is queued: it does so when EXEC runs it.
    void queue_removal() noexcept { queued_removal_ = true; }
    // An authentication is queued.
    void queue_auth() noexcept { queued_auth_ = true; }
    [[nodiscard]] bool queued_auth() const noexcept { return queued_auth_; }
    [[nodiscard]] bool queued_removal() const noexcept { return queued_removal_; }
    [[nodiscard]] std::int64_t queued_charge() const noexcept { return queued_charge_; }
    [[nodiscard]] std::int64_t queued_lasting() const noexcept { return queued_lasting_; }

    // What a change means to all connections of the server.
    struct ServerChange {
        bool limit = false;    // CONFIG SET of what has to do with it
        bool flushed = false;  // databases were emptied
    };
    // The reply side: the oldest change that awaits its reply takes place, or does not.
    ServerChange settle_effect(bool succeeded);
    // The newest change gets no reply: it is taken to have succeeded, but for a user, whom nobody
    // has seen granted.
    ServerChange settle_unanswered();

  private:
    static constexpr std::uint32_t settings_looked_at_max = 64;
    struct Change {
        resp::Effect effect = resp::Effect::none;
        std::string user;
        std::string name;
        std::int32_t db = 0;
        std::vector<Change> queued;  // of an EXEC: those that it runs
    };
    static constexpr std::size_t queued_changes_max = 64;
    [[nodiscard]] bool await(Change&& change);
    void queue_change(Change&& change);
    [[nodiscard]] static Change read_hello(const resp::CommandReader& head);
    // CONFIG SET of what has to do with the limit.
    [[nodiscard]] static bool sets_limit(const resp::CommandReader& head);
    void apply(Change&& change, ServerChange& of_server);
    void begin_reset() noexcept;
    void end_multi() noexcept;

    std::string name_;
    std::string user_ = "default";
    std::string library_;
    std::int32_t db_ = 0;
    bool selected_in_multi_ = false;
    bool plain_ = true;  // as of the last next(): no other member function is followed by a command
    bool in_multi_ = false;
    bool reply_off_ = false;
    bool one_shot_ = false;
    bool quitting_ = false;
    std::uint8_t skip_replies_ = 0;
    std::int64_t queued_charge_ = 0;
    std::int64_t queued_lasting_ = 0;
    bool queued_removal_ = false;
    bool queued_auth_ = false;
    std::unique_ptr<std::deque<Change>> changes_;  // only while some await their reply
    std::vector<Change> queued_;                   // in MULTI, until EXEC
};

}  // namespace spillway::core
