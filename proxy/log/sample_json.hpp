// What a sample of the keys found, as JSON for doctor and the admin endpoint.
#pragma once

#include "policy/key_sample.hpp"

#include <boost/json/value.hpp>

namespace spillway::log {

// Null when nothing was sampled. Keys and patterns as `display` shows them.
[[nodiscard]] boost::json::value sample_json(
    const policy::KeySummary& keys, const policy::KeyDisplay& display
);

}  // namespace spillway::log
