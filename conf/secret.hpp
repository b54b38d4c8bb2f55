// A password or token that never reaches a log, a record or a terminal by accident.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace spillway::conf {

inline constexpr std::string_view secret_mask = "****";

class Secret {
  public:
    Secret() = default;
    explicit Secret(std::string text) : text_(std::move(text)) {}

    [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

    // The real text: for the wire and for comparison, never for output.
    [[nodiscard]] const std::string& reveal() const noexcept { return text_; }

    // What may be shown: whether there is a secret, not how long it is.
    [[nodiscard]] std::string_view masked() const noexcept {
        return empty() ? std::string_view() : secret_mask;
    }

    friend bool operator==(const Secret&, const Secret&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Secret& secret) {
        return out << secret.masked();
    }

  private:
    std::string text_;
};

}  // namespace spillway::conf
