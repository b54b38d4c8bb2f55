// What the configuration means to guard, rules and display.
#include "proxy/settings.hpp"

#include <chrono>
#include <random>

namespace spillway {
namespace {

policy::Nanos nanos(std::chrono::nanoseconds duration) {
    return duration.count();
}

// Rules may name a listener by name or by address; sessions know its label.
std::vector<std::string> labels_of(
    const std::vector<std::string>& named, const std::vector<conf::Listener>& listeners
) {
    std::vector<std::string> labels;
    for (const std::string& name : named) {
        if (const conf::Listener* listener = conf::find_listener(listeners, name)) {
            labels.push_back(conf::label_of(*listener));
        }
    }
    return labels;
}

}  // namespace

policy::GuardSettings guard_settings(const conf::Config& config) {
    const conf::Guard& guard = config.guard;
    policy::GuardSettings settings;
    settings.mode = guard.mode;
    settings.throttle_at = guard.throttle_at;
    settings.shed_at = guard.shed_at;
    settings.horizon = nanos(guard.horizon);
    settings.hold_max = nanos(guard.hold_max);
    settings.stale_after = nanos(guard.stale_after);
    settings.write_max_bytes = static_cast<std::int64_t>(guard.write_max);
    settings.evict_max = guard.evict_max;
    if (config.monitor.ceiling) {
        settings.ceiling_override_bytes = static_cast<std::int64_t>(*config.monitor.ceiling);
    }
    settings.policy_override = config.monitor.policy;
    return settings;
}

std::vector<policy::Rule> rules_of(const conf::Config& config) {
    std::vector<policy::Rule> rules;
    for (const conf::Rule& rule : config.guard.rules) {
        rules.push_back({
            .name = rule.name,
            .commands = rule.commands,
            .keys = rule.keys,
            .clients = rule.clients,
            .users = rule.users,
            .listeners = labels_of(rule.listeners, config.listeners),
            .priority = rule.priority,
        });
    }
    return rules;
}

policy::KeyDisplay key_display(conf::KeyDisplay mode) {
    policy::KeyDisplay display;
    switch (mode) {
        case conf::KeyDisplay::full:
            display.mode = policy::KeyMode::full;
            break;
        case conf::KeyDisplay::pattern:
            display.mode = policy::KeyMode::pattern;
            break;
        case conf::KeyDisplay::hash:
            display.mode = policy::KeyMode::hash;
            break;
        case conf::KeyDisplay::none:
            display.mode = policy::KeyMode::none;
            break;
    }
    std::random_device random;
    for (std::uint64_t& half : display.secret) {
        half = (static_cast<std::uint64_t>(random()) << 32U) | random();
    }
    return display;
}

log::LogSettings log_settings(const conf::Log& config) {
    log::LogSettings settings;
    settings.format =
        config.format == conf::LogFormat::json ? log::Format::json : log::Format::text;
    switch (config.level) {
        case conf::LogLevel::debug:
            settings.level = log::Level::debug;
            break;
        case conf::LogLevel::info:
            settings.level = log::Level::info;
            break;
        case conf::LogLevel::warn:
            settings.level = log::Level::warn;
            break;
        case conf::LogLevel::error:
            settings.level = log::Level::error;
            break;
    }
    settings.file = config.file;
    return settings;
}

}  // namespace spillway
