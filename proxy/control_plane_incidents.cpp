// What became of OOM replies and refusals: incidents, their records, and the tail of annotated
// replies.
#include "policy/diagnose.hpp"
#include "proxy/control_plane.hpp"
#include "proxy/net/clock.hpp"

#include <algorithm>
#include <chrono>

namespace spillway {

void ControlPlane::on_ooms(std::vector<policy::OomEvent> events) {
    const std::vector<policy::GrowthRow> growth = growth_rows(5, state_.ceiling);
    for (const policy::OomEvent& event : events) {
        if (event.origin == policy::OomOrigin::backend) {
            const policy::Evidence evidence{
                .state = state_,
                .event = &event,
                .history = desk_.history().points(),
                .facts = desk_.history().facts(),
                .growth = growth,
                .keys = key_display_,
                .now = net::monotonic_now(),
            };
            const auto cause = static_cast<std::size_t>(policy::likely_cause(evidence));
            metrics_.oom_replies[metrics::Origin::backend][cause].add(event.count);
            if (event.form != policy::OomForm::script_denied) {
                meter_.on_backend_oom(event.at);
            }
        }
        desk_.on_event(event, state_, growth, moment());
    }
    sample_keys(events);
    run_desk();
    if (desk_.wants_sample()) {
        probe_.hurry();
    }
}

void ControlPlane::run_desk() {
    for (const policy::Record& record : desk_.tick(moment())) {
        logger_.write(record);
    }
    const std::optional<policy::Nanos> next = desk_.next_tick();
    if (!next) {
        return;
    }
    const policy::Nanos wait =
        std::max<policy::Nanos>(*next - net::monotonic_now(), policy::millisecond);
    desk_timer_.expires_after(std::chrono::nanoseconds(wait));
    desk_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            run_desk();
        }
    });
}

// " [spillway cause=… policy=…]": computed when it may be needed, since shards have no time to
// think.
std::string ControlPlane::annotation() {
    if (!loaded_.config.diagnosis.annotate_replies || !state_.sampled) {
        return {};
    }
    const policy::Evidence evidence{
        .state = state_,
        .event = nullptr,
        .history = desk_.history().points(),
        .facts = desk_.history().facts(),
        .growth = {},
        .keys = key_display_,
        .now = net::monotonic_now(),
    };
    std::string tail = " [spillway cause=";
    tail += policy::name_of(policy::likely_cause(evidence));
    tail += " policy=";
    tail += state_.sample.policy.empty() ? "unknown" : state_.sample.policy.substr(0, 40);
    return tail + "]";
}

}  // namespace spillway
