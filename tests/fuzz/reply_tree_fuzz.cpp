// Whatever a server sends: the tree stays within its limits, and an overlay made of it stays a
// table.
#include "resp/command_table.hpp"
#include "resp/reply_tree.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace {

using spillway::resp::CommandTable;
using spillway::resp::Reply;
using spillway::resp::ReplyLimits;
using spillway::resp::ReplyParse;

constexpr ReplyLimits limits{.bytes_max = 4096, .depth_max = 8, .elements_max = 500};

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_tree(const Reply& root, std::string_view bytes) {
    struct Visit {
        const Reply* reply;
        std::size_t depth;
    };
    std::vector<Visit> open{{&root, 0}};
    std::size_t elements = 0;
    while (!open.empty()) {
        const Visit visit = open.back();
        open.pop_back();
        const Reply& reply = *visit.reply;
        if (!reply.text.empty()) {
            require(reply.text.data() >= bytes.data());
            require(reply.text.data() + reply.text.size() <= bytes.data() + bytes.size());
        }
        require(reply.elements.empty() || visit.depth < limits.depth_max);
        elements += reply.elements.size();
        for (const Reply& element : reply.elements) {
            open.push_back({&element, visit.depth + 1});
        }
    }
    require(elements <= limits.elements_max);
}

void check_overlay(const Reply& reply) {
    static const CommandTable built_in;
    const CommandTable table = overlay(built_in, reply);
    require(table.count() >= built_in.count() && table.count() <= CommandTable::commands_max);
    for (const auto& command : table.commands().subspan(built_in.count())) {
        const std::string_view name = command.name();
        if (command.container == spillway::resp::no_command) {
            require(table.find(name) == &command);
        } else {
            const auto& container = table.at(command.container);
            require(
                table.find_sub(container, name.substr(container.name().size() + 1)) == &command
            );
        }
    }
    require(table.find("set") == &table.at(built_in.find("set")->id));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    Reply reply;
    const auto result = parse_reply(bytes, reply, limits);
    if (result.state != ReplyParse::complete) {
        require(reply.elements.empty() && reply.text.empty());
        require(result.state != ReplyParse::need_more || result.bytes > size);
        return 0;
    }
    require(result.bytes > 0 && result.bytes <= size && result.bytes <= limits.bytes_max);
    check_tree(reply, bytes.substr(0, result.bytes));

    // What is complete needs all of its bytes, and none behind them.
    Reply again;
    require(parse_reply(bytes.substr(0, result.bytes), again, limits).bytes == result.bytes);
    require(
        parse_reply(bytes.substr(0, result.bytes - 1), again, limits).state == ReplyParse::need_more
    );
    check_overlay(reply);
    return 0;
}
