// What a command really adds to memory or takes from it, once its reply is known: an estimate of
// what is likely, where Cost is a bound.
//
// Asked for the few commands that the growth ledger looks at. Figures are those of Redis 7 with
// jemalloc; what other servers do otherwise is a few bytes an element.
#pragma once

#include "policy/memory_sample.hpp"

#include <cstdint>
#include <string_view>

namespace spillway::policy {

// What the command does to the memory of its key.
enum class GrowthShape : std::uint8_t {
    nothing,  // or next to nothing
    value,    // puts one value in the place of another: a key seen before is written over
    flow,     // each one adds
    elements,
    removes_elements,
    removes_keys,
    moves,  // into the second key, what the first one loses
    trims,  // LTRIM: bounds a list
};

// What its reply tells.
enum class GrowthTold : std::uint8_t {
    done,     // that it was run; null where it was not
    added,    // how many elements are new
    length,   // how many the list has now
    counter,  // the value of a counter: new where it is what was added
    removed,  // how many are gone
    popped,   // the element itself, or as many as were asked for
};

struct GrowthModel {
    GrowthShape shape = GrowthShape::nothing;
    GrowthTold told = GrowthTold::done;
    float unit_bytes = 0;     // of one element or value
    float packed_bytes = 0;   // of an element as long as the key has at most packed_max of them
    float key_bytes = 0;      // of the key, where it is new
    std::uint32_t units = 0;  // elements or keys that the command names
    std::uint32_t packed_max = 0;
    std::uint32_t units_kept = UINT32_MAX;  // what the key has at most afterwards: MAXLEN, LTRIM
    std::int64_t added = 0;                 // of counters
    std::uint32_t ttl_s = 0;                // 0 = none
    bool may_move = false;                  // the second key gets what the first one loses
};

// What a head can be asked for. `text` is empty where the head does not hold it.
class GrowthArguments {
  public:
    GrowthArguments() = default;
    GrowthArguments(const GrowthArguments&) = delete;
    GrowthArguments& operator=(const GrowthArguments&) = delete;
    virtual ~GrowthArguments() = default;
    [[nodiscard]] virtual std::uint32_t count() const = 0;
    [[nodiscard]] virtual std::uint64_t length(std::uint32_t i) const = 0;
    [[nodiscard]] virtual std::string_view text(std::uint32_t i) const = 0;
    [[nodiscard]] virtual std::uint64_t bytes() const = 0;
};

// `bound` is what the guard estimates the command to add at most: all that is known of commands
// that have no model. `name` in upper case.
[[nodiscard]] GrowthModel growth_model(
    std::string_view name, const GrowthArguments& arguments, std::int64_t bound
);

// What an element of a list takes that is so long.
[[nodiscard]] double list_element_bytes(double length) noexcept;
// What a string takes, with its key.
[[nodiscard]] double string_bytes(double key_length, double length, bool is_number) noexcept;

}  // namespace spillway::policy
