// Which kinds of commands may be sent to a nearly full server: of each kind that it has not met
// before, Redis keeps a histogram of latencies, and many of them can be what fills it.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

class CommandRoom {
  public:
    // As much as one asks for.
    CommandRoom() = default;
    // `info` is the INFO text that `server` was read from, with all sections if there are.
    CommandRoom(const MemorySample& server, std::string_view info);

    // Whether all of these may be sent, named as in commandstats ("memory|usage"); if so, their
    // room is taken. Ask for the most important first.
    [[nodiscard]] bool take(const std::vector<std::string_view>& names);
    [[nodiscard]] bool is_bounded() const noexcept { return bounded_; }
    // Of the server, when it was looked at.
    [[nodiscard]] std::int64_t room() const noexcept { return room_; }

  private:
    bool bounded_ = false;
    std::int64_t room_ = 0;
    std::int64_t left_ = 0;           // of it, for us
    std::vector<std::string> known_;  // that cost nothing (more)
};

}  // namespace spillway::policy
