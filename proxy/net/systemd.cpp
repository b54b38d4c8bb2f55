// Sends datagrams to the socket that systemd names.
#include "proxy/net/systemd.hpp"

#include "proxy/net/socket.hpp"
#include "resp/number.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace spillway::net {

void notify_systemd(std::string_view lines) noexcept {
    const char* const path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    const std::size_t size = path != nullptr ? std::strlen(path) : 0;
    if (size == 0 || size >= sizeof address.sun_path || (*path != '/' && *path != '@')) {
        return;
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path, size);
    if (*path == '@') {
        address.sun_path[0] = '\0';  // an abstract name
    }
    const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    (void)::sendto(
        socket.get(),
        lines.data(),
        lines.size(),
        MSG_NOSIGNAL,
        reinterpret_cast<const sockaddr*>(&address),
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size)
    );
}

std::optional<policy::Nanos> watchdog_interval() noexcept {
    const char* const pid = std::getenv("WATCHDOG_PID");
    const char* const micros = std::getenv("WATCHDOG_USEC");
    if (micros == nullptr ||
        (pid != nullptr && resp::parse_canonical(pid).value_or(0) != ::getpid())) {
        return std::nullopt;
    }
    const auto number = resp::parse_canonical(micros);
    constexpr std::int64_t micros_max = std::int64_t{1} << 40;
    if (!number || *number <= 0 || *number > micros_max) {
        return std::nullopt;
    }
    return *number * 1000;
}

}  // namespace spillway::net
