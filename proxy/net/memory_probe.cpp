// Reads the backend's memory state on a connection of its own, as often as wanted, through restarts
// and failures.
#include "proxy/net/memory_probe.hpp"

#include "policy/info.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/net/resolver.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace spillway::net {

namespace asio = boost::asio;

namespace {

constexpr policy::Nanos backoff_first = 100 * policy::millisecond;
constexpr policy::Nanos backoff_max = 2 * policy::second;
// What moves slowly (role, evictions, errors) is asked for so often; the rest as often as wanted.
constexpr policy::Nanos all_interval = 100 * policy::millisecond;
constexpr policy::Nanos resolve_interval = 30 * policy::second;

std::vector<std::string> info_question(bool all_sections) {
    if (!all_sections) {
        return {"INFO"};
    }
    return {
        "INFO",
        "server",
        "clients",
        "memory",
        "persistence",
        "stats",
        "replication",
        "errorstats",
        "keyspace"};
}

// What moves from one command to the next. A server spends 15 us on it, and 55 us on all.
std::vector<std::string> short_info_question() {
    return {"INFO", "memory", "clients", "keyspace"};
}

std::vector<std::string> name_question() {
    return {"CLIENT", "SETNAME", "spillway-monitor"};
}

std::vector<std::string> commands_question() {
    return {"COMMAND"};
}

bool same(const std::vector<Endpoint>& a, const std::vector<Endpoint>& b) noexcept {
    return std::equal(
        a.begin(),
        a.end(),
        b.begin(),
        b.end(),
        [](const Endpoint& x, const Endpoint& y) {
            return x.size == y.size && std::memcmp(&x.address, &y.address, x.size) == 0;
        }
    );
}

// As against "max number of clients reached", which clients would hear as well. Redis 5 says
// "ERR invalid password", and others that none is set.
bool is_about_login(std::string_view refusal) noexcept {
    return refusal.starts_with("WRONGPASS") || refusal.starts_with("NOAUTH") ||
           refusal.starts_with("NOPERM") || refusal.find("password") != std::string_view::npos;
}

}  // namespace

std::vector<std::string> auth_question(const conf::Credentials& credentials) {
    if (credentials.user.empty()) {
        return {"AUTH", credentials.password.reveal()};
    }
    return {"AUTH", credentials.user, credentials.password.reveal()};
}

MemoryProbe::MemoryProbe(asio::io_context& context, ProbeSettings settings, ProbeHooks hooks)
    : context_(context),
      settings_(std::move(settings)),
      hooks_(std::move(hooks)),
      connection_(context),
      timer_(context),
      target_(std::make_shared<const Target>()) {}

void MemoryProbe::start() {
    asio::co_spawn(context_, run(), asio::detached);
}

void MemoryProbe::stop() {
    stopped_ = true;
    timer_.cancel();
    connection_.close();
}

void MemoryProbe::change(ProbeSettings settings) {
    const bool moved = !(settings.address == settings_.address) ||
                       (settings.tls == nullptr) != (settings_.tls == nullptr) ||
                       settings.send_proxy != settings_.send_proxy;
    const bool same_rights = settings.credentials.user == settings_.credentials.user &&
                             settings.credentials.password == settings_.credentials.password;
    settings_ = std::move(settings);
    if (moved) {
        resolved_at_ = 0;
        introduced_ = false;
        target_ = std::make_shared<const Target>();
    } else if (settings_.tls != target_->tls && !target_->endpoints.empty()) {
        target_ = std::make_shared<const Target>(Target{
            .endpoints = target_->endpoints,
            .tls = settings_.tls,
            .send_proxy = settings_.send_proxy});
        show_target(target_);
    }
    if (moved || !same_rights) {
        changed_ = true;
        timer_.cancel();
        connection_.close();
    }
}

void MemoryProbe::hurry() {
    hurried_ = true;
    if (sampling_) {
        timer_.cancel();
    }
}

asio::awaitable<void> MemoryProbe::run() {
    policy::Nanos backoff = backoff_first;
    while (!stopped_) {
        changed_ = false;
        std::string problem = co_await open();
        bool sampled = false;
        while (problem.empty() && !stopped_ && !changed_) {
            problem = co_await sample_once();
            if (!problem.empty()) {
                break;
            }
            sampled = true;
            sampling_ = true;
            const policy::Nanos next = asked_at_ + hooks_.interval();
            if (!hurried_) {
                co_await pause(next - monotonic_now());
            }
            sampling_ = false;
            // Wishes come by the thousand when credit is short.
            if (hurried_) {
                co_await pause(asked_at_ + interval_min - monotonic_now());
            }
            hurried_ = false;
        }
        if (stopped_) {
            co_return;
        }
        connection_.close();
        if (changed_) {
            continue;
        }
        hooks_.on_failure(problem, std::exchange(reachable_, false));
        backoff = sampled ? backoff_first : std::min(2 * backoff, backoff_max);
        co_await pause(backoff);
    }
}

