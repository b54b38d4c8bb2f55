// How the proxy begins and ends: its listening sockets, the process that takes them over, and the
// time that clients have to finish.
#include "proxy/control_plane.hpp"
#include "proxy/net/clock.hpp"
#include "proxy/net/resolver.hpp"
#include "proxy/net/systemd.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iterator>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr auto drain_step = 20ms;
constexpr int listen_backlog = 4096;
// Within this time a successor must have read its configuration and listen.
constexpr auto successor_timeout = 30s;
// What clients that stay to the end of drain_timeout get to finish the command they are at.
constexpr policy::Nanos last_word = policy::second;

// The place that an address names, looked up if need be; empty when the name is unknown.
std::optional<net::Endpoint> endpoint_of(const conf::Address& address) {
    std::vector<net::Endpoint> endpoints = net::numeric_endpoints(address);
    if (endpoints.empty()) {
        endpoints = net::resolve_now(address);
    }
    return endpoints.empty() ? std::nullopt : std::optional(endpoints.front());
}

net::Fd copy_of(const net::Fd& fd) {
    return net::Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
}

}  // namespace

// Over tcp each shard has a queue of its own. A unix socket has one, which they share, and so has
// what a service manager opened; more queues than shards are served all the same.
std::optional<std::string> ControlPlane::open_listeners(net::InheritedSockets& inherited) {
    for (const conf::Listener& listener : loaded_.config.listeners) {
        std::optional<net::Endpoint> endpoint = endpoint_of(listener.address);
        if (!endpoint) {
            return "cannot listen on " + conf::to_string(listener.address) +
                   ": the name is unknown";
        }
        auto share = std::make_unique<net::ListenerShare>();
        share->index = listeners_.size();
        share->clients_max = listener.max_clients;
        share->clients_per_host_max = listener.max_clients_per_host;
        share->label = conf::label_of(listener);
        share->proxy_protocol = listener.proxy_protocol;
        std::vector<net::Fd> sockets = inherited.take(*endpoint);
        if (net::SocketFile file = inherited.file_at(listener.address.unix_path);
            file && !sockets.empty()) {
            inherited_files_.push_back(std::move(file));
        }
        const std::size_t queues = listener.address.is_unix() ? 1 : shards_.size();
        for (std::size_t i = sockets.empty() ? 0 : queues; i < queues; ++i) {
            // One listener's address may cover another's: 0.0.0.0:6380 and 127.0.0.1:6380.
            const bool ours = i > 0 || std::ranges::any_of(listening_, [&](const net::Fd& fd) {
                                  return net::same_port(net::local_endpoint(fd.get()), *endpoint);
                              });
            net::Listening listening = net::listen_on(
                *endpoint, listen_backlog, ours ? net::Claim::shared : net::Claim::first
            );
            if (!listening.fd) {
                return listening.problem;
            }
            if (listening.beside_another) {
                note(
                    log::Level::warn,
                    "another process listens on " + net::text_of(*endpoint) +
                        ", too: clients come to the one or the other until one of them ends"
                );
            }
            if (listener.address.is_unix()) {
                files_.push_back(net::SocketFile::at(listener.address.unix_path));
            }
            // Port 0: the others take the port that was chosen.
            endpoint = net::local_endpoint(listening.fd.get());
            sockets.push_back(std::move(listening.fd));
        }
        share->name = net::text_of(*endpoint);
        for (std::size_t i = 0; i < std::max(sockets.size(), shards_.size()); ++i) {
            shards_[i % shards_.size()]->add_listener(*share, copy_of(sockets[i % sockets.size()]));
        }
        std::move(sockets.begin(), sockets.end(), std::back_inserter(listening_));
        listeners_.push_back(std::move(share));
    }
    return std::nullopt;
}

net::Fd ControlPlane::inherited_admin_socket(net::InheritedSockets& inherited) const {
    const std::optional<net::Endpoint> endpoint = endpoint_of(loaded_.config.admin.address);
    std::vector<net::Fd> sockets = endpoint ? inherited.take(*endpoint) : std::vector<net::Fd>();
    return sockets.empty() ? net::Fd() : std::move(sockets.front());
}

