// Which endpoint a method and path name.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace spillway::admin {

enum class Endpoint : std::uint8_t {
    index,
    dashboard,
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

// One row of the table of endpoints. A GET route answers HEAD too.
struct Route {
    std::string_view method;
    std::string_view path;  // a last segment '*' stands for any one segment
    Endpoint endpoint;
};

[[nodiscard]] std::span<const Route> routes() noexcept;

struct Match {
    enum class Outcome : std::uint8_t { found, no_such_path, wrong_method };

    Outcome outcome = Outcome::no_such_path;
    Endpoint endpoint = Endpoint::index;
    std::string_view parameter;  // what stood at the '*', a view into the path; never empty there
    std::string_view allow;      // after wrong_method: the value of the Allow header
};

// Paths match exactly: no trailing slash, no decoding.
[[nodiscard]] Match route(std::string_view method, std::string_view path) noexcept;

}  // namespace spillway::admin
