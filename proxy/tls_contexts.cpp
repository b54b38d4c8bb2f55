// The TLS contexts that a configuration asks for, or what is wrong with its files.
#include "proxy/tls_contexts.hpp"

#include <utility>

namespace spillway {
namespace {

class Opener {
  public:
    explicit Opener(const conf::Loaded& loaded) : loaded_(loaded) {}

    std::shared_ptr<const net::TlsContext> take(
        net::TlsContext::Opened opened, std::string_view section, std::size_t item
    ) {
        if (const auto* problem = std::get_if<net::TlsContext::Problem>(&opened)) {
            report(*problem, section, item);
            for (const auto& further : problem->further) {
                report(further, section, item);
            }
            return nullptr;
        }
        auto context = std::get<std::shared_ptr<const net::TlsContext>>(std::move(opened));
        for (const std::string& warning : context->warnings()) {
            warnings_.push_back(conf::path_of(key_of(section, "cert"), item) + ": " + warning);
        }
        return context;
    }

    conf::Problems problems_;
    std::vector<std::string> warnings_;

  private:
    void report(
        const net::TlsContext::Problem& problem, std::string_view section, std::size_t item
    ) {
        problems_.push_back(
            conf::problem_at(loaded_, key_of(section, problem.field), item, problem.message)
        );
    }

    // Whom those trust that clients come to has a name of its own.
    static const conf::Key& key_of(std::string_view section, std::string_view field) {
        const bool of_clients = section != "backend" && field == "ca";
        return *conf::find_key(
            section, "tls." + std::string(of_clients ? "client_ca" : std::string(field))
        );
    }

    const conf::Loaded& loaded_;
};

}  // namespace

std::variant<TlsContexts, conf::Problems> open_tls(const conf::Loaded& loaded) {
    TlsContexts contexts;
    Opener opener(loaded);
    const conf::Config& config = loaded.config;
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        const conf::Tls& settings = config.listeners[i].tls;
        contexts.listeners.push_back(
            settings.cert.path.empty()
                ? nullptr
                : opener.take(net::TlsContext::for_listener(settings), "listener", i)
        );
    }
    if (config.backend.url.scheme == conf::BackendUrl::Scheme::rediss) {
        contexts.backend = opener.take(
            net::TlsContext::for_backend(config.backend.tls, config.backend.url.address.host),
            "backend",
            0
        );
    }
    if (!config.admin.tls.cert.path.empty()) {
        contexts.admin = opener.take(net::TlsContext::for_listener(config.admin.tls), "admin", 0);
    }
    if (!opener.problems_.empty()) {
        return std::move(opener.problems_);
    }
    contexts.warnings = std::move(opener.warnings_);
    return contexts;
}

}  // namespace spillway
