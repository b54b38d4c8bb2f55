// Who fills memory: bounded heavy hitters over key pattern, client name and command, less what was
// removed again; fading with time.
#pragma once

#include "policy/key_pattern.hpp"
#include "policy/memory_sample.hpp"

#include <array>
#include <cmath>
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
    std::uint64_t bytes = 0;  // about what memory grew by within the window
    double without_ttl = 0;   // share of these bytes written without a TTL, 0 to 1
    double of_growth = -1;    // of what memory grew by meanwhile, whoever wrote; -1 = not known
};

struct GrowthName {
    std::string_view pattern;
    std::string_view client;
    std::string_view command;
};

// What one row is told, or has to be told of what it was told before: all of it may be negative.
struct GrowthAmount {
    double bytes = 0;    // added
    double lasting = 0;  // of them: written without a TTL
    double keys = 0;     // keys made

    // Elements or values that came in, and their bytes: for their average alone.
    double units = 0;
    double unit_bytes = 0;

    // Of commands that put one value in the place of another, the looks at whose keys tell how many
    // keys there are. Of bytes: those of keys that were seen once, which stand for others; and how
    // many of these are the keys' own.
    double once = 0;
    double once_own = 0;
    // What keys stood for when they were first seen that were seen twice by now, or three times.
    double twice = 0;
    double thrice = 0;

    double removed = 0;        // of the pattern: bytes …
    double removed_units = 0;  // … and what has the size of its average
    double removed_keys = 0;

    void add(const GrowthAmount& more, double times) noexcept;
    [[nodiscard]] GrowthAmount times(double factor) const noexcept {
        GrowthAmount product;
        product.add(*this, factor);
        return product;
    }
};

// Space-saving counters: a newcomer takes the smallest row and inherits its count as its error, so
// that any writer of more than 1/rows of all bytes is sure to have a row. Bytes fade exponentially
// with the window as time constant, so that a steady writer shows about what it wrote in the last
// window. One thread at a time; copies are snapshots.
//
// What loses its row is kept in a row of all keys with the same beginning ("profile:*"), client and
// command: where keys differ in words, no pattern of theirs has much, but all of them together
// have.
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

    // The same with all that may be known. Returns the row's number for correct().
    std::uint64_t put(const GrowthName& name, const GrowthAmount& amount, Nanos now) noexcept;

    // Takes back, or adds, where a row was told something at `at` of which more is known now; of
    // that of its beginning where it has lost its own. Nothing where both are gone.
    void correct(std::uint64_t row, const GrowthAmount& amount, Nanos at) noexcept;

    // Counts against all rows of the pattern: of units and keys, as many as are worth the average
    // of those that were added.
    void remove(std::string_view pattern, const GrowthAmount& removed, Nanos now) noexcept;

    // Adds the rows of another ledger, of the same window, as of `now`. Does not allocate.
    void merge(const GrowthLedger& other, Nanos now) noexcept;

    // Largest first, patterns of light rows folded where very many differ; bytes are what surely
    // belongs to the row, its inherited error left out, and its share of what was removed of the
    // pattern. All rows together, also those that are not among the first `count`, say no more than
    // `bytes_max`, where memory is known to have grown by no more, and what other patterns have
    // lost.
    [[nodiscard]] std::vector<GrowthRow> top(
        std::size_t count, Nanos now, double bytes_max = HUGE_VAL
    ) const;

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
        GrowthAmount own;  // surely of this row
        double error = 0;  // inherited from the rows that stood here before
    };
    struct Nets {
        std::vector<double> bytes;          // by row, as of origin_
        std::vector<std::string> patterns;  // by row, under which it is told
        double grown = 0;                   // sum of them
        double shrunk = 0;                  // by how much patterns lost more than they gained
    };

    [[nodiscard]] double scale_at(Nanos now) noexcept;
    [[nodiscard]] double fade_at(Nanos now) const noexcept;
    std::uint64_t put_mass(const GrowthName& name, const Mass& mass) noexcept;
    [[nodiscard]] std::size_t make_room() noexcept;
    [[nodiscard]] std::size_t lightest(std::size_t but) const noexcept;
    [[nodiscard]] std::size_t row_of(std::uint64_t hash) const noexcept;
    [[nodiscard]] std::vector<std::string> shown_patterns() const;
    [[nodiscard]] static double weight_of(const Mass& mass) noexcept;
    [[nodiscard]] Nets nets() const;

    // Parallel arrays: the two scans of put_mass() touch nothing but hashes and weights.
    std::vector<std::uint64_t> hashes_;
    std::vector<double> weights_;  // by which a row keeps its place
    std::vector<Mass> masses_;
    std::vector<Name> names_;
    std::size_t used_ = 0;
    double total_ = 0;
    Nanos window_;
    Nanos origin_ = 0;
    Nanos latest_ = 0;
};

}  // namespace spillway::policy
