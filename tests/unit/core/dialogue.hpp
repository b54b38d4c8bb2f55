// Drives a Session as a driver would, with strings for sockets and any split of the bytes.
#pragma once

#include "proxy/core/session.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace spillway::core::test {

// "SET a b" as the bytes that clients send.
inline std::string command(std::string_view line) {
    std::string bytes;
    std::size_t count = 0;
    while (!line.empty()) {
        const std::size_t space = line.find(' ');
        const std::string_view word = line.substr(0, space);
        bytes += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
        ++count;
        line.remove_prefix(space == std::string_view::npos ? line.size() : space + 1);
    }
    return "*" + std::to_string(count) + "\r\n" + bytes;
}

// A session between a client and a backend that are strings. Bytes come in pieces of `piece` (0 =
// all at once).
class Dialogue {
  public:
    explicit Dialogue(policy::Mode mode = policy::Mode::protect, std::size_t piece = 0)
        : piece_(piece) {
        settings_.mode = mode;
        context_ = std::make_unique<ShardContext>(pool_, cells_, settings_);
        context_->rules = std::make_shared<const policy::Rules>();
        context_->now = policy::second;
        context_->policy_name = "noeviction";
        session_ = std::make_unique<Session>(*context_, 1, "127.0.0.1:5000");
    }

    // What reaches the backend of what the client sends; local replies are added to shown().
    std::string client(std::string_view bytes) {
        const std::string before = std::exchange(sent_, {});
        while (!bytes.empty()) {
            const std::size_t step = piece_ == 0 ? bytes.size() : std::min(piece_, bytes.size());
            stash_.append(bytes.substr(0, step));
            bytes.remove_prefix(step);
            if (!session_->waits()) {
                run_requests();
            }
        }
        return std::exchange(sent_, before);
    }
    [[nodiscard]] const std::string& name() const { return session_->shared().state.name(); }
    [[nodiscard]] const std::string& user() const { return session_->shared().state.user(); }
    [[nodiscard]] int db() const { return session_->shared().state.db(); }
    // When the guard was last told to forget its samples; negative = never.
    [[nodiscard]] std::int64_t outdated_at() const { return pool_.outdated_at(); }
    // New credit, or time has passed: what a held command makes of it.
    std::string resume() {
        sent_.clear();
        run_requests();
        return std::exchange(sent_, {});
    }
    // What the client is shown of what the backend sends, and of local replies since the last call.
    std::string backend(std::string_view bytes) {
        Output& output = output_;
        while (!bytes.empty()) {
            const std::size_t step = piece_ == 0 ? bytes.size() : std::min(piece_, bytes.size());
            std::string_view part = bytes.substr(0, step);
            bytes.remove_prefix(step);
            while (!part.empty()) {
                part.remove_prefix(session_->backend_bytes(part, output));
                collect(output, shown_);
            }
            add_local();
        }
        if (session_->awaits_replies()) {
            run_requests();
        }
        return std::exchange(shown_, {});
    }
    std::string shown() { return std::exchange(shown_, {}); }
    // What reached the backend since, without a word from the client: replies made room for it.
    std::string sent() { return std::exchange(sent_, {}); }

    // As if a sample had come: what the guard knows, and the credit that it grants.
    void sample(policy::GuardView view, policy::Grant grant) {
        pool_.freeze();
        pool_.grant(grant);
        context_->guard.publish(view);
        context_->flight = policy::flight_of(view, settings_.mode, 64 << 20);
    }
    // At the ceiling, growing: normal writes are refused.
    void close_the_gate() {
        sample(
            {.state = policy::GuardState::ceiling,
             .family = policy::EvictionFamily::noeviction,
             .steady = false,
             .ceiling = 64 << 20,
             .counted = 64 << 20,
             .evictable = 0},
            {.open = 0, .room = 0, .reserve = 0}
        );
    }
    // Near the ceiling with no credit at hand: normal writes wait.
    void starve() {
        sample(
            {.state = policy::GuardState::paced,
             .family = policy::EvictionFamily::noeviction,
             .steady = false,
             .ceiling = 64 << 20,
             .counted = 58 << 20,
             .evictable = 0},
            {.open = 0, .room = 6 << 20, .reserve = 2 << 20}
        );
    }

    // What is charged for a command that passes.
    std::int64_t charge(std::string_view line) {
        context_->guard.flush();
        const std::int64_t before = cells_.spent;
        EXPECT_EQ(client(command(line)), command(line));
        context_->guard.flush();
        return cells_.spent - before;
    }

    ShardContext& context() { return *context_; }
    Session& session() { return *session_; }
    policy::GuardSettings& settings() { return settings_; }
    policy::TrafficCells& cells() { return cells_; }
    void end() { session_.reset(); }

  private:
    void run_requests() {
        Output& output = output_;
        RequestLane::Pass pass;
        std::size_t taken = 0;
        do {
            pass = session_->client_bytes(std::string_view(stash_).substr(taken), output);
            taken += pass.taken;
            collect(output, sent_);
        } while (pass.stop == RequestLane::Stop::output_full);
        stash_.erase(0, taken);
        add_local();
    }
    void add_local() {
        Output& output = output_;
        while (!session_->local_replies(output)) {
            collect(output, shown_);
        }
        collect(output, shown_);
    }
    static void collect(Output& output, std::string& into) {
        for (const std::string_view piece : output.pieces()) {
            into.append(piece);
        }
        output.clear();
    }

    std::size_t piece_;
    Output output_;  // empty between calls
    policy::CreditPool pool_;
    policy::TrafficCells cells_;
    policy::GuardSettings settings_;
    std::unique_ptr<ShardContext> context_;
    std::unique_ptr<Session> session_;
    std::string stash_;
    std::string sent_;
    std::string shown_;
};

inline std::string times(int count, const std::string& text) {
    std::string all;
    for (int i = 0; i < count; ++i) {
        all += text;
    }
    return all;
}

}  // namespace spillway::core::test
