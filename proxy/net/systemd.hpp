// Tells systemd how the service stands: sd_notify(3) and its watchdog. Without systemd nothing
// happens.
#pragma once

#include "proxy/net/clock.hpp"

#include <optional>
#include <string_view>

namespace spillway::net {

// Lines such as "READY=1\nSTATUS=serving". Nothing is reported: a systemd that does not listen is
// no reason to do anything else.
void notify_systemd(std::string_view lines) noexcept;

// How long it waits for WATCHDOG=1 before it takes this process for hung; empty when it
// does not watch.
[[nodiscard]] std::optional<policy::Nanos> watchdog_interval() noexcept;

}  // namespace spillway::net
