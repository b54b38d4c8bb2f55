// Finds keys that contradict each other.
#include "conf/validate.hpp"

#include "conf/text.hpp"
#include "conf/value.hpp"

#include <optional>

namespace spillway::conf {

namespace {

constexpr std::size_t name_bytes_max = 64;  // of rules and listeners
constexpr std::size_t shown_bytes_max = 64;

std::string indexed(std::string_view section, std::size_t item, std::string_view name) {
    return std::string(section).append("[").append(std::to_string(item)).append("].").append(name);
}

std::string same_as(std::string path, std::string_view value, std::string_view other) {
    return path.append(": ").append(value).append(" is ").append(other).append(" too");
}

bool is_wildcard(const Address& address) {
    return address.host == "0.0.0.0" || address.host == "::";
}

// Two sockets cannot listen on one address; port 0 is a new port each time.
bool collide(const Address& left, const Address& right) {
    return left == right && (left.is_unix() || left.port != 0);
}

// What `localhost` means is for the host's table to say, but a client finds one of these two.
bool same_host(std::string_view left, std::string_view right) {
    const auto is_localhost = [](std::string_view name) { return name == "localhost"; };
    const auto may_be_it = [](std::string_view host) {
        return host == "127.0.0.1" || host == "::1";
    };
    return left == right || (is_localhost(left) && may_be_it(right)) ||
           (is_localhost(right) && may_be_it(left));
}

// A backend that is our own listener would make each client connect to us without end.
bool leads_to(const Address& backend, const Address& listener) {
    if (backend.is_unix() || listener.is_unix()) {
        return backend == listener;
    }
    return backend.port == listener.port &&
           (same_host(backend.host, listener.host) || (is_wildcard(listener) && is_local(backend)));
}

void check_listener_names(
    const std::vector<Listener>& listeners, std::vector<Conflict>& conflicts
) {
    for (std::size_t i = 0; i < listeners.size(); ++i) {
        const std::string path = indexed("listener", i, "name");
        const std::string& name = listeners[i].name;
        if (name.size() > name_bytes_max) {
            conflicts.push_back(
                {{path}, path + ": must have at most " + std::to_string(name_bytes_max) + " bytes"}
            );
        } else if (name.find(':') != std::string::npos) {
            conflicts.push_back({{path}, path + ": must not hold a colon, as an address does"});
        }
        for (std::size_t j = 0; j < i && !name.empty(); ++j) {
            if (listeners[j].name == name) {
                const std::string other = indexed("listener", j, "name");
                conflicts.push_back({{other, path}, same_as(path, quoted(name), other)});
                break;
            }
        }
    }
}

// "there is no listener "bach"; did you mean "batch"?"
std::string no_such_listener(const std::vector<Listener>& listeners, std::string_view named) {
    std::vector<std::string> labels;
    for (const Listener& listener : listeners) {
        labels.push_back(label_of(listener));
    }
    const std::vector<std::string_view> known(labels.begin(), labels.end());
    const auto near = nearest(named, known);
    return "there is no listener " + quoted(named, shown_bytes_max) +
           (near ? "; did you mean " + quoted(*near) + "?" : "; there is " + joined_quoted(known));
}

void check_rule_listeners(const Config& config, std::vector<Conflict>& conflicts) {
    for (std::size_t i = 0; i < config.guard.rules.size(); ++i) {
        for (const std::string& named : config.guard.rules[i].listeners) {
            if (find_listener(config.listeners, named) == nullptr) {
                const std::string path = indexed("guard.rule", i, "listeners");
                conflicts.push_back(
                    {{path}, path + ": " + no_such_listener(config.listeners, named)}
                );
            }
        }
    }
}

void check_thresholds(const Guard& guard, std::vector<Conflict>& conflicts) {
    if (guard.throttle_at > guard.shed_at) {
        conflicts.push_back(
            {{"guard.throttle_at", "guard.shed_at"},
             "guard.throttle_at (" + toml_float(guard.throttle_at) +
                 ") must not be above guard.shed_at (" + toml_float(guard.shed_at) +
                 "): growth is paced before it is refused"}
        );
    }
}

void check_addresses(const Config& config, std::vector<Conflict>& conflicts) {
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        const Address& address = config.listeners[i].address;
        const std::string path = indexed("listener", i, "address");
        for (std::size_t j = 0; j < i; ++j) {
            if (collide(address, config.listeners[j].address)) {
                const std::string other = indexed("listener", j, "address");
                conflicts.push_back({{other, path}, same_as(path, to_string(address), other)});
                break;
            }
        }
        if (collide(address, config.admin.address)) {
            conflicts.push_back(
                {{path, "admin.address"}, same_as("admin.address", to_string(address), path)}
            );
        }
        if (leads_to(config.backend.url.address, address)) {
            conflicts.push_back(
                {{path, "backend.url"},
                 "backend.url: " + to_string(config.backend.url.address) + " is where " + path +
                     " listens: Spillway would connect to itself"}
            );
        }
    }
}

void check_admin(const Admin& admin, std::vector<Conflict>& conflicts) {
    if (!is_local(admin.address) && admin_token(admin).empty()) {
        conflicts.push_back(
            {{"admin.address", "admin.token", "admin.token_file"},
             "admin.address: other hosts can reach " + to_string(admin.address) +
                 ": set admin.token or admin.token_file, or listen on 127.0.0.1"}
        );
    }
    if (!admin.token.empty() && !admin.token_file.empty()) {
        conflicts.push_back(
            {{"admin.token", "admin.token_file"},
             "admin.token_file: admin.token is set, too: one of the two must go"}
        );
    }
}

void check_rules(const std::vector<Rule>& rules, std::vector<Conflict>& conflicts) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const std::string path = indexed("guard.rule", i, "name");
        const std::string& name = rules[i].name;
        if (name.empty() || name.size() > name_bytes_max) {
            conflicts.push_back(
                {{path},
                 path + ": must have from 1 to " + std::to_string(name_bytes_max) + " bytes"}
            );
            continue;
        }
        for (std::size_t j = 0; j < i; ++j) {
            if (rules[j].name == name) {
                const std::string other = indexed("guard.rule", j, "name");
                conflicts.push_back({{other, path}, same_as(path, quoted(name), other)});
                break;
            }
        }
    }
}

