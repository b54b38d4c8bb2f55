// How many clients each host has at one listener: asked once a connection, never for a command.
#include "proxy/net/host_counts.hpp"

namespace spillway::net {
namespace {

constexpr std::string_view mapped = "[::ffff:";  // and a v4 address behind it

}  // namespace

std::string_view host_of(std::string_view address) noexcept {
    if (address.starts_with("unix:")) {
        return {};
    }
    const std::string_view host = address.substr(0, address.rfind(':'));
    // The kernel writes no other v6 address with a dot behind this.
    if (host.starts_with(mapped) && host.ends_with(']') && host.find('.') != host.npos) {
        return host.substr(mapped.size(), host.size() - mapped.size() - 1);
    }
    return host;
}

bool HostCounts::enter(std::string_view host, std::uint32_t most) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(host);
    if (found == counts_.end()) {
        if (most > 0) {
            counts_.emplace(host, 1);
        }
        return most > 0;
    }
    if (found->second >= most) {
        return false;
    }
    ++found->second;
    return true;
}

void HostCounts::leave(std::string_view host) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(host);
    if (found != counts_.end() && --found->second == 0) {
        counts_.erase(found);
    }
}

}  // namespace spillway::net
