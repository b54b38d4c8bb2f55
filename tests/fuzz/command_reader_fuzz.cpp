// Whatever a client sends, however it is cut: the same commands, nothing consumed that has not
// come.
#include "resp/command_reader.hpp"
#include "tests/unit/resp/command_trace.hpp"
#include "tests/unit/resp/pieces.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <string_view>

namespace {

using spillway::resp::test::byte_by_byte;
using spillway::resp::test::CommandTrace;
using spillway::resp::test::Pieces;
using spillway::resp::test::random_pieces;

constexpr std::size_t input_bytes_max = 4096;
// The time of a run byte by byte grows with the square.
constexpr std::size_t byte_by_byte_max = 512;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

CommandTrace read(const Pieces& pieces) {
    CommandTrace trace;
    for (const std::string_view piece : pieces) {
        trace.feed(piece);
    }
    if (!trace.broken_promise().empty()) {
        fail("broken promise: " + trace.broken_promise());
    }
    return trace;
}

// A number in braces stands for that many bytes, so that a small input reaches the bounds of the
// head: "{5000}" is 5,000 times 'x'. All stays below the 64 KB from which it depends on the pieces
// whether an inline command is refused.
std::string grown(std::string_view input) {
    constexpr std::size_t grown_bytes_max = 40'000;
    std::string text;
    for (std::size_t at = 0; at < input.size() && text.size() < grown_bytes_max;) {
        std::size_t end = at + 1;
        std::size_t count = 0;
        while (input[at] == '{' && end < input.size() && input[end] >= '0' && input[end] <= '9' &&
               count < 3000) {
            count = count * 10 + static_cast<std::size_t>(input[end++] - '0');
        }
        if (end > at + 1 && end < input.size() && input[end] == '}') {
            text.append(std::min(count, grown_bytes_max - text.size()), 'x');
            at = end + 1;
        } else {
            text.push_back(input[at++]);
        }
    }
    return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > input_bytes_max) {
        return 0;
    }
    const std::string input = grown({reinterpret_cast<const char*>(data), size});
    const CommandTrace whole = read({input});
    const auto same = [&](const Pieces& pieces, std::string_view way) {
        if (const std::string what = disagreement(whole, read(pieces)); !what.empty()) {
            fail(std::string(way) + ": " + what);
        }
    };
    if (input.size() <= byte_by_byte_max) {
        same(byte_by_byte(input), "byte by byte");
    }
    const std::size_t seed = std::hash<std::string_view>{}(input);
    std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
    for (int i = 0; i < 3; ++i) {
        same(random_pieces(input, random), "random pieces");
    }
    return 0;
}
