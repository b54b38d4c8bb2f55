// Finds the listening sockets that this process was started with.
#include "proxy/net/inherited_sockets.hpp"

#include "resp/number.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

namespace spillway::net {
namespace {

constexpr std::int64_t sockets_max = 4096;

std::int64_t number_in(const char* variable) {
    const char* const text = std::getenv(variable);
    return text != nullptr ? resp::parse_canonical(text).value_or(0) : 0;
}

std::vector<FileIdentity> files_in(const char* variable) {
    std::vector<FileIdentity> files;
    const char* const text = std::getenv(variable);
    std::istringstream words(text != nullptr ? text : "");
    FileIdentity file;
    char colon = 0;
    while (words >> file.device >> colon >> file.inode && colon == ':') {
        files.push_back(file);
    }
    return files;
}

// Of a unix socket the path alone counts: what follows it may differ.
bool same_place(const Endpoint& a, const Endpoint& b) noexcept {
    if (a.address.ss_family != b.address.ss_family) {
        return false;
    }
    if (a.address.ss_family == AF_UNIX) {
        const auto path = [](const Endpoint& endpoint) {
            const auto* const un = reinterpret_cast<const sockaddr_un*>(&endpoint.address);
            const std::size_t begin = offsetof(sockaddr_un, sun_path);
            return endpoint.size <= begin
                       ? std::string_view()
                       : std::string_view(
                             un->sun_path, ::strnlen(un->sun_path, endpoint.size - begin)
                         );
        };
        return path(a) == path(b);
    }
    if (a.address.ss_family == AF_INET) {
        const auto* const one = reinterpret_cast<const sockaddr_in*>(&a.address);
        const auto* const other = reinterpret_cast<const sockaddr_in*>(&b.address);
        return one->sin_port == other->sin_port && one->sin_addr.s_addr == other->sin_addr.s_addr;
    }
    const auto* const one = reinterpret_cast<const sockaddr_in6*>(&a.address);
    const auto* const other = reinterpret_cast<const sockaddr_in6*>(&b.address);
    return one->sin6_port == other->sin6_port &&
           std::memcmp(&one->sin6_addr, &other->sin6_addr, sizeof one->sin6_addr) == 0;
}

bool listens(int fd) noexcept {
    int value = 0;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

bool make_ours(int fd) noexcept {
    const int flags = ::fcntl(fd, F_GETFL);
    return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

}  // namespace

InheritedSockets InheritedSockets::from_environment() {
    InheritedSockets inherited;
    std::int64_t count = number_in(handover_variable);
    const bool from_spillway = count > 0;
    if (from_spillway) {
        inherited.files_ = files_in(files_variable);
    } else if (number_in("LISTEN_PID") == ::getpid()) {
        count = number_in("LISTEN_FDS");
    }
    for (const char* const variable :
         {handover_variable, files_variable, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
        (void)::unsetenv(variable);
    }
    if (count <= 0 || count > sockets_max) {
        return inherited;
    }
    const int end = first_inherited + static_cast<int>(count);
    for (int fd = first_inherited; fd < end; ++fd) {
        if (make_ours(fd) && listens(fd)) {
            inherited.sockets_.emplace_back(fd);
        }
    }
    if (from_spillway && ::fcntl(end, F_SETFD, FD_CLOEXEC) == 0) {
        inherited.ready_ = Fd(end);
    }
    return inherited;
}

std::vector<Fd> InheritedSockets::take(const Endpoint& endpoint) {
    std::vector<Fd> taken;
    const auto wanted = [&](const Fd& fd) {
        return same_place(local_endpoint(fd.get()), endpoint);
    };
    for (Fd& fd : sockets_) {
        if (wanted(fd)) {
            taken.push_back(std::move(fd));
        }
    }
    std::erase_if(sockets_, [](const Fd& fd) { return !fd; });
    return taken;
}

SocketFile InheritedSockets::file_at(const std::string& path) const {
    SocketFile file = SocketFile::at(path);
    const bool handed_on = file && std::ranges::find(files_, file.identity()) != files_.end();
    return handed_on ? std::move(file) : SocketFile();
}

std::vector<std::string> InheritedSockets::left() const {
    std::vector<std::string> names;
    for (const Fd& fd : sockets_) {
        names.push_back(text_of(local_endpoint(fd.get())));
    }
    return names;
}

void InheritedSockets::tell_ready() noexcept {
    if (ready_) {
        (void)::write(ready_.get(), "R", 1);
        ready_.reset();
    }
}

}  // namespace spillway::net
