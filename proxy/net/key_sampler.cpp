// Samples a server's keys on a connection of ours, within a budget of the server's time.
#include "proxy/net/key_sampler.hpp"

#include "policy/client_list.hpp"
#include "policy/diagnose_figures.hpp"
#include "policy/info.hpp"
#include "policy/wording.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/net/resolver.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

// GCC 12 takes a coroutine frame's own operator delete for a mismatch when it inlines Asio's new.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace spillway::net {

namespace asio = boost::asio;

namespace {

constexpr policy::Nanos command_cost_min = 500;  // no command is free, however fast the answer
constexpr policy::Nanos slow = 50 * policy::millisecond;  // beyond what an empty question takes
constexpr int slow_max = 3;                               // in a row
constexpr int pings = 3;

// Beside the coroutine: GCC 12 cannot have braced lists in an expression that waits.
std::vector<std::string> ping_question() {
    return {"PING"};
}

std::vector<std::string> info_question() {
    return {"INFO", "all"};
}

std::vector<std::string> clients_question() {
    return {"CLIENT", "LIST"};
}

std::vector<std::string> no_touch_question() {
    return {"CLIENT", "NO-TOUCH", "ON"};
}

}  // namespace

namespace {

asio::awaitable<std::string> log_in(ControlConnection& connection, const ProbeSettings& settings) {
    Target target;
    target.endpoints = co_await resolve(settings.address);
    target.tls = settings.tls;
    target.send_proxy = settings.send_proxy;
    std::string problem = co_await connection.connect(std::move(target), settings.connect_timeout);
    const conf::Credentials& credentials = settings.credentials;
    if (problem.empty() && (!credentials.user.empty() || !credentials.password.empty())) {
        const auto answer =
            co_await connection.ask(auth_question(credentials), settings.answer_timeout);
        problem = answer.ok && answer.reply.is_error()
                      ? std::string(answer.reply.text.substr(0, 200))
                      : answer.problem;
    }
    co_return problem;
}

}  // namespace

