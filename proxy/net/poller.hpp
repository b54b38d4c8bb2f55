// The data sockets of a shard: one edge-triggered epoll set that hangs on the shard's io_context.
//
// Asio re-arms a socket for every wait, one system call per read; a set of our own tells each
// change once. The io_context sees it as a single descriptor, so timers, acceptors and posts run
// beside it as usual.
#pragma once

#include "proxy/net/socket.hpp"

#include <array>
#include <cstdint>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <sys/epoll.h>

namespace spillway::net {

// What is called when a socket changes. Must stay where it is until the batch in which its socket
// closed is over.
struct Watch {
    void (*ready)(Watch& watch, std::uint32_t events) = nullptr;
};

class Poller {
  public:
    using Context = boost::asio::io_context;
    // `batch_ended` is called after each batch of events, with the owner.
    Poller(Context& context, void (*batch_ended)(void*), void* owner);

    // Reports readable, writable and closed, each once per change, until the socket closes. False
    // when the kernel refuses.
    [[nodiscard]] bool add(int fd, Watch& watch) noexcept;
    void start();
    void stop();

  private:
    static constexpr int batch_max = 256;
    static constexpr int batches_max = 4;  // in a row before timers and posts have their turn

    void wait();
    void run_batches();

    Fd epoll_;
    boost::asio::posix::basic_stream_descriptor<Context::executor_type> descriptor_;
    void (*batch_ended_)(void*);
    void* owner_;
    std::array<epoll_event, batch_max> events_{};
};

}  // namespace spillway::net
