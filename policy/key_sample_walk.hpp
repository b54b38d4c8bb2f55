// Decides which keys are looked at, and by which commands: a bounded sample first, then, where it
// leaves memory unexplained, a search for the few large keys that a sample misses.
#pragma once

#include "policy/command_room.hpp"
#include "policy/key_closer_look.hpp"
#include "policy/key_sample.hpp"
#include "resp/reply_tree.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::policy {

// The types in which large keys are looked for; the first `used` of them are known to be written.
struct TypesByUse {
    std::vector<KeyType> order{
        KeyType::hash,
        KeyType::zset,
        KeyType::set,
        KeyType::list,
        KeyType::stream,
        KeyType::string};
    std::size_t used = 6;
};

// By an INFO text with the section commandstats; as if all were used where it names no command.
[[nodiscard]] TypesByUse types_by_use(std::string_view commandstats);

struct KeyWalkPlan {
    MemorySample server;          // keys by database
    std::int64_t data_bytes = 0;  // values, keys and their tables
    std::size_t sampled_max = 2000;
    std::size_t found_max = 20'000;          // keys measured because they may be large
    std::int64_t searched_max = 20'000'000;  // keys passed by in search of them
    bool clustered = false;  // SCAN goes slot by slot there, so its first keys are no sample
    std::vector<std::pair<std::int32_t, std::string>> candidates{};  // looked at first
    TypesByUse types{};
    bool asks_idle = true;     // OBJECT IDLETIME
    bool asks_lengths = true;  // of those keys that matter, by their types' commands
};

// What a walk needs, as commandstats names it, the indispensable first: false when there is no room
// for that. Leaves out of `plan` what there is no room for beside it, and adds it to `left_out`.
[[nodiscard]] bool fit(KeyWalkPlan& plan, CommandRoom& room, std::vector<std::string>& left_out);

// A newer reading of the same server, from just before the walk begins.
void rebase(KeyWalkPlan& plan, const MemorySample& server);

// Pure: the commands of next() are sent as one pipeline, their replies given to take(). Every
// command is O(1) or bounded by its COUNT; MEMORY USAGE looks at five elements, and at more, still
// bounded, of the few keys that matter.
//
//   candidates ──► sample (SCAN from the start, RANDOMKEY in a cluster) ──► search by type ──►
//   lengths; after each of them but the last a closer look at the large keys that it found
//
// The search goes on while memory is unexplained; for lists and streams, which must not be evicted,
// also where all seems explained: a sample does not show one among a million.
class KeyWalk {
  public:
    explicit KeyWalk(KeyWalkPlan plan);

    // Empty: nothing is left to do.
    [[nodiscard]] std::vector<Command> next();
    void take(std::span<const resp::Reply> replies);
    // Ends it early: what is known stays known.
    void stop() noexcept { stage_ = Stage::done; }

    [[nodiscard]] KeySummary summary() const;
    // What the server refused, each once: "MEMORY USAGE: NOPERM …".
    [[nodiscard]] const std::vector<std::string>& refused() const noexcept { return refused_; }
    // 0 to 1, for whoever waits.
    [[nodiscard]] double progress() const noexcept;
    [[nodiscard]] std::string_view doing() const noexcept;
    // The candidates have been looked at, a large one closely enough to be named.
    [[nodiscard]] bool has_begun() const noexcept;
    [[nodiscard]] bool is_searching() const noexcept { return stage_ == Stage::search; }
    // Searches by type that have ended: each may have found what changes the picture.
    [[nodiscard]] std::int64_t searches() const noexcept { return searches_; }

  private:
    enum class Stage : std::uint8_t { candidates, sample, search, lengths, done };
    enum class Ask : std::uint8_t { names, facts, sizes, lengths };
    using Name = std::pair<std::int32_t, std::string>;

    void take_replies(std::span<const resp::Reply> replies);
    void advance();
    [[nodiscard]] bool is_missing() const;
    [[nodiscard]] bool is_worth_a_search(KeyType type, bool rare, const KeySummary& seen) const;
    [[nodiscard]] bool choose_type();
    void end_type();
    [[nodiscard]] bool look_closer();
    void take_sizes(std::span<const resp::Reply> replies);
    void begin_search();
    void next_pass();
    void select(std::int32_t db, std::vector<Command>& out);
    [[nodiscard]] std::vector<Command> ask_names();
    [[nodiscard]] std::vector<Command> ask_facts();
    [[nodiscard]] std::vector<Command> ask_lengths();
    void take_names(std::span<const resp::Reply> replies);
    void take_scan(const resp::Reply& reply);
    void take_facts(std::span<const resp::Reply> replies);
    void take_kind(std::span<const resp::Reply> replies, SampledKey& key);
    void take_lengths(std::span<const resp::Reply> replies);
    void note_refusal(std::string_view command, const resp::Reply& reply);
    [[nodiscard]] std::size_t share_of(std::int32_t db) const noexcept;
    [[nodiscard]] std::int64_t keys_of(std::int32_t db) const noexcept;
    void enqueue(std::string_view key);

    KeyWalkPlan plan_;
    Stage stage_ = Stage::candidates;
    Ask asked_ = Ask::names;
    bool asks_idle_ = false;

    std::vector<std::int32_t> databases_;  // that hold keys
    std::size_t at_database_ = 0;
    KeyType type_ = KeyType::other;  // that is searched for
    std::array<bool, key_type_names.size()> searched_types_{};
    std::int32_t selected_ = 0;
    bool selects_ = false;  // the pipeline begins with SELECT

    std::string cursor_ = "0";
    bool pass_over_ = false;  // the cursor came back to 0
    std::size_t drawn_in_database_ = 0;
    std::size_t draws_left_ = 0;  // RANDOMKEY may give the same key again
    std::int64_t searched_ = 0;   // keys passed by, in all passes
    std::int64_t searches_ = 0;
    std::int64_t keys_ = 0;

    std::vector<Name> waiting_;  // names whose facts are to be asked
    std::vector<Name> asked_names_;
    std::set<Name> seen_;
    std::vector<SampledKey> sampled_;
    std::vector<SampledKey> found_;
    CloserLook closer_;
    bool looked_closer_ = false;
    bool found_large_ = false;  // since the last look at what is missing
    std::vector<SampledKey> biggest_;
    std::vector<std::string> refused_;
};

}  // namespace spillway::policy
