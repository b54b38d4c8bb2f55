// The options, and the help text made from them.
#include "conf/options.hpp"

#include "conf/value.hpp"

#include <algorithm>
#include <array>

namespace spillway::conf {

namespace {

constexpr std::array option_table = {
    Option{
        .name = "--config",
        .short_name = "-c",
        .metavar = "FILE",
        .help = "configuration file (TOML)",
        .section = {},
        .key = {},
        .runs = true},
    Option{
        .name = "--listen",
        .short_name = {},
        .metavar = "ADDR",
        .help = "where clients connect; may be repeated",
        .section = "listener",
        .key = "address",
        .runs = true},
    Option{
        .name = "--backend",
        .short_name = {},
        .metavar = "URL",
        .help = "the Redis to protect",
        .section = "backend",
        .key = "url",
        .runs = true},
    Option{
        .name = "--mode",
        .short_name = {},
        .metavar = "MODE",
        .help = "what the guard does",
        .section = "guard",
        .key = "mode",
        .runs = true},
    Option{
        .name = "--admin",
        .short_name = {},
        .metavar = "ADDR",
        .help = "metrics and health over HTTP",
        .section = "admin",
        .key = "address",
        .runs = true},
    Option{
        .name = "--log-format",
        .short_name = {},
        .metavar = "FORMAT",
        .help = "how records are written",
        .section = "log",
        .key = "format",
        .runs = true},
    Option{
        .name = "--log-level",
        .short_name = {},
        .metavar = "LEVEL",
        .help = "the least level that is written",
        .section = "log",
        .key = "level",
        .runs = true},
    Option{
        .name = "--explain",
        .short_name = {},
        .metavar = "COMMAND",
        .help = "tell which rule this command meets, and what becomes of it",
        .section = {},
        .key = {},
        .explains = true},
    Option{
        .name = "--client",
        .short_name = {},
        .metavar = "NAME",
        .help = "sent by a client of this name (CLIENT SETNAME) [none]",
        .section = {},
        .key = {},
        .explains = true},
    Option{
        .name = "--user",
        .short_name = {},
        .metavar = "NAME",
        .help = "of this ACL user [default]",
        .section = {},
        .key = {},
        .explains = true},
    Option{
        .name = "--listener",
        .short_name = {},
        .metavar = "NAME",
        .help = "that connected here: a listener's name or address [the first]",
        .section = {},
        .key = {},
        .explains = true},
    Option{
        .name = "--json",
        .short_name = {},
        .metavar = {},
        .help = "print the diagnosis as JSON",
        .section = {},
        .key = {},
        .diagnoses = true},
    Option{
        .name = "--watch",
        .short_name = {},
        .metavar = {},
        .help = "look again and again, until Ctrl-C",
        .section = {},
        .key = {},
        .diagnoses = true},
    Option{
        .name = "--ca",
        .short_name = {},
        .metavar = "FILE",
        .help = "rediss://: authorities (PEM) of the server's certificate [the system's]",
        .section = {},
        .key = {},
        .diagnoses = true},
    Option{
        .name = "--cert",
        .short_name = {},
        .metavar = "FILE",
        .help = "rediss://: certificate (PEM) for a server that asks for one",
        .section = {},
        .key = {},
        .diagnoses = true},
    Option{
        .name = "--key",
        .short_name = {},
        .metavar = "FILE",
        .help = "rediss://: its private key (PEM) [in the certificate's file]",
        .section = {},
        .key = {},
        .diagnoses = true},
    Option{
        .name = "--server-name",
        .short_name = {},
        .metavar = "NAME",
        .help = "rediss://: the name that the server's certificate is for [the URL's host]",
        .section = {},
        .key = {},
        .diagnoses = true},
    Option{
        .name = "--help",
        .short_name = "-h",
        .metavar = {},
        .help = "print this text",
        .section = {},
        .key = {},
        .runs = true,
        .diagnoses = true},
    Option{
        .name = "--version",
        .short_name = {},
        .metavar = {},
        .help = "print the version",
        .section = {},
        .key = {},
        .runs = true,
        .diagnoses = true},
};

std::string without_quotes(std::string text) {
    std::erase(text, '"');
    return text;
}

// "off, observe or protect [protect]": what a choice may be, and its default.
std::string facts_of(const Option& option) {
    const Key* const key = key_of(option);
    if (key == nullptr) {
        return {};
    }
    const Config defaults;
    const Field field = field_of(*key, defaults, 0);
    const bool described_below =
        std::holds_alternative<Address*>(field) || std::holds_alternative<BackendUrl*>(field);
    return (described_below ? "" : ": " + without_quotes(accepted(*key))) + " [" +
           without_quotes(to_toml(*key, defaults, 0)) + "]";
}

std::string synopsis_of(const Option& option) {
    std::string text(option.short_name.empty() ? "    " : std::string(option.short_name) + ", ");
    text.append(option.name);
    return option.metavar.empty() ? text : text.append(" ").append(option.metavar);
}

std::string option_lines(bool Option::*applies) {
    std::size_t width = 0;
    for (const Option& option : options()) {
        width = option.*applies ? std::max(width, synopsis_of(option).size()) : width;
    }
    std::string text;
    for (const Option& option : options()) {
        if (option.*applies) {
            std::string synopsis = synopsis_of(option);
            synopsis.resize(width, ' ');
            text.append("  ")
                .append(synopsis)
                .append("  ")
                .append(option.help)
                .append(facts_of(option))
                .append("\n");
        }
    }
    return text;
}

constexpr std::string_view forms =
    "\n"
    "ADDR is host:port, [v6]:port or unix:/path. URL is redis://host:port, rediss://host:port "
    "(TLS) or\n"
    "unix:///path, with user:password@ before the address if need be.\n";

constexpr std::string_view exit_codes =
    "\n"
    "Exit codes: 0 fine, 1 a failure at run time, 2 wrong usage or an invalid configuration.\n";

constexpr std::string_view doctor_exit_codes =
    "\n"
    "Exit codes: 0 healthy, 3 at risk, 4 in OOM, 1 a failure at run time, 2 wrong usage.\n";

std::string help_for_run() {
    return std::string(
               "Spillway: a transparent Redis proxy that keeps writes from running Redis out of "
               "memory.\n"
               "\n"
               "Usage:\n"
               "  spillway [OPTIONS]            run the proxy\n"
               "  spillway check [OPTIONS]      validate, and print the effective configuration\n"
               "  spillway doctor URL           diagnose a live Redis, without proxying\n"
               "\n"
               "Options win over the file; what neither sets has the default in brackets:\n"
           ) +
           option_lines(&Option::runs) + std::string(forms) +
           "\n"
           "Examples:\n"
           "  spillway --backend redis://10.0.0.5:6379\n"
           "  spillway -c /etc/spillway/spillway.toml --mode observe\n"
           "  spillway check -c /etc/spillway/spillway.toml\n"
           "  spillway check -c spillway.toml --explain \"SET cart:1 x\" --client web\n"
           "  spillway doctor redis://10.0.0.5:6379 --json\n"
           "\n"
           "Signals: SIGTERM and SIGINT let clients finish until drain_timeout, then exit; SIGHUP "
           "reads\n"
           "the file anew; SIGUSR1 opens the log file anew; SIGUSR2 puts a new process in the "
           "place\n"
           "of this one, which serves its clients until drain_timeout.\n" +
           std::string(exit_codes).substr(1);
}

std::string help_for_check() {
    return std::string(
               "Usage: spillway check [OPTIONS]\n"
               "\n"
               "Validates the configuration and prints it as TOML, each value with where it came "
               "from:\n"
               "default, file:line or flag. Prints every error at once as file:line:column: "
               "message.\n"
               "\n"
               "With --explain it tells instead what would become of one command, as typed into "
               "redis-cli.\n"
               "\n"
               "Options win over the file; what neither sets has the default in brackets:\n"
           ) +
           option_lines(&Option::runs) +
           "\n"
           "To explain a command:\n" +
           option_lines(&Option::explains) + std::string(forms) +
           "\n"
           "Examples:\n"
           "  spillway check -c /etc/spillway/spillway.toml\n"
           "  spillway check -c spillway.toml --explain \"SET cart:1 x\" --client web\n" +
           std::string(exit_codes);
}

std::string help_for_doctor() {
    return std::string(
               "Usage: spillway doctor URL [OPTIONS]\n"
               "\n"
               "Looks at a live Redis once and says whether its memory is in danger, why, and what "
               "to do.\n"
               "It only reads.\n"
               "\n"
               "Options:\n"
           ) +
           option_lines(&Option::diagnoses) +
           "\n"
           "URL is redis://host:port, rediss://host:port (TLS) or unix:///path, with "
           "user:password@ "
           "before\n"
           "the address if need be.\n"
           "\n"
           "Examples:\n"
           "  spillway doctor redis://10.0.0.5:6379\n"
           "  spillway doctor redis://ops:secret@10.0.0.5:6379 --json\n"
           "  spillway doctor rediss://redis.internal:6380 --ca ca.pem\n" +
           std::string(doctor_exit_codes);
}

}  // namespace

std::span<const Option> options() noexcept {
    return option_table;
}

const Key* key_of(const Option& option) noexcept {
    return option.key.empty() ? nullptr : find_key(option.section, option.key);
}

std::string help_for(Command command) {
    switch (command) {
        case Command::run:
            return help_for_run();
        case Command::check:
            return help_for_check();
        case Command::doctor:
            return help_for_doctor();
    }
    return {};
}

}  // namespace spillway::conf
