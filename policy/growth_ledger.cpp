// Who fills memory: bounded heavy hitters over key pattern, client name and command, less what was
// removed again; fading with time.
#include "policy/growth_ledger.hpp"

#include "policy/pattern_fold.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <map>
#include <tuple>
#include <utility>

namespace spillway::policy {
namespace {

// Beyond this many windows the weights are brought back to a new origin; e^30 times a terabyte
// still has all its digits.
constexpr double windows_max = 30;

// FNV-1a over names with a separator that none of them ends in by chance. A writer who makes names
// collide costs comparisons, since rows are told apart by their names, and joins beginnings that
// are not one, which only makes what is told of them less exact.
[[nodiscard]] std::uint32_t hash_of(std::initializer_list<std::string_view> names) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const auto text : names) {
        for (const char c : text) {
            hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3U;
        }
        hash = (hash ^ 0xFFU) * 0x100000001b3U;
    }
    return static_cast<std::uint32_t>(hash ^ (hash >> 32U));
}

// Where the first part ends, its separator included.
[[nodiscard]] std::size_t beginning_of(std::string_view pattern) noexcept {
    const std::size_t at = pattern.find_first_of(":/._-{}|", 1);
    return at == std::string_view::npos ? 0 : at + 1;
}

// "profile:*": all keys with this beginning.
[[nodiscard]] bool is_beginning(std::string_view pattern) noexcept {
    return pattern.substr(beginning_of(pattern)) == "*";
}

// The upper half says the beginning, client and command; the lower one is 0 for the row of all that
// begin so. That row's number follows from those of the others.
constexpr std::uint64_t upper_half = 0xFFFFFFFF00000000U;

[[nodiscard]] std::uint64_t number_of(
    std::string_view pattern, std::string_view client, std::string_view command
) noexcept {
    const std::size_t beginning = beginning_of(pattern);
    const std::uint64_t upper = hash_of({pattern.substr(0, beginning), client, command});
    const std::uint32_t lower =
        is_beginning(pattern) ? 0 : hash_of({pattern.substr(beginning)}) | 1U;
    return (upper << 32U) | lower;
}

// A row of less than that is told with the others of the same beginning.
constexpr double light_share = .03;

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

// Fewer bytes that were seen three times tell nothing of how often keys are written.
constexpr double thrice_min = 400 * 1024;
// What something weighs that was removed and whose size is not known yet.
constexpr double removed_unit_weight = 256;

// Bytes of a row whose keys are written over and over: how many keys there are follows from how
// many were seen once, twice, three times, as if each was as likely to be next (Poisson). What is
// beyond that among those seen once are keys that nobody wrote again, and these stand for more of
// their kind; of the others each counts once, however often it was written.
[[nodiscard]] double without_overwrites(const GrowthAmount& own) noexcept {
    if (own.thrice < thrice_min || own.twice <= 0 || own.once <= 0) {
        return own.bytes;
    }
    const double expected = 2 * own.twice * own.twice / (3 * own.thrice);
    const double overwritten = std::min(own.once, expected);
    const double looks = 3 * own.thrice / own.twice;  // at each key, on average
    const double seen = own.bytes - own.once + overwritten * own.once_own / own.once;
    return own.once - overwritten + std::max(seen, 0.) / (1 - std::exp(-looks));
}

}  // namespace

void GrowthAmount::add(const GrowthAmount& more, double times) noexcept {
    bytes += more.bytes * times;
    lasting += more.lasting * times;
    keys += more.keys * times;
    units += more.units * times;
    unit_bytes += more.unit_bytes * times;
    once += more.once * times;
    once_own += more.once_own * times;
    twice += more.twice * times;
    thrice += more.thrice * times;
    removed += more.removed * times;
    removed_units += more.removed_units * times;
    removed_keys += more.removed_keys * times;
}

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
        masses_[i] = {.own = masses_[i].own.times(fade), .error = masses_[i].error * fade};
        weights_[i] *= fade;
    }
    origin_ = latest_;
    return 1;
}

double GrowthLedger::fade_at(Nanos now) const noexcept {
    const Nanos at = std::max(latest_, now);
    return std::exp(-static_cast<double>(at - origin_) / static_cast<double>(window_));
}

double GrowthLedger::weight_of(const Mass& mass) noexcept {
    const double removed =
        mass.own.removed + (mass.own.removed_units + mass.own.removed_keys) * removed_unit_weight;
    return std::max(mass.own.bytes, 0.) + removed + mass.error;
}

