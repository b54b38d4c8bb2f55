// Non-blocking stream sockets, tcp or unix: what the data path asks of the kernel, and nothing
// more.
#pragma once

#include "conf/address.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace spillway::net {

// Owns a file descriptor.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() { reset(); }

    void reset() noexcept;
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    explicit operator bool() const noexcept { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

// A place to connect or listen to, resolved.
struct Endpoint {
    sockaddr_storage address{};
    socklen_t size = 0;
};

// "10.0.0.1:52110", "[::1]:52110", "unix:/path" or "unix:" for an unnamed peer.
[[nodiscard]] std::string text_of(const Endpoint& endpoint);

// A unix path, or a numeric host; empty when the name must be looked up first.
[[nodiscard]] std::vector<Endpoint> numeric_endpoints(const conf::Address& address);

enum class IoStatus : std::uint8_t { done, blocked, closed, failed };

struct IoResult {
    IoStatus status = IoStatus::done;
    std::size_t bytes = 0;
    int error = 0;
};

// Reads once; closed = the peer will send no more.
[[nodiscard]] IoResult read_some(int fd, std::span<char> into) noexcept;
// Writes once, as many of at most 64 pieces as the socket takes.
[[nodiscard]] IoResult write_some(int fd, std::span<const std::string_view> pieces) noexcept;

// Begins to connect. `blocked` = under way: wait until it is writable, then ask connect_result.
struct Dialled {
    Fd fd;
    IoStatus status = IoStatus::failed;
    int error = 0;
};
[[nodiscard]] Dialled dial(const Endpoint& endpoint) noexcept;
// 0, or the error with which connecting failed.
[[nodiscard]] int connect_result(int fd) noexcept;

// Small commands must not wait for each other; vanished peers must be noticed.
void tune(int fd) noexcept;
// No more will be written; what was written still arrives.
void finish_writing(int fd) noexcept;

struct Listening {
    Fd fd;
    std::string problem;          // what, where and what to do; empty when it listens
    bool beside_another = false;  // and so does another process of this user
};
// Whether a tcp address is ours already: `first` finds out who else listens there, `shared` opens
// one more queue, so that each shard has its own.
enum class Claim : std::uint8_t { first, shared };
// A unix socket that nobody serves any more is replaced.
[[nodiscard]] Listening listen_on(const Endpoint& endpoint, int backlog, Claim claim);
// Whether two tcp addresses have the same port; false for unix sockets.
[[nodiscard]] bool same_port(const Endpoint& one, const Endpoint& other) noexcept;

// Where a listening socket listens, the port being the one that the kernel chose if 0 was asked
// for.
[[nodiscard]] Endpoint local_endpoint(int fd) noexcept;

struct Accepted {
    Fd fd;
    Endpoint peer;
    IoStatus status = IoStatus::done;  // blocked = nobody waits
    int error = 0;
};
[[nodiscard]] Accepted accept_one(int listener) noexcept;

}  // namespace spillway::net
