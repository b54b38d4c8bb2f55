// Looks at one live server: reads what it says of itself, watches it for a moment, samples its
// keys, and lets the diagnosis explain what was seen.
#include "proxy/doctor/examination.hpp"

#include "policy/client_list.hpp"
#include "policy/cluster_nodes.hpp"
#include "policy/diagnose_figures.hpp"
#include "policy/evictable.hpp"
#include "policy/info.hpp"
#include "policy/wording.hpp"
#include "proxy/log/encode.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/net/key_sampler.hpp"
#include "proxy/net/resolver.hpp"

#include <algorithm>
#include <charconv>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

// GCC 12 takes a coroutine frame's own operator delete for a mismatch when it inlines Asio's new.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace spillway::doctor {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto connect_timeout = 3000ms;
constexpr auto answer_timeout = 5000ms;
constexpr auto sample_pause = 250ms;
constexpr unsigned samples_after = 3;
// Who calls for a doctor waits for the answer: a tenth of the server's time for seconds at most, in
// pieces of a millisecond; and a quarter where memory is unexplained, to find who holds it.
constexpr net::SamplerPace pace{
    .budget = 100'000us,
    .search_budget = 250'000us,
    .time_max = 15'000ms,
    .answer_timeout = 2'000ms};
constexpr std::size_t sampled_max = 3000;
constexpr std::size_t heavy_clients_max = 5;
constexpr std::size_t slow_entries = 64;
constexpr std::size_t siblings_max = 16;
constexpr auto sibling_timeout = 1000ms;

// Questions are made beside the coroutines: GCC 12 cannot have braced lists in an expression that
// waits.
[[nodiscard]] std::vector<std::string> info_question(bool all_sections) {
    return all_sections ? std::vector<std::string>{"INFO", "all"}
                        : std::vector<std::string>{"INFO"};
}

[[nodiscard]] std::vector<std::string> name_question() {
    return {"CLIENT", "SETNAME", "spillway-doctor"};
}

[[nodiscard]] std::vector<std::string> limit_question() {
    return {"CONFIG", "GET", "maxmemory*"};
}

[[nodiscard]] std::vector<std::string> slow_question() {
    return {"SLOWLOG", "GET", std::to_string(slow_entries)};
}

[[nodiscard]] std::vector<std::string> clients_question() {
    return {"CLIENT", "LIST"};
}

[[nodiscard]] std::vector<std::string> nodes_question() {
    return {"CLUSTER", "NODES"};
}

[[nodiscard]] std::vector<std::string> login_question(const conf::BackendUrl& url) {
    std::vector<std::string> question{"AUTH"};
    if (!url.user.empty()) {
        question.push_back(url.user);
    }
    question.push_back(url.password.reveal());
    return question;
}

[[nodiscard]] std::int64_t number(std::string_view text) noexcept {
    std::int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc{} && value > 0 ? value : 0;
}

[[nodiscard]] double lasting(const policy::MemorySample& sample) noexcept {
    const auto clients = std::max<std::int64_t>(sample.clients_normal_bytes, 0);
    return static_cast<double>(sample.counted() - std::min(clients, sample.counted()));
}

// Keys with a TTL come, and nearly as many expire: what they gain is the lag of expiry.
[[nodiscard]] bool is_churn(
    const policy::MemorySample& first, const policy::MemorySample& last
) noexcept {
    const std::int64_t lasting_keys = (last.keys - last.expires) - (first.keys - first.expires);
    const std::int64_t expired = last.expired_keys - first.expired_keys;
    return lasting_keys <= 0 && expired > last.expires - first.expires;
}

// Of a question that failed: the server's error, or what became of the connection.
[[nodiscard]] std::string_view why_not(const net::ControlConnection::Answer& answer) noexcept {
    return answer.ok ? answer.reply.text : std::string_view(answer.problem);
}

}  // namespace

