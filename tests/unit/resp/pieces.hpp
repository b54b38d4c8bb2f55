// Cuts input into pieces, as a network may: byte by byte, or at places drawn by a seeded generator.
#pragma once

#include <algorithm>
#include <cstddef>
#include <random>
#include <string_view>
#include <vector>

namespace spillway::resp::test {

using Pieces = std::vector<std::string_view>;

inline Pieces byte_by_byte(std::string_view input) {
    Pieces pieces;
    for (std::size_t at = 0; at < input.size(); ++at) {
        pieces.push_back(input.substr(at, 1));
    }
    return pieces;
}

// Short pieces, and about as many long ones: their number stays small.
inline Pieces random_pieces(std::string_view input, std::mt19937& random) {
    Pieces pieces;
    while (!input.empty()) {
        const std::size_t longest = random() % 2 == 0 ? input.size() : 12;
        const std::size_t size = std::min(1 + random() % longest, input.size());
        pieces.push_back(input.substr(0, size));
        input.remove_prefix(size);
    }
    return pieces;
}

}  // namespace spillway::resp::test
