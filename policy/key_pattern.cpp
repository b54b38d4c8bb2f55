// Turns keys into what may be shown: masked patterns by which keys are counted, hashes, or
// printable text.
#include "policy/key_pattern.hpp"

#include "policy/utf8.hpp"

#include <algorithm>
#include <bit>

namespace spillway::policy {
namespace {

constexpr std::string_view separators = ":/._-{}|";
constexpr std::string_view hex_alphabet = "0123456789abcdef";
constexpr std::string_view cut_mark = "...";

constexpr std::size_t hex_word_min = 8;      // "deadbeef": no such words
constexpr std::size_t random_word_min = 16;  // from here on the mix of letters is judged
constexpr std::size_t word_max = 32;         // beyond it nothing is a word

// What a byte may be, as bits: one look at each byte of a part says nearly all.
constexpr unsigned separator = 1;
constexpr unsigned id_mark = 2;  // a digit, or the '@' of an address, which names a person
constexpr unsigned hex = 4;
constexpr unsigned upper = 8;
constexpr unsigned lower = 16;
constexpr unsigned vowel = 32;
constexpr unsigned printable = 64;

[[nodiscard]] constexpr std::array<std::uint8_t, 256> trait_table() {
    std::array<std::uint8_t, 256> table{};
    for (std::size_t i = 0; i < table.size(); ++i) {
        const char c = static_cast<char>(i);
        const bool digit = c >= '0' && c <= '9';
        const bool is_upper = c >= 'A' && c <= 'Z';
        const bool is_lower = c >= 'a' && c <= 'z';
        unsigned of_c = 0;
        of_c |= separators.find(c) != std::string_view::npos ? separator : 0U;
        of_c |= digit || c == '@' ? id_mark : 0U;
        of_c |= digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ? hex : 0U;
        of_c |= is_upper ? upper : 0U;
        of_c |= is_lower ? lower : 0U;
        of_c |= std::string_view("aeiouyAEIOUY").find(c) != std::string_view::npos ? vowel : 0U;
        of_c |= i >= 0x20 && i < 0x7f ? printable : 0U;
        table[i] = static_cast<std::uint8_t>(of_c);
    }
    return table;
}

constexpr std::array<std::uint8_t, 256> traits = trait_table();

[[nodiscard]] constexpr unsigned traits_of(char c) noexcept {
    return traits[static_cast<std::uint8_t>(c)];
}

[[nodiscard]] std::ptrdiff_t count(std::string_view part, unsigned trait) noexcept {
    return std::count_if(part.begin(), part.end(), [trait](char c) {
        return (traits_of(c) & trait) != 0;
    });
}

// A part of a key, with what any and all of its bytes are.
struct Part {
    std::string_view text;
    unsigned any = 0;
    unsigned all = ~0U;
};

[[nodiscard]] Part part_at_start_of(std::string_view rest) noexcept {
    Part part;
    std::size_t size = 0;
    for (; size < rest.size(); ++size) {
        const unsigned t = traits_of(rest[size]);
        if ((t & separator) != 0) {
            break;
        }
        part.any |= t;
        part.all &= t;
    }
    part.text = rest.substr(0, size);
    return part;
}

[[nodiscard]] bool is_text(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        const auto length = utf8_character(bytes);
        if (length == 0) {
            return false;
        }
        bytes.remove_prefix(length);
    }
    return true;
}

// Letters drawn at random: both cases about equally often, or too few vowels for any language
// written in them.
[[nodiscard]] bool is_random_word(std::string_view part) noexcept {
    const auto size = static_cast<std::ptrdiff_t>(part.size());
    const auto uppers = count(part, upper);
    const auto lowers = count(part, lower);
    if (uppers + lowers < size) {
        return part.find(' ') ==
               std::string_view::npos;  // '+', '=' and the like between so many letters: base64
    }
    return (uppers * 10 >= size * 3 && lowers * 10 >= size * 3) || count(part, vowel) * 5 < size;
}

[[nodiscard]] bool looks_like_id(const Part& part) noexcept {
    const std::size_t size = part.text.size();
    if (size == 0) {
        return false;
    }
    if ((part.any & id_mark) != 0 || size > word_max ||
        (size >= hex_word_min && (part.all & hex) != 0)) {
        return true;
    }
    if ((part.all & printable) == 0) {
        return !is_text(part.text);
    }
    return size >= random_word_min && is_random_word(part.text);
}

// 8-4-4-4-12 hexadecimal digits: one id though it contains separators, so that a group of letters
// does not stay.
[[nodiscard]] bool starts_with_uuid(std::string_view text) noexcept {
    constexpr std::size_t uuid_bytes = 36;
    if (text.size() < uuid_bytes || text[8] != '-' ||
        (text.size() > uuid_bytes && (traits_of(text[uuid_bytes]) & separator) == 0)) {
        return false;
    }
    for (std::size_t i = 0; i < uuid_bytes; ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : (traits_of(text[i]) & hex) == 0) {
            return false;
        }
    }
    return true;
}

// Appends while there is room for the mark that says it was cut.
class PatternWriter {
  public:
    explicit PatternWriter(PatternBuffer& buffer) noexcept : buffer_(buffer) {}

    void put(char c) noexcept { put(std::string_view(&c, 1)); }

    void put_plain(std::string_view part) noexcept {
        const std::size_t room = buffer_.size() - cut_mark.size() - size_;
        if (full_ || part.size() > room) {
            part = full_ ? std::string_view{} : part.substr(0, room);
            full_ = true;
        }
        size_ += part.copy(buffer_.data() + size_, part.size());
    }