// The new process serves before this one stops to accept: nobody is turned away in between. What
// its configuration lacks it says itself.
void ControlPlane::hand_over(const Program& program) {
    if (stopping_ || successor_pid_ > 0) {
        return note(
            log::Level::warn,
            stopping_ ? "SIGUSR2 is ignored: this process is ending"
                      : "SIGUSR2 is ignored: this process is being replaced already"
        );
    }
    std::vector<net::Fd> sockets;
    for (const net::Fd& fd : listening_) {
        sockets.push_back(copy_of(fd));
    }
    if (net::Fd admin = admin_->listening_socket()) {
        sockets.push_back(std::move(admin));
    }
    std::vector<net::FileIdentity> files;
    for (const net::SocketFile& file : files_) {
        files.push_back(file.identity());
    }
    if (admin_->file()) {
        files.push_back(admin_->file().identity());
    }
    Successor successor = start_successor(program, sockets, files);
    if (successor.pid < 0) {
        return note(log::Level::error, "no process takes over: " + successor.problem);
    }
    successor_pid_ = successor.pid;
    note(log::Level::info, "process " + std::to_string(successor_pid_) + " is to take over");
    successor_.assign(successor.ready.release());
    successor_timer_.expires_after(successor_timeout);
    successor_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            successor_.cancel();
        }
    });
    successor_.async_read_some(
        boost::asio::buffer(successor_says_),
        [this](const boost::system::error_code& error, std::size_t bytes) {
            successor_timer_.cancel();
            successor_.close();
            if (!error && bytes > 0) {
                return handed_over();
            }
            const std::string pid = std::to_string(successor_pid_);
            end_successor();
            if (!stopping_) {
                note(
                    log::Level::error,
                    "process " + pid +
                        " did not come to serve, and says why in its own log; this one goes on"
                );
            }
        }
    );
}

void ControlPlane::end_successor() {
    if (successor_pid_ <= 0) {
        return;  // kill() would take it for all processes
    }
    (void)::kill(successor_pid_, SIGKILL);
    (void)::waitpid(successor_pid_, nullptr, 0);
    successor_pid_ = -1;
}

// Clients that stand are served until they leave, for at most drain_timeout.
void ControlPlane::handed_over() {
    successor_serves_ = true;
    files_.clear();  // they are the successor's
    if (stopping_) {
        return;  // it has been told to end, too
    }
    const std::string successor = std::to_string(successor_pid_);
    net::notify_systemd("MAINPID=" + successor);
    admin_->stop(true);
    begin_draining("process " + successor + " has taken over");
    watch_drain();
}

void ControlPlane::drain(std::string reason) {
    if (stopping_ && !serves_on_) {
        return finish();
    }
    if (!stopping_) {
        // Who is to end this service does not mean to leave the next one behind. By SIGTERM: it may
        // have come to serve clients without our having heard of it.
        if (successor_pid_ > 0) {
            (void)::kill(successor_pid_, SIGTERM);
        }
        begin_draining(std::move(reason));
    }
    net::notify_systemd("STOPPING=1");
    end_idle_clients();
    watch_drain();
}

void ControlPlane::begin_draining(std::string reason) {
    stopping_ = serves_on_ = true;
    logger_.write(log::Stopping{
        .reason = std::move(reason), .clients = static_cast<std::uint64_t>(clients())});
    drain_until_ =
        net::monotonic_now() + std::chrono::nanoseconds(loaded_.config.drain_timeout).count();
    listening_.clear();
    for (const auto& shard : shards_) {
        shard->stop_accepting();
    }
}

void ControlPlane::end_idle_clients() {
    serves_on_ = false;
    for (const auto& shard : shards_) {
        shard->drain();
    }
}

void ControlPlane::watch_drain() {
    drain_timer_.expires_after(drain_step);
    drain_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) {
            return;
        }
        if (clients() == 0) {
            return finish();
        }
        if (const policy::Nanos now = net::monotonic_now(); now >= drain_until_) {
            if (leaving_) {
                return finish();
            }
            drain_until_ = now + last_word;
            serves_on_ = false;
            leaving_ = true;
            for (const auto& shard : shards_) {
                shard->leave();
            }
        }
        watch_drain();
    });
}

// All end before the first is gone: they hand clients to each other.
void ControlPlane::stop_shards() {
    for (const auto& shard : shards_) {
        shard->finish();
    }
    for (const auto& shard : shards_) {
        shard->join();
    }
}

void ControlPlane::finish() {
    clients_at_end_ = static_cast<std::uint64_t>(clients());
    stop_shards();
    for (const auto& shard : shards_) {
        verdicts_.add(shard->unreported_verdicts(), net::monotonic_now());
    }
    log_verdicts(true);
    probe_.stop();
    key_sampler_.stop();
    if (successor_pid_ > 0 && !successor_serves_) {
        end_successor();
    }
    admin_->stop(successor_serves_);
    for (const policy::Record& record : desk_.finish(moment())) {
        logger_.write(record);
    }
    logger_.write(log::Stopped{.clients_cut = clients_at_end_, .exit_code = 0});
    context_.stop();
}

// A service manager that watches learns that all threads are at work, or starts the service anew.
void ControlPlane::watch_shards() {
    const std::optional<policy::Nanos> interval = net::watchdog_interval();
    if (!interval) {
        return;
    }
    if (shards_that_answered_.load(std::memory_order_relaxed) >= shards_.size()) {
        net::notify_systemd("WATCHDOG=1");
        shards_that_answered_.store(0, std::memory_order_relaxed);
        for (const auto& shard : shards_) {
            shard->answer([this] { shards_that_answered_.fetch_add(1, std::memory_order_relaxed); }
            );
        }
    }
    watchdog_timer_.expires_after(std::chrono::nanoseconds(*interval / 4));
    watchdog_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            watch_shards();
        }
    });
}

}  // namespace spillway
