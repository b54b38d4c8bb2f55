// Samples the backend's keys when an incident opens or a diagnosis is asked for, and gives them to
// the desk.
#include "policy/diagnose_figures.hpp"
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
constexpr policy::Nanos first_look_wait = 100 * policy::millisecond;
// A pipeline of 64 keys costs about a millisecond as we measure it, from sending to the last
// answer: at 5 ms a second this takes two seconds, and its shares are right to a few percent.
constexpr std::size_t sampled_max = 500;
constexpr std::size_t candidates_max = 16;
constexpr std::int32_t databases_max = 16;

}  // namespace

// What was refused, and what the ledger knows as one key, is looked at first: a large key that is
// still being written is among them.
void ControlPlane::sample_keys(std::span<const policy::OomEvent> events) {
    const policy::Nanos now = net::monotonic_now();
    const policy::Nanos since = now - keys_asked_at_;
    const bool lately =
        keys_asked_at_ != 0 &&
        (since < again_interval ||
         (since < sample_interval && desk_.keys_sample(state_.sample, now) != nullptr));
    const auto budget = loaded_.config.diagnosis.sample_budget;
    if (!loaded_.config.diagnosis.sample || budget.count() == 0 || lately || !state_.sampled ||
        !backend_up_ || stopping_) {
        return;
    }
    policy::KeyWalkPlan plan;
    plan.server = state_.sample;
    plan.sampled_max = sampled_max;
    plan.clustered = state_.sample.clustered;
    const policy::Evidence evidence{
        .state = state_, .history = desk_.history().points(), .now = now};
    plan.data_bytes = static_cast<std::int64_t>(policy::figures_of(evidence).data);
    for (const policy::OomEvent& event : events) {
        if (!event.key.empty() && event.db >= 0 && event.db < databases_max &&
            plan.candidates.size() < candidates_max) {
            plan.candidates.emplace_back(event.db, event.key);
        }
    }
    // Whatever may be shown: these names go to the server alone, which has them.
    policy::GrowthLedger sum;
    for (const auto& ledger : growth_) {
        if (ledger) {
            sum.merge(*ledger, now);
        }
    }
    for (const policy::GrowthRow& row : sum.top(candidates_max, now)) {
        if (!row.pattern.empty() && row.pattern.find('*') == std::string::npos) {
            plan.candidates.emplace_back(0, row.pattern);
        }
    }
    const net::SamplerPace pace{
        .budget = budget, .search_budget = budget, .time_max = time_max, .answer_timeout = 1s};
    if (key_sampler_.start(std::move(plan), probe_settings(), pace)) {
        keys_asked_at_ = now;
        desk_.expect_keys(now + first_look_wait);
    }
}

void ControlPlane::on_keys(const policy::KeySummary& keys, bool over, std::string problem) {
    keys_problem_ = over ? std::move(problem) : "the sample is still being taken";
    policy::KeySummary dated = keys;
    policy::date(dated, state_.sample);
    desk_.on_keys(dated, state_, moment());
    run_desk();
}

}  // namespace spillway
