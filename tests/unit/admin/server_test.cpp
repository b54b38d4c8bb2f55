// The admin server on real sockets: one thread serves, the test talks to it with deadlines and
// never waits for time to pass.
#include "proxy/admin/server.hpp"

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

namespace spillway::admin {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using boost::system::error_code;

constexpr auto patience = 10s;  // of a test that is about to fail

// A client that reads and writes raw bytes.
class Peer {
  public:
    Peer() = default;
    explicit Peer(const conf::Address& address) { connect(address); }

    void connect(const conf::Address& address) {
        if (address.is_unix()) {
            socket_.connect(asio::local::stream_protocol::endpoint(address.unix_path));
        } else {
            socket_.connect(
                asio::ip::tcp::endpoint(asio::ip::make_address(address.host), address.port)
            );
        }
    }

    // Takes its descriptor already now.
    void open() { socket_.open(asio::ip::tcp::v4()); }

    // An error is a result: the server may have closed already, and what it said is still to be
    // read.
    error_code send(std::string_view text) {
        error_code error;
        asio::write(socket_, asio::buffer(text), error);
        return error;
    }

    // Reads some bytes; false at the end, or when nothing came in time.
    bool read_more(std::chrono::milliseconds at_most = patience) {
        std::array<char, 16384> chunk{};
        std::optional<error_code> result;
        std::size_t size = 0;
        socket_.async_read_some(asio::buffer(chunk), [&](error_code error, std::size_t got) {
            result = error;
            size = got;
        });
        io_.restart();
        io_.run_for(at_most);
        timed_out_ = !result;
        end_ = result.value_or(error_code());
        if (!result) {
            error_code ignored;
            socket_.cancel(ignored);
            io_.restart();
            io_.run();
        }
        received_.append(chunk.data(), size);
        return size > 0;
    }

    // All until the server closes.
    std::string rest() {
        while (read_more()) {
        }
        EXPECT_FALSE(timed_out_) << "the server did not close";
        EXPECT_EQ(end_, asio::error::eof) << "the server did not close in good order";
        return std::exchange(received_, {});
    }

    // One answer; a body is expected unless `head_only`.
    std::string answer(bool head_only = false) {
        constexpr std::string_view length_field = "Content-Length: ";
        std::size_t head = 0;
        while ((head = received_.find("\r\n\r\n")) == std::string::npos) {
            if (!read_more()) {
                ADD_FAILURE() << "no whole answer: " << received_;
                return std::exchange(received_, {});
            }
        }
        std::size_t size = head + 4;
        const std::size_t length = received_.find(length_field);
        if (!head_only && length < head) {
            size += std::stoul(received_.substr(length + length_field.size()));
        }
        while (received_.size() < size && read_more()) {
        }
        const std::string text = received_.substr(0, size);
        received_.erase(0, size);
        return text;
    }

    std::string ask(std::string_view text) {
        send(text);
        return answer();
    }

    void close() { socket_.close(); }

    [[nodiscard]] bool timed_out() const { return timed_out_; }

