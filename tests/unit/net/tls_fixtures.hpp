// Keys and certificates made for one test, and the two ends of a connection.
#pragma once

#include "conf/tls.hpp"
#include "proxy/net/stream.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>
#include <sys/socket.h>

namespace spillway::net {

// Made once a program with the openssl tool, since no key is kept in the repository.
class Certificates {
  public:
    static const Certificates& get() {
        static const Certificates made;
        return made;
    }
    [[nodiscard]] conf::PemFile file(const std::string& name) const {
        std::ifstream stream(directory_ / name, std::ios::binary);
        return {name, conf::Secret(std::string(std::istreambuf_iterator<char>(stream), {}))};
    }

    Certificates(const Certificates&) = delete;
    Certificates& operator=(const Certificates&) = delete;

  private:
    Certificates() {
        std::string name =
            (std::filesystem::temp_directory_path() / "spillway-tls-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        authority("ca");
        authority("other_ca");
        leaf("server", "ca", "DNS:redis.test,IP:127.0.0.1", "30");
        leaf("client", "ca", "DNS:client.test", "30");
        leaf("stranger", "other_ca", "DNS:redis.test", "30");
        leaf("old", "ca", "DNS:redis.test", "-1");
        run("openssl ec -in server.key -aes128 -passout pass:secret -out locked.key");
        run("cat server.pem server.key > both.pem");
        run("echo nothing > empty.pem");
    }
    ~Certificates() { std::filesystem::remove_all(directory_); }

    void run(const std::string& command) const {
        const std::string line = "cd " + directory_.string() + " && ( " + command + " ) >log 2>&1";
        ASSERT_EQ(std::system(line.c_str()), 0) << line;  // NOLINT: a fixture
    }
    void authority(const std::string& name) const {
        run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "
            "'/CN=Test authority " +
            name + "' -keyout " + name + ".key -out " + name + ".pem");
    }
    void leaf(
        const std::string& name,
        const std::string& issuer,
        const std::string& names,
        const std::string& days
    ) const {
        run("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" +
            name + " -keyout " + name + ".key -out " + name + ".csr");
        run("echo subjectAltName=" + names + " > " + name + ".ext");
        run("openssl x509 -req -in " + name + ".csr -CA " + issuer + ".pem -CAkey " + issuer +
            ".key -set_serial 0x$(openssl rand -hex 8) -days " + days + " -extfile " + name +
            ".ext -out " + name + ".pem");
    }

    std::filesystem::path directory_;
};

inline std::shared_ptr<const TlsContext> context_of(const TlsContext::Opened& opened) {
    const auto* const problem = std::get_if<TlsContext::Problem>(&opened);
    EXPECT_EQ(problem, nullptr) << (problem != nullptr ? problem->message : "");
    return problem == nullptr ? std::get<std::shared_ptr<const TlsContext>>(opened) : nullptr;
}

// Two connected sockets that do not block.
struct Pair {
    Stream client;
    Stream server;

    Pair() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        client.open(Fd(ends[0]));
        server.open(Fd(ends[1]));
    }
};

}  // namespace spillway::net
