// Where the backend is, and how it is spoken to.
#pragma once

#include "conf/config.hpp"
#include "proxy/net/socket.hpp"
#include "proxy/net/tls_context.hpp"

#include <memory>
#include <string>
#include <vector>

namespace spillway::net {

struct Target {
    std::vector<Endpoint> endpoints;          // tried in turn; empty = nobody is to go there …
    std::string problem{};                    // … and why
    bool awaited = false;                     // who comes before it is known where to go waits
    std::shared_ptr<const TlsContext> tls{};  // null = plain
    conf::SendProxy send_proxy = conf::SendProxy::off;
};

}  // namespace spillway::net
