// The sockets of a shard: one epoll set, in which its thread waits for all there is to do.
//
// Asio's own reactor re-arms a socket for every wait, and a set of ours inside it takes two system
// calls more for each batch. So a shard waits here, and its io_context is but the queue by which
// other threads reach it.
#pragma once

#include "proxy/net/socket.hpp"

#include <array>
#include <cstdint>

#include <sys/epoll.h>

namespace spillway::net {

// What is called when a socket changes. Must stay where it is until the batch in which its socket
// closed is over.
struct Watch {
    void (*ready)(Watch& watch, std::uint32_t events) = nullptr;
};

class Poller {
  public:
    Poller();
    Poller(const Poller&) = delete;  // the kernel holds the address of its waker
    Poller& operator=(const Poller&) = delete;

    // Reports readable, writable and closed, each once per change, until the socket closes. False
    // when the kernel refuses.
    [[nodiscard]] bool add(int fd, Watch& watch) noexcept;
    // Reports again and again that connections wait, until it is removed.
    [[nodiscard]] bool add_listening(int fd, Watch& watch) noexcept;
    void remove(int fd) noexcept;
    // Waits until something changes or somebody calls wake(), for `timeout_ms` at most; -1 = for
    // ever. True when it was woken: what it was woken for came before what the sockets tell.
    [[nodiscard]] bool wait(int timeout_ms) noexcept;
    // Calls those of whose sockets that wait told.
    void run_batch();
    // From any thread: ends the wait, this one or the next.
    void wake() noexcept;

  private:
    static constexpr int batch_max = 256;

    Fd epoll_;
    Fd eventfd_;  // written to; edge-triggered, so never read
    Watch waker_;
    std::array<epoll_event, batch_max> events_{};
    int count_ = 0;  // of events_ that are not dealt with
};

}  // namespace spillway::net