std::uint64_t GrowthLedger::put_mass(const GrowthName& of, const Mass& mass) noexcept {
    const std::string_view pattern = of.pattern.substr(0, pattern_bytes_max);
    const std::string_view client = of.client.substr(0, client_bytes_max);
    const std::string_view command = of.command.substr(0, command_bytes_max);
    const std::uint64_t hash = number_of(pattern, client, command);
    total_ += mass.own.bytes;

    for (std::size_t i = 0; i < used_; ++i) {
        if (hashes_[i] != hash) {
            continue;
        }
        const Name& name = names_[i];
        if (view(name.pattern, name.pattern_size) == pattern &&
            view(name.client, name.client_size) == client &&
            view(name.command, name.command_size) == command) {
            masses_[i].own.add(mass.own, 1);
            masses_[i].error += mass.error;
            weights_[i] = weight_of(masses_[i]);
            return hash;
        }
    }

    std::size_t row = used_;
    double inherited = 0;
    if (used_ < names_.size()) {
        ++used_;
    } else {
        row = make_room();
        inherited = weights_[row];
    }
    hashes_[row] = hash;
    masses_[row] = {.own = mass.own, .error = mass.error + inherited};
    weights_[row] = weight_of(masses_[row]);
    Name& name = names_[row];
    name.pattern_size = put_name(name.pattern, pattern);
    name.client_size = put_name(name.client, client);
    name.command_size = put_name(name.command, command);
    return hash;
}

std::size_t GrowthLedger::lightest(std::size_t but) const noexcept {
    std::size_t row = but == 0 ? 1 : 0;
    for (std::size_t i = row + 1; i < used_; ++i) {
        row = i != but && weights_[i] < weights_[row] ? i : row;
    }
    return row;
}

std::size_t GrowthLedger::row_of(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>(
        std::find(hashes_.data(), hashes_.data() + used_, hash) - hashes_.data()
    );
}

// The lightest row, once that of its beginning has what it holds. Where there is none yet it
// becomes that itself, and the next one goes.
std::size_t GrowthLedger::make_room() noexcept {
    const std::size_t nothing = used_;
    std::size_t made = nothing;
    while (true) {
        const std::size_t row = lightest(made);
        const std::uint64_t beginning = hashes_[row] & upper_half;
        if (hashes_[row] == beginning || used_ < 2) {
            return row;
        }
        const std::size_t into = row_of(beginning);
        if (into < used_) {
            masses_[into].own.add(masses_[row].own, 1);
            weights_[into] = weight_of(masses_[into]);
            return row;
        }
        if (made != nothing) {
            return row;
        }
        Name& name = names_[row];
        const std::size_t size =
            std::min(beginning_of(view(name.pattern, name.pattern_size)), name.pattern.size() - 1);
        name.pattern[size] = '*';
        name.pattern_size = static_cast<std::uint8_t>(size + 1);
        hashes_[row] = beginning;
        made = row;
    }
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
    const auto own = static_cast<double>(bytes);
    put({pattern, client, command}, {.bytes = own, .lasting = without_ttl ? own : 0}, now);
}

std::uint64_t GrowthLedger::put(
    const GrowthName& name, const GrowthAmount& amount, Nanos now
) noexcept {
    return put_mass(name, {.own = amount.times(scale_at(now)), .error = 0});
}

void GrowthLedger::correct(std::uint64_t row, const GrowthAmount& amount, Nanos at) noexcept {
    std::size_t i = row_of(row);
    i = i == used_ ? row_of(row & upper_half) : i;
    if (i == used_) {
        return;
    }
    const double scale = std::exp(
        static_cast<double>(std::min(at, latest_) - origin_) / static_cast<double>(window_)
    );
    masses_[i].own.add(amount, scale);
    weights_[i] = weight_of(masses_[i]);
    total_ = std::max(total_ + amount.bytes * scale, 0.);
}

void GrowthLedger::remove(
    std::string_view pattern, const GrowthAmount& removed, Nanos now
) noexcept {
    put({pattern, {}, {}}, removed, now);
}

void GrowthLedger::merge(const GrowthLedger& other, Nanos now) noexcept {
    if (&other == this || other.used_ == 0) {
        return;
    }
    const double scale = scale_at(now) * other.fade_at(now);
    for (std::size_t i = 0; i < other.used_; ++i) {
        const Name& name = other.names_[i];
        const Mass& mass = other.masses_[i];
        put_mass(
            {view(name.pattern, name.pattern_size),
             view(name.client, name.client_size),
             view(name.command, name.command_size)},
            {.own = mass.own.times(scale), .error = mass.error * scale}
        );
    }
    // put_mass() has counted what has a row there; the rest of its bytes has lost its row.
    double kept = 0;
    for (std::size_t i = 0; i < other.used_; ++i) {
        kept += other.masses_[i].own.bytes;
    }
    total_ += std::max(0.0, other.total_ - kept) * scale;
}

