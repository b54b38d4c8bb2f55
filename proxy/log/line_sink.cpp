// Where lines end up: standard error or a file, written by the log's own thread, which may wait
// where no other may.
#include "proxy/log/line_sink.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace spillway::log {
namespace {

constexpr int wait_ms = 100;

// What a pipe that poll() calls writable takes without blocking.
constexpr std::size_t chunk_bytes_max = 4096;

}  // namespace

LogTarget::LogTarget(const std::string& file)
    : fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640)),
      owned_(true) {
    if (fd_ < 0) {
        throw std::system_error(errno, std::generic_category(), "log file " + file);
    }
}

LogTarget::~LogTarget() {
    if (owned_) {
        ::close(fd_);
    }
}

LogTarget::LogTarget(LogTarget&& other) noexcept
    : fd_(std::exchange(other.fd_, 2)), owned_(std::exchange(other.owned_, false)) {}

LogTarget& LogTarget::operator=(LogTarget&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(owned_, other.owned_);
    return *this;
}

bool LogTarget::is_terminal() const noexcept {
    return ::isatty(fd_) == 1;
}

bool LogTarget::is_journal() const noexcept {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    struct stat status {};
    if (stream == nullptr || ::fstat(fd_, &status) != 0) {
        return false;
    }
    return stream == std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

LineSink::LineSink(LogTarget target, int close_wait_ms, std::function<std::string()> on_room)
    : target_(std::move(target)),
      close_waits_max_(std::max(close_wait_ms / wait_ms, 1)),
      on_room_(std::move(on_room)) {}

void LineSink::set_target(LogTarget target) {
    const std::lock_guard lock(next_mutex_);
    next_ = std::move(target);
    has_next_.store(true, std::memory_order_release);
}

void LineSink::take_new_target() {
    if (!has_next_.load(std::memory_order_acquire)) {
        return;
    }
    const std::lock_guard lock(next_mutex_);
    target_ = std::exchange(next_, LogTarget());
    has_next_.store(false, std::memory_order_relaxed);
    mid_line_ = false;
}

void LineSink::sink_it_(const spdlog::details::log_msg& message) {
    const bool written = put_line({message.payload.data(), message.payload.size()});
    if (written && on_room_) {
        if (const std::string more = on_room_(); !more.empty()) {
            (void)put_line(more);
        }
    }
}

bool LineSink::put_line(std::string_view line) {
    buffer_.clear();
    buffer_.append(line).push_back('\n');
    take_new_target();
    for (;;) {
        const bool new_start = mid_line_;
        if ((!new_start || write_all("\n")) && write_all(buffer_)) {
            mid_line_ = false;
            return true;
        }
        if (!has_next_.load(std::memory_order_acquire)) {
            break;
        }
        take_new_target();  // the line begins anew on it
    }
    failed_.fetch_add(1, std::memory_order_relaxed);
    return false;
}

bool LineSink::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        if (!wait_writable()) {
            return false;
        }
        const ssize_t written =
            ::write(target_.fd(), bytes.data(), std::min(bytes.size(), chunk_bytes_max));
        if (written > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(written));
            mid_line_ = !bytes.empty();
            close_waits_ = 0;
        } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return false;  // a full disk, a pipe without a reader
        }
    }
    return true;
}

// False when the target is to be given up: there is a new one, or the process ends and this one has
// taken nothing for long.
bool LineSink::wait_writable() {
    for (;;) {
        pollfd state{.fd = target_.fd(), .events = POLLOUT, .revents = 0};
        const bool given_up = close_waits_ >= close_waits_max_;
        if (::poll(&state, 1, given_up ? 0 : wait_ms) > 0) {
            return true;  // errors too: write() tells which
        }
        if (has_next_.load(std::memory_order_acquire)) {
            return false;
        }
        if (given_up ||
            (closing_.load(std::memory_order_relaxed) && ++close_waits_ >= close_waits_max_)) {
            return false;
        }
    }
}

}  // namespace spillway::log
