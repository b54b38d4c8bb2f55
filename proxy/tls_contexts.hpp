// The TLS contexts that a configuration asks for, or what is wrong with its files.
#pragma once

#include "conf/load.hpp"
#include "proxy/net/tls_context.hpp"

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace spillway {

struct TlsContexts {
    std::vector<std::shared_ptr<const net::TlsContext>> listeners;  // null = plain
    std::shared_ptr<const net::TlsContext> backend;                 // likewise
    std::shared_ptr<const net::TlsContext> admin;                   // likewise
    std::vector<std::string> warnings;  // "listener[0].tls.cert: cert.pem: expired on …"
};

// From the texts that were read with the configuration: no file is opened.
[[nodiscard]] std::variant<TlsContexts, conf::Problems> open_tls(const conf::Loaded& loaded);

}  // namespace spillway
