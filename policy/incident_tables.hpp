// The bounded parts of an incident's story: counts by name, and the memory curve.
#pragma once

#include "policy/incident.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

// At most Incident::rows_max rows. A newcomer takes the place of the smallest row, whose counts go
// to "(other)": sums stay exact, and whoever counts much keeps a row.
class CountTable {
  public:
    void add(std::string_view name, const CountRow& more);

    // Largest first, "(other)" last.
    [[nodiscard]] std::vector<CountRow> rows() const;

  private:
    std::vector<CountRow> rows_;
    CountRow other_;
};

// One point a second with the highest counted memory of it; when full, neighbours join and seconds
// become longer.
class MemoryCurve {
  public:
    // Times that run backwards count into the newest point.
    void add(const CurvePoint& point);

    [[nodiscard]] const std::vector<CurvePoint>& points() const noexcept { return points_; }

  private:
    std::vector<CurvePoint> points_;
    std::int64_t step_s_ = 1;
};

}  // namespace spillway::policy
