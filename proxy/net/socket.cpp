// Non-blocking stream sockets, tcp or unix: what the data path asks of the kernel, and nothing
// more.
#include "proxy/net/socket.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace spillway::net {
namespace {

const sockaddr* as_sockaddr(const Endpoint& endpoint) noexcept {
    return reinterpret_cast<const sockaddr*>(&endpoint.address);
}

IoResult failure(int error) noexcept {
    if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOTCONN) {
        return {IoStatus::blocked, 0, error};
    }
    return {IoStatus::failed, 0, error};
}

void set_option(int fd, int level, int option, int value) noexcept {
    (void)::setsockopt(fd, level, option, &value, sizeof value);
}

Endpoint unix_endpoint(const std::string& path) {
    Endpoint endpoint;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t size = std::min(path.size(), sizeof address.sun_path - 1);
    std::memcpy(address.sun_path, path.data(), size);
    std::memcpy(&endpoint.address, &address, sizeof address);
    endpoint.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size + 1);
    return endpoint;
}

// A socket file whose server is gone may be replaced; one that still answers may not.
bool remove_stale_socket(const Endpoint& endpoint) noexcept {
    sockaddr_un address{};
    std::memcpy(&address, &endpoint.address, sizeof address);
    struct stat file {};
    if (::lstat(address.sun_path, &file) != 0 || !S_ISSOCK(file.st_mode)) {
        return false;
    }
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), as_sockaddr(endpoint), endpoint.size) == 0 ||
        errno != ECONNREFUSED) {
        return false;
    }
    return ::unlink(address.sun_path) == 0;
}

std::string listen_problem(const Endpoint& endpoint, int error) {
    std::string problem = "cannot listen on " + text_of(endpoint) + ": " + std::strerror(error);
    if (error == EADDRINUSE) {
        problem += "; another program has this address: stop it, or choose another with --listen";
    }
    if (error == EACCES) {
        problem += "; choose a port above 1023 or another path, or grant the right to use this one";
    }
    if (error == EADDRNOTAVAIL) {
        problem += "; no interface of this host has this address";
    }
    return problem;
}

}  // namespace

void Fd::reset() noexcept {
    if (fd_ >= 0) {
        (void)::close(fd_);
    }
    fd_ = -1;
}

std::string text_of(const Endpoint& endpoint) {
    std::array<char, INET6_ADDRSTRLEN> host{};
    if (endpoint.address.ss_family == AF_INET) {
        sockaddr_in address{};
        std::memcpy(&address, &endpoint.address, sizeof address);
        (void)::inet_ntop(AF_INET, &address.sin_addr, host.data(), host.size());
        return std::string(host.data()) + ":" + std::to_string(ntohs(address.sin_port));
    }
    if (endpoint.address.ss_family == AF_INET6) {
        sockaddr_in6 address{};
        std::memcpy(&address, &endpoint.address, sizeof address);
        (void)::inet_ntop(AF_INET6, &address.sin6_addr, host.data(), host.size());
        return "[" + std::string(host.data()) + "]:" + std::to_string(ntohs(address.sin6_port));
    }
    if (endpoint.size <= offsetof(sockaddr_un, sun_path)) {
        return "unix:";
    }
    sockaddr_un address{};
    std::memcpy(&address, &endpoint.address, sizeof address);
    return std::string("unix:") + address.sun_path;
}

std::vector<Endpoint> numeric_endpoints(const conf::Address& address) {
    if (!address.unix_path.empty()) {
        return {unix_endpoint(address.unix_path)};
    }
    Endpoint endpoint;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(address.port);
        std::memcpy(&endpoint.address, &v4, sizeof v4);
        endpoint.size = sizeof v4;
        return {endpoint};
    }
    if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(address.port);
        std::memcpy(&endpoint.address, &v6, sizeof v6);
        endpoint.size = sizeof v6;
        return {endpoint};
    }
    return {};
}

IoResult read_some(int fd, std::span<char> into) noexcept {
    const ssize_t got = ::recv(fd, into.data(), into.size(), 0);
    if (got > 0) {
        return {IoStatus::done, static_cast<std::size_t>(got), 0};
    }
    if (got == 0) {
        return {IoStatus::closed, 0, 0};
    }
    return failure(errno);
}

