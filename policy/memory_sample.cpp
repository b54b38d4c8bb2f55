// Which family an eviction policy belongs to.
#include "policy/memory_sample.hpp"

namespace spillway::policy {

// By prefix, as servers keep adding members: volatile-lrm, allkeys-lrm.
EvictionFamily eviction_family(std::string_view policy_name) noexcept {
    if (policy_name == "noeviction") {
        return EvictionFamily::noeviction;
    }
    if (policy_name.substr(0, 9) == "volatile-") {
        return EvictionFamily::volatile_keys;
    }
    if (policy_name.substr(0, 8) == "allkeys-" || policy_name == "eviction") {  // Dragonfly's cache
        return EvictionFamily::all_keys;
    }
    return EvictionFamily::unknown;
}

}  // namespace spillway::policy