asio::awaitable<SamplerEnd> sample_keys(
    asio::io_context& context,
    ControlConnection& connection,
    policy::KeyWalk& walk,
    SamplerPace pace,
    std::function<bool()> goes_on
) {
    SamplerEnd end;
    policy::Nanos distance = policy::second;  // round trip of an empty question
    for (int i = 0; i < pings; ++i) {
        const policy::Nanos sent = monotonic_now();
        const auto pong = co_await connection.ask(ping_question(), pace.answer_timeout);
        if (!pong.ok) {
            end.problem = pong.problem;
            co_return end;
        }
        distance = std::min(distance, monotonic_now() - sent);
    }
    const policy::Nanos begun = monotonic_now();
    const policy::Nanos until =
        begun + std::chrono::duration_cast<std::chrono::nanoseconds>(pace.time_max).count();
    asio::steady_timer timer(context);
    int slow_in_a_row = 0;
    for (auto commands = walk.next(); !commands.empty(); commands = walk.next()) {
        const auto count = static_cast<policy::Nanos>(commands.size());
        const policy::Nanos sent = monotonic_now();
        const auto answers = co_await connection.ask_all(std::move(commands), pace.answer_timeout);
        if (!answers.ok) {
            end.problem = answers.problem;
            co_return end;
        }
        const policy::Nanos now = monotonic_now();
        const policy::Nanos cost = std::max(now - sent - distance, count * command_cost_min);
        end.server_time += cost;
        walk.take(answers.replies);
        slow_in_a_row = cost > slow ? slow_in_a_row + 1 : 0;
        end.slow = slow_in_a_row == slow_max;
        end.in_time = now < until;
        if (end.slow || !end.in_time || !goes_on()) {
            co_return end;
        }
        const auto budget = walk.is_searching() ? pace.search_budget : pace.budget;
        const double share = std::clamp(static_cast<double>(budget.count()) / 1e6, 1e-4, 1.);
        const auto pause = static_cast<policy::Nanos>(static_cast<double>(cost) * (1 / share - 1));
        timer.expires_after(std::chrono::nanoseconds(std::min(pause, until - now)));
        (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    co_return end;
}

KeySampler::KeySampler(asio::io_context& context, SamplerHooks hooks)
    : context_(context), hooks_(std::move(hooks)), connection_(context) {}

bool KeySampler::start(policy::KeyWalkPlan plan, ProbeSettings settings, SamplerPace pace) {
    if (busy_ || stopped_) {
        return false;
    }
    busy_ = true;
    dropped_ = false;
    settings_ = std::move(settings);
    pace_ = pace;
    asio::co_spawn(context_, run(std::move(plan)), asio::detached);
    return true;
}

void KeySampler::drop() noexcept {
    dropped_ = busy_;
    connection_.close();
}

void KeySampler::stop() noexcept {
    stopped_ = true;
    connection_.close();
}

// Empty when the connection is still of use.
asio::awaitable<std::string> KeySampler::look_around(policy::KeyWalkPlan& plan) {
    std::string problem = co_await log_in(connection_, settings_);
    if (!problem.empty()) {
        co_return problem;
    }
    policy::MemorySample fresh;
    policy::CommandRoom room;
    fresh.asked_at = monotonic_now();
    const auto answer = co_await connection_.ask(info_question(), pace_.answer_timeout);
    if (!answer.ok) {
        co_return answer.problem;
    }
    fresh.answered_at = monotonic_now();
    if (answer.reply.is_text()) {
        plan.types = policy::types_by_use(answer.reply.text);
        if (policy::parse_info(answer.reply.text, fresh) == policy::InfoProblem::none) {
            policy::rebase(plan, fresh);
            // One that refuses writes as it is gets no worse by being looked at.
            if (fresh.oom_errors == 0) {
                room = policy::CommandRoom(fresh, answer.reply.text);
            }
        }
    }
    std::vector<std::string> left_out;
    if (plan.sampled_max > 0 && !policy::fit(plan, room, left_out)) {
        co_return "only " + policy::bytes_text(room.room()) +
            " are free, and looking at keys takes some of it";
    }
    const policy::ServerVersion version = policy::server_version(plan.server.server);
    if (version.at_least(7, 2) && (version.redis || version.valkey) &&
        room.take({"client|no-touch"})) {  // a look is no use of a key
        const auto told = co_await connection_.ask(no_touch_question(), pace_.answer_timeout);
        if (!told.ok) {
            co_return told.problem;
        }
    }
    if (plan.server.connected_clients <= policy::client_list_max && room.take({"client|list"})) {
        problem = co_await read_clients();
    }
    co_return problem;
}

asio::awaitable<std::string> KeySampler::read_clients() {
    const auto answer = co_await connection_.ask(clients_question(), pace_.answer_timeout);
    if (!answer.ok) {
        co_return answer.problem;
    }
    if (answer.reply.is_text() && !answer.reply.is_error() && !stopped_ && !dropped_) {
        hooks_.on_clients(answer.reply.text);
    }
    co_return std::string();
}

asio::awaitable<void> KeySampler::run(policy::KeyWalkPlan plan) {
    const bool clients_only = plan.sampled_max == 0;
    std::string problem = co_await look_around(plan);
    policy::KeyWalk walk(std::move(plan));
    if (problem.empty() && !clients_only) {
        bool begun = false;
        bool searching = false;
        std::int64_t searches = 0;
        const SamplerEnd end = co_await sample_keys(context_, connection_, walk, pace_, [&] {
            const bool first_look = !begun && walk.has_begun();
            const bool sampled = !searching && walk.is_searching();
            const bool searched = walk.searches() > std::exchange(searches, walk.searches());
            begun = begun || first_look;
            searching = searching || sampled;
            const bool wanted = !stopped_ && !dropped_;
            if ((first_look || sampled || searched) && wanted) {
                hooks_.on_keys(walk.summary(), false, {});
            }
            return wanted;
        });
        problem = end.problem;
        if (problem.empty() && !walk.refused().empty()) {
            problem = walk.refused().front();
        }
    }
    connection_.close();
    busy_ = false;
    if (!stopped_ && !dropped_ && !clients_only) {
        hooks_.on_keys(walk.summary(), true, std::move(problem));
    }
}

}  // namespace spillway::net
