// Looks names up by folding eight letters at a time; takes over what a COMMAND reply says of each
// command.
#include "resp/command_table.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

namespace spillway::resp {
namespace {

// Words of a name are put together from loads at overlapping places, which shifts bytes by their
// place in memory.
static_assert(
    std::endian::native == std::endian::little, "names are folded as little-endian words"
);

constexpr std::size_t word_bytes = 8;

std::uint64_t load_word(const char* at) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// The first `size` bytes at `at`, zeros above; reads none beyond them. `size` is at most 8.
[[gnu::always_inline]] inline std::uint64_t load_part(const char* at, std::size_t size) noexcept {
    if (size == word_bytes) {
        return load_word(at);
    }
    if (size >= 4) {
        std::uint32_t low = 0;
        std::uint32_t high = 0;
        std::memcpy(&low, at, sizeof low);
        std::memcpy(&high, at + size - sizeof high, sizeof high);
        return low | std::uint64_t{high} << (8 * (size - sizeof high));
    }
    if (size == 0) {
        return 0;
    }
    const auto byte = [at](std::size_t i) {
        return std::uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
    };
    return byte(0) | byte(size / 2) | byte(size - 1);
}

// Upper case of the ASCII letters among eight bytes; all other bytes stay.
constexpr std::uint64_t fold(std::uint64_t word) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t high_bits = 0x80 * ones;
    const std::uint64_t low_seven = word & ~high_bits;
    const std::uint64_t from_a = low_seven + (0x80 - 'a') * ones;
    const std::uint64_t above_z = low_seven + (0x80 - 'z' - 1) * ones;
    const std::uint64_t letters = (from_a & ~above_z) & ~word & high_bits;
    return word - (letters >> 2U);
}
static_assert(
    fold(0x7b7a61605b5a4140) == 0x7b5a41605b5a4140, "only a to z change: { z a ` [ Z A @"
);
static_assert(
    fold(0xfae1c1da002f397f) == 0xfae1c1da002f397f,
    "no byte outside ASCII changes, nor do others carry"
);

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t word) noexcept {
    hash = (hash ^ word) * 0x9fb21c651e98df25;
    return hash ^ hash >> 32U;
}

// A folded name of up to 8 bytes, as nearly all names are: one word, never written to memory.
class ShortName {
  public:
    ShortName(CommandId container, std::string_view name) noexcept
        : word_(fold(load_part(name.data(), name.size()))),
          hash_(mix(container, word_)),
          size_(name.size()) {}

    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

    // Zeros must follow the stored name up to a whole word.
    [[nodiscard]] bool equals(const char* stored, std::size_t stored_size) const noexcept {
        return stored_size == size_ && load_word(stored) == word_;
    }

  private:
    std::uint64_t word_;
    std::uint64_t hash_;
    std::size_t size_;
};

// A folded name of up to 64 bytes; only the words that it needs are written.
class LongName {
  public:
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): zeroing 64 bytes costs a lookup
    LongName(CommandId container, std::string_view name) noexcept
        : hash_(container), size_(name.size()) {
        for (std::size_t begin = 0; begin < size_; begin += word_bytes) {
            const std::size_t part = std::min(size_ - begin, word_bytes);
            const std::uint64_t word = fold(load_part(name.data() + begin, part));
            words_[begin / word_bytes] = word;
            hash_ = mix(hash_, word);
        }
    }

    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

    // As ShortName's.
    [[nodiscard]] bool equals(const char* stored, std::size_t stored_size) const noexcept {
        if (stored_size != size_) {
            return false;
        }
        for (std::size_t begin = 0; begin < size_; begin += word_bytes) {
            if (load_word(stored + begin) != words_[begin / word_bytes]) {
                return false;
            }
        }
        return true;
    }

    void write(char* out) const noexcept { std::memcpy(out, words_.data(), size_); }

  private:
    std::array<std::uint64_t, command_name_bytes_max / word_bytes> words_;
    std::uint64_t hash_;
    std::size_t size_;
};

constexpr std::uint32_t tag_mask = 0xffff0000;
constexpr std::size_t slots_initial = 2048;  // a power of two, as is every size that follows

constexpr std::uint32_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash >> 32U) & tag_mask;
}

// What stands before a subcommand's own name: its container's, and a space.
std::size_t prefix_size(std::span<const CommandInfo> commands, CommandId container) noexcept {
    return container == no_command ? 0 : commands[container].name_size + std::size_t{1};
}

// Printable ASCII without the separators that names are put together with.
bool usable_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= command_name_bytes_max &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return c > ' ' && c < '\x7f' && c != '|';
           });
}

