// What a sample of the keys found, as JSON for doctor and the admin endpoint.
#include "proxy/log/sample_json.hpp"

#include "proxy/log/encode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

namespace spillway::log {
namespace {

namespace json = boost::json;

[[nodiscard]] double share(double value) noexcept {
    return std::round(value * 10'000) / 10'000;
}

[[nodiscard]] std::int64_t whole(double value) noexcept {
    return std::isfinite(value) && std::abs(value) < 9.0e18 ? std::llround(value) : 0;
}

[[nodiscard]] json::object share_json(const policy::Estimate& interval) {
    return {
        {"share", share(interval.value)},
        {"low", share(interval.low)},
        {"high", share(interval.high)}};
}

[[nodiscard]] json::value known(std::int64_t value) {
    return value < 0 ? json::value(nullptr) : json::value(value);
}

[[nodiscard]] json::object group_json(
    const policy::KeyGroup& group, const policy::KeyDisplay& display
) {
    json::object out{
        {"pattern", text_json(policy::display_pattern(group.pattern, display))},
        {"type", policy::name_of(group.type)},
        {"keys", whole(group.keys)},
        {"bytes", whole(group.bytes)}};
    for (const auto& member : share_json(group.share)) {
        out[member.key()] = member.value();
    }
    out["without_ttl"] = share(group.without_ttl);
    return out;
}

// No key holds more than `most`: the data of the server.
[[nodiscard]] json::object key_json(
    const policy::SampledKey& key, double most, const policy::KeyDisplay& display
) {
    const auto bytes = static_cast<double>(key.bytes);
    const double error = policy::error_of(key);
    return {
        {"key", text_json(policy::display_key(key.key, display))},
        {"db", key.db},
        {"type", policy::name_of(key.type)},
        {"bytes", key.bytes},
        {"bytes_low", whole(std::max(0., bytes - error))},
        {"bytes_high", whole(std::max(bytes, std::min(bytes + error, most)))},
        {"length", known(key.length)},
        {"ttl_ms", known(key.ttl_ms)}};
}

}  // namespace

json::value sample_json(const policy::KeySummary& keys, const policy::KeyDisplay& display) {
    if (!keys.known()) {
        return nullptr;
    }
    json::array patterns;
    for (const policy::KeyGroup& group : keys.groups) {
        patterns.emplace_back(group_json(group, display));
    }
    const double most = keys.dataset_bytes < 0 ? std::numeric_limits<double>::max()
                                               : static_cast<double>(keys.dataset_bytes);
    json::array biggest;
    for (const policy::SampledKey& key : keys.biggest) {
        biggest.emplace_back(key_json(key, most, display));
    }
    return json::object{
        {"keys", keys.sampled},
        {"of", keys.keys},
        {"complete", keys.complete},
        {"searched", share(keys.searched)},
        {"bytes", whole(keys.bytes.value)},
        {"bytes_low", whole(keys.bytes.low)},
        {"bytes_high", whole(keys.bytes.high)},
        {"unexplained_bytes", whole(keys.unexplained)},
        {"with_ttl_keys", share_json(keys.with_ttl_keys)},
        {"with_ttl_bytes", share_json(keys.with_ttl_bytes)},
        {"idle_hour_bytes",
         keys.idle_hour_bytes < 0 ? json::value(nullptr)
                                  : json::value(share(keys.idle_hour_bytes))},
        {"patterns", std::move(patterns)},
        {"biggest", std::move(biggest)}};
}

}  // namespace spillway::log
