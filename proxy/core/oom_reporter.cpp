// Gathers what a shard saw of OOM, so that a storm of replies becomes a handful of events.
#include "proxy/core/oom_reporter.hpp"

#include "policy/key_pattern.hpp"

#include <functional>
#include <utility>

namespace spillway::core {

// Keys of one pattern are one event; so the pattern counts, not the key.
std::uint64_t OomReporter::identify(const OomSighting& sighting) noexcept {
    policy::PatternBuffer buffer;
    const std::hash<std::string_view> hash;
    std::uint64_t identity = hash(policy::key_pattern(sighting.key, buffer));
    identity = identity * 31 + hash(sighting.command);
    identity = identity * 31 + sighting.session;
    const auto kind = (static_cast<std::uint64_t>(sighting.origin) << 16U) |
                      (static_cast<std::uint64_t>(sighting.form) << 8U) |
                      static_cast<std::uint64_t>(sighting.guard_cause);
    return identity * 31 + kind * 4 + (sighting.would_refuse ? 1 : 0) +
           (sighting.script_declared ? 2 : 0);
}

policy::OomEvent* OomReporter::find(std::uint64_t identity, const OomSighting& sighting) noexcept {
    if (recent_ < identities_.size() && identities_[recent_] == identity) {
        return &events_[recent_];
    }
    for (std::size_t i = 0; i < identities_.size(); ++i) {
        if (identities_[i] == identity) {
            recent_ = i;
            return &events_[i];
        }
    }
    if (events_.size() < events_max) {
        return nullptr;
    }
    for (std::size_t i = events_.size(); i-- > 0;) {
        const policy::OomEvent& event = events_[i];
        if (event.origin == sighting.origin && event.would_refuse == sighting.would_refuse) {
            return &events_[i];
        }
    }
    return &events_.back();
}

void OomReporter::add(
    std::uint64_t identity, const OomSighting& sighting, const SessionFacts& facts
) {
    policy::OomEvent event;
    event.origin = sighting.origin;
    event.form = sighting.form;
    event.at = sighting.at;
    event.command = sighting.command;
    event.bytes = sighting.bytes;
    event.largest_argument_bytes = sighting.largest_argument_bytes;
    event.key = sighting.key;
    event.db = facts.db;
    event.in_multi = sighting.in_multi;
    event.script_declared = sighting.script_declared;
    event.client = {
        std::string(facts.address),
        std::string(facts.name),
        std::string(facts.user),
        std::string(facts.library)};
    event.reply = sighting.reply;
    event.guard_cause = sighting.guard_cause;
    event.priority = sighting.priority;
    event.rule = sighting.rule;
    event.would_refuse = sighting.would_refuse;
    events_.push_back(std::move(event));
    identities_.push_back(identity);
}

std::vector<policy::OomEvent> OomReporter::take() noexcept {
    identities_.clear();
    recent_ = 0;
    return std::exchange(events_, {});
}

}  // namespace spillway::core
