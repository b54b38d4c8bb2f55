// What the guard did, or in observe mode would have done, by rule and client name: bounded, heavy
// clients kept.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::policy {

enum class Outcome : std::uint8_t { held, refused, would_hold, would_refuse };

struct VerdictRow {
    std::string rule;    // empty = none matched
    std::string client;  // CLIENT SETNAME; empty = it has none
    std::uint64_t held = 0;
    std::uint64_t refused = 0;
    std::uint64_t would_hold = 0;
    std::uint64_t would_refuse = 0;
    std::uint64_t bytes = 0;  // request bytes of those refused, or that would have been

    [[nodiscard]] std::uint64_t commands() const noexcept {
        return held + refused + would_hold + would_refuse;
    }
    void add(const VerdictRow& more) noexcept;
};

// At most rows_max rows. A newcomer takes the place of the smallest row, whose counts go to
// other(): sums stay exact, and whoever counts much keeps a row.
class VerdictTable {
  public:
    static constexpr std::size_t rows_max = 64;

    void count(
        std::string_view rule, std::string_view client, Outcome outcome, std::uint64_t bytes
    );
    void add(const VerdictTable& more);

    [[nodiscard]] bool empty() const noexcept { return rows_.empty() && other_.commands() == 0; }
    // Largest first.
    [[nodiscard]] std::vector<VerdictRow> rows() const;
    // Of all that have lost their row.
    [[nodiscard]] const VerdictRow& other() const noexcept { return other_; }
    [[nodiscard]] VerdictRow total() const;

  private:
    VerdictRow& row_of(std::string_view rule, std::string_view client);

    std::vector<VerdictRow> rows_;
    VerdictRow other_;
};

// The sum since the start, and of each minute in which there was anything.
class VerdictHistory {
  public:
    static constexpr Nanos interval = 60 * second;

    void add(const VerdictTable& more, Nanos now);
    // What came since the last one, once that is a minute ago or `ending`.
    [[nodiscard]] std::optional<VerdictTable> take_summary(Nanos now, bool ending = false);

    [[nodiscard]] const VerdictTable& all() const noexcept { return all_; }

  private:
    VerdictTable all_;
    VerdictTable recent_;
    Nanos recent_since_ = 0;
};

}  // namespace spillway::policy
