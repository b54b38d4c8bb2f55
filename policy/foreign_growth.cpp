// Tells growth that passes through this proxy from growth that does not, and finds the share of the
// common pace that is ours.
#include "policy/foreign_growth.hpp"

#include <algorithm>
#include <cmath>

namespace spillway::policy {
namespace {

// Estimates are upper bounds, but for unbounded commands and scripts: so much may still be ours.
constexpr double explained_ratio = 1.5;
constexpr double quiet_memory_s = 0.1;
// What was seen while we did nothing holds on for so long while we do something.
constexpr double busy_memory_s = 0.2;
constexpr double ended_noises = 3;
constexpr double ended_share = 0.5;
constexpr double unexplained_memory_s = 0.5;
// So many equal proxies find their share at once; more of them do so in time.
constexpr double share_min = 1.0 / 32;
// Deviations below this are not answered, so that shares come to rest.
constexpr double tolerated = 1.2;
constexpr double window_max_s = 0.25;
constexpr double window_min_s = 0.05;

double follow(double from, double to, double seconds, double memory_s) noexcept {
    return from + std::min(1.0, seconds / memory_s) * (to - from);
}

}  // namespace

double ForeignGrowth::known_bytes(const Interval& interval, double noise) const noexcept {
    const double most = std::max(static_cast<double>(interval.gained), 0.0);
    return std::clamp((quiet_ - noise / quiet_memory_s) * interval.seconds, 0.0, most);
}

void ForeignGrowth::observe(const Interval& interval, double noise) noexcept {
    const auto gained = static_cast<double>(interval.gained);
    const double rate = gained / interval.seconds;
    if (interval.possible <= quiet_bytes) {
        quiet_ = follow(quiet_, rate, interval.seconds, quiet_memory_s);
        since_quiet_ = {};
    } else {
        // All gain less than others alone did: they have ended, and what is gained may be ours.
        (void)fill(since_quiet_, interval, quiet_ * interval.seconds, 0);
        const bool ended = since_quiet_.compared_with > ended_noises * noise &&
                           since_quiet_.gained < ended_share * since_quiet_.compared_with;
        quiet_ = ended ? 0 : follow(quiet_, 0.0, interval.seconds, busy_memory_s);
    }
    const double explained = explained_ratio * static_cast<double>(interval.estimated);
    const double beyond = std::max(0.0, gained - explained) / interval.seconds;
    unexplained_ = follow(unexplained_, beyond, interval.seconds, unexplained_memory_s);
}

bool ForeignGrowth::fill(
    Window& window, const Interval& interval, double compared_with, double length
) noexcept {
    window.gained += static_cast<double>(interval.gained);
    window.compared_with += compared_with;
    window.seconds += interval.seconds;
    return window.seconds >= length;
}

void ForeignGrowth::compare(const Interval& interval, double noise) noexcept {
    const double explained = explained_ratio * static_cast<double>(interval.estimated);
    if (!fill(compared_, interval, explained, window_max_s)) {
        return;
    }
    // Without anything of ours, or without growth, there is nothing to compare.
    if (compared_.compared_with > noise / 4 && compared_.gained > 2 * noise) {
        share_ = std::clamp(compared_.compared_with / compared_.gained, share_min, 1.0);
    } else if (compared_.compared_with > 2 * noise) {
        share_ = 1.0;
    }
    compared_ = {};
}

// Each proxy answers the common deviation by the same factor, whatever their number: so they settle
// as one would. The root damps. They begin with their share, and may come back from there.
void ForeignGrowth::pace(
    const Interval& interval, double wanted_bytes, double noise, Nanos horizon
) noexcept {
    const double horizon_s = static_cast<double>(horizon) / static_cast<double>(second);
    const double length = std::clamp(horizon_s / 8, window_min_s, window_max_s);
    if (!fill(paced_, interval, wanted_bytes, length)) {
        return;
    }
    const double wanted = std::max(paced_.compared_with, 1.0);
    const double gained = std::max(paced_.gained, 0.0);
    if (gained > tolerated * wanted + noise) {
        pace_factor_ *= std::max(std::sqrt(wanted / (gained - noise)), 0.5);
    } else if (gained < wanted) {
        pace_factor_ *= std::min(std::sqrt((wanted + noise) / (gained + noise)), 2.0);
    }
    pace_factor_ = std::clamp(pace_factor_, share_min, 1.0);
    paced_ = {};
}

void ForeignGrowth::end_pace() noexcept {
    paced_ = {};
    pace_factor_ = share_;
}

}  // namespace spillway::policy
