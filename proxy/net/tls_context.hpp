// What a TLS connection begins with: our certificate, whom we trust, which versions and ciphers.
#pragma once

#include "conf/tls.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

struct ssl_ctx_st;  // OpenSSL's SSL_CTX and SSL: its headers stay out of ours
struct ssl_st;

namespace spillway::net {

// Immutable, and shared by all shards. A reload makes a new one; connections that stand keep
// theirs.
class TlsContext {
  public:
    struct Problem {
        std::string_view field;          // of conf::Tls: "cert", "ciphers" …
        std::string message;             // begins with the name of the file, if it is about one
        std::vector<Problem> further{};  // what else is wrong
    };
    using Opened = std::variant<std::shared_ptr<const TlsContext>, Problem>;

    // Clients show a certificate when `settings` names the authority that it must be of.
    [[nodiscard]] static Opened for_listener(const conf::Tls& settings);
    // The backend's certificate must be for `host`, unless the settings have another name.
    [[nodiscard]] static Opened for_backend(const conf::Tls& settings, const std::string& host);

    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;
    ~TlsContext();

    // A connection that has not begun, which its taker frees; null when memory is short.
    [[nodiscard]] ssl_st* connection() const noexcept;
    // What works, but needs care: "cert.pem: expired on Jan  1 00:00:00 2026 GMT".
    [[nodiscard]] const std::vector<std::string>& warnings() const noexcept { return warnings_; }

  private:
    explicit TlsContext(bool accepts);

    ssl_ctx_st* context_;
    bool accepts_;
    std::string server_name_;  // of the backend
    std::vector<std::string> warnings_;
};

}  // namespace spillway::net
