// Folds places of key patterns at which very many different words stand into "*": names of persons,
// slugs and the like are no ids by their looks, but by their number.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace spillway::policy {

// Words that weigh much stay: they are who holds memory. Memory and time are bounded by what is
// added.
class PatternFold {
  public:
    // `pattern` as key_pattern makes it; what its keys hold.
    void add(std::string_view pattern, double bytes);
    // Once all are added.
    void finish();
    // Of a pattern that was added.
    [[nodiscard]] std::string_view folded(std::string_view pattern) const;

  private:
    struct Entry {
        double bytes = 0;
        std::size_t at = 0;  // of what is not folded yet
        bool begun = false;  // the first separator of parts is behind
        std::string folded{};
    };
    using Words = std::map<std::string_view, double>;

    [[nodiscard]] static std::string_view next_word(const std::string& pattern, const Entry& entry);
    [[nodiscard]] bool fold_level(std::size_t level);

    std::map<std::string, Entry, std::less<>> entries_;
    double all_ = 0;
};

}  // namespace spillway::policy
