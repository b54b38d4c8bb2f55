// Listening, accepting and stopping; the connections do the talking.
#include "proxy/admin/server.hpp"

#include "proxy/admin/connection.hpp"
#include "proxy/admin/listening.hpp"

#include <exception>
#include <unordered_set>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <fcntl.h>

namespace spillway::admin {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// Without a free descriptor accepting fails at once, again and again.
constexpr std::chrono::milliseconds pause_after_accept_error{100};

// An exception in a coroutine is a broken invariant: let it end the process where it is seen.
void rethrow(std::exception_ptr escaped) {
    if (escaped) {
        std::rethrow_exception(escaped);
    }
}

}  // namespace

struct Server::State : std::enable_shared_from_this<State> {
    State(asio::io_context& context, ServerOptions server_options, Sources server_sources)
        : io(context),
          options(std::move(server_options)),
          token(options.token),
          tls(options.tls),
          sources(std::move(server_sources)),
          pause(context.get_executor()),
          address(options.address) {}

    std::optional<std::string> start(net::Fd inherited);
    void stop(bool keep_path);
    void accept(Socket socket);

    static Task accept_all(std::shared_ptr<State> state);
    static Task serve(
        std::shared_ptr<State> state, std::shared_ptr<Connection> connection, bool refused
    );

    asio::io_context& io;
    const ServerOptions options;
    conf::Secret token;  // as it is by now, and so is the next
    std::shared_ptr<const net::TlsContext> tls;
    Sources sources;
    std::optional<Acceptor> acceptor;
    Timer pause;
    conf::Address address;
    net::SocketFile file;
    std::unordered_set<Connection*> open;
    std::size_t refused = 0;  // of these, being refused
    bool stopping = false;
};

std::optional<std::string> Server::State::start(net::Fd inherited) {
    const bool opens = !inherited;
    Listening listening = inherited ? listen_on_inherited(io, options.address, std::move(inherited))
                                    : listen_at(io, options.address);
    if (!listening.acceptor) {
        return std::move(listening.problem);
    }
    if (!listening.loopback && options.token.empty()) {
        return "cannot serve admin requests on " + conf::to_string(options.address) +
               ": others can reach this address, and no token protects changes; set admin.token, "
               "or "
               "admin.address to 127.0.0.1:9380";
    }
    acceptor = std::move(listening.acceptor);
    address = std::move(listening.address);
    if (opens && address.is_unix()) {
        file = net::SocketFile::at(address.unix_path);
    }
    asio::co_spawn(io, accept_all(shared_from_this()), rethrow);
    return std::nullopt;
}

void Server::State::stop(bool keep_path) {
    if (std::exchange(stopping, true)) {
        return;
    }
    pause.cancel();
    if (acceptor) {
        error_code ignored;
        acceptor->close(ignored);
        if (!keep_path) {
            file.remove();
        }
    }
    for (Connection* connection : open) {
        connection->stop();
    }
}

Task Server::State::accept_all(std::shared_ptr<State> state) {
    while (!state->stopping) {
        auto [error, socket] = co_await state->acceptor->async_accept(as_values);
        if (state->stopping) {
            co_return;
        }
        if (error) {
            state->pause.expires_after(pause_after_accept_error);
            co_await state->pause.async_wait(as_values);
        } else {
            state->accept(std::move(socket));
        }
    }
}

void Server::State::accept(Socket socket) {
    const bool full = open.size() - refused >= options.connections_max;
    if (full && refused >= options.connections_max) {
        return;  // a flood gets no more than a close
    }
    const auto connection = std::make_shared<Connection>(
        std::move(socket),
        options,
        [this](const Request& request) { return answer(request, sources, token.reveal()); },
        tls
    );
    open.insert(connection.get());
    refused += full ? 1 : 0;
    asio::co_spawn(io, serve(shared_from_this(), connection, full), rethrow);
}

Task Server::State::serve(
    std::shared_ptr<State> state, std::shared_ptr<Connection> connection, bool refused
) {
    // No `co_await (a ? b : c)`: GCC 12 destroys what it chose twice.
    if (refused) {
        co_await connection->refuse();
    } else {
        co_await connection->serve();
    }
    state->open.erase(connection.get());
    state->refused -= refused ? 1 : 0;
}

Server::Server(asio::io_context& io, ServerOptions options, Sources sources)
    : state_(std::make_shared<State>(io, std::move(options), std::move(sources))) {}

Server::~Server() {
    state_->stop(false);
}

std::optional<std::string> Server::start(net::Fd inherited) {
    return state_->start(std::move(inherited));
}

net::Fd Server::listening_socket() const {
    const bool listens = state_->acceptor && state_->acceptor->is_open();
    return net::Fd(listens ? ::fcntl(state_->acceptor->native_handle(), F_DUPFD_CLOEXEC, 0) : -1);
}

const conf::Address& Server::address() const noexcept {
    return state_->address;
}

const net::SocketFile& Server::file() const noexcept {
    return state_->file;
}

void Server::own(net::SocketFile file) {
    state_->file = std::move(file);
}

std::size_t Server::connections() const noexcept {
    return state_->open.size();
}

void Server::set_token(conf::Secret token) {
    state_->token = std::move(token);
}

void Server::set_tls(std::shared_ptr<const net::TlsContext> tls) {
    state_->tls = std::move(tls);
}

void Server::stop(bool keep_path) {
    state_->stop(keep_path);
}

}  // namespace spillway::admin
