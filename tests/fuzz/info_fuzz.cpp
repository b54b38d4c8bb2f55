// Feeds any bytes to the reader of INFO; whatever it makes of them must be usable figures.
#include "policy/info.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace spillway::policy;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    MemorySample sample;
    const InfoProblem problem = parse_info(text, sample);
    const bool readable = problem == InfoProblem::none;
    if (readable != (sample.used_memory >= 0) || sample.not_counted_for_evict < 0 ||
        sample.keys < 0 || sample.expires < 0 || sample.server.size() > 160 ||
        sample.policy.size() > 64) {
        std::abort();
    }
    (void)sample.counted();
    return 0;
}
