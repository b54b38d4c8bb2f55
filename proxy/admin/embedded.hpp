// The dashboard's files, which the build puts into the program.
#pragma once

#include <span>
#include <string_view>

namespace spillway::admin {

struct EmbeddedFile {
    std::string_view name;
    std::string_view etag;  // by content, with its quotes
    std::string_view text;
};

// The page itself is index.html. Made by cmake/Embed.cmake from proxy/admin/dashboard/.
[[nodiscard]] std::span<const EmbeddedFile> dashboard_files() noexcept;

}  // namespace spillway::admin
