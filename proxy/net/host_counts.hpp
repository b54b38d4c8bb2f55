// How many clients each host has at one listener: asked once a connection, never for a command.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace spillway::net {

// "10.0.0.1" of "10.0.0.1:52110", "[::1]" of "[::1]:52110"; empty for a unix socket.
[[nodiscard]] std::string_view host_of(std::string_view address) noexcept;

// May be called from any thread.
class HostCounts {
  public:
    // False, and nothing is counted, where the host has `most` already.
    [[nodiscard]] bool enter(std::string_view host, std::uint32_t most);
    void leave(std::string_view host);

  private:
    struct Hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    std::mutex mutex_;
    std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> counts_;
};

}  // namespace spillway::net