  private:
    asio::io_context io_;
    asio::generic::stream_protocol::socket socket_{io_};
    std::string received_;
    bool timed_out_ = false;
    error_code end_;  // of the last read
};

std::string get(std::string_view path) {
    return "GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
}

bool has_status(const std::string& answer, int status) {
    return answer.starts_with("HTTP/1.1 " + std::to_string(status) + ' ');
}

std::string body_of(const std::string& answer) {
    const std::size_t head = answer.find("\r\n\r\n");
    return head == std::string::npos ? "" : answer.substr(head + 4);
}

ServerOptions on_free_port() {
    ServerOptions options;
    options.address.port = 0;
    options.idle_timeout = 10min;  // no test passes because a connection ended by itself
    return options;
}

// A server on a thread of its own, until the end of the test or stop().
class Running {
  public:
    explicit Running(ServerOptions options = on_free_port()) {
        Sources sources;
        sources.metrics = [this] { return metrics; };
        sources.ready = [] { return Health{.ok = false, .reason = "no backend"}; };
        sources.set_mode = [this](policy::Mode mode) {
            mode_ = mode;
            return ActionResult{.status = ActionStatus::done, .message = "set"};
        };
        server_.emplace(io_, std::move(options), std::move(sources));
        const auto problem = server_->start();
        EXPECT_FALSE(problem) << *problem;
        address_ = server_->address();
        thread_ = std::thread([this] { io_.run(); });
    }
    ~Running() {
        stop();
        join();
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    [[nodiscard]] const conf::Address& address() const { return address_; }

    template <typename Function>
    auto on_its_thread(Function function) {
        std::packaged_task<decltype(function())()> task(function);
        auto result = task.get_future();
        asio::post(io_, std::move(task));
        return result.get();
    }
    std::size_t connections() {
        return on_its_thread([this] { return server_->connections(); });
    }
    // True once that many are open.
    bool comes_to(std::size_t count) {
        const auto give_up = std::chrono::steady_clock::now() + patience;
        while (connections() != count) {
            if (std::chrono::steady_clock::now() > give_up) {
                return false;
            }
        }
        return true;
    }
    void stop() {
        asio::post(io_, [this] { server_->stop(); });
    }
    // Comes back when the server has nothing left to do.
    void join() {
        const auto begin = std::chrono::steady_clock::now();
        if (thread_.joinable()) {
            thread_.join();
        }
        EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s) << "a timer kept it running";
    }

    std::string metrics = "spillway_clients 1\n";
    [[nodiscard]] std::optional<policy::Mode> mode() const { return mode_; }

