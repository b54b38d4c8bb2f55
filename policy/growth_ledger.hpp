// Who fills memory: bounded heavy hitters over key pattern, client name and command, fading with
// time.
#pragma once

#include "policy/key_pattern.hpp"
#include "policy/memory_sample.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

struct GrowthRow {
    std::string pattern;
    std::string client;
    std::string command;
    std::uint64_t bytes = 0;  // about what was written within the window
    double without_ttl = 0;   // share of these bytes written without a TTL, 0 to 1
};

// Space-saving counters: a newcomer takes the smallest row and inherits its count as its error, so
// that any writer of more than 1/rows of all bytes is sure to have a row. Bytes fade exponentially
// with the window as time constant, so that a steady writer shows about what it wrote in the last
// window. One thread at a time; copies are snapshots.
class GrowthLedger {
  public:
    static constexpr std::size_t rows_default = 256;
    static constexpr Nanos window_default = 600 * second;
    static constexpr std::size_t client_bytes_max = 64;
    static constexpr std::size_t command_bytes_max = 32;

    // `rows` is at least 1; all memory is taken here.
    explicit GrowthLedger(std::size_t rows = rows_default, Nanos window = window_default);

    // Longer names are cut (pattern: pattern_bytes_max). `bytes` may stand for many commands when
    // only one in so many bytes is looked at. Time that runs backwards counts as standing still.
    // Does not allocate.
    void add(
        std::string_view pattern,
        std::string_view client,
        std::string_view command,
        std::uint64_t bytes,
        bool without_ttl,
        Nanos now
    ) noexcept;

    // Adds the rows of another ledger, of the same window, as of `now`. Does not allocate.
    void merge(const GrowthLedger& other, Nanos now) noexcept;

    // Largest first; bytes are what surely belongs to the row, its inherited error left out.
    [[nodiscard]] std::vector<GrowthRow> top(std::size_t count, Nanos now) const;

    // Of everything added, also what has lost its row.
    [[nodiscard]] std::uint64_t total_bytes(Nanos now) const noexcept;

    [[nodiscard]] Nanos window() const noexcept { return window_; }
    [[nodiscard]] std::size_t rows_max() const noexcept { return names_.size(); }
    void clear() noexcept;

  private:
    struct Name {
        std::array<char, pattern_bytes_max> pattern;
        std::array<char, client_bytes_max> client;
        std::array<char, command_bytes_max> command;
        std::uint8_t pattern_size;
        std::uint8_t client_size;
        std::uint8_t command_size;
    };

    // What one row weighs, as of origin_.
    struct Mass {
        double own = 0;      // surely of this row
        double lasting = 0;  // of own: written without a TTL
        double error = 0;    // inherited from the rows that stood here before
    };

    [[nodiscard]] double scale_at(Nanos now) noexcept;
    [[nodiscard]] double fade_at(Nanos now) const noexcept;
    void put(
        std::string_view pattern,
        std::string_view client,
        std::string_view command,
        const Mass& mass
    ) noexcept;

    // Parallel arrays: the two scans of put() touch nothing but hashes and weights.
    std::vector<std::uint64_t> hashes_;
    std::vector<double> weights_;  // own + error
    std::vector<Mass> masses_;
    std::vector<Name> names_;
    std::size_t used_ = 0;
    double total_ = 0;
    Nanos window_;
    Nanos origin_ = 0;
    Nanos latest_ = 0;
};

}  // namespace spillway::policy
