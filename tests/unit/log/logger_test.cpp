// The logger on real files and pipes: slow, full, gone, replaced. Nothing here waits by time but to
// end a hung test.
#include "proxy/log/logger.hpp"

#include "proxy/log/line_sink.hpp"
#include "tests/unit/log/record_fixtures.hpp"

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <boost/json/parse.hpp>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spdlog/details/log_msg.h>
#include <sys/stat.h>
#include <unistd.h>

namespace spillway::log {
namespace {

class Folder {
  public:
    Folder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "spillway-log-XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string file(const char* name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// A pipe whose reader reads when told.
struct Pipe {
    explicit Pipe(const std::string& path) {
        EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
        reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
        EXPECT_GE(reader, 0);
    }
    ~Pipe() { leave(); }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    void leave() {
        if (reader >= 0) {
            ::close(reader);
            reader = -1;
        }
    }
    // Until the writer has gone.
    std::string read_all() {
        std::string text;
        std::array<char, 65536> part{};
        for (;;) {
            pollfd state{.fd = reader, .events = POLLIN, .revents = 0};
            if (::poll(&state, 1, 10'000) <= 0) {
                ADD_FAILURE() << "the writer neither wrote nor left";
                return text;
            }
            const ssize_t got = ::read(reader, part.data(), part.size());
            if (got == 0) {
                return text;
            }
            if (got > 0) {
                text.append(part.data(), static_cast<std::size_t>(got));
            }
        }
    }

    int reader = -1;
};

Note note(std::string message, Level level = Level::info) {
    return {.level = level, .message = std::move(message), .fields = {}};
}

TEST(Logger, WritesEverythingInOrderBeforeItEnds) {
    const Folder folder;
    const std::string path = folder.file("log");
    {
        Logger logger({.format = Format::json, .level = Level::info, .file = path});
        for (int i = 0; i < 5000; ++i) {
            logger.write(note(std::to_string(i)));
        }
        EXPECT_EQ(logger.lost_lines(), 0U);
    }
    const auto lines = lines_of(content(path));
    ASSERT_EQ(lines.size(), 5000U);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        EXPECT_EQ(boost::json::parse(lines[i]).at("msg"), boost::json::value(std::to_string(i)));
    }
}

TEST(Logger, AppendsAndKeepsTheFileFromOthers) {
    const Folder folder;
    const std::string path = folder.file("log");
    for (int i = 0; i < 2; ++i) {
        Logger logger({.format = Format::text, .level = Level::info, .file = path});
        logger.write(Stopped{});
    }
    EXPECT_EQ(lines_of(content(path)).size(), 2U);
    struct stat facts {};
    ASSERT_EQ(::stat(path.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0007U, 0U);
}

TEST(Logger, AFileThatCannotBeOpenedIsAnError) {
    const Folder folder;
    EXPECT_THROW(Logger({.file = folder.file("no/such/folder")}), std::system_error);
    try {
        Logger logger({.file = folder.file("no/such/folder")});
    } catch (const std::system_error& error) {
        EXPECT_NE(std::string(error.what()).find("no/such/folder"), std::string::npos);
    }
}

TEST(Logger, LevelAndFormatChangeLive) {
    const Folder folder;
    const std::string path = folder.file("log");
    {
        Logger logger({.format = Format::text, .level = Level::warn, .file = path});
        logger.write(note("quiet"));
        logger.write(Stopped{});
        logger.set_level(Level::debug);
        logger.write(note("loud", Level::debug));
        logger.set_format(Format::json);
        logger.write(testing::oom_record());
        logger.set_level(Level::error);
        logger.write(testing::oom_record());
    }
    const auto lines = lines_of(content(path));
    ASSERT_EQ(lines.size(), 2U) << "JSON is one line, also for an oom";
    EXPECT_NE(lines[0].find("DEBUG note             loud"), std::string::npos);
    EXPECT_EQ(boost::json::parse(lines[1]).at("event"), "oom");
}

TEST(Logger, AnOomInTextIsABlock) {
    const Folder folder;
    const std::string path = folder.file("log");
    {
        Logger logger({.format = Format::text, .level = Level::info, .file = path});
        logger.write(testing::oom_record());
    }
    const std::string text = content(path);
    EXPECT_NE(text.find("\n    because   policy is noeviction"), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << "no colours in a file";
}

TEST(Logger, ABlockedReaderStallsNobodyAndTheLossIsSaid) {
    const Folder folder;
    Pipe pipe(folder.file("pipe"));
    constexpr int written = 30'000;
    std::string text;
    std::thread reading;
    {
        Logger logger({.format = Format::json, .level = Level::info, .file = folder.file("pipe")});
        for (int i = 0; i < written; ++i) {
            logger.write(note(std::to_string(i)));  // would hang here, if it waited
        }
        const std::uint64_t lost = logger.lost_lines();
        EXPECT_GE(lost, static_cast<std::uint64_t>(written) - Logger::queue_lines_max - 2000);
        EXPECT_LT(lost, static_cast<std::uint64_t>(written));
        reading = std::thread([&] { text = pipe.read_all(); });
    }
    reading.join();
    std::uint64_t notes = 0;
    std::uint64_t told = 0;
    std::string last;
    for (const auto& line : lines_of(text)) {
        const auto json = boost::json::parse(line);
        if (json.as_object().contains("lines")) {
            told += json.at("lines").to_number<std::uint64_t>();
        } else {
            ++notes;
            last = json.at("msg").as_string().c_str();
        }
    }
    EXPECT_EQ(last, std::to_string(written - 1)) << "the newest is kept";
    EXPECT_EQ(notes + told, static_cast<std::uint64_t>(written)) << "written or said to be lost";
}

TEST(Logger, AReaderThatNeverReadsDoesNotKeepTheProcess) {
    const Folder folder;
    Pipe pipe(folder.file("pipe"));
    Logger logger({.file = folder.file("pipe"), .close_wait_ms = 100});
    for (int i = 0; i < 2000; ++i) {
        logger.write(note(std::string(200, 'x')));
    }
}  // hangs here, if it waits for ever

TEST(Logger, AReaderThatLeavesEndsNothing) {
    ASSERT_EQ(std::signal(SIGPIPE, SIG_DFL), SIG_DFL);  // a signal would end this test program
    const Folder folder;
    Pipe pipe(folder.file("pipe"));
    Logger logger({.format = Format::text, .level = Level::info, .file = folder.file("pipe")});
    pipe.leave();
    logger.write(note("nobody hears this"));
    while (logger.lost_lines() == 0) {  // ends, or the test is ended
        std::this_thread::yield();
    }
    const std::string path = folder.file("log");
    ASSERT_EQ(logger.reopen(path), "");
}

TEST(Logger, AFullDiskCostsLinesOnly) {
    Logger logger({.format = Format::text, .level = Level::info, .file = "/dev/full"});
    for (int i = 0; i < 100; ++i) {
        logger.write(note("no room"));
    }
    while (logger.lost_lines() < 100) {  // ends, or the test is ended
        std::this_thread::yield();
    }
    EXPECT_EQ(logger.lost_lines(), 100U);
}

TEST(Logger, ReopensForRotationAndKeepsTheOldFileWhenItCannot) {
    const Folder folder;
    const std::string path = folder.file("log");
    const std::string rotated = folder.file("log.1");
    {
        Logger logger({.format = Format::text, .level = Level::info, .file = path});
        logger.write(note("first"));
        while (content(path).empty()) {
            std::this_thread::yield();
        }
        std::filesystem::rename(path, rotated);
        ASSERT_EQ(logger.reopen(path), "");
        logger.write(note("second"));
        EXPECT_EQ(logger.reopen(folder.file("no/such/folder")), "No such file or directory");
        logger.write(note("third"));
    }
    EXPECT_EQ(lines_of(content(rotated)).size(), 1U);
    ASSERT_EQ(lines_of(content(path)).size(), 2U);
}

TEST(Logger, AnyThreadMayWrite) {
    const Folder folder;
    const std::string path = folder.file("log");
    {
        Logger logger({.format = Format::json, .level = Level::info, .file = path});
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&logger, t] {
                for (int i = 0; i < 500; ++i) {
                    logger.write(note(std::to_string(t)));
                    logger.set_level(i % 2 == 0 ? Level::info : Level::debug);
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
    }
    const auto lines = lines_of(content(path));
    EXPECT_EQ(lines.size(), 2000U);
    for (const auto& line : lines) {
        EXPECT_NO_THROW((void)boost::json::parse(line));
    }
}

// The sink alone, where its waits can be short.

void put(LineSink& sink, std::string_view line) {
    sink.log(spdlog::details::log_msg(
        "test", spdlog::level::info, spdlog::string_view_t(line.data(), line.size())
    ));
}

struct PipeEnds {
    PipeEnds() { EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0); }
    ~PipeEnds() { ::close(ends[0]); }
    std::array<int, 2> ends{};
};

TEST(LineSink, GivesUpATargetThatTakesNothingOnceItCloses) {
    PipeEnds pipe;  // blocking, as standard error often is
    LineSink sink(LogTarget(pipe.ends[1]), 100, {});
    sink.begin_closing();
    const std::string big(200'000, 'x');  // more than a pipe holds
    put(sink, big);
    EXPECT_EQ(sink.failed_lines(), 1U);
    for (int i = 0; i < 5000; ++i) {  // a tenth of a second each would be eight minutes
        put(sink, "more");
    }
    EXPECT_EQ(sink.failed_lines(), 5001U);
}

TEST(LineSink, ANewTargetFreesALineThatWaits) {
    const Folder folder;
    const std::string path = folder.file("log");
    PipeEnds pipe;
    LineSink sink(LogTarget(pipe.ends[1]), 100, {});
    const std::string big(200'000, 'x');
    std::thread writer([&] { put(sink, big); });
    std::array<char, 10'000> part{};
    ASSERT_GT(::read(pipe.ends[0], part.data(), part.size()), 0);  // it has begun
    sink.set_target(LogTarget(path));
    writer.join();
    EXPECT_EQ(content(path), big + "\n") << "the whole line, from its start";
    EXPECT_EQ(sink.failed_lines(), 0U);
}

TEST(LineSink, EndsALineThatWasCutBeforeTheNext) {
    PipeEnds pipe;
    LineSink sink(LogTarget(pipe.ends[1]), 100, {});
    sink.begin_closing();
    put(sink, std::string(100'000, 'x'));  // cut at what the pipe holds
    std::array<char, 200'000> part{};
    const ssize_t first = ::read(pipe.ends[0], part.data(), part.size());
    ASSERT_GT(first, 0);
    put(sink, "next");
    const ssize_t second = ::read(pipe.ends[0], part.data(), part.size());
    ASSERT_GT(second, 0);
    EXPECT_EQ(std::string(part.data(), static_cast<std::size_t>(second)), "\nnext\n");
}

TEST(LineSink, AsksForOneMoreLineAfterEach) {
    const Folder folder;
    const std::string path = folder.file("log");
    int asked = 0;
    LineSink sink(LogTarget(path), 100, [&] {
        return ++asked == 2 ? std::string("extra") : std::string();
    });
    put(sink, "a");
    put(sink, "b");
    put(sink, "c");
    EXPECT_EQ(content(path), "a\nb\nextra\nc\n");
}

}  // namespace
}  // namespace spillway::log