policy::MemoryState state_of(const std::vector<policy::MemorySample>& samples) {
    policy::MemoryState state;
    if (samples.empty()) {
        return state;
    }
    policy::EvictableEstimate evictable;
    for (const policy::MemorySample& sample : samples) {
        state.evictable = evictable.take(sample, sample.family);
    }
    state.sample = samples.back();
    state.sampled = true;
    state.counted = std::max<std::int64_t>(state.sample.counted(), 0);
    state.ceiling = std::max<std::int64_t>(state.sample.maxmemory, 0);
    state.headroom = state.ceiling - state.counted + state.evictable;

    // Buffers come and go, overwriting moves memory about, keys expire in batches: it is growth
    // when nearly every step of the watch shows it, and either much of it or more keys.
    const policy::MemorySample& first = samples.front();
    const policy::MemorySample& middle = samples[samples.size() / 2];
    const policy::MemorySample& last = samples.back();
    const double seconds = static_cast<double>(last.answered_at - first.answered_at) / 1e9;
    const double risen = lasting(last) - lasting(first);
    double fallen = 0;
    for (std::size_t i = 1; i < samples.size(); ++i) {
        fallen += std::max(0., lasting(samples[i - 1]) - lasting(samples[i]));
    }
    const bool steadily =
        lasting(middle) > lasting(first) && lasting(last) > lasting(middle) && fallen < .1 * risen;
    const bool more_keys = middle.keys > first.keys && last.keys > middle.keys;
    const double noise = std::max(262'144., .005 * static_cast<double>(state.ceiling));
    if (seconds > 0 && steadily && !is_churn(first, last) &&
        (risen > noise || (more_keys && risen > 65'536))) {
        state.growth_bytes_per_s = risen / seconds;
        const bool evicts = last.family == policy::EvictionFamily::all_keys;
        if (state.ceiling > 0 && state.headroom > 0 && !evicts) {
            state.time_to_ceiling_s =
                static_cast<double>(state.headroom) / state.growth_bytes_per_s;
        }
    }
    return state;
}

Examination::Examination(
    asio::io_context& context,
    conf::BackendUrl url,
    policy::MemoryHistory& history,
    std::shared_ptr<const net::TlsContext> tls,
    Progress progress
)
    : context_(context),
      url_(std::move(url)),
      tls_(std::move(tls)),
      progress_(std::move(progress)),
      connection_(context),
      history_(history) {}

asio::awaitable<std::string> Examination::run(Findings& findings) {
    findings = {};
    findings.target = conf::to_string(url_.address);
    samples_.clear();
    unavailable_.clear();
    std::string problem = co_await connect();
    if (problem.empty()) {
        problem = co_await watch(findings, samples_before);
    }
    if (problem.empty()) {
        if (command_room_.is_bounded() && is_full_anyway()) {
            command_room_ = {};
        }
        problem = co_await give_name();
    }
    if (problem.empty()) {
        co_await read_siblings();  // before the keys, which may take the last room for questions
        problem = co_await sample_keys(findings);
    }
    if (problem.empty()) {
        problem = co_await watch(findings, samples_after);
    }
    if (problem.empty()) {
        co_await read_clients(findings);
        conclude(findings);
    }
    connection_.close();
    co_return problem;
}

void Examination::lack(std::string what, std::string_view reason) {
    constexpr std::size_t lacking_max = 16;
    if (unavailable_.size() < lacking_max) {
        unavailable_.push_back(what + ": " + log::terminal_text(reason.substr(0, 160)));
    }
}

asio::awaitable<std::string> Examination::connect() {
    const std::string where = conf::to_string(url_.address);
    progress_("connecting to " + where, 0);
    net::Target target;
    target.endpoints = co_await net::resolve(url_.address);
    target.tls = tls_;
    const std::string problem = co_await connection_.connect(std::move(target), connect_timeout);
    if (problem.starts_with(net::tls_failed)) {
        co_return "cannot connect to " + where + ": " + problem +
            "\nIs this the port for TLS? --ca FILE names the authority of the server's "
            "certificate, "
            "--server-name\nthe name in it, --cert FILE and --key FILE the certificate that the "
            "server asks for";
    }
    if (!problem.empty()) {
        co_return "cannot connect to " + where + ": " + problem +
            "\nIs the server running, and is this its address? A URL looks like "
            "redis://host:6379 or unix:///path/to/redis.sock";
    }
    if (!url_.user.empty() || !url_.password.empty()) {
        const auto answer = co_await connection_.ask(login_question(url_), answer_timeout);
        if (!answer.ok) {
            co_return where + ": " + answer.problem;
        }
        // A server without a password does not mind one.
        if (answer.reply.is_error() &&
            answer.reply.text.find("without any password configured") == std::string_view::npos) {
            co_return where + " refused the user or password of the URL: " +
                std::string(answer.reply.text.substr(0, 200)) +
                "\nWhat is not a letter or digit must be percent-encoded in a URL (@ is %40)";
        }
    }
    co_return std::string();
}

// Once it is known that there is room for one more kind of command.
asio::awaitable<std::string> Examination::give_name() {
    if (!command_room_.take({"client|setname"})) {
        co_return std::string();
    }
    const auto named = co_await connection_.ask(name_question(), answer_timeout);
    co_return named.ok ? std::string() : conf::to_string(url_.address) + ": " + named.problem;
}

// The server refuses writes as it is: that it is looked at makes nothing worse.
bool Examination::is_full_anyway() const {
    policy::Evidence evidence{.state = state_of(samples_), .history = history_.points()};
    evidence.ooms_before = ooms_before_;
    return policy::diagnose(evidence).health == policy::Health::oom;
}

bool Examination::may_ask(std::string_view command, const std::string& what) {
    const bool may = command_room_.take({command});
    if (!may) {
        lack_room(what);
    }
    return may;
}

void Examination::lack_room(const std::string& what) {
    lack(
        what,
        "only " + policy::bytes_text(command_room_.room()) +
            " are free, and Redis keeps 24 KiB for each command that it meets for the first time"
    );
}

asio::awaitable<std::string> Examination::take_sample(Findings& findings) {
    policy::MemorySample sample;
    sample.asked_at = net::monotonic_now();
    std::string refusal;
    while (true) {
        const auto answer = co_await connection_.ask(info_question(all_sections_), answer_timeout);
        if (!answer.ok) {
            co_return findings.target + ": " + answer.problem;
        }
        sample.answered_at = net::monotonic_now();
        refusal = answer.reply.is_error() ? answer.reply.text.substr(0, 200) : std::string_view();
        const bool read = refusal.empty() && policy::parse_info(answer.reply.text, sample) ==
                                                 policy::InfoProblem::none;
        if (read && all_sections_ && samples_.empty()) {
            types_ = policy::types_by_use(answer.reply.text);
            command_room_ = policy::CommandRoom(sample, answer.reply.text);
        }
        if (read || !std::exchange(all_sections_, false)) {
            break;  // not every server knows "all"
        }
    }
    if (!refusal.empty()) {
        const bool login = refusal.starts_with("NOAUTH") || refusal.starts_with("WRONGPASS");
        co_return findings.target + " does not answer INFO: " + refusal +
            (login ? "\nGive the password in the URL: redis://user:password@host:port"
                   : "\nThe user needs the rights that docs/diagnosis.md lists, +info at least");
    }
    if (sample.used_memory < 0) {
        co_return findings.target +
            " answers INFO without used_memory: its memory cannot be judged";
    }
    if (sample.maxmemory < 0 || sample.policy.empty()) {
        co_await read_hidden_limit(sample);
    }
    if (samples_.empty()) {  // what was refused since the last examination counts in this one
        ooms_before_ =
            history_.points().empty() ? sample.oom_errors : history_.points().back().oom_errors;
    }
    history_.add(sample);
    samples_.push_back(std::move(sample));
    co_return std::string();
}

asio::awaitable<void> Examination::read_hidden_limit(policy::MemorySample& sample) {
    if (!limit_hidden_) {
        limit_hidden_ = true;
        const auto answer = co_await connection_.ask(limit_question(), answer_timeout);
        if (!answer.ok || answer.reply.is_error()) {
            lack("maxmemory and its policy (INFO does not show them, CONFIG GET)", why_not(answer));
            co_return;
        }
        const auto& elements = answer.reply.elements;
        for (std::size_t i = 0; i + 1 < elements.size(); i += 2) {
            if (elements[i].text == "maxmemory") {
                limit_ = number(elements[i + 1].text);
            } else if (elements[i].text == "maxmemory-policy") {
                policy_ = std::string(elements[i + 1].text.substr(0, 64));
            }
        }
    }
    if (sample.maxmemory < 0) {
        sample.maxmemory = limit_;
    }
    if (sample.policy.empty()) {
        sample.policy = policy_;
        sample.family = policy::eviction_family(policy_);
    }
}

asio::awaitable<std::string> Examination::watch(Findings& findings, unsigned samples) {
    for (unsigned i = 0; i < samples; ++i) {
        progress_("watching memory", static_cast<double>(i) / samples);
        if (!samples_.empty()) {
            asio::steady_timer timer(context_, sample_pause);
            (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        std::string problem = co_await take_sample(findings);
        if (!problem.empty()) {
            co_return problem;
        }
    }
    co_return std::string();
}

asio::awaitable<std::string> Examination::sample_keys(Findings& findings) {
    const policy::MemorySample& sample = samples_.back();
    const policy::MemoryState state = state_of(samples_);
    const policy::Evidence evidence{.state = state, .history = history_.points()};
    policy::KeyWalkPlan plan;
    plan.server = sample;
    plan.data_bytes = static_cast<std::int64_t>(policy::figures_of(evidence).data);
    plan.sampled_max = sampled_max;
    plan.clustered = sample.clustered;
    plan.types = types_;
    if (sample.loading || sample.keys == 0) {
        if (sample.loading) {
            lack("keys", "the server is loading its data");
        }
        co_return std::string();
    }
    std::vector<std::string> left_out;
    if (!policy::fit(plan, command_room_, left_out)) {
        lack_room("keys");
        co_return std::string();
    }
    for (const std::string& what : left_out) {
        lack_room(what);
    }
    if (may_ask("slowlog|get", "keys of slow commands (SLOWLOG GET)")) {
        plan.candidates = co_await slow_keys();
    }
    policy::KeyWalk walk(std::move(plan));
    const net::SamplerEnd end = co_await net::sample_keys(context_, connection_, walk, pace, [&] {
        progress_(walk.doing(), walk.progress());
        return true;
    });
    findings.keys = walk.summary();
    findings.sampling_cost = end.server_time;
    for (const std::string& refusal : walk.refused()) {
        lack("keys", refusal);
    }
    if (end.slow) {
        lack("more keys", "the server answered slowly, so sampling stopped");
    } else if (!end.in_time) {
        lack("more keys", "the time for sampling was over");
    }
    co_return end.problem.empty() ? std::string() : findings.target + ": " + end.problem;
}

// Commands that took long were often about large keys: their first arguments are worth a look.
asio::awaitable<std::vector<std::pair<std::int32_t, std::string>>> Examination::slow_keys() {
    std::vector<std::pair<std::int32_t, std::string>> keys;
    const auto answer = co_await connection_.ask(slow_question(), answer_timeout);
    if (!answer.ok || answer.reply.is_error()) {
        co_return keys;  // a hint, and the search goes on without it
    }
    for (const resp::Reply& entry : answer.reply.elements) {
        const bool has_key = entry.elements.size() > 3 && entry.elements[3].elements.size() > 1;
        if (has_key) {
            keys.emplace_back(0, std::string(entry.elements[3].elements[1].text.substr(0, 1024)));
        }
    }
    co_return keys;
}

asio::awaitable<void> Examination::read_clients(Findings& findings) {
    if (samples_.back().connected_clients > policy::client_list_max) {
        lack("single clients", "more than 2,000 are connected, and CLIENT LIST walks through all");
        co_return;
    }
    if (!may_ask("client|list", "single clients (CLIENT LIST)")) {
        co_return;
    }
    const auto answer = co_await connection_.ask(clients_question(), answer_timeout);
    if (!answer.ok || answer.reply.is_error()) {
        lack("single clients (CLIENT LIST)", why_not(answer));
        co_return;
    }
    findings.clients = policy::heavy_clients(answer.reply.text, heavy_clients_max);
}

// Whether the other primaries of a cluster have room.
asio::awaitable<void> Examination::read_siblings() {
    siblings_.clear();
    if (!samples_.back().clustered || !samples_.back().primary) {
        co_return;
    }
    if (!may_ask("cluster|nodes", "the other nodes of the cluster (CLUSTER NODES)")) {
        co_return;
    }
    const auto answer = co_await connection_.ask(nodes_question(), answer_timeout);
    if (!answer.ok || !answer.reply.is_text()) {
        lack("the other nodes of the cluster (CLUSTER NODES)", why_not(answer));
        co_return;
    }
    const policy::ClusterView view = policy::cluster_view(answer.reply.text, siblings_max);
    own_slots_ = view.own_slots;
    for (const policy::ClusterNode& node : view.siblings) {
        progress_(
            "asking the other nodes",
            static_cast<double>(siblings_.size()) / static_cast<double>(view.siblings.size())
        );
        policy::SiblingNode sibling;
        conf::Address address;
        address.host = node.host;
        address.port = node.port;
        sibling.address = conf::to_string(address);
        sibling.slots = node.slots;
        const std::string problem = co_await ask_sibling(std::move(address), sibling);
        if (problem.empty()) {
            siblings_.push_back(std::move(sibling));
        } else {
            lack("node " + sibling.address, problem);
        }
    }
}

asio::awaitable<std::string> Examination::ask_sibling(
    conf::Address address, policy::SiblingNode& into
) {
    net::ControlConnection connection(context_);
    net::Target target;
    target.endpoints = co_await net::resolve(address);
    target.tls = tls_;
    std::string problem = co_await connection.connect(std::move(target), sibling_timeout);
    if (problem.empty() && !url_.password.empty()) {
        const auto login = co_await connection.ask(login_question(url_), sibling_timeout);
        problem = login.problem;  // a refusal shows at the next question
    }
    if (problem.empty()) {
        const auto answer = co_await connection.ask(info_question(false), sibling_timeout);
        policy::MemorySample sample;
        const bool read =
            answer.ok && answer.reply.is_text() &&
            policy::parse_info(answer.reply.text, sample) == policy::InfoProblem::none;
        if (read) {
            into.counted = std::max<std::int64_t>(sample.counted(), 0);
            into.ceiling = std::max<std::int64_t>(sample.maxmemory, 0);
        } else {
            problem = std::string(why_not(answer));
        }
    }
    connection.close();
    co_return problem;
}

}  // namespace spillway::doctor
