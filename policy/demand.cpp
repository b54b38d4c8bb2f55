// Notices from the refusals alone that other clients may have come.
#include "policy/demand.hpp"

namespace spillway::policy {
namespace {

constexpr Nanos window = 250 * millisecond;
constexpr double change = 1.8;
constexpr double memory_windows = 8;

}  // namespace

Demand::Sign Demand::observe(std::int64_t refused, Nanos now, Nanos pause) noexcept {
    const bool newly = refused != seen_;
    const bool returned = newly && now - seen_at_ > pause;
    if (newly) {
        seen_ = refused;
        seen_at_ = now;
    }
    if (returned) {
        window_from_ = refused;
        window_at_ = now;
        usual_per_s_ = 0;
        return Sign::returned;
    }
    if (now - window_at_ < window) {
        return Sign::none;
    }
    const double per_s = static_cast<double>(refused - window_from_) /
                         (static_cast<double>(now - window_at_) / static_cast<double>(second));
    window_from_ = refused;
    window_at_ = now;
    const bool changed = usual_per_s_ > 0 && per_s > 0 &&
                         (per_s > change * usual_per_s_ || change * per_s < usual_per_s_);
    if (changed || usual_per_s_ <= 0) {
        usual_per_s_ = per_s;
    } else {
        usual_per_s_ += (per_s - usual_per_s_) / memory_windows;
    }
    return changed ? Sign::changed : Sign::none;
}

}  // namespace spillway::policy
