// Finds what is known of a command by its name: our own facts, overlaid with what the live server
// says of itself.
#pragma once

#include "resp/command_facts.hpp"
#include "resp/reply_tree.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::resp {

// Index into one CommandTable: dense from 0, kept by every overlay on that table.
using CommandId = std::uint16_t;
inline constexpr CommandId no_command = 0xffff;

// The sets of commands that a rule may name, as "@growing", "@unbounded", "@script". Each stands
// for one `class` label.
enum class CommandGroup : std::uint8_t { growing, unbounded, script };

inline constexpr std::size_t command_name_bytes_max = 64;  // of "CONTAINER SUBCOMMAND" together

// One cache line holds the facts and the first half of the name.
struct alignas(64) CommandInfo {
    CommandId id = no_command;
    CommandId container = no_command;  // of a subcommand
    Growth growth = Growth::other;
    bool denyoom = false;          // the server refuses it at its limit
    bool write = false;            // may change the data set
    bool live = false;             // the server listed it
    bool known = false;            // our own facts hold it; else only what the server said
    bool movable_keys = false;     // the server says that its key positions do not tell all
    bool has_subcommands = false;  // look at argument 1, too
    Replies replies = Replies::one;
    SubscriptionKind subscription = SubscriptionKind::channel;
    Effect effect = Effect::none;
    KeyRange keys{};
    GrowthCost cost{};
    std::int16_t arity =
        0;  // arguments with the name: exactly, or at least when negative; 0 = not known
    std::uint8_t offset_at = 0;
    bool offset_in_bits = false;
    bool small_reply = false;

    // Upper case; "XGROUP CREATE" for a subcommand.
    [[nodiscard]] std::string_view name() const noexcept { return {name_bytes.data(), name_size}; }

    // False where the server will refuse the command for its number of arguments, before anything
    // else is looked at.
    [[nodiscard]] bool accepts(std::uint32_t argc) const noexcept {
        return arity >= 0 ? arity == 0 || argc == static_cast<std::uint32_t>(arity)
                          : argc >= static_cast<std::uint32_t>(-arity);
    }
    [[nodiscard]] bool in(CommandGroup group) const noexcept {
        switch (group) {
            case CommandGroup::growing:
                return growth == Growth::proportional || growth == Growth::offset;
            case CommandGroup::unbounded:
                return growth == Growth::unbounded;
            case CommandGroup::script:
                return growth == Growth::script;
        }
        return false;
    }

    // Zeros follow the name, so that the lookup may compare whole words.
    std::uint8_t name_size = 0;
    std::array<char, command_name_bytes_max + 8> name_bytes{};
};

// What an overlay made of the server's list.
struct OverlayCounts {
    std::size_t taken = 0;  // commands and subcommands
    // Entries of an unknown shape, with an unusable name, or beyond `commands_max`.
    std::size_t skipped = 0;
    // Of those taken, not in our own facts: modules, servers newer than we are.
    std::size_t unknown = 0;
    // No command was flagged denyoom, so the built-in flags stay.
    bool flags_hidden = false;
};

// Immutable once built; its CommandInfo stay where they are for as long as it lives, also when it
// is moved.
class CommandTable {
  public:
    static constexpr std::size_t commands_max = 4096;

    // The built-in facts alone.
    CommandTable();

    // In any letter case. Null for a name that nobody told us of, an empty one, or one above
    // `command_name_bytes_max`.
    [[nodiscard]] const CommandInfo* find(std::string_view name) const noexcept;
    // `container` must be of this table; null for a subcommand that nobody told us of: treat it as
    // its container.
    [[nodiscard]] const CommandInfo* find_sub(const CommandInfo& container, std::string_view sub)
        const noexcept;

    // `id` must be below count().
    [[nodiscard]] const CommandInfo& at(CommandId id) const noexcept { return commands_[id]; }
    [[nodiscard]] std::size_t count() const noexcept { return commands_.size(); }
    [[nodiscard]] std::span<const CommandInfo> commands() const noexcept { return commands_; }

    // All zero in a table that was never overlaid.
    [[nodiscard]] const OverlayCounts& overlay_counts() const noexcept { return overlay_counts_; }

  private:
    friend class CommandOverlay;

    [[nodiscard]] const CommandInfo* lookup(CommandId container, std::string_view name)
        const noexcept;
    // The command of that name, new if need be; null when the table is full or the name unusable.
    CommandInfo* find_or_add(CommandId container, std::string_view name);
    void insert_slot(const CommandInfo& command);

    std::vector<CommandInfo> commands_;
    // Open addressing: 16 bits of the hash, then id + 1; 0 = free.
    std::vector<std::uint32_t> slots_;
    OverlayCounts overlay_counts_;
};

// A table, and the commands that were lately found in it by the bytes of their name as sent:
// traffic is made of few commands, and most of a look-up is spent on letter case. One thread's.
class CommandLookup {
  public:
    // The built-in facts alone.
    CommandLookup() : CommandLookup(std::make_shared<const CommandTable>()) {}
    explicit CommandLookup(std::shared_ptr<const CommandTable> table) noexcept
        : table_(std::move(table)) {}

    [[nodiscard]] const CommandTable& table() const noexcept { return *table_; }
    // As table().find(name).
    [[nodiscard]] const CommandInfo* find(std::string_view name) noexcept;

  private:
    struct Entry {
        std::uint64_t key = 0;  // the name's bytes, and its size on top; 0 = free
        const CommandInfo* command = nullptr;
    };
    static constexpr unsigned entries_log2 = 5;

    std::shared_ptr<const CommandTable> table_;
    std::array<Entry, std::size_t{1} << entries_log2> entries_{};
};

// `base` with the flags and key positions of a COMMAND reply (RESP2 or RESP3; 6.2's 7 fields
// or 7.0's 10; subcommands nested as of Redis 7.0). The live list wins: what it leaves out is not
// denyoom. A reply without a usable entry changes nothing.
[[nodiscard]] CommandTable overlay(const CommandTable& base, const Reply& command_reply);

}  // namespace spillway::resp
