// Hands input to a test in pieces: whole, cut in two at every place, and byte by byte.
#pragma once

#include "tests/unit/resp/pieces.hpp"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace spillway::resp::test {

// Calls `check` with each way to cut the input, until the first failure. Long inputs are cut in two
// at some hundred places: around both ends and with a stride that meets every place modulo small
// powers of two.
template <typename Check>
void at_every_split(std::string_view input, const Check& check) {
    constexpr std::size_t all_places_max = 1024;
    constexpr std::size_t near_end = 64;
    constexpr std::size_t stride = 101;
    const auto passes = [&](const Pieces& pieces) {
        SCOPED_TRACE(
            pieces.size() == 2 ? "cut at " + std::to_string(pieces[0].size())
                               : std::to_string(pieces.size()) + " pieces"
        );
        check(pieces);
        return !testing::Test::HasFailure();
    };
    bool passed = passes(Pieces{input});
    for (std::size_t at = 1; at < input.size() && passed;) {
        passed = passes(Pieces{input.substr(0, at), input.substr(at)});
        const bool near = at < near_end || at + near_end + stride > input.size();
        at += near || input.size() <= all_places_max ? 1 : stride;
    }
    if (passed) {
        passes(byte_by_byte(input));
    }
}

}  // namespace spillway::resp::test
