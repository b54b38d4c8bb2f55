// The sockets of a shard: one epoll set, in which its thread waits for all there is to do.
#include "proxy/net/poller.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace spillway::net {
namespace {

bool add_to(const Fd& epoll, int fd, std::uint32_t events, Watch& watch) noexcept {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watch;
    return ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Poller::Poller()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), eventfd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    waker_.ready = [](Watch&, std::uint32_t) {};
    if (!epoll_ || !eventfd_ || !add_to(epoll_, eventfd_.get(), EPOLLIN | EPOLLET, waker_)) {
        throw std::system_error(errno, std::generic_category(), "cannot create an epoll set");
    }
}

bool Poller::add(int fd, Watch& watch) noexcept {
    return add_to(epoll_, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, watch);
}

bool Poller::add_listening(int fd, Watch& watch) noexcept {
    return add_to(epoll_, fd, EPOLLIN, watch);
}

void Poller::remove(int fd) noexcept {
    (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

bool Poller::wait(int timeout_ms) noexcept {
    count_ = std::max(::epoll_wait(epoll_.get(), events_.data(), batch_max, timeout_ms), 0);
    return std::any_of(events_.begin(), events_.begin() + count_, [this](const epoll_event& event) {
        return event.data.ptr == &waker_;
    });
}

void Poller::run_batch() {
    const int count = std::exchange(count_, 0);
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events_[static_cast<std::size_t>(i)];
        auto& watch = *static_cast<Watch*>(event.data.ptr);
        watch.ready(watch, event.events);
    }
}

void Poller::wake() noexcept {
    const std::uint64_t one = 1;
    (void)!::write(eventfd_.get(), &one, sizeof one);
}

}  // namespace spillway::net
