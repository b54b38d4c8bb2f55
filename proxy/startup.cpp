// What a process sees to before anything else: the standard descriptors, signals, the limit of open
// files.
#include "proxy/startup.hpp"

#include <cerrno>
#include <csignal>
#include <initializer_list>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace spillway {
namespace {

sigset_t held_back() noexcept {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGHUP, SIGUSR1, SIGUSR2}) {
        sigaddset(&signals, signal);
    }
    return signals;
}

}  // namespace

void fill_standard_descriptors() noexcept {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            // It gets the lowest number that is free, which is this one. For reading, so that a
            // result that nobody can see is not taken for delivered.
            (void)::open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

void hold_back_signals() noexcept {
    const sigset_t signals = held_back();
    (void)::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

void let_signals_come() noexcept {
    const sigset_t signals = held_back();
    (void)::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

std::uint64_t descriptor_limit() noexcept {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

}  // namespace spillway