IoResult write_some(int fd, std::span<const std::string_view> pieces) noexcept {
    ssize_t sent = 0;
    if (pieces.size() == 1) {
        sent = ::send(fd, pieces[0].data(), pieces[0].size(), MSG_NOSIGNAL);
    } else {
        std::array<iovec, 64> parts;
        const std::size_t count = std::min(pieces.size(), parts.size());
        for (std::size_t i = 0; i < count; ++i) {
            parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
        }
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = count;
        sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    if (sent >= 0) {
        return {IoStatus::done, static_cast<std::size_t>(sent), 0};
    }
    return failure(errno);
}

Dialled dial(const Endpoint& endpoint) noexcept {
    Dialled dialled;
    dialled.fd =
        Fd(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!dialled.fd) {
        dialled.error = errno;
        return dialled;
    }
    tune(dialled.fd.get());
    if (::connect(dialled.fd.get(), as_sockaddr(endpoint), endpoint.size) == 0) {
        dialled.status = IoStatus::done;
    } else if (errno == EINPROGRESS) {
        dialled.status = IoStatus::blocked;
    } else {
        dialled.error =
            errno;  // a unix socket whose queue is full says EAGAIN: no later event would tell
    }
    return dialled;
}

int connect_result(int fd) noexcept {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

void tune(int fd) noexcept {
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void finish_writing(int fd) noexcept {
    (void)::shutdown(fd, SHUT_WR);
}

// Set from the beginning, SO_REUSEPORT would let us in beside another Spillway unnoticed. The first
// queue is opened without it where nobody else listens; where somebody does, and lets us in, that
// is told: it is how a new process takes over from an old one, and otherwise a mistake.
Listening listen_on(const Endpoint& endpoint, int backlog, Claim claim) {
    const bool is_unix = endpoint.address.ss_family == AF_UNIX;
    Fd fd(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
        return {Fd(), listen_problem(endpoint, errno)};
    }
    if (!is_unix) {
        set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
        set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, claim == Claim::shared ? 1 : 0);
        if (endpoint.address.ss_family == AF_INET6) {
            set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
        }
    }
    int bound = ::bind(fd.get(), as_sockaddr(endpoint), endpoint.size);
    bool beside_another = false;
    if (bound != 0 && errno == EADDRINUSE && !is_unix && claim == Claim::first) {
        set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
        bound = ::bind(fd.get(), as_sockaddr(endpoint), endpoint.size);
        beside_another = bound == 0;
    }
    if (bound != 0 && errno == EADDRINUSE && is_unix) {
        if (remove_stale_socket(endpoint)) {
            bound = ::bind(fd.get(), as_sockaddr(endpoint), endpoint.size);
        } else {
            errno = EADDRINUSE;
        }
    }
    if (bound != 0 || ::listen(fd.get(), backlog) != 0) {
        return {Fd(), listen_problem(endpoint, errno)};
    }
    if (!is_unix) {
        set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    }
    return {std::move(fd), {}, beside_another};
}

bool same_port(const Endpoint& one, const Endpoint& other) noexcept {
    const auto port = [](const Endpoint& endpoint) -> std::uint16_t {
        if (endpoint.address.ss_family == AF_INET) {
            return reinterpret_cast<const sockaddr_in*>(&endpoint.address)->sin_port;
        }
        return endpoint.address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&endpoint.address)->sin6_port
                   : 0;
    };
    return port(one) != 0 && port(one) == port(other);
}

Endpoint local_endpoint(int fd) noexcept {
    Endpoint endpoint;
    endpoint.size = sizeof endpoint.address;
    (void)::getsockname(fd, reinterpret_cast<sockaddr*>(&endpoint.address), &endpoint.size);
    return endpoint;
}

namespace {

// The kernel takes a descriptor before it looks whether anybody waits.
bool has_waiting(int listener) noexcept {
    pollfd asked{.fd = listener, .events = POLLIN, .revents = 0};
    return ::poll(&asked, 1, 0) > 0;
}

}  // namespace

Accepted accept_one(int listener) noexcept {
    Accepted accepted;
    accepted.peer.size = sizeof accepted.peer.address;
    accepted.fd = Fd(::accept4(
        listener,
        reinterpret_cast<sockaddr*>(&accepted.peer.address),
        &accepted.peer.size,
        SOCK_NONBLOCK | SOCK_CLOEXEC
    ));
    if (!accepted.fd) {
        accepted.error = errno;
        if ((accepted.error == EMFILE || accepted.error == ENFILE) && !has_waiting(listener)) {
            accepted.status = IoStatus::blocked;
            return accepted;
        }
        // A client that gave up while it waited is no reason to stop accepting others.
        const int error = accepted.error;
        const bool again = error == ECONNABORTED || error == EINTR || error == EPROTO;
        accepted.status = error == EAGAIN || error == EWOULDBLOCK
                              ? IoStatus::blocked
                              : (again ? IoStatus::closed : IoStatus::failed);
        return accepted;
    }
    tune(accepted.fd.get());
    return accepted;
}

}  // namespace spillway::net
