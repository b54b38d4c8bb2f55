// Splits an inline command into words as the server does (sdssplitargs): blanks, "…" with escapes,
// '…'.
#include "resp/inline_words.hpp"

namespace spillway::resp {
namespace {

// What may stand between words. VT and FF are among it, but do not end a word that stands unquoted.
[[nodiscard]] bool is_blank(char c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

[[nodiscard]] bool ends_word(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

[[nodiscard]] int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

[[nodiscard]] char escaped(char c) noexcept {
    switch (c) {
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        case 'b':
            return '\b';
        case 'a':
            return '\a';
        default:
            return c;
    }
}

// Reads a quoted part that begins behind its opening quote; returns where it ends, or npos when it
// does not.
[[nodiscard]] std::size_t read_quoted(
    std::string_view line, std::size_t at, char quote, std::string& out
) {
    while (at < line.size()) {
        const char c = line[at];
        if (c == quote) {
            return at + 1;
        }
        const std::string_view escape = c == '\\' ? line.substr(at + 1, 3) : std::string_view{};
        if (quote == '"' && escape.size() == 3 && escape[0] == 'x' && hex_value(escape[1]) >= 0 &&
            hex_value(escape[2]) >= 0) {
            out.push_back(static_cast<char>(hex_value(escape[1]) * 16 + hex_value(escape[2])));
            at += 4;
        } else if (quote == '"' && !escape.empty()) {
            out.push_back(escaped(escape[0]));
            at += 2;
        } else if (quote == '\'' && escape.starts_with('\'')) {
            out.push_back('\'');
            at += 2;
        } else {
            out.push_back(c);
            ++at;
        }
    }
    return std::string_view::npos;
}

// Reads a word that begins at `at`; returns where it ends, or npos when a quote does not.
[[nodiscard]] std::size_t read_word(std::string_view line, std::size_t at, std::string& out) {
    while (at < line.size() && !ends_word(line[at])) {
        const char c = line[at++];
        if (c == '"' || c == '\'') {
            at = read_quoted(line, at, c, out);
            // A closing quote ends the word, and only a blank may follow it.
            const bool ended = at == line.size() || (at < line.size() && is_blank(line[at]));
            return ended ? at : std::string_view::npos;
        }
        out.push_back(c);
    }
    return at;
}

}  // namespace

bool split_inline(std::string_view line, InlineWords& words) {
    words.text.clear();
    words.ends.clear();
    std::size_t at = 0;
    while (true) {
        while (at < line.size() && is_blank(line[at])) {
            ++at;
        }
        if (at == line.size()) {
            return true;
        }
        at = read_word(line, at, words.text);
        if (at == std::string_view::npos) {
            return false;
        }
        words.ends.push_back(static_cast<std::uint32_t>(words.text.size()));
    }
}

}  // namespace spillway::resp
