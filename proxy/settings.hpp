// What the configuration means to guard, rules and display.
#pragma once

#include "conf/config.hpp"
#include "policy/key_pattern.hpp"
#include "policy/meter.hpp"
#include "policy/rules.hpp"
#include "proxy/log/logger.hpp"

namespace spillway {

[[nodiscard]] policy::GuardSettings guard_settings(const conf::Config& config);
[[nodiscard]] std::vector<policy::Rule> rules_of(const conf::Config& config);
// With a secret of its own for hashed keys.
[[nodiscard]] policy::KeyDisplay key_display(conf::KeyDisplay mode);
[[nodiscard]] log::LogSettings log_settings(const conf::Log& config);

}  // namespace spillway
