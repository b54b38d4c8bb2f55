// The error lines of the guard's refusals: one per cause, policy and priority, kept for as long as
// the shard lives.
#pragma once

#include "policy/cause.hpp"
#include "policy/modes.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

namespace spillway::core {

class RefusalTexts {
  public:
    static constexpr std::size_t texts_max = 256;  // further policies share one text

    // With type byte and line end. The pointer stays valid.
    [[nodiscard]] const std::string* get(
        policy::Cause cause, std::string_view policy_name, policy::Priority priority
    ) {
        std::string line = "-OOM spillway refused this write: ";
        line += policy::name_of(cause);
        line += " (policy ";
        line += texts_.size() < texts_max ? policy_name.substr(0, 40) : "unknown";
        line += ", priority ";
        line += policy::name_of(priority);
        line += ")\r\n";
        if (last_ != nullptr && *last_ == line) {
            return last_;
        }
        last_ = &texts_.try_emplace(line, line).first->second;
        return last_;
    }

  private:
    std::unordered_map<std::string, std::string> texts_;
    const std::string* last_ = nullptr;
};

}  // namespace spillway::core
