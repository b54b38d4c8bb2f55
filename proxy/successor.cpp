// Starts this program anew with the listening sockets of this process.
#include "proxy/successor.hpp"

#include "proxy/net/inherited_sockets.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

namespace spillway {
namespace {

// Without what is meant for this process alone.
std::vector<std::string> environment_for(
    std::size_t sockets, std::span<const net::FileIdentity> files
) {
    std::string handover(net::handover_variable);
    handover.append("=").append(std::to_string(sockets));
    std::string with(net::files_variable);
    with.append("=");
    for (const net::FileIdentity& file : files) {
        with.append(std::to_string(file.device)).append(":");
        with.append(std::to_string(file.inode)).append(" ");
    }
    std::vector<std::string> variables{std::move(handover), std::move(with)};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text(*variable);
        if (!text.starts_with("WATCHDOG_PID=") && !text.starts_with("LISTEN_")) {
            variables.emplace_back(text);
        }
    }
    return variables;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

// Owns what posix_spawn does between fork and exec.
class FileActions {
  public:
    FileActions() noexcept { (void)::posix_spawn_file_actions_init(&actions_); }
    ~FileActions() { (void)::posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    [[nodiscard]] int duplicate(int from, int to) noexcept {
        return ::posix_spawn_file_actions_adddup2(&actions_, from, to);
    }
    [[nodiscard]] int close_from(int first) noexcept {
        return ::posix_spawn_file_actions_addclosefrom_np(&actions_, first);
    }
    [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_{};
};

Successor failed(std::string_view what, int error) {
    Successor successor;
    successor.problem = std::string(what) + ": " + std::strerror(error);
    return successor;
}

}  // namespace

Program Program::of_this_process(std::span<const char* const> arguments) {
    Program program;
    std::error_code error;
    program.path = std::filesystem::read_symlink("/proc/self/exe", error).string();
    program.arguments.assign(arguments.begin(), arguments.end());
    if (error && !program.arguments.empty()) {
        program.path = program.arguments.front();
    }
    return program;
}

Successor start_successor(
    const Program& program,
    std::span<const net::Fd> sockets,
    std::span<const net::FileIdentity> files
) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
        return failed("no pipe", errno);
    }
    net::Fd ready(pipe[0]);
    const net::Fd told(pipe[1]);
    // Copies above all the places they go to, so that none overwrites another.
    const int ready_place = net::first_inherited + static_cast<int>(sockets.size());
    std::vector<net::Fd> copies;
    FileActions actions;
    const auto place = [&](int fd, int to) {
        copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, ready_place + 1));
        return copies.back() ? actions.duplicate(copies.back().get(), to) : errno;
    };
    for (std::size_t i = 0; i < sockets.size(); ++i) {
        const int to = net::first_inherited + static_cast<int>(i);
        if (const int error = place(sockets[i].get(), to); error != 0) {
            return failed("a listening socket cannot be handed on", error);
        }
    }
    if (const int error = place(told.get(), ready_place); error != 0) {
        return failed("the pipe cannot be handed on", error);
    }
    // Asio opens its sockets to be inherited: an address that the successor does not take would
    // stay bound, and connections open.
    if (const int error = actions.close_from(ready_place + 1); error != 0) {
        return failed("what is not handed on cannot be closed", error);
    }
    std::vector<std::string> arguments = program.arguments;
    std::vector<std::string> variables = environment_for(sockets.size(), files);
    Successor successor;
    const int error = ::posix_spawn(
        &successor.pid,
        program.path.c_str(),
        actions.get(),
        nullptr,
        pointers_to(arguments).data(),
        pointers_to(variables).data()
    );
    if (error != 0) {
        return failed(program.path + " cannot be started", error);
    }
    successor.ready = std::move(ready);
    return successor;
}

}  // namespace spillway
