// Whatever a backend sends, however it is cut: the same events at the same places, and bounded
// copies.
#include "resp/reply_reader.hpp"
#include "tests/unit/resp/pieces.hpp"
#include "tests/unit/resp/reply_trace.hpp"

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
using spillway::resp::test::Pieces;
using spillway::resp::test::random_pieces;
using spillway::resp::test::ReplyTrace;

// More would only make the byte-by-byte run slow.
constexpr std::size_t input_bytes_max = 4096;

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::abort();
}

ReplyTrace read(const Pieces& pieces) {
    ReplyTrace trace;
    for (const std::string_view piece : pieces) {
        trace.feed(piece);
    }
    if (!trace.broken_promise().empty()) {
        fail("broken promise: " + trace.broken_promise());
    }
    return trace;
}

std::string difference(const ReplyTrace& a, const ReplyTrace& b) {
    for (std::size_t i = 0; i < a.lines().size() || i < b.lines().size(); ++i) {
        const std::string x = i < a.lines().size() ? a.lines()[i] : "nothing";
        const std::string y = i < b.lines().size() ? b.lines()[i] : "nothing";
        if (x != y) {
            return x + " | " + y;
        }
    }
    if (a.lost() != b.lost() || (!a.lost() && a.at_boundary() != b.at_boundary())) {
        return "how the input ends";
    }
    return a.settled() == b.settled() ? "" : "where the last reply ends";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > input_bytes_max) {
        return 0;
    }
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const ReplyTrace whole = read({input});
    const auto same = [&](const Pieces& pieces, std::string_view way) {
        if (const std::string what = difference(whole, read(pieces)); !what.empty()) {
            fail(std::string(way) + ": " + what);
        }
    };
    same(byte_by_byte(input), "byte by byte");
    const std::size_t seed = std::hash<std::string_view>{}(input);
    std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
    for (int i = 0; i < 3; ++i) {
        same(random_pieces(input, random), "random pieces");
    }
    return 0;
}
