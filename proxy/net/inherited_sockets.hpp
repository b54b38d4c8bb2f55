// Listening sockets that this process was started with: those of a systemd socket unit, or of the
// Spillway that it takes over from.
#pragma once

#include "proxy/net/socket.hpp"

#include <string>
#include <vector>

namespace spillway::net {

// A process hands its sockets on as descriptors from `first_inherited` up, as systemd does
// (sd_listen_fds(3)), and behind them the writing end of a pipe.
inline constexpr int first_inherited = 3;
// How many there are. LISTEN_FDS would need the pid of a process that does not exist yet.
inline constexpr const char* handover_variable = "SPILLWAY_HANDOVER";

class InheritedSockets {
  public:
    InheritedSockets() = default;
    // Takes over what the environment names and removes it there, so that no child takes it for
    // its own. Before any thread is started.
    [[nodiscard]] static InheritedSockets from_environment();

    // All that listen at this place; none twice.
    [[nodiscard]] std::vector<Fd> take(const Endpoint& endpoint);
    // They are those of a Spillway that ends: what goes with them is this process's now.
    [[nodiscard]] bool from_spillway() const noexcept { return from_spillway_; }
    // The names of those that nobody has taken.
    [[nodiscard]] std::vector<std::string> left() const;
    // Tells the process that handed them on that it may stop accepting.
    void tell_ready() noexcept;

  private:
    std::vector<Fd> sockets_;
    Fd ready_;
    bool from_spillway_ = false;
};

}  // namespace spillway::net
