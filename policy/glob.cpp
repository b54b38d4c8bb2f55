// Matches text against the patterns that Redis users know: * ? [a-c] [^x] and backslash.
#include "policy/glob.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

struct ClassMatch {
    bool matches = false;
    std::size_t end = 0;  // behind the closing bracket
};

// `at` stands behind the opening bracket. A class that is never closed ends with the pattern, as in
// Redis.
ClassMatch match_class(std::string_view pattern, std::size_t at, char c) noexcept {
    const bool negated = at < pattern.size() && pattern[at] == '^';
    if (negated) {
        ++at;
    }
    bool found = false;
    while (at < pattern.size() && pattern[at] != ']') {
        if (pattern[at] == '\\' && at + 1 < pattern.size()) {
            found = found || pattern[at + 1] == c;
            at += 2;
        } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
            const auto [low, high] = std::minmax(pattern[at], pattern[at + 2]);
            found = found || (c >= low && c <= high);
            at += 3;
        } else {
            found = found || pattern[at] == c;
            ++at;
        }
    }
    return {found != negated, std::min(at + 1, pattern.size())};
}

// One pattern element other than `*` against one character; end = 0 when it does not match.
std::size_t match_one(std::string_view pattern, std::size_t at, char c) noexcept {
    switch (pattern[at]) {
        case '?':
            return at + 1;
        case '[': {
            const ClassMatch match = match_class(pattern, at + 1, c);
            return match.matches ? match.end : 0;
        }
        case '\\':
            if (at + 1 < pattern.size()) {
                return pattern[at + 1] == c ? at + 2 : 0;
            }
            [[fallthrough]];
        default:
            return pattern[at] == c ? at + 1 : 0;
    }
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;  // behind the last star seen
    std::size_t star_text = 0;                  // where the text it swallowed ends
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = ++p;
            star_text = t;
            continue;
        }
        const std::size_t next = p < pattern.size() ? match_one(pattern, p, text[t]) : 0;
        if (next > 0) {
            p = next;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star;
            t = ++star_text;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') {
        ++p;
    }
    return p == pattern.size();
}

}  // namespace spillway::policy