// TLS that is described and not used would be taken for TLS that is used.
void check_served_tls(
    const Tls& tls, const std::string& path, const char* otherwise, std::vector<Conflict>& conflicts
) {
    if (tls.cert.path.empty() && !(tls == Tls{})) {
        conflicts.push_back(
            {{path + ".key",
              path + ".client_ca",
              path + ".min_version",
              path + ".ciphers",
              path + ".ciphersuites"},
             path + ".cert is missing: without it " + otherwise}
        );
    }
}

void check_tls(const Config& config, std::vector<Conflict>& conflicts) {
    for (std::size_t i = 0; i < config.listeners.size(); ++i) {
        check_served_tls(
            config.listeners[i].tls,
            indexed("listener", i, "tls"),
            "the listener would speak plain Redis",
            conflicts
        );
    }
    check_served_tls(
        config.admin.tls, "admin.tls", "the admin address would speak plain HTTP", conflicts
    );
    const Tls& tls = config.backend.tls;
    if (config.backend.url.scheme != BackendUrl::Scheme::rediss && !(tls == Tls{})) {
        conflicts.push_back(
            {{"backend.url"},
             "backend.url: backend.tls is for a URL that begins with rediss://: this one is plain"}
        );
    }
    if (tls.cert.path.empty() && !tls.key.path.empty()) {
        conflicts.push_back(
            {{"backend.tls.key"}, "backend.tls.cert is missing: backend.tls.key is of no use alone"}
        );
    }
}

}  // namespace

std::vector<Conflict> find_conflicts(const Config& config) {
    std::vector<Conflict> conflicts;
    check_thresholds(config.guard, conflicts);
    check_addresses(config, conflicts);
    check_admin(config.admin, conflicts);
    check_tls(config, conflicts);
    check_rules(config.guard.rules, conflicts);
    check_listener_names(config.listeners, conflicts);
    check_rule_listeners(config, conflicts);
    return conflicts;
}

}  // namespace spillway::conf
