// The program: reads the command line, then runs the proxy, checks a configuration, or says what it
// can do.
#include "conf/effective.hpp"
#include "conf/flags.hpp"
#include "proxy/config_warnings.hpp"
#include "proxy/control_plane.hpp"
#include "proxy/doctor/doctor.hpp"
#include "proxy/explain.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/net/systemd.hpp"
#include "proxy/settings.hpp"
#include "proxy/startup.hpp"
#include "proxy/tls_contexts.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <unistd.h>

namespace spillway {
namespace {

constexpr int exit_failure = 1;
constexpr int exit_usage = 2;

void wait_for_signals(
    boost::asio::signal_set& signals, ControlPlane& control, const Program& program
) {
    signals.async_wait([&](const boost::system::error_code& error, int signal) {
        if (error) {
            return;
        }
        if (signal == SIGHUP) {
            net::notify_systemd(
                "RELOADING=1\nMONOTONIC_USEC=" + std::to_string(net::monotonic_now() / 1000)
            );
            (void)control.reload();
            net::notify_systemd("READY=1");
        } else if (signal == SIGUSR2) {
            control.hand_over(program);
        } else if (signal == SIGUSR1) {
            control.reopen_log();
        } else {
            control.drain(signal == SIGTERM ? "SIGTERM" : "SIGINT");
        }
        wait_for_signals(signals, control, program);
    });
}

int run_proxy(
    conf::Loaded loaded,
    TlsContexts tls,
    std::vector<conf::Override> overrides,
    const Program& program
) {
    std::signal(SIGPIPE, SIG_IGN);
    net::InheritedSockets inherited = net::InheritedSockets::from_environment();
    raise_descriptor_limit();
    log::Logger logger(log_settings(loaded.config.log));
    boost::asio::io_context context(1);
    boost::asio::signal_set signals(context, SIGTERM, SIGINT, SIGHUP);
    signals.add(SIGUSR2);
    signals.add(SIGUSR1);
    let_signals_come();
    ControlPlane control(
        context, std::move(loaded), std::move(tls), std::move(overrides), SPILLWAY_VERSION, logger
    );
    if (const auto problem = control.start(inherited)) {
        std::cerr << "spillway: " << *problem << '\n';
        return exit_failure;
    }
    inherited = {};  // what nobody has taken is closed
    wait_for_signals(signals, control, program);
    context.run();
    // One more signal must not turn the end of a process that has done its work into a violent one.
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    return 0;
}

int print_problems(const conf::Problems& problems) {
    for (const conf::Problem& problem : problems) {
        std::cerr << conf::to_string(problem) << '\n';
    }
    return exit_usage;
}

bool shows_colours() {
    const char* const terminal = std::getenv("TERM");
    return ::isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr &&
           terminal != nullptr && std::string_view(terminal) != "dumb";
}

int print_explanation(const conf::Loaded& loaded, const conf::Explain& asked) {
    const Explanation explanation = explain(loaded, asked, shows_colours());
    if (!explanation.problem.empty()) {
        std::cerr << "spillway: --explain: " << explanation.problem << '\n';
        return exit_usage;
    }
    std::cout << explanation.text;
    return 0;
}

int run_doctor(const conf::Doctor& asked) {
    conf::Tls tls = asked.tls;
    for (conf::PemFile* file : {&tls.ca, &tls.cert, &tls.key}) {
        if (const std::string problem = conf::read_pem(*file); !problem.empty()) {
            std::cerr << "spillway: " << problem << '\n';
            return exit_usage;
        }
    }
    return doctor::run(
        {.url = asked.url, .tls = std::move(tls), .json = asked.json, .watch = asked.watch}
    );
}

int run(const conf::Invocation& invocation, const Program& program) {
    if (const auto* usage = std::get_if<conf::UsageError>(&invocation)) {
        std::cerr << usage->message << '\n';
        return exit_usage;
    }
    if (const auto* help = std::get_if<conf::ShowHelp>(&invocation)) {
        std::cout << help->text;
        return 0;
    }
    if (std::holds_alternative<conf::ShowVersion>(invocation)) {
        std::cout << "spillway " << SPILLWAY_VERSION << '\n';
        return 0;
    }
    if (const auto* doctor = std::get_if<conf::Doctor>(&invocation)) {
        let_signals_come();
        return run_doctor(*doctor);
    }
    const auto* check = std::get_if<conf::Check>(&invocation);
    if (check != nullptr) {
        let_signals_come();
    }
    const conf::Source& source =
        check != nullptr ? check->source : std::get<conf::Run>(invocation).source;
    conf::LoadResult result = conf::load(source.file, source.overrides);
    if (const auto* problems = std::get_if<conf::Problems>(&result)) {
        return print_problems(*problems);
    }
    auto& loaded = std::get<conf::Loaded>(result);
    auto tls = open_tls(loaded);
    if (const auto* problems = std::get_if<conf::Problems>(&tls)) {
        return print_problems(*problems);
    }
    auto& contexts = std::get<TlsContexts>(tls);
    if (check == nullptr) {
        return run_proxy(std::move(loaded), std::move(contexts), source.overrides, program);
    }
    const auto tell = [](const std::vector<std::string>& warnings) {
        for (const std::string& warning : warnings) {
            std::cerr << "warning: " << warning << '\n';
        }
    };
    tell(contexts.warnings);
    tell(config_warnings(loaded, resp::CommandTable()));
    if (check->explain) {
        return print_explanation(loaded, *check->explain);
    }
    std::cout << conf::render_effective(loaded);
    return 0;
}

// What was asked for and nobody got is a failure, however well it was found out.
int with_output(int status) {
    if (std::cout.flush()) {
        return status;
    }
    std::cerr << "spillway: standard output could not be written\n";
    return exit_failure;
}

}  // namespace
}  // namespace spillway

int main(int argc, char** argv) {
    spillway::fill_standard_descriptors();
    spillway::hold_back_signals();
    try {
        const std::span<const char* const> arguments(argv, static_cast<std::size_t>(argc));
        return spillway::with_output(spillway::run(
            spillway::conf::parse_flags(arguments.subspan(1)),
            spillway::Program::of_this_process(arguments)
        ));
    } catch (const std::exception& error) {
        std::cerr << "spillway: " << error.what() << '\n';
        return 1;
    }
}