// By the pattern alone: what was removed of it counts against the same as what was added.
std::vector<std::string> GrowthLedger::shown_patterns() const {
    std::map<std::string_view, double> held;
    double all = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        const double own = std::max(masses_[i].own.bytes, 0.);
        held[view(names_[i].pattern, names_[i].pattern_size)] += own;
        all += own;
    }
    PatternFold fold;
    std::vector<std::string> patterns(used_);
    for (std::size_t i = 0; i < used_; ++i) {
        const std::string_view pattern = view(names_[i].pattern, names_[i].pattern_size);
        std::string beginning(pattern.substr(0, beginning_of(pattern)));
        beginning += '*';
        const bool joins = held.at(pattern) < light_share * all && held.contains(beginning);
        patterns[i] = joins ? std::move(beginning) : std::string(pattern);
        fold.add(patterns[i], std::max(masses_[i].own.bytes, 0.));
    }
    fold.finish();
    for (std::string& pattern : patterns) {
        pattern = std::string(fold.folded(pattern));
    }
    return patterns;
}

GrowthLedger::Nets GrowthLedger::nets() const {
    Nets nets;
    nets.patterns = shown_patterns();
    nets.bytes.resize(used_);
    std::vector<std::size_t> order(used_);
    for (std::size_t i = 0; i < used_; ++i) {
        order[i] = i;
    }
    const auto pattern_of = [&nets](std::size_t i) { return std::string_view(nets.patterns[i]); };
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        return pattern_of(a) < pattern_of(b);
    });
    for (std::size_t begin = 0; begin < used_;) {
        GrowthAmount all;
        double added = 0;
        std::size_t end = begin;
        for (; end < used_ && pattern_of(order[end]) == pattern_of(order[begin]); ++end) {
            const GrowthAmount& own = masses_[order[end]].own;
            all.add(own, 1);
            nets.bytes[order[end]] = std::max(without_overwrites(own), 0.);
            added += nets.bytes[order[end]];
        }
        const double gross = std::max(all.bytes, 0.);
        const double removed =
            all.removed + (all.units > 0 ? all.removed_units * all.unit_bytes / all.units : 0) +
            (all.keys > 0 ? all.removed_keys * gross / all.keys : 0);
        const double net = std::max(added - removed, 0.);
        nets.grown += net;
        nets.shrunk += std::max(removed - added, 0.);
        for (; begin < end; ++begin) {
            nets.bytes[order[begin]] *= added > 0 ? net / added : 0;
        }
    }
    return nets;
}

std::vector<GrowthRow> GrowthLedger::top(std::size_t count, Nanos now, double bytes_max) const {
    const Nets nets = this->nets();
    struct Sum {
        double bytes = 0;
        GrowthAmount own{};
    };
    std::map<std::tuple<std::string_view, std::string_view, std::string_view>, Sum> sums;
    for (std::size_t i = 0; i < used_; ++i) {
        const Name& name = names_[i];
        Sum& sum = sums[{
            nets.patterns[i],
            view(name.client, name.client_size),
            view(name.command, name.command_size)}];
        sum.bytes += nets.bytes[i];
        sum.own.add(masses_[i].own, 1);
    }
    using Row = decltype(sums)::value_type;
    std::vector<const Row*> order;
    order.reserve(sums.size());
    for (const Row& row : sums) {
        order.push_back(&row);
    }
    std::stable_sort(order.begin(), order.end(), [](const Row* a, const Row* b) {
        return a->second.bytes > b->second.bytes;
    });
    order.resize(std::min(count, order.size()));

    const double fade = fade_at(now);
    const double most = std::max(bytes_max, 0.) + nets.shrunk * fade;
    const double told = nets.grown * fade;
    const double scale = told > most ? fade * most / told : fade;
    std::vector<GrowthRow> rows;
    rows.reserve(order.size());
    for (const Row* row : order) {
        const auto& [pattern, client, command] = row->first;
        const GrowthAmount& own = row->second.own;
        const double bytes = row->second.bytes * scale;
        if (bytes < 1) {
            break;
        }
        rows.push_back(
            {.pattern = std::string(pattern),
             .client = std::string(client),
             .command = std::string(command),
             .bytes = static_cast<std::uint64_t>(std::llround(std::min(bytes, 9.0e18))),
             .without_ttl = own.bytes > 0 ? std::clamp(own.lasting / own.bytes, 0.0, 1.0) : 0}
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
