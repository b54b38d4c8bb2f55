// Gathers what a shard saw of OOM, so that a storm of replies becomes a handful of events.
#pragma once

#include "policy/oom_event.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace spillway::core {

// Who and what, without copies; the strings are read only when the event is a new one.
struct OomSighting {
    policy::OomOrigin origin = policy::OomOrigin::backend;
    policy::OomForm form = policy::OomForm::top_level;
    policy::Nanos at = 0;
    std::uint64_t session = 0;
    std::string_view command;
    std::string_view key;
    std::uint64_t bytes = 0;
    std::uint64_t largest_argument_bytes = 0;
    bool in_multi = false;
    bool script_declared = false;
    std::string_view reply;
    policy::Cause guard_cause = policy::Cause::near_ceiling;
    policy::Priority priority = policy::Priority::normal;
    std::string_view rule;
    bool would_refuse = false;
};

struct SessionFacts {
    std::string_view address;
    std::string_view name;
    std::string_view user;
    std::string_view library;
    std::int32_t db = 0;
};

class OomReporter {
  public:
    // Distinct events kept until the next take(); what comes on top is added to the last one of
    // like origin.
    static constexpr std::size_t events_max = 128;

    // `facts` is called when the event is new.
    template <typename FactsOf>
    void report(const OomSighting& sighting, const FactsOf& facts) {
        const std::uint64_t identity = identify(sighting);
        if (policy::OomEvent* known = find(identity, sighting); known != nullptr) {
            ++known->count;
            known->at = sighting.at;
            return;
        }
        add(identity, sighting, facts());
    }
    [[nodiscard]] bool empty() const noexcept { return events_.empty(); }
    [[nodiscard]] std::vector<policy::OomEvent> take() noexcept;

  private:
    [[nodiscard]] static std::uint64_t identify(const OomSighting& sighting) noexcept;
    [[nodiscard]] policy::OomEvent* find(
        std::uint64_t identity, const OomSighting& sighting
    ) noexcept;
    void add(std::uint64_t identity, const OomSighting& sighting, const SessionFacts& facts);

    std::vector<policy::OomEvent> events_;
    std::vector<std::uint64_t> identities_;
    std::size_t recent_ = 0;  // storms repeat themselves: the last hit is looked at first
};

}  // namespace spillway::core
