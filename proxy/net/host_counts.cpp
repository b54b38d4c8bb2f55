// How many clients each host has at one listener: asked once a connection, never for a command.
#include "proxy/net/host_counts.hpp"

namespace spillway::net {

std::string_view host_of(std::string_view address) noexcept {
    return address.starts_with("unix:") ? std::string_view()
                                        : address.substr(0, address.rfind(':'));
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
