// The words an operator chooses from: the guard's mode and a command's priority.
#pragma once

#include <cstdint>
#include <string_view>

namespace spillway::policy {

// observe decides and records as protect does, but passes every byte.
enum class Mode : std::uint8_t { off, observe, protect };

enum class Priority : std::uint8_t { critical, normal, sheddable };

// How keys are shown in records and at the admin endpoint (`log.keys`).
enum class KeyMode : std::uint8_t { full, pattern, hash, none };

[[nodiscard]] constexpr std::string_view name_of(Mode mode) noexcept {
    switch (mode) {
        case Mode::off:
            return "off";
        case Mode::observe:
            return "observe";
        case Mode::protect:
            return "protect";
    }
    return "?";
}

[[nodiscard]] constexpr std::string_view name_of(Priority priority) noexcept {
    switch (priority) {
        case Priority::critical:
            return "critical";
        case Priority::normal:
            return "normal";
        case Priority::sheddable:
            return "sheddable";
    }
    return "?";
}

[[nodiscard]] constexpr std::string_view name_of(KeyMode mode) noexcept {
    switch (mode) {
        case KeyMode::full:
            return "full";
        case KeyMode::pattern:
            return "pattern";
        case KeyMode::hash:
            return "hash";
        case KeyMode::none:
            return "none";
    }
    return "?";
}

}  // namespace spillway::policy
