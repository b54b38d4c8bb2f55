// Measures single collections again, with more elements: five may be unlike the others, and the
// first elements of a list unlike its last.
#pragma once

#include "policy/key_sample.hpp"
#include "resp/reply_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::policy {

using Command = std::vector<std::string>;

// MEMORY USAGE with so many samples.
struct SizeReading {
    std::int64_t samples = 0;
    std::int64_t bytes = 0;
};

// What readings of one collection say together, fewest samples first: each looks at the elements of
// the one before and at more, so what the size changes by tells how uneven they are.
struct MeasuredSize {
    std::int64_t bytes = 0;
    std::int64_t error = -1;  // as SampledKey has it
};

[[nodiscard]] MeasuredSize measured_size(
    std::span<const SizeReading> readings, KeyType type, std::int64_t length
) noexcept;

// O(1) for all; TYPE, whose answer is no number, for what has no length.
[[nodiscard]] std::string_view length_command(KeyType type) noexcept;

// The collections that matter: those of a good part of the data, and where data is missing those
// with most elements, whatever five of them say. As with the walk: what ask() gives is one
// pipeline.
class CloserLook {
  public:
    explicit CloserLook(bool asks_lengths = true) : asks_lengths_(asks_lengths) {}

    void plan(
        std::span<const SampledKey> sampled,
        std::span<const SampledKey> found,
        std::int64_t data_bytes,
        bool missing
    );
    [[nodiscard]] bool busy() const noexcept { return !queue_.empty() || !unasked_.empty(); }
    // Of the keys that ask() is about.
    [[nodiscard]] std::int32_t db() const noexcept;
    [[nodiscard]] std::vector<Command> ask();
    // The first error among `replies`, if any: then it is over.
    const resp::Reply* take(std::span<const resp::Reply> replies);
    // Writes what was measured last to the key that it is of.
    void apply(std::vector<SampledKey>& keys) const;
    // 0 to 1, of what was planned so far.
    [[nodiscard]] double progress() const noexcept;

  private:
    using Name = std::pair<std::int32_t, std::string>;
    struct Subject {
        KeyType type = KeyType::other;
        std::int64_t length = -1;
        bool length_asked = false;
        bool gone = false;
        bool to_the_end = false;  // data is missing: that its first elements are even says little
        std::vector<SizeReading> readings;
    };
    struct Length {
        KeyType type = KeyType::other;
        std::int64_t elements = -1;
    };

    void open(const Name& name, KeyType type, std::int64_t length, bool to_the_end);
    void open_longest();
    void survey(std::span<const SampledKey> keys);
    [[nodiscard]] bool is_settled(const Subject& subject) const noexcept;
    [[nodiscard]] std::vector<Command> ask_lengths();
    [[nodiscard]] std::vector<Command> ask_sizes();
    void take_lengths(std::span<const resp::Reply> replies);
    void take_sizes(std::span<const resp::Reply> replies);

    bool asks_lengths_;
    std::int64_t data_bytes_ = 0;
    std::map<Name, Subject> subjects_;
    std::vector<std::pair<const Name, Subject>*> queue_;        // the last is next
    const std::pair<const Name, Subject>* measured_ = nullptr;  // by the last take()
    std::size_t opened_ = 0;
    std::vector<std::int64_t> steps_;  // what the last of them was asked for
    std::map<Name, Length> lengths_;   // of all collections, once data is missing
    std::vector<std::pair<const Name, Length>*> unasked_;
    std::size_t lengths_asked_ = 0;  // in the pipeline under way
};

}  // namespace spillway::policy
