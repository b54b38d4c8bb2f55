// Tells growth that passes through this proxy from growth that does not, and finds the share of the
// common pace that is ours.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>

namespace spillway::policy {

// What happened between two samples, in bytes.
struct Interval {
    std::int64_t seen = 0;       // what the server's data gained
    std::int64_t gained = 0;     // the same, less what our commands under way were estimated at
    std::int64_t estimated = 0;  // lasting growth of our commands that were answered
    double seconds = 0;
    std::int64_t possible = 0;  // estimates of all our commands that may have run in it
};

// An interval in which so little of ours may have run shows what others do.
inline constexpr std::int64_t quiet_bytes = 2048;

class ForeignGrowth {
  public:
    // How much of the interval's gain is known not to be ours: others grew like this when we did
    // nothing. Before observe(). `noise` is what may come and go without any data.
    [[nodiscard]] double known_bytes(const Interval& interval, double noise) const noexcept;
    void observe(const Interval& interval, double noise) noexcept;
    // Growth that our commands do not explain.
    [[nodiscard]] double bytes_per_s() const noexcept { return unexplained_; }

    void compare(const Interval& interval, double noise) noexcept;
    // Which part of the growth we may have caused. 1 until there is evidence.
    [[nodiscard]] double share() const noexcept { return share_; }

    // While growth is paced: memory may gain `wanted_bytes` until the next sample, whoever adds
    // them.
    void pace(const Interval& interval, double wanted_bytes, double noise, Nanos horizon) noexcept;
    // What our rate is to be multiplied with, so that all together keep the pace.
    [[nodiscard]] double pace_factor() const noexcept { return pace_factor_; }
    void end_pace() noexcept;

    void forget() noexcept { *this = ForeignGrowth{}; }

  private:
    struct Window {
        double gained = 0;
        double compared_with = 0;
        double seconds = 0;
    };
    [[nodiscard]] bool fill(
        Window& window, const Interval& interval, double compared_with, double length
    ) noexcept;

    double quiet_ = 0;        // bytes a second while none of our commands ended
    double unexplained_ = 0;  // bytes a second above what our estimates could be
    double share_ = 1.0;
    double pace_factor_ = 1.0;
    Window since_quiet_;
    Window paced_;
    Window compared_;
};

}  // namespace spillway::policy