asio::awaitable<void> MemoryProbe::pause(policy::Nanos duration) {
    if (duration <= 0 || stopped_) {
        co_return;
    }
    timer_.expires_after(std::chrono::nanoseconds(duration));
    (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<std::string> MemoryProbe::open() {
    all_asked_at_ = 0;
    const policy::Nanos now = monotonic_now();
    if (target_->endpoints.empty() || now - resolved_at_ > resolve_interval) {
        Target found;
        found.endpoints = co_await resolve(settings_.address);
        found.tls = settings_.tls;
        found.send_proxy = settings_.send_proxy;
        if (changed_) {
            co_return "the address has changed";
        }
        resolved_at_ = now;
        const bool found_nothing = found.endpoints.empty();
        if (!found_nothing && !same(found.endpoints, target_->endpoints)) {
            target_ = std::make_shared<const Target>(std::move(found));
            if (settings_.send_proxy == conf::SendProxy::off) {
                show_target(target_);
            }
        } else if (found_nothing && !shown_) {
            keep_clients_away("its name cannot be resolved");
        }
    }
    std::string problem = co_await connection_.connect(*target_, settings_.connect_timeout);
    if (!problem.empty()) {
        resolved_at_ = 0;  // the name may have moved
        if (settings_.send_proxy != conf::SendProxy::off && !introduced_) {
            keep_clients_away(problem);
        }
        co_return problem;
    }
    problem = co_await log_in();
    if (settings_.send_proxy != conf::SendProxy::off) {
        // Redis answers a header of version 1 as a command: clients would get the replies to what
        // they asked before. So none goes there until it has taken ours.
        introduced_ = problem.find("PROXY") == std::string::npos;
        if (introduced_) {
            show_target(target_);
        } else {
            keep_clients_away("it takes no PROXY header, and backend.send_proxy is set");
        }
        if (!problem.empty() && !reachable_) {
            problem += "; backend.send_proxy is set: does it take a PROXY header?";
        }
    }
    if (problem.empty()) {
        problem = co_await read_commands();
    }
    co_return problem;
}

void MemoryProbe::show_target(std::shared_ptr<const Target> target) {
    shown_ = true;
    hooks_.on_target(std::move(target));
}

// What clients are told goes into one line.
void MemoryProbe::keep_clients_away(std::string_view why) {
    show_target(std::make_shared<const Target>(Target{
        .endpoints = {}, .problem = std::string(why.substr(0, why.find_first_of("\r\n")))}));
}

asio::awaitable<std::string> MemoryProbe::log_in() {
    const conf::Credentials& credentials = settings_.credentials;
    if (!credentials.user.empty() || !credentials.password.empty()) {
        const auto answer =
            co_await connection_.ask(auth_question(credentials), settings_.answer_timeout);
        if (!answer.ok) {
            co_return answer.problem;
        }
        if (answer.reply.is_error()) {
            reachable_ = is_about_login(answer.reply.text);
            co_return "AUTH of the monitor connection failed: " + std::string(answer.reply.text);
        }
    }
    // Shown in CLIENT LIST; a refusal does not matter.
    const auto named = co_await connection_.ask(name_question(), settings_.answer_timeout);
    if (!named.ok) {
        co_return named.problem;
    }
    // Redis takes the header of version 1 for a command, and all answers would be those of the
    // question before.
    if (settings_.send_proxy != conf::SendProxy::off && named.reply.is_error() &&
        named.reply.text.find("PROXY") != std::string_view::npos) {
        co_return std::string(named.reply.text);
    }
    co_return std::string();
}

// Which commands the server refuses at its limit differs from version to version: it is asked at
// each connect.
asio::awaitable<std::string> MemoryProbe::read_commands() {
    const auto answer = co_await connection_.ask(commands_question(), settings_.answer_timeout);
    if (!answer.ok) {
        co_return answer.problem;
    }
    const resp::CommandTable built_in;
    hooks_.on_commands(
        std::make_shared<const resp::CommandTable>(resp::overlay(built_in, answer.reply))
    );
    co_return std::string();
}

asio::awaitable<std::string> MemoryProbe::sample_once() {
    asked_at_ = monotonic_now();
    const bool all = asks_for_all();
    hooks_.on_ask();
    // Named first: GCC 12 destroys twice what a condition inside of a co_await chose.
    std::vector<std::string> question = all ? info_question(all_sections_) : short_info_question();
    const auto answer = co_await connection_.ask(std::move(question), settings_.answer_timeout);
    if (!answer.ok) {
        co_return answer.problem;
    }
    if (changed_) {
        co_return "the address has changed";
    }
    if (answer.reply.is_error()) {
        if (all_sections_ && answer.reply.text.starts_with("ERR syntax error")) {
            all_sections_ = false;
            co_return co_await sample_once();
        }
        reachable_ = true;
        co_return "INFO was refused: " + std::string(answer.reply.text.substr(0, 200));
    }
    last_.asked_at = asked_at_;
    last_.answered_at = monotonic_now();
    const policy::InfoProblem problem = all ? policy::parse_info(answer.reply.text, last_)
                                            : policy::refresh_from_info(answer.reply.text, last_);
    if (problem == policy::InfoProblem::too_long) {
        co_return "INFO is too long";
    }
    if (all) {
        all_asked_at_ = asked_at_;
    }
    hooks_.on_sample(last_);
    co_return std::string();
}

bool MemoryProbe::asks_for_all() const {
    return !all_sections_ || all_asked_at_ == 0 || asked_at_ - all_asked_at_ >= all_interval ||
           hooks_.wants_all();
}

}  // namespace spillway::net
