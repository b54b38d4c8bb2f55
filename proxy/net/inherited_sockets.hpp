// Listening sockets that this process was started with: those of a systemd socket unit, or of the
// Spillway that it takes over from.
#pragma once

#include "proxy/net/socket.hpp"
#include "proxy/net/socket_file.hpp"

#include <string>
#include <vector>

namespace spillway::net {

// A process hands its sockets on as descriptors from `first_inherited` up, as systemd does
// (sd_listen_fds(3)), and behind them the writing end of a pipe.
inline constexpr int first_inherited = 3;
// How many there are. LISTEN_FDS would need the pid of a process that does not exist yet.
inline constexpr const char* handover_variable = "SPILLWAY_HANDOVER";
// Which files of unix sockets go with them, as "device:inode" with spaces between: what stands at a
// path may be another program's by now.
inline constexpr const char* files_variable = "SPILLWAY_HANDOVER_FILES";

class InheritedSockets {
  public:
    InheritedSockets() = default;
    // Takes over what the environment names and removes it there, so that no child takes it for
    // its own. Before any thread is started.
    [[nodiscard]] static InheritedSockets from_environment();

    // All that listen at this place; none twice.
    [[nodiscard]] std::vector<Fd> take(const Endpoint& endpoint);
    // What stands at this path, if it goes with them: to be removed by this process from the moment
    // that it says that it is ready.
    [[nodiscard]] SocketFile file_at(const std::string& path) const;
    // The names of those that nobody has taken.
    [[nodiscard]] std::vector<std::string> left() const;
    // Tells the process that handed them on that it may stop accepting.
    void tell_ready() noexcept;

  private:
    std::vector<Fd> sockets_;
    Fd ready_;
    std::vector<FileIdentity> files_;
};

}  // namespace spillway::net
