// `spillway doctor`: examines a server once, or again and again, and tells a person or a program.
#include "proxy/doctor/doctor.hpp"

#include "proxy/doctor/examination.hpp"
#include "proxy/doctor/report.hpp"
#include "proxy/log/encode.hpp"
#include "proxy/log/json.hpp"
#include "proxy/log/sample_json.hpp"
#include "proxy/net/clock.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

// GCC 12 takes a coroutine frame's own operator delete for a mismatch when it inlines Asio's new.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace spillway::doctor {

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

constexpr auto watch_pause = 2s;
constexpr unsigned plain_width = 100;

[[nodiscard]] std::string variable(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? std::string() : value;
}

[[nodiscard]] bool speaks_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const std::string value = variable(name);
        if (!value.empty()) {  // the first that is set decides
            return value.find("UTF-8") != std::string::npos ||
                   value.find("utf8") != std::string::npos;
        }
    }
    return false;
}

[[nodiscard]] Style style_of_output() {
    Style style{.colour = false, .blocks = false, .width = plain_width};
    if (::isatty(STDOUT_FILENO) == 0) {
        return style;
    }
    const std::string terminal = variable("TERM");
    style.colour = variable("NO_COLOR").empty() && terminal != "dumb";
    style.blocks = speaks_utf8();
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        style.width = size.ws_col;
    }
    return style;
}

[[nodiscard]] int status_of(policy::Health health) noexcept {
    switch (health) {
        case policy::Health::healthy:
            return exit_healthy;
        case policy::Health::at_risk:
            return exit_at_risk;
        case policy::Health::oom:
            return exit_oom;
    }
    return exit_failure;
}

[[nodiscard]] std::string json_text(const Findings& findings) {
    log::DoctorReport report;
    report.target = findings.target;
    report.state = findings.state;
    report.sample_age_ms =
        (net::monotonic_now() - findings.state.sample.asked_at) / policy::millisecond;
    report.diagnosis = findings.diagnosis;
    report.sampled = log::sample_json(findings.keys, {.mode = policy::KeyMode::full, .secret = {}});
    report.unavailable = findings.unavailable;
    return log::to_line(log::doctor_json(report)) + "\n";
}

// A problem may quote the server: line by line, nothing that a terminal would obey.
std::string shown(std::string_view problem) {
    std::string text;
    while (!problem.empty()) {
        const std::string_view line = problem.substr(0, problem.find('\n'));
        text += (text.empty() ? "" : "\n") + log::terminal_text(line);
        problem.remove_prefix(std::min(line.size() + 1, problem.size()));
    }
    return text;
}

// One line on the terminal, written over again and again; nothing elsewhere.
class ProgressLine {
  public:
    ProgressLine() : shown_(::isatty(STDERR_FILENO) != 0) {}
    void show(std::string_view doing, double done) {
        if (shown_) {
            std::cerr << "\r\x1b[K  " << doing << " ... " << static_cast<int>(done * 100) << " %"
                      << std::flush;
        }
    }
    void clear() {
        if (shown_) {
            std::cerr << "\r\x1b[K" << std::flush;
        }
    }

  private:
    bool shown_;
};

class Doctor {
  public:
    Doctor(const Settings& settings, std::shared_ptr<const net::TlsContext> tls)
        : settings_(settings), tls_(std::move(tls)) {}

    int run() {
        asio::signal_set signals(context_, SIGINT, SIGTERM);
        signals.async_wait([this](const boost::system::error_code& error, int) {
            if (!error) {
                interrupted_ = true;
                context_.stop();
            }
        });
        asio::co_spawn(context_, examine(), [this](const std::exception_ptr& failure) {
            context_.stop();
            if (failure) {
                std::rethrow_exception(failure);
            }
        });
        context_.run();
        progress_.clear();
        // Cut short, there is nothing to say; a watch has said it.
        return interrupted_ && !settings_.watch ? exit_failure : status_;
    }

  private:
    asio::awaitable<void> examine() {
        const Style style = style_of_output();
        do {
            Findings findings;
            Examination examination(
                context_,
                settings_.url,
                history_,
                tls_,
                [this](std::string_view doing, double done) { progress_.show(doing, done); }
            );
            const std::string problem = co_await examination.run(findings);
            progress_.clear();
            if (problem.empty()) {
                status_ = status_of(findings.diagnosis.health);
                const bool again = settings_.watch && style.colour && !settings_.json;
                std::cout << (again ? "\x1b[H\x1b[2J" : "")
                          << (settings_.json ? json_text(findings) : report_text(findings, style))
                          << std::flush;
            } else {
                status_ = exit_failure;
                std::cerr << "spillway: " << shown(problem) << '\n';
            }
            if (settings_.watch) {
                asio::steady_timer timer(context_, watch_pause);
                (void)co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
            }
        } while (settings_.watch && std::cout.good());
    }

    Settings settings_;
    std::shared_ptr<const net::TlsContext> tls_;
    asio::io_context context_{1};
    ProgressLine progress_;
    policy::MemoryHistory history_;  // a watch remembers what it saw
    int status_ = exit_failure;
    bool interrupted_ = false;
};

}  // namespace

int run(const Settings& settings) {
    std::signal(SIGPIPE, SIG_IGN);
    std::shared_ptr<const net::TlsContext> tls;
    if (settings.url.scheme == conf::BackendUrl::Scheme::rediss) {
        auto opened = net::TlsContext::for_backend(settings.tls, settings.url.address.host);
        if (const auto* problem = std::get_if<net::TlsContext::Problem>(&opened)) {
            std::cerr << "spillway: " << shown(problem->message) << '\n';
            return exit_failure;
        }
        tls = std::get<std::shared_ptr<const net::TlsContext>>(std::move(opened));
    }
    return Doctor(settings, std::move(tls)).run();
}

}  // namespace spillway::doctor
