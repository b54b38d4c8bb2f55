// Which endpoint a method and path name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::admin {

enum class Endpoint : std::uint8_t {
    index,
    metrics,
    live,
    ready,
    status,
    growth,
    incidents,
    incident,
    diagnosis,
    clients,
    config,
    set_mode,
    reload,
};

struct Match {
    enum class Outcome : std::uint8_t { found, no_such_path, wrong_method };

    Outcome outcome = Outcome::no_such_path;
    Endpoint endpoint = Endpoint::index;
    std::string_view
        parameter;  // the last segment of `…/{id}`, a view into the path; never empty there
    std::string_view allow;  // after wrong_method: the value of the Allow header
};

// HEAD goes where GET goes. Paths match exactly: no trailing slash, no decoding.
[[nodiscard]] Match route(std::string_view method, std::string_view path) noexcept;

// True of endpoints that change something and therefore need the token.
[[nodiscard]] bool is_changing(Endpoint endpoint) noexcept;

}  // namespace spillway::admin
