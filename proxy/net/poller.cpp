// The data sockets of a shard: one edge-triggered epoll set that hangs on the shard's io_context.
#include "proxy/net/poller.hpp"

#include <cerrno>
#include <system_error>

#include <boost/system/error_code.hpp>

namespace spillway::net {

Poller::Poller(Context& context, void (*batch_ended)(void*), void* owner)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      descriptor_(context.get_executor()),
      batch_ended_(batch_ended),
      owner_(owner) {
    if (!epoll_) {
        throw std::system_error(errno, std::generic_category(), "cannot create an epoll set");
    }
    descriptor_.assign(epoll_.release());
}

bool Poller::add(int fd, Watch& watch) noexcept {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = &watch;
    return ::epoll_ctl(descriptor_.native_handle(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::start() {
    wait();
}

void Poller::stop() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
}

void Poller::wait() {
    descriptor_.async_wait(
        decltype(descriptor_)::wait_read,
        [this](const boost::system::error_code& error) {
            if (error) {
                return;
            }
            run_batches();
            wait();
        }
    );
}

// A batch that is not full has taken all there was: what comes later wakes the io_context again.
void Poller::run_batches() {
    for (int batch = 0; batch < batches_max; ++batch) {
        const int count = ::epoll_wait(descriptor_.native_handle(), events_.data(), batch_max, 0);
        for (int i = 0; i < count; ++i) {
            auto& watch = *static_cast<Watch*>(events_[static_cast<std::size_t>(i)].data.ptr);
            watch.ready(watch, events_[static_cast<std::size_t>(i)].events);
        }
        batch_ended_(owner_);
        if (count < batch_max) {
            return;
        }
    }
}

}  // namespace spillway::net