// At most half of the slots are taken, so a free one ends every walk.
template <typename Name>
const CommandInfo* probe(
    std::span<const std::uint32_t> slots,
    std::span<const CommandInfo> commands,
    CommandId container,
    const Name& name
) noexcept {
    const std::size_t mask = slots.size() - 1;
    const std::uint32_t tag = tag_of(name.hash());
    const std::size_t prefix = prefix_size(commands, container);
    for (std::size_t i = name.hash() & mask;; i = (i + 1) & mask) {
        const std::uint32_t slot = slots[i];
        if (slot == 0) {
            return nullptr;
        }
        if ((slot & tag_mask) != tag) {
            continue;
        }
        const CommandInfo& command = commands[(slot & ~tag_mask) - 1];
        if (command.container == container &&
            name.equals(command.name_bytes.data() + prefix, command.name_size - prefix)) {
            return &command;
        }
    }
}

}  // namespace

CommandTable::CommandTable() : slots_(slots_initial) {
    const auto facts = command_facts();
    commands_.reserve(facts.size());
    for (const CommandFacts& fact : facts) {
        const std::size_t bar = fact.name.find('|');
        CommandId container = no_command;
        std::string_view name = fact.name;
        if (bar != std::string_view::npos) {
            CommandInfo* outer = find_or_add(no_command, fact.name.substr(0, bar));
            assert(outer != nullptr);
            outer->has_subcommands = true;
            container = outer->id;
            name.remove_prefix(bar + 1);
        }
        CommandInfo* info = find_or_add(container, name);
        assert(info != nullptr);
        info->known = true;
        info->growth = fact.growth;
        info->denyoom = fact.denyoom;
        info->write = fact.write;
        info->replies = fact.replies;
        info->subscription = fact.subscription;
        info->effect = fact.effect;
        info->keys = fact.keys;
        info->cost = fact.cost;
        info->offset_at = fact.offset_at;
        info->offset_in_bits = fact.offset_in_bits;
        info->small_reply = fact.small_reply;
    }
}

const CommandInfo* CommandTable::find(std::string_view name) const noexcept {
    return lookup(no_command, name);
}

const CommandInfo* CommandTable::find_sub(const CommandInfo& container, std::string_view sub)
    const noexcept {
    return container.has_subcommands ? lookup(container.id, sub) : nullptr;
}

const CommandInfo* CommandTable::lookup(CommandId container, std::string_view name) const noexcept {
    if (name.size() > command_name_bytes_max) {
        return nullptr;
    }
    if (name.size() <= word_bytes) {
        return probe(slots_, commands_, container, ShortName(container, name));
    }
    return probe(slots_, commands_, container, LongName(container, name));
}

const CommandInfo* CommandLookup::find(std::string_view name) noexcept {
    if (name.size() >= word_bytes || name.empty()) {
        return table_->find(name);
    }
    const std::uint64_t key = load_part(name.data(), name.size()) | std::uint64_t{name.size()}
                                                                        << 56U;
    Entry& entry = entries_.data()[mix(0, key) >> (64U - entries_log2)];
    if (entry.key != key) {
        entry = {key, table_->find(name)};
    }
    return entry.command;
}

CommandInfo* CommandTable::find_or_add(CommandId container, std::string_view name) {
    if (!usable_name(name)) {
        return nullptr;
    }
    if (const CommandInfo* found = lookup(container, name)) {
        return &commands_[found->id];
    }
    std::size_t prefix = 0;
    CommandInfo command;
    if (container != no_command) {
        const std::string_view outer = commands_[container].name();
        prefix = outer.size() + 1;
        if (prefix + name.size() > command_name_bytes_max) {
            return nullptr;
        }
        std::memcpy(command.name_bytes.data(), outer.data(), outer.size());
        command.name_bytes[outer.size()] = ' ';
    }
    if (commands_.size() >= commands_max) {
        return nullptr;
    }
    LongName(container, name).write(command.name_bytes.data() + prefix);
    command.name_size = static_cast<std::uint8_t>(prefix + name.size());
    command.id = static_cast<CommandId>(commands_.size());
    command.container = container;
    commands_.push_back(command);
    if (commands_.size() * 2 > slots_.size()) {
        slots_.assign(slots_.size() * 4, 0);
        for (const CommandInfo& each : commands_) {
            insert_slot(each);
        }
    } else {
        insert_slot(command);
    }
    return &commands_.back();
}

void CommandTable::insert_slot(const CommandInfo& command) {
    const std::string_view name = command.name().substr(prefix_size(commands_, command.container));
    const std::uint64_t hash = LongName(command.container, name).hash();
    const std::size_t mask = slots_.size() - 1;
    std::size_t i = hash & mask;
    while (slots_[i] != 0) {
        i = (i + 1) & mask;
    }
    slots_[i] = tag_of(hash) | (std::uint32_t{command.id} + 1);
}

}  // namespace spillway::resp
