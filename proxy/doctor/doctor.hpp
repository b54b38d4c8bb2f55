// `spillway doctor`: examines a server once, or again and again, and tells a person or a program.
#pragma once

#include "conf/config.hpp"

namespace spillway::doctor {

inline constexpr int exit_healthy = 0;
inline constexpr int exit_failure = 1;
inline constexpr int exit_at_risk = 3;
inline constexpr int exit_oom = 4;

struct Settings {
    conf::BackendUrl url;
    conf::Tls tls;       // with rediss:// alone
    bool json = false;   // one object on one line
    bool watch = false;  // until SIGINT or SIGTERM
};

// Gives the exit status: what the last examination found, or exit_failure when there was none.
[[nodiscard]] int run(const Settings& settings);

}  // namespace spillway::doctor
