// Splits an inline command into words as the server does (sdssplitargs): blanks, "…" with escapes, '…'.
#include "resp/inline_words.hpp"

namespace spillway::resp {
namespace {

[[nodiscard]] bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

[[nodiscard]] int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') { return c - '0'; }
    if (c >= 'a' && c <= 'f') { return c - 'a' + 10; }
    if (c >= 'A' && c <= 'F') { return c - 'A' + 10; }
    return -1;
}

[[nodiscard]] char escaped(char c) noexcept {
    switch (c) {
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        case 'b': return '\b';
        case 'a': return '\a';
        default: return c;
    }
}

// Reads a quoted part that begins behind its opening quote; returns where it ends, or npos when it does not.
[[nodiscard]] std::size_t read_quoted(std::string_view line, std::size_t at, char quote, std::string& out) {
    while (at < line.size()) {
        const char c = line[at];
        if (c == quote) { return at + 1; }
        if (quote == '"' && c == '\\' && at + 3 < line.size() && line[at + 1] == 'x' && hex_value(line[at + 2]) >= 0 &&
            hex_value(line[at + 3]) >= 0) {
            out.push_back(static_cast<char>(hex_value(line[at + 2]) * 16 + hex_value(line[at + 3])));
            at += 4;
        } else if (quote == '"' && c == '\\' && at + 1 < line.size()) {
            out.push_back(escaped(line[at + 1]));
            at += 2;
        } else if (quote == '\'' && c == '\\' && at + 1 < line.size() && line[at + 1] == '\'') {
            out.push_back('\'');
            at += 2;
        } else {
            out.push_back(c);
            ++at;
        }
    }
    return std::string_view::npos;
}

}  // namespace

bool split_inline(std::string_view line, InlineWords& words) {
    words.text.clear();
    words.ends.clear();
    std::size_t at = 0;
    while (true) {
        while (at < line.size() && is_blank(line[at])) { ++at; }
        if (at == line.size()) { return true; }
        while (at < line.size() && !is_blank(line[at])) {
            const char c = line[at];
            if (c != '"' && c != '\'') {
                words.text.push_back(c);
                ++at;
                continue;
            }
            at = read_quoted(line, at + 1, c, words.text);
            // A closing quote must end the word.
            if (at == std::string_view::npos || (at < line.size() && !is_blank(line[at]))) { return false; }
        }
        words.ends.push_back(static_cast<std::uint32_t>(words.text.size()));
    }
}

}  // namespace spillway::resp
