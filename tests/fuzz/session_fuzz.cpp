// Whatever client and backend send, in whatever turns: observe passes every byte, and no session
// leaves a charge behind.
#include "proxy/core/session.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace {

namespace core = spillway::core;
namespace policy = spillway::policy;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

// One session between two strings, as its driver would run it; ended where the driver ends it.
class Run {
  public:
    Run(policy::Mode mode, bool retries) {
        settings_.mode = mode;
        context_ = std::make_unique<core::ShardContext>(pool_, cells_, settings_);
        context_->rules = std::make_shared<const policy::Rules>();
        context_->now = policy::second;
        context_->retries.on = retries;
        session_ = std::make_unique<core::Session>(*context_, 1, "127.0.0.1:1");
    }

    void client(std::string_view bytes) {
        asked_ += bytes;
        stash_ += bytes;
        if (!session_->waits()) {
            take_requests();
        }
    }
    void backend(std::string_view bytes) {
        answered_ += bytes;
        while (!bytes.empty() && !ended_) {
            bytes.remove_prefix(session_->backend_bytes(bytes, output_));
            collect(shown_);
        }
        ended_ = ended_ || session_->broken();
        add_local();
        if (session_->awaits_replies()) {
            take_requests();
        }
    }
    // What the guard says from now on: credit for all, for none, or none at the ceiling.
    void sample(unsigned kind) {
        policy::GuardView view;
        view.state = kind == 0   ? policy::GuardState::plenty
                     : kind == 1 ? policy::GuardState::paced
                                 : policy::GuardState::ceiling;
        view.family = policy::EvictionFamily::noeviction;
        view.steady = kind == 0;
        view.ceiling = 1 << 20;
        view.counted = kind == 0 ? 0 : (1 << 20) - 4096;
        pool_.freeze();
        pool_.grant(
            kind == 0 ? policy::Grant{} : policy::Grant{.open = 0, .room = 0, .reserve = 0}
        );
        context_->guard.publish(view);
        context_->flight = policy::flight_of(view, settings_.mode, 1 << 20);
        look_after_retry();
        context_->now += policy::second;
        look_after_retry();
        take_requests();
    }
    [[nodiscard]] bool ended() const { return ended_; }

    void check() {
        if (settings_.mode == policy::Mode::observe) {
            if (!std::string_view(asked_).starts_with(sent_)) {
                fail("the backend was sent what no client sent");
            }
            if (!ended_ && sent_.size() + stash_.size() != asked_.size()) {
                fail("bytes of the client are lost");
            }
            if (shown_ != std::string_view(answered_).substr(0, shown_.size()) ||
                (!ended_ && shown_.size() != answered_.size())) {
                fail("the client was not shown what the backend sent");
            }
        }
        session_.reset();
        context_->guard.flush();
        if (cells_.answered.load() != cells_.spent.load()) {
            fail("a charge was left behind");
        }
        if (context_->metrics.held_commands.value() != 0) {
            fail("a hold was left behind");
        }
        if (context_->retries.bytes != 0) {
            fail("bytes kept for a retry were left behind");
        }
    }

  private:
    void look_after_retry() {
        switch (session_->next_retry_step()) {
            case core::Session::RetryStep::none:
                return;
            case core::Session::RetryStep::send:
                session_->send_again(output_);
                return collect(sent_);
            case core::Session::RetryStep::refuse:
                session_->show_refusal(output_);
                return collect(shown_);
        }
    }
    void take_requests() {
        std::size_t taken = 0;
        core::RequestLane::Pass pass;
        do {
            pass = session_->client_bytes(std::string_view(stash_).substr(taken), output_);
            taken += pass.taken;
            collect(sent_);
        } while (pass.stop == core::RequestLane::Stop::output_full);
        stash_.erase(0, taken);
        ended_ = ended_ || pass.stop == core::RequestLane::Stop::broken ||
                 pass.stop == core::RequestLane::Stop::ledger_full;
        add_local();
    }
    void add_local() {
        while (!session_->local_replies(output_)) {
            collect(shown_);
        }
        collect(shown_);
    }
    void collect(std::string& into) {
        for (const std::string_view piece : output_.pieces()) {
            into.append(piece);
        }
        output_.clear();
    }

    policy::CreditPool pool_;
    policy::TrafficCells cells_;
    policy::GuardSettings settings_;
    core::Output output_;
    std::unique_ptr<core::ShardContext> context_;
    std::unique_ptr<core::Session> session_;
    std::string stash_;
    std::string asked_;
    std::string sent_;
    std::string answered_;
    std::string shown_;
    bool ended_ = false;
};

}  // namespace

// Turns of "<who><bytes>\x1e": c = the client sends, b = the backend does, 0 to 2 = a sample. The
// first byte of all says the mode: o = observe, r = protect with retries, others = protect.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr char end_of_turn = '\x1e';
    std::string_view input(reinterpret_cast<const char*>(data), size);
    if (input.empty() || size > 4096) {
        return 0;
    }
    Run run(
        input.front() == 'o' ? policy::Mode::observe : policy::Mode::protect, input.front() == 'r'
    );
    input.remove_prefix(1);
    while (!input.empty() && !run.ended()) {
        const std::string_view turn = input.substr(0, input.find(end_of_turn));
        input.remove_prefix(std::min(input.size(), turn.size() + 1));
        if (turn.empty()) {
            continue;
        }
        if (turn.front() == 'c') {
            run.client(turn.substr(1));
        } else if (turn.front() == 'b') {
            run.backend(turn.substr(1));
        } else {
            run.sample(static_cast<unsigned>(turn.front()) % 3U);
        }
    }
    run.check();
    return 0;
}
