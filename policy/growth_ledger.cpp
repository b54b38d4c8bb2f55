// Who fills memory: bounded heavy hitters over key pattern, client name and command, fading with
// time.
#include "policy/growth_ledger.hpp"

#include <algorithm>
#include <cmath>

namespace spillway::policy {
namespace {

// Beyond this many windows the weights are brought back to a new origin; e^30 times a terabyte
// still has all its digits.
constexpr double windows_max = 30;

// FNV-1a over the three names with a separator that none of them ends in by chance. A writer who
// makes names collide only costs comparisons: rows are told apart by their names.
[[nodiscard]] std::uint64_t hash_of(
    std::string_view pattern, std::string_view client, std::string_view command
) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const auto text : {pattern, client, command}) {
        for (const char c : text) {
            hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
        }
        hash = (hash ^ 0xFFU) * 0x100000001b3U;
    }
    return hash;
}

template <std::size_t Size>
[[nodiscard]] std::uint8_t put_name(std::array<char, Size>& into, std::string_view text) noexcept {
    static_assert(Size <= 255);
    return static_cast<std::uint8_t>(text.copy(into.data(), Size));
}

template <std::size_t Size>
[[nodiscard]] std::string_view view(
    const std::array<char, Size>& text, std::uint8_t size
) noexcept {
    return {text.data(), size};
}

}  // namespace

GrowthLedger::GrowthLedger(std::size_t rows, Nanos window)
    : hashes_(std::max<std::size_t>(rows, 1)),
      weights_(hashes_.size()),
      masses_(hashes_.size()),
      names_(hashes_.size()),
      window_(std::max<Nanos>(window, 1)) {}

double GrowthLedger::scale_at(Nanos now) noexcept {
    if (used_ == 0 && total_ == 0) {
        origin_ = now;
    }
    latest_ = used_ == 0 ? now : std::max(latest_, now);
    const double windows = static_cast<double>(latest_ - origin_) / static_cast<double>(window_);
    if (windows <= windows_max) {
        return std::exp(windows);
    }
    const double fade = std::exp(-windows);
    total_ *= fade;
    for (std::size_t i = 0; i < used_; ++i) {
        masses_[i] = {
            .own = masses_[i].own * fade,
            .lasting = masses_[i].lasting * fade,
            .error = masses_[i].error * fade};
        weights_[i] *= fade;
    }
    origin_ = latest_;
    return 1;
}

double GrowthLedger::fade_at(Nanos now) const noexcept {
    const Nanos at = std::max(latest_, now);
    return std::exp(-static_cast<double>(at - origin_) / static_cast<double>(window_));
}

void GrowthLedger::put(
    std::string_view pattern, std::string_view client, std::string_view command, const Mass& mass
) noexcept {
    pattern = pattern.substr(0, pattern_bytes_max);
    client = client.substr(0, client_bytes_max);
    command = command.substr(0, command_bytes_max);
    const std::uint64_t hash = hash_of(pattern, client, command);
    total_ += mass.own;

    for (std::size_t i = 0; i < used_; ++i) {
        if (hashes_[i] != hash) {
            continue;
        }
        const Name& name = names_[i];
        if (view(name.pattern, name.pattern_size) == pattern &&
            view(name.client, name.client_size) == client &&
            view(name.command, name.command_size) == command) {
            masses_[i].own += mass.own;
            masses_[i].lasting += mass.lasting;
            masses_[i].error += mass.error;
            weights_[i] += mass.own + mass.error;
            return;
        }
    }

    std::size_t row = used_;
    double inherited = 0;
    if (used_ < names_.size()) {
        ++used_;
    } else {
        row = static_cast<std::size_t>(
            std::min_element(weights_.begin(), weights_.end()) - weights_.begin()
        );
        inherited = weights_[row];
    }
    hashes_[row] = hash;
    masses_[row] = {.own = mass.own, .lasting = mass.lasting, .error = mass.error + inherited};
    weights_[row] = mass.own + mass.error + inherited;
    Name& name = names_[row];
    name.pattern_size = put_name(name.pattern, pattern);
    name.client_size = put_name(name.client, client);
    name.command_size = put_name(name.command, command);
}

void GrowthLedger::add(
    std::string_view pattern,
    std::string_view client,
    std::string_view command,
    std::uint64_t bytes,
    bool without_ttl,
    Nanos now
) noexcept {
    if (bytes == 0) {
        return;
    }
    const double own = static_cast<double>(bytes) * scale_at(now);
    put(pattern, client, command, {.own = own, .lasting = without_ttl ? own : 0, .error = 0});
}

void GrowthLedger::merge(const GrowthLedger& other, Nanos now) noexcept {
    if (&other == this || other.used_ == 0) {
        return;
    }
    const double scale = scale_at(now) * other.fade_at(now);
    for (std::size_t i = 0; i < other.used_; ++i) {
        const Name& name = other.names_[i];
        const Mass& mass = other.masses_[i];
        put(view(name.pattern, name.pattern_size),
            view(name.client, name.client_size),
            view(name.command, name.command_size),
            {.own = mass.own * scale, .lasting = mass.lasting * scale, .error = mass.error * scale}
        );
    }
    // put() has counted what has a row there; the rest of its bytes has lost its row.
    double kept = 0;
    for (std::size_t i = 0; i < other.used_; ++i) {
        kept += other.masses_[i].own;
    }
    total_ += std::max(0.0, other.total_ - kept) * scale;
}

std::vector<GrowthRow> GrowthLedger::top(std::size_t count, Nanos now) const {
    std::vector<std::size_t> order(used_);
    for (std::size_t i = 0; i < used_; ++i) {
        order[i] = i;
    }
    const auto shown = static_cast<std::ptrdiff_t>(std::min(count, used_));
    std::partial_sort(
        order.begin(),
        order.begin() + shown,
        order.end(),
        [this](std::size_t a, std::size_t b) { return masses_[a].own > masses_[b].own; }
    );

    const double fade = fade_at(now);
    std::vector<GrowthRow> rows;
    rows.reserve(static_cast<std::size_t>(shown));
    for (auto it = order.begin(); it != order.begin() + shown; ++it) {
        const Mass& mass = masses_[*it];
        const Name& name = names_[*it];
        const double bytes = mass.own * fade;
        if (bytes < 1) {
            break;
        }
        rows.push_back(
            {.pattern = std::string(view(name.pattern, name.pattern_size)),
             .client = std::string(view(name.client, name.client_size)),
             .command = std::string(view(name.command, name.command_size)),
             .bytes = static_cast<std::uint64_t>(std::llround(std::min(bytes, 9.0e18))),
             .without_ttl = std::clamp(mass.lasting / mass.own, 0.0, 1.0)}
        );
    }
    return rows;
}

std::uint64_t GrowthLedger::total_bytes(Nanos now) const noexcept {
    return static_cast<std::uint64_t>(std::llround(std::min(total_ * fade_at(now), 9.0e18)));
}

void GrowthLedger::clear() noexcept {
    used_ = 0;
    total_ = 0;
}

}  // namespace spillway::policy
