// Counters, gauges and histograms that one thread writes and any thread may read.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace spillway::metrics {

// With a single writer a relaxed load and store is exact, and costs what a plain increment costs:
// no locked instruction. Atomic at all only so that a reader on another thread sees whole values.
class Counter {
  public:
    void add(std::uint64_t count = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
  public:
    void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t change = 1) noexcept { set(value() + change); }
    void sub(std::int64_t change = 1) noexcept { set(value() - change); }
    [[nodiscard]] std::int64_t value() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::int64_t> value_{0};
};

// Cells indexed by a label's enum.
template <typename Cell, typename Label, std::size_t count>
class LabelArray {
  public:
    [[nodiscard]] Cell& operator[](Label label) noexcept {
        return cells_[static_cast<std::size_t>(label)];
    }
    [[nodiscard]] const Cell& operator[](Label label) const noexcept {
        return cells_[static_cast<std::size_t>(label)];
    }
    [[nodiscard]] const Cell& at_index(std::size_t index) const noexcept { return cells_[index]; }

  private:
    std::array<Cell, count> cells_{};
};

// Upper bounds of the buckets in nanoseconds, 50 us to 10 s; a value on a bound belongs below it.
// One more bucket takes the rest. A wait that ends at a round bound of time, as guard.hold_max is,
// ends a little above it: from 100 ms on another bound stands close by, so that quantiles tell it.
inline constexpr std::array<std::uint64_t, 23> bucket_bounds_ns = {
    50'000,        100'000,       250'000,       500'000,       1'000'000,      2'500'000,
    5'000'000,     10'000'000,    25'000'000,    50'000'000,    100'000'000,    105'000'000,
    250'000'000,   260'000'000,   500'000'000,   520'000'000,   1'000'000'000,  1'040'000'000,
    2'500'000'000, 2'600'000'000, 5'000'000'000, 5'200'000'000, 10'000'000'000,
};
inline constexpr std::size_t bucket_count = bucket_bounds_ns.size() + 1;

// The bucket of a duration: one table look-up by magnitude and two comparisons, since no power of
// two holds three bounds.
[[nodiscard]] constexpr std::size_t bucket_of(std::uint64_t nanoseconds) noexcept {
    constexpr auto first_of_width = [] {
        std::array<std::uint8_t, 65> table{};
        for (std::size_t width = 0; width < table.size(); ++width) {
            const std::uint64_t smallest = width == 0 ? 0 : std::uint64_t{1} << (width - 1);
            std::uint8_t bucket = 0;
            while (bucket < bucket_bounds_ns.size() && smallest > bucket_bounds_ns[bucket]) {
                ++bucket;
            }
            table[width] = bucket;
        }
        return table;
    }();
    const std::size_t first = first_of_width[static_cast<std::size_t>(std::bit_width(nanoseconds))];
    const auto above = [nanoseconds](std::size_t bound) {
        return bound < bucket_bounds_ns.size() && nanoseconds > bucket_bounds_ns[bound] ? 1U : 0U;
    };
    return first + above(first) + above(first + 1);
}

// Durations in nanoseconds. The count is the sum over the buckets, so that it never contradicts
// them.
class Histogram {
  public:
    // `times` lets a run of like commands be recorded at once.
    void observe(std::uint64_t nanoseconds, std::uint64_t times = 1) noexcept {
        buckets_[bucket_of(nanoseconds)].add(times);
        sum_ns_.add(nanoseconds * times);
    }
    [[nodiscard]] std::uint64_t bucket(std::size_t index) const noexcept {
        return buckets_[index].value();
    }
    [[nodiscard]] std::uint64_t sum_ns() const noexcept { return sum_ns_.value(); }

  private:
    std::array<Counter, bucket_count> buckets_{};
    Counter sum_ns_;
};

}  // namespace spillway::metrics
