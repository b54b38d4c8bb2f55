// Prints what the readers of commands and replies make of given bytes, for tests that hold it
// against a real server.
//
// Input, any number of times: `requests <seed> <size>\n` or `replies <seed> <size>\n`, and <size>
// bytes. They are read in pieces drawn from the seed; 0 reads them whole. One line of JSON comes
// back each time.
#include "tests/unit/resp/command_trace.hpp"
#include "tests/unit/resp/pieces.hpp"
#include "tests/unit/resp/reply_trace.hpp"

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <string_view>

namespace {

using spillway::resp::test::CommandTrace;
using spillway::resp::test::InputEnd;
using spillway::resp::test::Pieces;
using spillway::resp::test::random_pieces;
using spillway::resp::test::ReplyTrace;
using spillway::resp::test::SeenCommand;

std::string hex(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        result += {digits[byte / 16], digits[byte % 16]};
    }
    return result;
}

std::string_view name_of(InputEnd end) {
    switch (end) {
        case InputEnd::boundary:
            return "boundary";
        case InputEnd::head:
            return "head";
        case InputEnd::body:
            return "body";
        case InputEnd::malformed:
            return "malformed";
    }
    return "";
}

void print(const SeenCommand& command) {
    std::cout << "{\"count\":" << command.count << ",\"bytes\":" << command.argument_bytes
              << ",\"arguments\":[";
    std::string_view separator;
    for (const auto& argument : command.arguments) {
        std::cout << separator << "[" << argument.length << ",\"" << hex(argument.text) << "\"]";
        separator = ",";
    }
    std::cout << "]}";
}

void print(const CommandTrace& trace) {
    std::cout << "{\"end\":\"" << name_of(trace.end()) << "\",\"settled\":" << trace.settled()
              << ",\"blanks\":" << trace.blanks() << ",\"commands\":[";
    std::string_view separator;
    for (const SeenCommand& command : trace.commands()) {
        std::cout << separator;
        print(command);
        separator = ",";
    }
    std::cout << "],\"open\":";
    trace.open() ? print(*trace.open()) : void(std::cout << "null");
    std::cout << ",\"broken_promise\":\"" << trace.broken_promise() << "\"}\n";
}

void print(const ReplyTrace& trace) {
    std::cout << "{\"events\":[";
    std::string_view separator;
    for (const std::string& line : trace.lines()) {
        std::cout << separator << '"' << line.substr(0, line.find(' ')) << '"';
        separator = ",";
    }
    std::cout << "],\"at_boundary\":" << (trace.at_boundary() ? "true" : "false")
              << ",\"broken_promise\":\"" << trace.broken_promise() << "\"}\n";
}

template <typename Trace>
void run(std::string_view input, const Pieces& pieces) {
    Trace trace;
    for (const std::string_view piece : pieces.empty() ? Pieces{input} : pieces) {
        trace.feed(piece);
    }
    print(trace);
}

}  // namespace

int main() {
    std::string kind;
    std::uint32_t seed = 0;
    std::size_t size = 0;
    while (std::cin >> kind >> seed >> size && std::cin.get() == '\n') {
        std::string input(size, '\0');
        if (!std::cin.read(input.data(), static_cast<std::streamsize>(size))) {
            return 1;
        }
        std::mt19937 random(seed);
        const Pieces pieces = seed == 0 ? Pieces{} : random_pieces(input, random);
        kind == "requests" ? run<CommandTrace>(input, pieces) : run<ReplyTrace>(input, pieces);
        std::cout.flush();
    }
    return 0;
}
