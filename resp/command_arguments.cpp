// The arithmetic behind key positions, offsets and costs, safe whatever a client sends.
#include "resp/command_arguments.hpp"

#include "resp/number.hpp"

#include <limits>
#include <optional>

namespace spillway::resp {
namespace {

// `upper` is in upper case.
bool equals_word(std::string_view text, std::string_view upper) noexcept {
    return text.size() == upper.size() &&
           std::equal(text.begin(), text.end(), upper.begin(), [](char a, char b) {
               return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
           });
}

constexpr std::uint64_t bits_max = std::numeric_limits<std::uint64_t>::max() / 2;

std::optional<std::uint64_t> parse_offset(std::string_view text) noexcept {
    const std::optional<std::int64_t> value = parse_canonical(text);
    if (!value || *value < 0) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(*value);
}

// "u8" or "i64": one to 64 bits, 63 when unsigned.
std::optional<std::uint64_t> parse_encoding_bits(std::string_view text) noexcept {
    if (text.empty() || (text.front() != 'i' && text.front() != 'u')) {
        return std::nullopt;
    }
    const std::optional<std::uint64_t> bits = parse_offset(text.substr(1));
    if (!bits || *bits < 1 || *bits > (text.front() == 'i' ? 64U : 63U)) {
        return std::nullopt;
    }
    return bits;
}

}  // namespace

namespace detail {

KeyIndexes::Run fixed_keys(const KeyRange& keys, std::size_t argc) noexcept {
    if (keys.first <= 0 || keys.step <= 0) {
        return {};
    }
    const auto first = static_cast<std::size_t>(int{keys.first});
    const auto step = static_cast<std::size_t>(int{keys.step});
    std::size_t last = 0;
    if (keys.last >= 0) {
        last = static_cast<std::size_t>(int{keys.last});
    } else {
        const auto from_end = static_cast<std::size_t>(-keys.last);
        last = argc > from_end ? argc - from_end : 0;
    }
    if (argc <= first || last < first) {
        return {};
    }
    last = std::min(last, argc - 1);
    return {.first = first, .count = (last - first) / step + 1, .step = step};
}

std::size_t numkeys_index(const KeyRange& keys) noexcept {
    return keys.numkeys_at > 0 ? static_cast<std::size_t>(int{keys.numkeys_at}) : 0;
}

KeyIndexes::Run counted_keys(
    const KeyRange& keys, std::size_t argc, std::string_view numkeys
) noexcept {
    const std::optional<std::uint64_t> count = parse_offset(numkeys);
    const std::size_t first = numkeys_index(keys) + 1;
    if (!count || *count == 0 || argc <= first) {
        return {};
    }
    const std::size_t step = keys.step > 0 ? static_cast<std::size_t>(int{keys.step}) : 1;
    if (*count - 1 > (argc - first - 1) / step) {
        return {};
    }
    return {.first = first, .count = static_cast<std::size_t>(*count), .step = step};
}

KeyIndexes::Run keys_behind_word(KeyWord word, std::size_t word_at, std::size_t argc) noexcept {
    if (word_at == 0 || word_at + 1 >= argc) {
        return {};
    }
    const std::size_t behind = argc - word_at - 1;
    return {.first = word_at + 1, .count = word == KeyWord::streams ? behind / 2 : 1, .step = 1};
}

bool is_key_word(KeyWord word, std::string_view text) noexcept {
    switch (word) {
        case KeyWord::none:
            return false;
        case KeyWord::streams:
            return equals_word(text, "STREAMS");
        case KeyWord::store:
            return equals_word(text, "STORE") || equals_word(text, "STOREDIST");
    }
    return false;
}

void BitfieldScan::feed(std::string_view argument) noexcept {
    switch (expect_) {
        case Expect::operation:
            writing_ = equals_word(argument, "SET") || equals_word(argument, "INCRBY");
            if (writing_ || equals_word(argument, "GET")) {
                expect_ = Expect::encoding;
            } else {
                expect_ = equals_word(argument, "OVERFLOW") ? Expect::overflow : Expect::refused;
            }
            break;
        case Expect::encoding: {
            const std::optional<std::uint64_t> bits = parse_encoding_bits(argument);
            bits_ = bits.value_or(0);
            expect_ = bits ? Expect::offset : Expect::refused;
            break;
        }
        case Expect::offset: {
            const bool in_fields = argument.starts_with('#');
            const std::optional<std::uint64_t> offset =
                parse_offset(argument.substr(in_fields ? 1 : 0));
            // As the server multiplies: what overflows may come out small.
            const std::uint64_t at = offset.value_or(0) * (in_fields ? bits_ : 1);
            if (!offset || at / 8 >= string_bytes_max) {  // where it begins counts
                expect_ = Expect::refused;
            } else if (writing_) {
                writes_ = true;
                bytes_reached_ = std::max(bytes_reached_, (at + bits_ + 7) / 8);
                expect_ = Expect::value;
            } else {
                expect_ = Expect::operation;
            }
            break;
        }
        case Expect::value:
        case Expect::overflow:
            expect_ = Expect::operation;
            break;
        case Expect::refused:
            break;
    }
    if (expect_ == Expect::refused) {
        writes_ = false;
        bytes_reached_ = 0;
    }
}

std::uint64_t bytes_reached_by(
    std::string_view offset_text, bool in_bits, std::uint64_t value_bytes
) noexcept {
    const std::optional<std::uint64_t> offset = parse_offset(offset_text);
    if (!offset) {
        return 0;
    }
    const std::uint64_t end = in_bits ? *offset / 8 + 1 : *offset + std::min(value_bytes, bits_max);
    return end <= string_bytes_max ? end : 0;
}

}  // namespace detail

std::uint64_t overhead_bytes(const GrowthCost& cost, std::size_t argc) noexcept {
    std::uint64_t elements = 0;
    if (cost.element_stride > 0 && argc > cost.first_element) {
        elements = (argc - cost.first_element + cost.element_stride - 1U) / cost.element_stride;
    }
    return cost.per_command + elements * cost.per_element;
}

}  // namespace spillway::resp