  private:
    asio::io_context io_{1};
    std::optional<Server> server_;
    conf::Address address_;
    std::optional<policy::Mode> mode_;
    std::thread thread_;
};

TEST(Server, AnswersOneRequestAfterTheOtherOnOneConnection) {
    Running server;
    Peer peer(server.address());
    const std::string first = peer.ask(get("/metrics"));
    EXPECT_TRUE(has_status(first, 200)) << first;
    EXPECT_EQ(body_of(first), "spillway_clients 1\n");
    EXPECT_NE(first.find("\r\nCache-Control: no-store\r\n"), std::string::npos);
    EXPECT_TRUE(has_status(peer.ask(get("/readyz")), 503));
    EXPECT_TRUE(has_status(peer.ask(get("/nothing")), 404));
    EXPECT_EQ(server.connections(), 1U);
}

TEST(Server, AnswersPipelinedRequestsInOrderAndClosesWhenAsked) {
    Running server;
    Peer peer(server.address());
    std::string requests;
    for (int i = 0; i < 300; ++i) {
        requests += get(i % 2 == 0 ? "/metrics" : "/livez");
    }
    requests += "GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n" + get("/metrics");
    peer.send(requests);
    for (int i = 0; i < 300; ++i) {
        EXPECT_EQ(body_of(peer.answer()), i % 2 == 0 ? "spillway_clients 1\n" : "alive\n") << i;
    }
    const std::string last = peer.rest();
    EXPECT_TRUE(has_status(last, 503));
    EXPECT_EQ(body_of(last), "no backend\n");
    EXPECT_NE(last.find("\r\nConnection: close\r\n"), std::string::npos);
}

TEST(Server, PutsARequestTogetherFromSingleBytes) {
    Running server;
    Peer peer(server.address());
    for (const char byte : get("/livez")) {
        peer.send({&byte, 1});
    }
    EXPECT_EQ(body_of(peer.answer()), "alive\n");
}

TEST(Server, SendsNoBodyForHead) {
    Running server;
    Peer peer(server.address());
    peer.send("HEAD /metrics HTTP/1.1\r\n\r\n" + get("/livez"));
    const std::string head = peer.answer(true);
    EXPECT_NE(head.find("\r\nContent-Length: 19\r\n"), std::string::npos) << head;
    EXPECT_EQ(body_of(peer.answer()), "alive\n");
}

TEST(Server, SaysWhatIsWrongAndCloses) {
    Running server;
    const std::string answer = [&] {
        Peer peer(server.address());
        peer.send("*1\r\n$4\r\nPING\r\n");
        return peer.rest();
    }();
    EXPECT_TRUE(has_status(answer, 400)) << answer;
    EXPECT_TRUE(boost::json::parse(body_of(answer)).at("error").is_string());
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
}

TEST(Server, DeliversARefusalToAPeerThatIsStillSending) {
    Running server;
    Peer peer(server.address());
    peer.send("GET / HTTP/1.1\r\nX: " + std::string(100 * 1024, 'x'));
    EXPECT_TRUE(has_status(peer.rest(), 431));

    Peer poster(server.address());
    poster.send(
        "POST /api/v1/mode HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x')
    );
    EXPECT_TRUE(has_status(poster.rest(), 413));
}

TEST(Server, ReadsOnForAWhileAfterItsLastWord) {
    ServerOptions options = on_free_port();
    options.linger_timeout = 10min;
    Running server(options);
    Peer peer(server.address());
    peer.send("?");
    EXPECT_TRUE(has_status(peer.rest(), 400));
    // A closed connection would answer the first of these with a reset and fail the second.
    EXPECT_FALSE(peer.send("x"));
    EXPECT_FALSE(peer.send("x"));
    peer.send(std::string(std::size_t{1024} * 1024, 'x'));
    EXPECT_TRUE(server.comes_to(0)) << "reads on without end";
}

TEST(Server, DoesNotReadOnForLong) {
    ServerOptions options = on_free_port();
    options.linger_timeout = 50ms;
    Running server(options);
    Peer peer(server.address());
    peer.send("?");
    EXPECT_TRUE(has_status(peer.rest(), 400));
    EXPECT_TRUE(server.comes_to(0));
}

TEST(Server, ChangesTheModeForTheBearerOfTheToken) {
    ServerOptions options = on_free_port();
    options.token = conf::Secret("secret");
    Running server(options);
    Peer peer(server.address());
    const std::string tail = "Content-Length: 18\r\n\r\n{\"mode\":\"observe\"}";
    EXPECT_TRUE(has_status(peer.ask("POST /api/v1/mode HTTP/1.1\r\n" + tail), 401));
    EXPECT_TRUE(has_status(
        peer.ask("POST /api/v1/mode HTTP/1.1\r\nAuthorization: Bearer secret\r\n" + tail), 200
    ));
    EXPECT_EQ(server.on_its_thread([&server] { return server.mode(); }), policy::Mode::observe);
    EXPECT_TRUE(has_status(peer.ask(get("/metrics")), 200));
}

TEST(Server, AsksForABodyThatWaitsToBeAskedFor) {
    Running server;
    Peer peer(server.address());
    EXPECT_EQ(
        peer.ask("POST /api/v1/mode HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 14\r\n\r\n"
        ),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    EXPECT_TRUE(has_status(peer.ask("{\"mode\":\"off\"}"), 200));
}

TEST(Server, ClosesAnIdleConnectionWithoutAWord) {
    ServerOptions options = on_free_port();
    options.idle_timeout = 50ms;
    Running server(options);
    Peer silent(server.address());
    EXPECT_EQ(silent.rest(), "");
    Peer served(server.address());
    EXPECT_TRUE(has_status(served.ask(get("/livez")), 200));
    EXPECT_EQ(served.rest(), "");
}

TEST(Server, GivesARequestOneDeadlineHoweverItsBytesDrip) {
    ServerOptions options = on_free_port();
    options.request_timeout = 100ms;
    Running server(options);
    Peer peer(server.address());
    peer.send("GET / HTTP/1.1\r\nX: ");
    int drops = 0;
    do {
        peer.send("x");
        ++drops;
    } while (!peer.read_more(5ms) && peer.timed_out() && drops < 500);
    EXPECT_TRUE(has_status(peer.rest(), 408));
    EXPECT_LT(drops, 500);
    EXPECT_GT(drops, 1);
}

TEST(Server, GivesUpOnAPeerThatDoesNotRead) {
    ServerOptions options = on_free_port();
    options.response_timeout = 50ms;
    Running server(options);
    server.on_its_thread([&server] {
        server.metrics.assign(std::size_t{16} * 1024 * 1024, '#');
        return 0;
    });
    Peer peer(server.address());
    peer.send(get("/metrics"));
    EXPECT_TRUE(server.comes_to(1));
    EXPECT_TRUE(server.comes_to(0));
    EXPECT_LT(peer.rest().size(), std::size_t{16} * 1024 * 1024);
}

TEST(Server, RefusesConnectionsBeyondItsLimitAndServesAgainAfterwards) {
    ServerOptions options = on_free_port();
    options.connections_max = 2;
    Running server(options);
    Peer one(server.address());
    EXPECT_TRUE(has_status(one.ask(get("/livez")), 200));
    {
        Peer two(server.address());
        EXPECT_TRUE(has_status(two.ask(get("/livez")), 200));
        for (int i = 0; i < 5; ++i) {
            Peer three(server.address());
            three.send(get("/livez"));
            const std::string refusal = three.rest();
            EXPECT_TRUE(has_status(refusal, 503)) << refusal;
            three.close();
            EXPECT_TRUE(server.comes_to(2));
        }
        EXPECT_TRUE(has_status(two.ask(get("/livez")), 200));
    }
    EXPECT_TRUE(server.comes_to(1));
    Peer four(server.address());
    EXPECT_TRUE(has_status(four.ask(get("/livez")), 200));
    EXPECT_TRUE(has_status(one.ask(get("/livez")), 200));
}

// No new descriptor can be had while it lives.
class NoDescriptors {
  public:
    NoDescriptors() {
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        const int lowest_free = ::dup(STDERR_FILENO);
        ::close(lowest_free);
        rlimit none = before_;
        none.rlim_cur = static_cast<rlim_t>(lowest_free);
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

  private:
    rlimit before_{};
};

TEST(Server, AcceptsAgainOnceThereAreDescriptors) {
#ifdef __clang__
#if __has_feature(undefined_behavior_sanitizer)
    return;  // the sanitizer looks at memory through a pipe, for which no descriptor is left
#endif
#endif
    Running server;
    Peer peer;
    peer.open();
    {
        const NoDescriptors none;
        peer.connect(server.address());  // waits in the kernel's queue
        peer.send(get("/livez"));
        EXPECT_FALSE(peer.read_more(20ms));
        EXPECT_EQ(server.connections(), 0U);
    }
    EXPECT_EQ(body_of(peer.answer()), "alive\n");
}

TEST(Server, StopsWithItsIdleConnectionsAtOnce) {
    Running server;
    Peer peer(server.address());
    EXPECT_TRUE(has_status(peer.ask(get("/livez")), 200));
    server.stop();
    EXPECT_EQ(peer.rest(), "");
    server.join();
    EXPECT_THROW(Peer{server.address()}, boost::system::system_error);
}

TEST(Server, AnswersARequestThatHasBegunBeforeItStops) {
    Running server;
    Peer peer(server.address());
    const std::string second = get("/readyz");
    peer.send(get("/livez") + second.substr(0, 10));
    EXPECT_EQ(body_of(peer.answer()), "alive\n");
    server.stop();
    EXPECT_EQ(server.connections(), 1U);
    peer.send(second.substr(10));
    const std::string answer = peer.rest();
    EXPECT_TRUE(has_status(answer, 503)) << answer;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    server.join();
}

TEST(Server, ClosesAfterTheAnswerDuringWhichItWasStopped) {
    Running server;
    server.on_its_thread([&server] {
        server.metrics.assign(std::size_t{16} * 1024 * 1024, '#');
        return 0;
    });
    Peer peer(server.address());
    peer.send(get("/metrics"));
    EXPECT_TRUE(peer.read_more());  // the rest waits: it is more than the kernel keeps
    server.stop();
    EXPECT_EQ(server.connections(), 1U);
    EXPECT_GT(peer.rest().size(), std::size_t{16} * 1024 * 1024);
    server.join();
}

// Start-up errors, each with where and what to do.
std::string problem_of(ServerOptions options) {
    asio::io_context io;
    Server server(io, std::move(options), Sources{});
    return server.start().value_or("");
}

void expect_words(const std::string& problem, const std::vector<std::string>& words) {
    for (const std::string& word : words) {
        EXPECT_NE(problem.find(word), std::string::npos) << '"' << word << "\" in: " << problem;
    }
}

TEST(ServerStart, SaysThatTheAddressIsTakenAndWhatToDo) {
    Running server;
    ServerOptions options;
    options.address = server.address();
    expect_words(
        problem_of(options),
        {"127.0.0.1:" + std::to_string(options.address.port), "in use", "ss -ltnp", "admin.address"}
    );
}

TEST(ServerStart, SaysThatTheAddressIsNotOfThisMachine) {
    ServerOptions options = on_free_port();
    options.address.host = "192.0.2.1";
    options.token = conf::Secret("secret");
    expect_words(problem_of(options), {"192.0.2.1:0", "no such address"});
}

TEST(ServerStart, WantsATokenOffLoopback) {
    ServerOptions options = on_free_port();
    options.address.host = "0.0.0.0";
    expect_words(problem_of(options), {"0.0.0.0", "admin.token"});
    options.token = conf::Secret("secret");
    EXPECT_EQ(problem_of(options), "");
}

// A folder of its own, removed at the end.
class UnixServer : public ::testing::Test {
  protected:
    UnixServer() {
        std::string name = (std::filesystem::temp_directory_path() / "spillway_XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
        options_.address = {.host = "", .port = 0, .unix_path = (folder_ / "admin").string()};
    }
    ~UnixServer() override { std::filesystem::remove_all(folder_); }
    UnixServer(const UnixServer&) = delete;
    UnixServer& operator=(const UnixServer&) = delete;

    std::filesystem::path folder_;
    ServerOptions options_ = on_free_port();
};

TEST_F(UnixServer, ServesAndRemovesItsSocketWhenItStops) {
    {
        Running server(options_);
        Peer peer(server.address());
        EXPECT_EQ(body_of(peer.ask(get("/livez"))), "alive\n");
        expect_words(problem_of(options_), {"unix:" + options_.address.unix_path, "in use"});
        EXPECT_EQ(body_of(peer.ask(get("/livez"))), "alive\n");
        EXPECT_EQ(body_of(Peer(server.address()).ask(get("/livez"))), "alive\n");
    }
    EXPECT_FALSE(std::filesystem::exists(options_.address.unix_path));
}

TEST_F(UnixServer, ReplacesASocketThatNobodyServes) {
    {
        asio::io_context io;
        const asio::local::stream_protocol::acceptor left_behind(
            io, asio::local::stream_protocol::endpoint(options_.address.unix_path)
        );
    }
    ASSERT_TRUE(std::filesystem::is_socket(options_.address.unix_path));
    Running server(options_);
    EXPECT_EQ(body_of(Peer(server.address()).ask(get("/livez"))), "alive\n");
}

TEST_F(UnixServer, LeavesAFileThatIsNoSocketAlone) {
    std::ofstream(options_.address.unix_path) << "precious";
    expect_words(problem_of(options_), {options_.address.unix_path, "in use"});
    EXPECT_EQ(std::filesystem::file_size(options_.address.unix_path), 8U);
}

TEST_F(UnixServer, NamesAFolderThatIsMissing) {
    options_.address.unix_path = (folder_ / "none" / "admin").string();
    expect_words(problem_of(options_), {options_.address.unix_path, "create the folder"});
    options_.address.unix_path = (folder_ / std::string(120, 'x')).string();
    expect_words(problem_of(options_), {"long"});
}

}  // namespace
}  // namespace spillway::admin
