// Chooses the commands that the growth ledger looks at, and books what their replies say.
//
// Points are laid over the bytes that commands may add, each for as many as lie between two of them
// on average; a command that one falls into is looked at, and stands for others. Gaps are drawn
// anew each time: a fixed one would fall into step with traffic that repeats itself.
#pragma once

#include "policy/growth_ledger.hpp"
#include "policy/growth_model.hpp"
#include "policy/key_pattern.hpp"
#include "policy/sampled_keys.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>

namespace spillway::policy {

// A command that was looked at, until it is answered. Plain data, for queues.
struct GrowthSample {
    GrowthModel model;
    std::uint64_t key = 0;  // hash of its first key and database; 0 = has none
    float stands_for = 1;   // commands like it
    bool lasting = true;    // written without a TTL
    std::uint8_t pattern_size = 0;
    std::uint16_t command = 0;  // CommandId, for who keeps the sample
    PatternBuffer pattern;      // pattern_size of them
};

struct GrowthReply {
    enum class Kind : std::uint8_t { unknown, failed, null, integer, bulk, array, other };
    Kind kind = Kind::unknown;
    std::int64_t number = 0;  // the integer, or how long it is
};

// One shard's.
class GrowthSampler {
  public:
    static constexpr std::int64_t mean_bytes = std::int64_t{64} * 1024;
    // What a command counts for that only removes.
    static constexpr std::int64_t removal_bytes = 1024;
    static constexpr std::uint64_t seed_default = 0x9E3779B97F4A7C15U;

    explicit GrowthSampler(std::uint64_t seed = seed_default) noexcept : random_(seed | 1U) {
        left_ = gap();
    }

    // Whether the command that may add so many bytes is to be looked at; then draw() must follow.
    [[nodiscard]] bool takes(std::int64_t bytes) noexcept {
        left_ -= bytes;
        return left_ <= 0;
    }
    // How many commands of so many bytes, more than none, this one stands for.
    [[nodiscard]] double draw(std::int64_t bytes) noexcept;

    // `name` has the pattern of the sample.
    void settle(
        const GrowthSample& sample,
        const GrowthReply& reply,
        std::string_view client,
        std::string_view command,
        Nanos now
    );
    // What has reached its TTL is gone.
    void expire(Nanos now);

    [[nodiscard]] const GrowthLedger& ledger() const noexcept { return ledger_; }
    // Something was told to the ledger since this was last asked.
    [[nodiscard]] bool take_news() noexcept { return std::exchange(news_, false); }

  private:
    struct Booking {
        const GrowthSample& sample;
        GrowthReply reply;
        GrowthName name;
        Nanos now;
    };
    [[nodiscard]] std::int64_t gap() noexcept;
    void book_value(const Booking& of);
    void book_value_again(const Booking& of, SampledKeys::Entry& key);
    void book_elements(const Booking& of);
    void book_list(const Booking& of);
    void shorten(SampledKeys::Entry& list, double elements, Nanos now);
    void book_flow(const Booking& of);
    void book_removal(const Booking& of);
    void book_move(const Booking& of);
    void note_bound(const Booking& of);

    GrowthLedger ledger_;
    SampledKeys keys_;
    std::uint64_t random_;
    std::int64_t left_ = 0;
    bool news_ = false;
};

}  // namespace spillway::policy