    void put_escaped(std::string_view part) noexcept {
        for (const char c : part) {
            if (c >= ' ' && c < '\x7f') {
                put(c);
            } else {
                const auto byte = static_cast<std::uint8_t>(c);
                const std::array<char, 4> escape = {
                    '\\', 'x', hex_alphabet[byte >> 4U], hex_alphabet[byte & 15U]};
                put(std::string_view(escape.data(), escape.size()));
            }
        }
    }

    [[nodiscard]] bool full() const noexcept { return full_; }

    [[nodiscard]] std::string_view finish() noexcept {
        if (full_) {
            size_ += cut_mark.copy(buffer_.data() + size_, cut_mark.size());
        }
        return {buffer_.data(), size_};
    }

  private:
    void put(std::string_view text) noexcept {
        if (full_ || size_ + text.size() > buffer_.size() - cut_mark.size()) {
            full_ = true;
            return;
        }
        size_ += text.copy(buffer_.data() + size_, text.size());
    }

    PatternBuffer& buffer_;
    std::size_t size_ = 0;
    bool full_ = false;
};

// SipHash-2-4 (Aumasson, Bernstein): with a secret, the hash of a short key cannot be looked up in
// a table.
[[nodiscard]] std::uint64_t siphash(
    std::string_view text, const std::array<std::uint64_t, 2>& secret
) noexcept {
    std::array<std::uint64_t, 4> v = {
        secret[0] ^ 0x736f6d6570736575U,
        secret[1] ^ 0x646f72616e646f6dU,
        secret[0] ^ 0x6c7967656e657261U,
        secret[1] ^ 0x7465646279746573U};
    const auto rounds = [&v](int count) {
        for (int i = 0; i < count; ++i) {
            v[0] += v[1];
            v[1] = std::rotl(v[1], 13) ^ v[0];
            v[0] = std::rotl(v[0], 32);
            v[2] += v[3];
            v[3] = std::rotl(v[3], 16) ^ v[2];
            v[0] += v[3];
            v[3] = std::rotl(v[3], 21) ^ v[0];
            v[2] += v[1];
            v[1] = std::rotl(v[1], 17) ^ v[2];
            v[2] = std::rotl(v[2], 32);
        }
    };
    const auto absorb = [&](std::uint64_t word) {
        v[3] ^= word;
        rounds(2);
        v[0] ^= word;
    };
    const std::uint64_t length_byte = static_cast<std::uint64_t>(text.size() & 0xFFU) << 56U;
    const auto little_endian = [](std::string_view bytes) {
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            word |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
        }
        return word;
    };
    for (; text.size() >= 8; text.remove_prefix(8)) {
        absorb(little_endian(text.substr(0, 8)));
    }
    absorb(little_endian(text) | length_byte);
    v[2] ^= 0xFF;
    rounds(4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

[[nodiscard]] std::string hash_text(std::string_view text, const KeyDisplay& display) {
    std::uint64_t hash = siphash(text, display.secret);
    std::string out(17, '#');
    for (std::size_t i = 16; i > 0; --i, hash >>= 4U) {
        out[i] = hex_alphabet[hash & 15U];
    }
    return out;
}

[[nodiscard]] std::string full_text(std::string_view key) {
    std::string out;
    for (const char c : key.substr(0, pattern_key_bytes_max)) {
        if (c >= ' ' && c < '\x7f') {
            out.push_back(c);
        } else {
            const auto byte = static_cast<std::uint8_t>(c);
            out.append("\\x")
                .append(1, hex_alphabet[byte >> 4U])
                .append(1, hex_alphabet[byte & 15U]);
        }
    }
    if (key.size() > pattern_key_bytes_max) {
        out.append(cut_mark);
    }
    return out;
}

}  // namespace

std::string_view key_pattern(std::string_view key, PatternBuffer& buffer) noexcept {
    PatternWriter out(buffer);
    std::string_view rest = key.substr(0, pattern_key_bytes_max);
    std::size_t uuid_left = 0;
    const bool cut = key.size() >= pattern_key_bytes_max;  // by whoever gave it, or here
    while (!rest.empty() && !out.full()) {
        if (uuid_left == 0 && starts_with_uuid(rest)) {
            uuid_left = 5;
        }
        const Part part = part_at_start_of(rest);
        // What is left of a part that was cut depends on the lengths of those before it.
        if (uuid_left > 0 || looks_like_id(part) || (cut && part.text.size() == rest.size())) {
            out.put('*');
        } else if ((part.all & printable) != 0) {
            out.put_plain(part.text);
        } else {
            out.put_escaped(part.text);
        }
        uuid_left -= uuid_left > 0 ? 1 : 0;
        rest.remove_prefix(part.text.size());
        if (!rest.empty()) {
            out.put(rest.front());
            rest.remove_prefix(1);
            if (cut && rest.empty()) {
                out.put('*');
            }
        }
    }
    return out.finish();
}

std::string display_key(std::string_view key, const KeyDisplay& display) {
    switch (display.mode) {
        case KeyMode::full:
            return full_text(key);
        case KeyMode::pattern: {
            PatternBuffer buffer;
            return std::string(key_pattern(key, buffer));
        }
        case KeyMode::hash:
            return key.empty() ? std::string{} : hash_text(key, display);
        case KeyMode::none:
            break;
    }
    return {};
}

std::string display_pattern(std::string_view pattern, const KeyDisplay& display) {
    switch (display.mode) {
        case KeyMode::full:
        case KeyMode::pattern:
            return std::string(pattern);
        case KeyMode::hash:
            return pattern.empty() ? std::string{} : hash_text(pattern, display);
        case KeyMode::none:
            break;
    }
    return {};
}

}  // namespace spillway::policy
