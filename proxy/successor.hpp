// Starts this program anew, as its file stands now, with the listening sockets of this process.
#pragma once

#include "proxy/net/socket.hpp"
#include "proxy/net/socket_file.hpp"

#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

namespace spillway {

// How this process was started; read before anything can replace the program's file.
struct Program {
    std::string path;
    std::vector<std::string> arguments;  // with the name it was called by in front

    [[nodiscard]] static Program of_this_process(std::span<const char* const> arguments);
};

struct Successor {
    pid_t pid = -1;
    net::Fd ready;        // gets one byte when it serves, or ends without one
    std::string problem;  // why it could not be started; else empty
};

// See net::InheritedSockets for what it finds. The sockets stay open here as well.
[[nodiscard]] Successor start_successor(
    const Program& program,
    std::span<const net::Fd> sockets,
    std::span<const net::FileIdentity> files
);

}  // namespace spillway
