// Writes records as text or JSON to standard error or a file, from a thread of its own.
#pragma once

#include "policy/incident.hpp"
#include "proxy/log/records.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace spillway::log {

enum class Format : std::uint8_t { text, json };

// Keys come to the logger as they may be shown (policy::KeyDisplay), so that no format can leak
// one.
struct LogSettings {
    Format format = Format::text;
    Level level = Level::info;  // what is below it is not written
    std::string file;           // empty = standard error
    int close_wait_ms = 2000;   // at the end, how long a target that takes nothing is waited for
};

// write() makes the line and queues it; it never waits for the disk or the terminal. A full queue
// drops its oldest line, which is counted, and said in the log once there is room again. Any thread
// may call anything but the destructor.
class Logger {
  public:
    static constexpr std::size_t queue_lines_max = 8192;

    // Throws std::system_error when the file cannot be opened.
    explicit Logger(const LogSettings& settings);

    // Writes what is queued; gives up when the other side takes nothing for settings.close_wait_ms.
    ~Logger();

    Logger(const Logger&) = delete;
    Logger& operator=(const Logger&) = delete;

    void write(const Started& record);
    void write(const Listening& record);
    void write(const BackendUp& record);
    void write(const BackendDown& record);
    void write(const GuardStateChanged& record);
    void write(const GuardSummary& record);
    void write(const ConfigReloaded& record);
    void write(const ConfigRejected& record);
    void write(const Stopping& record);
    void write(const Stopped& record);
    void write(const Note& record);
    void write(const policy::Record& record);

    // Live changes of `log.level`, `log.format`, `log.file`.
    void set_level(Level level) noexcept;
    void set_format(Format format) noexcept;
    // Opens the file anew, for log rotation or another path; on failure the old one stays. Why, or
    // empty.
    [[nodiscard]] std::string reopen(const std::string& file);

    // Lines lost since the start: dropped from the full queue, or refused by a full disk.
    [[nodiscard]] std::uint64_t lost_lines() const noexcept;

  private:
    void write_line(const Line& line);

    struct Machinery;
    std::unique_ptr<Machinery> machinery_;
};

}  // namespace spillway::log
