// Writes records as text or JSON to standard error or a file, from a thread of its own.
#include "proxy/log/logger.hpp"

#include "proxy/log/line_sink.hpp"
#include "proxy/log/text.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

#include <pthread.h>
#include <signal.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/thread_pool.h>

namespace spillway::log {
namespace {

[[nodiscard]] std::int64_t unix_ms_now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

[[nodiscard]] LogTarget target_of(const std::string& file) {
    return file.empty() ? LogTarget() : LogTarget(file);
}

// By the customs of terminals: NO_COLOR and TERM=dumb ask for none.
[[nodiscard]] bool wants_colour(const LogTarget& target) {
    const char* const no_colour = std::getenv("NO_COLOR");
    const char* const terminal = std::getenv("TERM");
    return target.is_terminal() && (no_colour == nullptr || *no_colour == '\0') &&
           terminal != nullptr && std::string_view(terminal) != "dumb";
}

// Before each line, as sd-daemon(3) says.
[[nodiscard]] std::string with_priority(Level level, std::string_view text) {
    const char* priority = "<6>";
    switch (level) {
        case Level::trace:
        case Level::debug:
            priority = "<7>";
            break;
        case Level::info:
            break;
        case Level::warn:
            priority = "<4>";
            break;
        case Level::error:
            priority = "<3>";
            break;
    }
    std::string lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        lines.append(priority).append(text.substr(0, end));
        text.remove_prefix(end);
    }
    return lines;
}

// Signals are for the program's own threads; a pipe without a reader is an error here, not the end
// of the process.
void block_signals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

}  // namespace

struct Logger::Machinery {
    explicit Machinery(const LogSettings& settings)
        : format(settings.format), level(settings.level) {
        LogTarget target = target_of(settings.file);
        take_over(target);
        pool = std::make_shared<spdlog::details::thread_pool>(queue_lines_max, 1, block_signals);
        sink = std::make_shared<LineSink>(
            std::move(target),
            settings.close_wait_ms,
            [this, queue = pool.get()] { return loss_line(*queue); }
        );
        // The oldest line gives way: what happens now matters more, and the loss is said.
        lines = std::make_shared<spdlog::async_logger>(
            "spillway", sink, pool, spdlog::async_overflow_policy::overrun_oldest
        );
        lines->set_level(spdlog::level::trace);
    }

    ~Machinery() {
        sink->begin_closing();
        lines.reset();
        pool.reset();  // writes what is queued, then ends the thread
    }

    Machinery(const Machinery&) = delete;
    Machinery& operator=(const Machinery&) = delete;

    [[nodiscard]] bool passes(Level wanted) const noexcept {
        return wanted >= level.load(std::memory_order_relaxed);
    }

    void take_over(const LogTarget& target) {
        coloured.store(wants_colour(target), std::memory_order_relaxed);
        to_journal.store(target.is_journal(), std::memory_order_relaxed);
    }

    [[nodiscard]] std::string for_target(Level of, std::string text) const {
        return to_journal.load(std::memory_order_relaxed) ? with_priority(of, text) : text;
    }

    void put(Level of, std::string text) {
        lines->log(spdlog::level::info, spdlog::string_view_t(for_target(of, std::move(text))));
    }

    [[nodiscard]] std::string rendered(const Line& line) const {
        return format.load(std::memory_order_relaxed) == Format::json
                   ? json_line(line, unix_ms_now())
                   : text_line(line, unix_ms_now(), coloured.load(std::memory_order_relaxed));
    }

    [[nodiscard]] std::uint64_t lost(spdlog::details::thread_pool& queue) const {
        return queue.overrun_counter() + sink->failed_lines();
    }

    // On the log's thread: a line about what was lost since the last such line, once the queue has
    // room.
    [[nodiscard]] std::string loss_line(spdlog::details::thread_pool& queue) {
        const std::uint64_t now_lost = lost(queue);
        if (now_lost == told_lost || queue.queue_size() > queue_lines_max / 2) {
            return {};
        }
        const std::uint64_t more = now_lost - std::exchange(told_lost, now_lost);
        const Line line = line_of(Note{
            .level = Level::warn,
            .message = "log lines were lost, as they could not be written as fast as they came",
            .fields = {{"lines", more}}});
        return for_target(line.level, rendered(line));
    }

    std::atomic<Format> format;
    std::atomic<Level> level;
    std::atomic<bool> coloured = false;
    std::atomic<bool> to_journal = false;
    std::shared_ptr<spdlog::details::thread_pool> pool;
    std::shared_ptr<LineSink> sink;
    std::shared_ptr<spdlog::async_logger> lines;
    std::uint64_t told_lost = 0;  // the log's thread only
};

Logger::Logger(const LogSettings& settings) : machinery_(std::make_unique<Machinery>(settings)) {}

Logger::~Logger() = default;

void Logger::write_line(const Line& line) {
    if (machinery_->passes(line.level)) {
        machinery_->put(line.level, machinery_->rendered(line));
    }
}

void Logger::write(const Started& record) {
    write_line(line_of(record));
}
void Logger::write(const Listening& record) {
    write_line(line_of(record));
}
void Logger::write(const BackendUp& record) {
    write_line(line_of(record));
}
void Logger::write(const BackendDown& record) {
    write_line(line_of(record));
}
void Logger::write(const GuardStateChanged& record) {
    write_line(line_of(record));
}
void Logger::write(const GuardSummary& record) {
    write_line(line_of(record));
}
void Logger::write(const ConfigReloaded& record) {
    write_line(line_of(record));
}
void Logger::write(const ConfigRejected& record) {
    write_line(line_of(record));
}
void Logger::write(const Stopping& record) {
    write_line(line_of(record));
}
void Logger::write(const Stopped& record) {
    write_line(line_of(record));
}

void Logger::write(const Note& record) {
    if (machinery_->passes(record.level)) {
        write_line(line_of(record));
    }
}

void Logger::write(const policy::Record& record) {
    const Line line = line_of(record);
    if (!machinery_->passes(line.level)) {
        return;
    }
    std::string text = machinery_->rendered(line);
    if (machinery_->format.load(std::memory_order_relaxed) == Format::text) {
        text += text_block(record, machinery_->coloured.load(std::memory_order_relaxed));
    }
    machinery_->put(line.level, std::move(text));
}

void Logger::set_level(Level level) noexcept {
    machinery_->level.store(level, std::memory_order_relaxed);
}

void Logger::set_format(Format format) noexcept {
    machinery_->format.store(format, std::memory_order_relaxed);
}

std::string Logger::reopen(const std::string& file) {
    try {
        LogTarget target = target_of(file);
        machinery_->take_over(target);
        machinery_->sink->set_target(std::move(target));
        return {};
    } catch (const std::system_error& error) {
        return error.code().message();
    }
}

std::uint64_t Logger::lost_lines() const noexcept {
    return machinery_->lost(*machinery_->pool);
}

}  // namespace spillway::log
