// Samples the backend's keys when an incident opens or a diagnosis is asked for, and gives them to
// the desk.
#include "proxy/control_plane.hpp"
#include "proxy/net/clock.hpp"

#include <algorithm>
#include <chrono>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr auto time_max = 60s;
constexpr policy::Nanos sample_interval = 60 * policy::second;
constexpr policy::Nanos again_interval = 5 * policy::second;  // when the data is another
constexpr policy::Nanos clients_interval = policy::second;
constexpr double clients_share_min = .05;
constexpr policy::Nanos first_look_wait = 100 * policy::millisecond;
// A pipeline of 64 keys costs about a millisecond as we measure it, from sending to the last
// answer: at 5 ms a second this takes two seconds, and its shares are right to a few percent.
constexpr std::size_t sampled_max = 500;
constexpr std::size_t complete_max = 2000;
constexpr std::size_t candidates_max = 16;
constexpr std::size_t heavy_clients_max = 5;
constexpr std::int32_t databases_max = 16;

}  // namespace

net::SamplerHooks ControlPlane::sampler_hooks() {
    return {
        .on_keys = [this](
                       const policy::KeySummary& keys, bool over, std::string problem
                   ) { on_keys(keys, over, std::move(problem)); },
        .on_clients =
            [this](std::string_view list) {
                desk_.on_clients(
                    policy::heavy_clients(list, heavy_clients_max, real_addresses()),
                    state_,
                    moment()
                );
                run_desk();
            },
    };
}

// The server knows clients that come through us by our addresses.
policy::AddressBook ControlPlane::real_addresses() const {
    policy::AddressBook book;
    for (net::ClientRow& row : client_rows()) {
        if (!row.backend_address.empty()) {
            book.emplace(std::move(row.backend_address), std::move(row.address));
        }
    }
    return book;
}

void ControlPlane::sample_keys(std::span<const policy::OomEvent> events) {
    const policy::Nanos now = net::monotonic_now();
    const policy::Nanos since = now - keys_asked_at_;
    const bool lately =
        keys_asked_at_ != 0 &&
        (since < again_interval ||
         (since < sample_interval && desk_.keys_sample(state_.sample, now) != nullptr));
    const auto budget = loaded_.config.diagnosis.sample_budget;
    if (!loaded_.config.diagnosis.sample || budget.count() == 0 || !state_.sampled ||
        !backend_up_ || stopping_ || (lately && !clients_are_worth_a_look(now))) {
        return;
    }
    policy::KeyWalkPlan plan;
    if (lately) {
        plan.server = state_.sample;
        plan.sampled_max = 0;
    } else {
        plan = walk_plan(events);
    }
    const net::SamplerPace pace{
        .budget = budget, .search_budget = budget, .time_max = time_max, .answer_timeout = 1s};
    if (!key_sampler_.start(std::move(plan), probe_settings(), pace)) {
        return;
    }
    clients_asked_at_ = now;
    if (!lately) {
        keys_asked_at_ = now;
        desk_.expect_keys(now + first_look_wait);
    }
}

// Buffers come and go faster than keys.
bool ControlPlane::clients_are_worth_a_look(policy::Nanos now) const {
    const auto held = static_cast<double>(state_.sample.clients_normal_bytes);
    return now - clients_asked_at_ > clients_interval &&
           held > clients_share_min * static_cast<double>(state_.counted);
}

// What was refused, and what the ledger knows as one key, is looked at first: a large key that is
// still being written is among them.
policy::KeyWalkPlan ControlPlane::walk_plan(std::span<const policy::OomEvent> events) const {
    policy::KeyWalkPlan plan;
    policy::rebase(plan, state_.sample);
    // Where there are few, all of them: then what is in none of them is known, too.
    const auto keys = static_cast<std::size_t>(std::max<std::int64_t>(state_.sample.keys, 0));
    plan.sampled_max = keys <= complete_max ? std::max(keys + keys / 4, sampled_max) : sampled_max;
    for (const policy::OomEvent& event : events) {
        if (!event.key.empty() && event.db >= 0 && event.db < databases_max &&
            plan.candidates.size() < candidates_max) {
            plan.candidates.emplace_back(event.db, event.key);
        }
    }
    // Whatever may be shown: these names go to the server alone, which has them.
    const policy::Nanos now = net::monotonic_now();
    for (const policy::GrowthRow& row : growth_of_shards(now).top(candidates_max, now)) {
        if (!row.pattern.empty() && row.pattern.find('*') == std::string::npos) {
            plan.candidates.emplace_back(0, row.pattern);
        }
    }
    return plan;
}

void ControlPlane::on_keys(const policy::KeySummary& keys, bool over, std::string problem) {
    keys_problem_ = over ? std::move(problem) : "the sample is still being taken";
    policy::KeySummary dated = keys;
    policy::date(dated, state_.sample);
    desk_.on_keys(dated, state_, moment());
    run_desk();
}

}  // namespace spillway
