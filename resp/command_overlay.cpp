// Takes over what a COMMAND reply says of each command, and survives whatever else it says.
#include "resp/command_table.hpp"

#include <algorithm>
#include <utility>

namespace spillway::resp {

// Works on a copy of the base and hands it out only if the list held something.
class CommandOverlay {
  public:
    explicit CommandOverlay(const CommandTable& base) : base_(base), table_(base) {
        table_.overlay_counts_ = {};
        for (CommandInfo& command : table_.commands_) {
            command.live = false;
            command.movable_keys = false;
        }
    }

    CommandTable apply(const Reply& list) {
        if (list.is_list()) {
            for (const Reply& entry : list.elements) {
                const CommandId id = take(entry, no_command);
                if (id != no_command && entry.elements.size() > subcommands_field) {
                    take_subcommands(entry.elements[subcommands_field], id);
                }
            }
        }
        if (table_.overlay_counts_.taken == 0) {
            CommandTable unchanged = base_;
            unchanged.overlay_counts_ = table_.overlay_counts_;
            return unchanged;
        }
        settle_flags();
        return std::move(table_);
    }

  private:
    // Where the fields of an entry stand.
    static constexpr std::size_t name_field = 0;
    static constexpr std::size_t arity_field = 1;
    static constexpr std::size_t flags_field = 2;
    static constexpr std::size_t first_field = 3;
    static constexpr std::size_t last_field = 4;
    static constexpr std::size_t step_field = 5;
    static constexpr std::size_t subcommands_field = 9;

    // Name and flags are what an entry is read for; it may lack the rest.
    static bool has_shape(const Reply& entry) {
        return entry.is_list() && entry.elements.size() > flags_field &&
               entry.elements[name_field].is_text() && entry.elements[flags_field].is_list();
    }

    static bool has_flag(const Reply& flags, std::string_view flag) {
        return std::any_of(flags.elements.begin(), flags.elements.end(), [flag](const Reply& each) {
            return each.is_text() && each.text == flag;
        });
    }

    // Subcommands are listed by their full name, "container|sub"; `container` is of the table.
    static std::string_view own_name(std::string_view name, CommandId container) {
        return container == no_command ? name : name.substr(name.find('|') + 1);
    }

    // The command that the entry tells of, or no_command.
    CommandId take(const Reply& entry, CommandId container) {
        OverlayCounts& counts = table_.overlay_counts_;
        CommandInfo* command = nullptr;
        if (has_shape(entry)) {
            command =
                table_.find_or_add(container, own_name(entry.elements[name_field].text, container));
        }
        if (command == nullptr) {
            ++counts.skipped;
            return no_command;
        }
        counts.taken += command->live ? 0 : 1;
        counts.unknown += command->live || command->known ? 0 : 1;
        const Reply& flags = entry.elements[flags_field];
        command->live = true;
        command->denyoom = has_flag(flags, "denyoom");
        command->write = has_flag(flags, "write");
        const std::int64_t arity = entry.elements[arity_field].integer;
        command->arity =
            static_cast<std::int16_t>(std::clamp<std::int64_t>(arity, INT16_MIN, INT16_MAX));
        command->movable_keys = has_flag(flags, "movablekeys");
        if (!command->known) {
            // A read may be flagged denyoom, too (searches of some modules); reads never grow.
            const bool grows = command->denyoom && !has_flag(flags, "readonly");
            command->growth = grows ? Growth::proportional : Growth::other;
            command->cost = {
                .per_command = static_cast<std::uint16_t>(grows ? unknown_key_bytes : 0)};
        }
        take_keys(entry, *command);
        return command->id;
    }

    void take_subcommands(const Reply& list, CommandId container) {
        if (!list.is_list() || list.elements.empty()) {
            return;
        }
        bool any = false;
        for (const Reply& entry : list.elements) {
            any = take(entry, container) != no_command || any;
        }
        if (any) {
            table_.commands_[container].has_subcommands = true;
            listed_subcommands_.push_back(container);
        }
    }

    // Our own facts are finer where a count or a word decides. A server that has no fixed positions
    // says 0.
    static void take_keys(const Reply& entry, CommandInfo& command) {
        if (command.keys.numkeys_at != 0 || command.keys.word != KeyWord::none) {
            return;
        }
        if (entry.elements.size() <= step_field) {
            return;
        }
        // Where no number stands, 0 is read.
        const std::int64_t first = entry.elements[first_field].integer;
        const std::int64_t last = entry.elements[last_field].integer;
        const std::int64_t step = entry.elements[step_field].integer;
        if (first < 1 || first > 127 || last < -128 || last > 127 || step < 1 || step > 127) {
            return;
        }
        command.keys = {
            .first = static_cast<std::int8_t>(first),
            .last = static_cast<std::int8_t>(last),
            .step = static_cast<std::int8_t>(step),
        };
    }

    void settle_flags() {
        const auto& commands = table_.commands_;
        const bool any = std::any_of(commands.begin(), commands.end(), [](const CommandInfo& each) {
            return each.live && each.denyoom;
        });
        table_.overlay_counts_.flags_hidden = !any;
        for (CommandInfo& command : table_.commands_) {
            if (!any) {
                if (command.id < base_.count()) {
                    command.denyoom = base_.at(command.id).denyoom;
                    command.write = base_.at(command.id).write;
                }
            } else if (!command.live) {
                command.denyoom = inherited_denyoom(command);
            }
        }
    }

    // Before Redis 7.0 a container stood for all its subcommands. Its own flag is settled by now,
    // since its id is the smaller one.
    [[nodiscard]] bool inherited_denyoom(const CommandInfo& command) const {
        if (command.container == no_command) {
            return false;
        }
        const CommandInfo& container = table_.commands_[command.container];
        const auto& listed = listed_subcommands_;
        return container.denyoom &&
               std::find(listed.begin(), listed.end(), container.id) == listed.end();
    }

    static constexpr std::uint16_t unknown_key_bytes = 100;  // a new key, whatever its type

    const CommandTable& base_;
    CommandTable table_;
    std::vector<CommandId> listed_subcommands_;  // containers whose subcommands the server lists
};

CommandTable overlay(const CommandTable& base, const Reply& command_reply) {
    return CommandOverlay(base).apply(command_reply);
}

}  // namespace spillway::resp
