// Loads any bytes as a configuration; what loads must load to the same again once printed.
#include "conf/effective.hpp"
#include "conf/load.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace conf = spillway::conf;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    // Which file the input names is not the loader's doing: reading it is left to the unit tests.
    if (text.find("password_file") != std::string_view::npos ||
        text.find("token_file") != std::string_view::npos) {
        return 0;
    }
    const auto first = conf::load_text(text, "fuzz");
    if (const auto* loaded = std::get_if<conf::Loaded>(&first)) {
        const bool has_secret =
            !loaded->config.admin.token.empty() || !loaded->config.backend.url.password.empty();
        const auto second = conf::load_text(conf::render_effective(*loaded), "printed");
        const auto* again = std::get_if<conf::Loaded>(&second);
        // A masked secret is refused, and rightly.
        if (has_secret ? again != nullptr : again == nullptr || again->config != loaded->config) {
            std::abort();
        }
    } else if (std::get<conf::Problems>(first).empty()) {
        std::abort();
    }
    return 0;
}
