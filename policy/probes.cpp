// The little that is let through while growth is refused, so that a load that has changed is found
// out.
#include "policy/probes.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace spillway::policy {
namespace {

constexpr Nanos probe_interval = 60 * millisecond;
constexpr Nanos rest = 300 * millisecond;  // a load that adds is not pushed on by probes
constexpr int samples_min = 3;             // that see what a probe did
constexpr std::int64_t size_bytes_min = 4 * 1024;
// Others may have come and gone: our part is never taken for less than this.
constexpr double share_min = 0.25;
// A load that gains less than this part of its estimate adds nothing.
constexpr double adds_below = 0.1;
constexpr Nanos memory = 60 * second;
constexpr int halvings_max = 20;
// So often clients that come back after a pause are given a round, whatever others before them did.
constexpr int returns_max = 6;
constexpr Nanos trickle_interval_max = 300 * second;

// What memory must have gained before it is held against a round.
double tolerated(double noise, double share) noexcept {
    return std::max(share, share_min) * noise / 2;
}

}  // namespace

void Probes::begin_round() noexcept {
    rise_ = tried_ = tried_before_ = low_before_ = 0;
    not_of_it_ = under_way_;
    size_ = 0;
}

// All samples of a look show what had been answered before it; the lowest has the least noise.
void Probes::begin_look(Nanos now) noexcept {
    low_before_ = low_;
    low_ = std::numeric_limits<double>::max();
    tried_before_ = tried_;
    samples_ = 0;
    looked_at_ = now;
}

bool Probes::take_newcomers() noexcept {
    const bool newcomers = newcomers_;
    newcomers_ = false;
    return newcomers;
}

bool Probes::observe(const Sighting& sighting) noexcept {
    refill(sighting);
    const double most = tolerated(sighting.noise, sighting.share);
    size_min_ = std::max(size_bytes_min, static_cast<std::int64_t>(most / 8));
    size_max_ = std::max(size_min_, (sighting.ceiling - sighting.shed) / 8);
    under_way_ = sighting.under_way;
    if (!sighting.probing) {
        begin_round();
    }
    wanted_ = wanted_ || sighting.estimated > 0 || sighting.refused != refused_;
    refused_ = sighting.refused;
    // What others free hides no more of our growth than noise could.
    rise_ = std::max(rise_ + sighting.seen, -most);
    const double before = std::min(not_of_it_, sighting.estimated);
    not_of_it_ -= before;
    tried_ += sighting.estimated - before;
    low_ = std::min(low_, rise_);
    ++samples_;
    due_ = samples_ >= samples_min && sighting.now - looked_at_ >= probe_interval;
    if (!due_) {
        return false;
    }
    const double shown = tried_before_;
    const double rise = low_;
    begin_look(sighting.now);
    if (rise > most) {
        budget_ -= rise;
        rests_until_ = sighting.now + rest;
        begin_round();
        return false;
    }
    return adds_below * shown >= most;
}

std::int64_t Probes::grant(std::int64_t open_left, Nanos now) noexcept {
    if (!due_) {
        return std::clamp<std::int64_t>(open_left, 0, size_);
    }
    due_ = false;
    if (budget_ < static_cast<double>(size_bytes_min) || now < rests_until_) {
        return 0;
    }
    if (size_ == 0) {
        // It begins with what memory is now, not with what has been.
        begin_round();
        size_ = size_min_;
    } else if (wanted_) {
        size_ = std::min(2 * size_, size_max_);
    }
    wanted_ = false;
    return size_;
}

// Where growth is paced nobody need be refused: there those who come back after a pause wait.
Demand::Sign Probes::look_for_newcomers(const Sighting& sighting) noexcept {
    const Demand::Sign sign = demand_.observe(sighting.refused, sighting.now, sighting.pause);
    const bool active = sighting.estimated > 0 || sighting.refused != refused_;
    const bool returned = sighting.probing && active && sighting.now - active_at_ > sighting.pause;
    active_at_ = active ? sighting.now : active_at_;
    return returned ? Demand::Sign::returned : sign;
}

// What a round let through for those before a pause speaks neither for nor against those after it.
// But what it cost is paid: no more than was tried, for estimates are upper bounds.
void Probes::end_round_of_others() noexcept {
    budget_ -= std::clamp(std::min(low_, low_before_), 0.0, tried_);
    begin_round();
}

// What rounds may cost: an eighth of the reserve when memory has been below it; a sixteenth of what
// is left when others may have come, half as much each time that they turned out to be like those
// before; and a trickle, ever more seldom, for loads that change while they are refused.
void Probes::refill(const Sighting& sighting) noexcept {
    const auto reserve = static_cast<double>(sighting.ceiling - sighting.shed);
    const auto left =
        static_cast<double>(std::max<std::int64_t>(sighting.ceiling - sighting.settled, 0));
    const double share = std::max(sighting.share, share_min);
    const Demand::Sign sign = look_for_newcomers(sighting);
    if (sighting.steady || sighting.now - halved_at_ > memory) {
        halvings_ = std::max(halvings_ - 1, 0);
        returns_ = std::max(returns_ - 1, 0);
        halved_at_ = sighting.now;
    }
    if (static_cast<double>(sighting.settled) < static_cast<double>(sighting.shed) - reserve / 4) {
        budget_ = share * reserve / 8;
        refilled_at_ = sighting.now;
        trickle_interval_ = trickle_interval_min;
    } else if (sign != Demand::Sign::none) {
        if (sign == Demand::Sign::returned) {
            end_round_of_others();
        }
        budget_ = std::max(budget_, share * left / 16 / std::exp2(halvings_));
        halvings_ = std::min(halvings_ + 1, halvings_max);
        if (sign == Demand::Sign::returned && returns_ < returns_max) {
            budget_ = std::max(budget_, static_cast<double>(size_bytes_min));
            ++returns_;
        }
        halved_at_ = sighting.now;
        newcomers_ = true;
    } else if (sighting.now - refilled_at_ > trickle_interval_) {
        budget_ = std::max(budget_, share * left / 32);
        refilled_at_ = sighting.now;
        trickle_interval_ = std::min(2 * trickle_interval_, trickle_interval_max);
    }
}

}  // namespace spillway::policy
