// Names of the configuration's choices, and who the monitor connection is.
#include "conf/config.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace spillway::conf {

namespace {

template <std::size_t Size, class Choice>
std::string_view name_in(const std::array<std::string_view, Size>& names, Choice value) noexcept {
    const auto index = static_cast<std::size_t>(value);
    return index < Size ? names.at(index) : "?";
}

}  // namespace

Credentials monitor_credentials(const Config& config) {
    const Monitor& monitor = config.monitor;
    const BackendUrl& url = config.backend.url;
    if (!monitor.user.empty()) {
        return {monitor.user, monitor.password};
    }
    if (!monitor.password.empty()) {
        return {url.user, monitor.password};
    }
    return {url.user, url.password};
}

const Secret& admin_token(const Admin& admin) noexcept {
    return admin.token_file.empty() ? admin.token : admin.file_token;
}

std::string label_of(const Listener& listener) {
    return listener.name.empty() ? to_string(listener.address) : listener.name;
}

const Listener* find_listener(
    std::span<const Listener> listeners, std::string_view name_or_address
) noexcept {
    const auto found = std::ranges::find_if(listeners, [&](const Listener& listener) {
        return !name_or_address.empty() &&
               (listener.name == name_or_address || to_string(listener.address) == name_or_address);
    });
    return found == listeners.end() ? nullptr : &*found;
}

std::string_view name_of(ProxyProtocol value) noexcept {
    static constexpr std::array<std::string_view, 4> names = {"off", "v1", "v2", "any"};
    return name_in(names, value);
}

std::string_view name_of(TlsVersion value) noexcept {
    static constexpr std::array<std::string_view, 2> names = {"1.2", "1.3"};
    return name_in(names, value);
}

std::string_view name_of(SendProxy value) noexcept {
    static constexpr std::array<std::string_view, 3> names = {"off", "v1", "v2"};
    return name_in(names, value);
}

std::string_view name_of(SpoolOverflow value) noexcept {
    static constexpr std::array<std::string_view, 2> names = {"disconnect", "backpressure"};
    return name_in(names, value);
}

std::string_view name_of(LogFormat value) noexcept {
    static constexpr std::array<std::string_view, 2> names = {"text", "json"};
    return name_in(names, value);
}

std::string_view name_of(LogLevel value) noexcept {
    static constexpr std::array<std::string_view, 4> names = {"debug", "info", "warn", "error"};
    return name_in(names, value);
}

std::string_view name_of(KeyDisplay value) noexcept {
    static constexpr std::array<std::string_view, 4> names = {"full", "pattern", "hash", "none"};
    return name_in(names, value);
}

}  // namespace spillway::conf
