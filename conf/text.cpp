// Quotes and lists words, and measures how far apart two of them are.
#include "conf/text.hpp"

#include <algorithm>
#include <array>

namespace spillway::conf {

namespace {

constexpr std::size_t word_bytes_max = 64;

// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
std::size_t edit_distance(std::string_view left, std::string_view right) {
    using Row = std::array<std::size_t, word_bytes_max + 1>;
    Row before{};
    Row previous{};
    Row current{};
    for (std::size_t j = 0; j <= right.size(); ++j) {
        previous.at(j) = j;
    }
    for (std::size_t i = 1; i <= left.size(); ++i) {
        current.at(0) = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t substitution = left[i - 1] == right[j - 1] ? 0 : 1;
            current.at(j) = std::min(
                {previous.at(j) + 1, current.at(j - 1) + 1, previous.at(j - 1) + substitution}
            );
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
                current.at(j) = std::min(current.at(j), before.at(j - 2) + 1);
            }
        }
        before = previous;
        previous = current;
    }
    return previous.at(right.size());
}

// RFC 3629, 4: the second byte's range keeps out overlong forms, surrogates and what no code point
// has.
struct Utf8Form {
    unsigned char lead_first = 0;
    unsigned char lead_last = 0;
    std::size_t length = 1;
    unsigned char second_first = 0x80;
    unsigned char second_last = 0xbf;
};

constexpr std::array utf8_forms = {
    Utf8Form{0x00, 0x7f, 1},
    Utf8Form{0xc2, 0xdf, 2},
    Utf8Form{0xe0, 0xe0, 3, 0xa0, 0xbf},
    Utf8Form{0xe1, 0xec, 3},
    Utf8Form{0xed, 0xed, 3, 0x80, 0x9f},
    Utf8Form{0xee, 0xef, 3},
    Utf8Form{0xf0, 0xf0, 4, 0x90, 0xbf},
    Utf8Form{0xf1, 0xf3, 4},
    Utf8Form{0xf4, 0xf4, 4, 0x80, 0x8f},
};

const Utf8Form* form_of(unsigned char lead) noexcept {
    const auto* const form = std::ranges::find_if(utf8_forms, [lead](const Utf8Form& candidate) {
        return lead >= candidate.lead_first && lead <= candidate.lead_last;
    });
    return form == utf8_forms.end() ? nullptr : form;
}

bool has_form(std::string_view text, const Utf8Form& form) noexcept {
    if (text.size() < form.length) {
        return false;
    }
    for (std::size_t i = 1; i < form.length; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < (i == 1 ? form.second_first : 0x80) ||
            byte > (i == 1 ? form.second_last : 0xbf)) {
            return false;
        }
    }
    return true;
}

}  // namespace

std::string quoted(std::string_view text, std::size_t bytes_max) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    std::size_t length = std::min(text.size(), bytes_max);
    // Never cut inside a UTF-8 sequence.
    while (length < text.size() && length > 0 &&
           (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) {
        --length;
    }
    std::string out = "\"";
    for (const char c : text.substr(0, length)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (byte < 0x20 || byte == 0x7f) {
            out.append("\\u00").append({hex[byte >> 4U], hex[byte & 15U]});
        } else {
            out += c;
        }
    }
    return out.append(length < text.size() ? "…\"" : "\"");
}

std::string joined(std::span<const std::string> words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text.append(i == 0 ? "" : i + 1 == words.size() ? " or " : ", ").append(words[i]);
    }
    return text;
}

std::string joined_quoted(std::span<const std::string_view> words) {
    std::vector<std::string> quoted_words;
    for (const std::string_view word : words) {
        quoted_words.push_back(quoted(word));
    }
    return joined(quoted_words);
}

std::optional<std::string_view> nearest(
    std::string_view word, std::span<const std::string_view> candidates
) {
    std::optional<std::string_view> best;
    std::size_t best_distance = word.size() / 3 + 1;  // the first that is too far
    for (const std::string_view candidate : candidates) {
        if (word.size() > word_bytes_max || candidate.size() > word_bytes_max) {
            continue;
        }
        const std::size_t distance = edit_distance(word, candidate);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const Utf8Form* const form = form_of(static_cast<unsigned char>(text.front()));
        if (form == nullptr || !has_form(text, *form)) {
            return false;
        }
        text.remove_prefix(form->length);
    }
    return true;
}

}  // namespace spillway::conf
