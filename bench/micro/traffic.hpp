// Drives a Session with the bytes of one kind of load, as a shard would: passes of so many
// commands, and the replies to them.
#pragma once

#include "proxy/core/session.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace spillway::bench {

// One kind of load. `command` and `reply` are bytes on the wire; `%` in a command becomes a digit
// that differs from command to command.
struct Mix {
    std::string_view name;
    std::string_view command;
    std::string_view reply;
    std::uint32_t pipeline;  // commands a pass
};

[[nodiscard]] std::span<const Mix> mixes();

class Traffic {
  public:
    explicit Traffic(const Mix& mix);
    // One pipeline and its replies. Answers the bytes that moved, both ways together.
    std::uint64_t pass();
    // Instructions and allocations are counted inside of this; never inlined, so that a profiler
    // finds it.
    [[gnu::noinline]] void measured(std::uint64_t passes);
    [[nodiscard]] std::uint32_t commands_per_pass() const noexcept { return pipeline_; }

  private:
    std::uint64_t collect();

    std::uint32_t pipeline_;
    std::string requests_;
    std::string replies_;
    policy::CreditPool pool_;
    policy::TrafficCells cells_;
    policy::GuardSettings settings_;
    core::ShardContext context_;
    core::Session session_;
    core::Output output_;
};

}  // namespace spillway::bench
