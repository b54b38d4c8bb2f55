// The command line: what the user asked the program to do, as a value that main switches on.
#pragma once

#include "conf/config.hpp"
#include "conf/load.hpp"

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace spillway::conf {

// Both `run` and `check`: which file, and what the flags set over it.
struct Source {
    std::optional<std::string> file;
    std::vector<Override> overrides;
};

struct Run {
    Source source;
};

// A command whose way through rules and guard is to be told, and who sends it.
struct Explain {
    std::string command;  // as one types it into redis-cli
    std::string client;   // CLIENT SETNAME; empty = none
    std::string user = "default";
    std::string listener;  // name or address; empty = the first
};

struct Check {
    Source source;
    std::optional<Explain> explain = {};
};

struct Doctor {
    BackendUrl url;
    Tls tls;  // its files are not read yet
    bool json = false;
    bool watch = false;
};

struct ShowVersion {};

struct ShowHelp {
    std::string text;  // ends with a newline
};

// Exit code 2. One or two lines that begin with "spillway: ", without the last newline.
struct UsageError {
    std::string message;
};

using Invocation = std::variant<Run, Check, Doctor, ShowVersion, ShowHelp, UsageError>;

// `arguments` without the program's name. Values are checked; files are not looked at.
[[nodiscard]] Invocation parse_flags(std::span<const char* const> arguments);

}  // namespace spillway::conf
