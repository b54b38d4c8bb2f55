// Where lines end up: standard error or a file, written by the log's own thread, which may wait
// where no other may.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include <spdlog/sinks/base_sink.h>

namespace spillway::log {

// An open file descriptor, closed with its owner unless it is standard error.
class LogTarget {
  public:
    LogTarget() = default;  // standard error

    // Appends to the file, which is created for its owner and group to read. Throws
    // std::system_error.
    explicit LogTarget(const std::string& file);
    // For tests and for what is opened elsewhere; takes the descriptor over.
    explicit LogTarget(int fd) : fd_(fd), owned_(true) {}
    ~LogTarget();

    LogTarget(LogTarget&& other) noexcept;
    LogTarget& operator=(LogTarget&& other) noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_; }
    [[nodiscard]] bool is_terminal() const noexcept;
    // Whether systemd's journal reads it, which takes a line's level from "<4>" before it.
    [[nodiscard]] bool is_journal() const noexcept;

  private:
    int fd_ = 2;
    bool owned_ = false;
};

// One line a message. A target that takes nothing is waited for, in short waits that a new target
// or the end of the process cuts; one that fails costs the line, which is counted. A line that was
// written in part is ended before the next begins.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    // `close_wait_ms`: once closing, how long a target that takes nothing is waited for. `on_room`
    // is asked after each line for one more to write, e.g. about lines that were lost; empty =
    // none.
    LineSink(LogTarget target, int close_wait_ms, std::function<std::string()> on_room);

    // Any thread; takes effect with the next write, also of one that waits.
    void set_target(LogTarget target);

    // Any thread: from now on nothing is waited for longer than close_wait_ms.
    void begin_closing() noexcept { closing_.store(true, std::memory_order_relaxed); }

    [[nodiscard]] std::uint64_t failed_lines() const noexcept {
        return failed_.load(std::memory_order_relaxed);
    }

  private:
    void sink_it_(const spdlog::details::log_msg& message) override;
    void flush_() override {}

    [[nodiscard]] bool put_line(std::string_view line);
    [[nodiscard]] bool write_all(std::string_view bytes);
    [[nodiscard]] bool wait_writable();
    void take_new_target();

    LogTarget target_;
    const int close_waits_max_;
    std::function<std::string()> on_room_;
    std::string buffer_;
    bool mid_line_ = false;
    int close_waits_ = 0;  // in a row, since closing began
    std::atomic<bool> closing_ = false;
    std::atomic<std::uint64_t> failed_ = 0;

    std::mutex next_mutex_;
    std::atomic<bool> has_next_ = false;
    LogTarget next_;
};

}  // namespace spillway::log
