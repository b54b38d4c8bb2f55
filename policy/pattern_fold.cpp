// Folds places of key patterns at which very many different words stand into "*": names of persons,
// slugs and the like are no ids by their looks, but by their number.
#include "policy/pattern_fold.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace spillway::policy {
namespace {

constexpr std::string_view separators = ":/|{}";  // of parts; the others may be within a word
constexpr std::string_view joiners = "._-";
constexpr std::size_t levels_max = 24;
// More different words than an application has kinds of keys.
constexpr std::size_t kinds_max = 24;
constexpr std::size_t kinds_max_at_start = 48;
constexpr double heavy_share = .03;

[[nodiscard]] bool is_one_of(std::string_view set, char c) noexcept {
    return set.find(c) != std::string_view::npos;
}

// "a_*_" before one more "*": of a slug the number of its words says nothing.
[[nodiscard]] bool ends_in_star_and_joiner(std::string_view text) noexcept {
    return text.size() >= 2 && is_one_of(joiners, text.back()) && text[text.size() - 2] == '*';
}

}  // namespace

void PatternFold::add(std::string_view pattern, double bytes) {
    auto entry = entries_.find(pattern);
    if (entry == entries_.end()) {
        entry = entries_.emplace(std::string(pattern), Entry{}).first;
    }
    entry->second.bytes += bytes;
    all_ += bytes;
}

// The first part says whose key it is, word by word; behind it what is joined is one word.
std::string_view PatternFold::next_word(const std::string& pattern, const Entry& entry) {
    const std::string_view rest = std::string_view(pattern).substr(entry.at);
    const std::size_t end = std::min(
        rest.find_first_of(separators), entry.begun ? rest.size() : rest.find_first_of(joiners)
    );
    return rest.substr(0, std::min(end, rest.size()));
}

bool PatternFold::fold_level(std::size_t level) {
    std::map<std::string_view, Words> words;  // by what stands before them
    for (auto& [pattern, entry] : entries_) {
        if (entry.at < pattern.size()) {
            words[entry.folded][next_word(pattern, entry)] += entry.bytes;
        }
    }
    std::set<std::pair<std::string_view, std::string_view>> light;
    for (const auto& [before, of_place] : words) {
        const auto is_light = [this](const auto& word) {
            return !word.first.empty() && word.second < heavy_share * all_;
        };
        const auto count =
            static_cast<std::size_t>(std::count_if(of_place.begin(), of_place.end(), is_light));
        if (count <= (level == 0 ? kinds_max_at_start : kinds_max)) {
            continue;
        }
        for (const auto& word : of_place) {
            if (is_light(word)) {
                light.emplace(before, word.first);
            }
        }
    }
    // What is looked up must not change on the way.
    std::map<const std::string*, std::string> next;
    for (auto& [pattern, entry] : entries_) {
        if (entry.at >= pattern.size()) {
            continue;
        }
        const std::string_view word = next_word(pattern, entry);
        std::string text = entry.folded;
        if (!light.contains({entry.folded, word})) {
            text += word;
        } else if (ends_in_star_and_joiner(text)) {
            text.pop_back();
        } else {
            text += '*';
        }
        next.emplace(&pattern, std::move(text));
    }
    for (auto& [pattern, entry] : entries_) {
        const auto text = next.find(&pattern);
        if (text == next.end()) {
            continue;
        }
        entry.at += next_word(pattern, entry).size();
        entry.folded = std::move(text->second);
        if (entry.at < pattern.size()) {
            const char separator = pattern[entry.at++];
            entry.begun = entry.begun || is_one_of(separators, separator);
            entry.folded += separator;
        }
    }
    return !next.empty();
}

void PatternFold::finish() {
    std::size_t level = 0;
    while (level < levels_max && fold_level(level)) {
        ++level;
    }
    for (auto& [pattern, entry] : entries_) {
        entry.folded += std::string_view(pattern).substr(std::min(entry.at, pattern.size()));
    }
}

std::string_view PatternFold::folded(std::string_view pattern) const {
    const auto entry = entries_.find(pattern);
    return entry == entries_.end() ? pattern : std::string_view(entry->second.folded);
}

}  // namespace spillway::policy
