// What a bounded sample of keys says of all of them: who holds memory, how much of it has a TTL,
// and how sure that is.
#include "policy/key_sample.hpp"

#include "policy/pattern_fold.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

namespace spillway::policy {
namespace {

constexpr double normal_95 = 1.96;
// A found key of this share of the data, or more, is taken out of the sample and counted as it is:
// drawn by chance it would stand for many keys like it, not drawn for none.
constexpr double large_share = .01;
// What MEMORY USAGE of all keys and INFO's dataset differ by, as a standard deviation: the
// allocator rounds up, and connections are in the latter.
constexpr double dataset_tolerance = .01;
constexpr double dataset_tolerance_bytes = 256 << 10;
// Errors that explain what is missing; beyond it is something else that is missing.
constexpr double deviations_explaining = 3;
constexpr std::int64_t large_bytes_min = 256 << 10;
// What the sizes of all keys and the data may differ by though nothing is missing: allocations are
// rounded up, tables are shared out by rule of thumb, histograms and slow commands count as data;
// and of a collection some elements stand for all.
constexpr double unsure_share = .03;
constexpr double unsure_bytes_per_key = 16;
constexpr double unsure_share_of_collections = .12;
constexpr double unsure_bytes = 512 << 10;
constexpr double unsure_share_max = .15;
// Buckets, up to twice as many as keys or more while they double; of a TTL its entry besides.
constexpr double table_bytes_per_key = 32;
constexpr double table_bytes_per_ttl = 64;
constexpr std::int64_t idle_long_s = 3600;
constexpr std::int64_t fresh_s = 1;

struct Weighed {
    const SampledKey* key = nullptr;
    double weight = 1;  // keys that it stands for
};

// A sum over all keys: the part that is drawn carries an error, the part that was found has none.
class Total {
  public:
    Total(
        std::span<const Weighed> drawn,
        std::span<const Weighed> certain,
        double unseen,
        double stands_for
    ) noexcept
        : drawn_(drawn), certain_(certain), unseen_(unseen), stands_for_(stands_for) {}

    template <class Measure>
    [[nodiscard]] double sum(Measure measure) const {
        double sum = 0;
        for (const auto part : {drawn_, certain_}) {
            for (const Weighed& w : part) {
                sum += w.weight * measure(*w.key);
            }
        }
        return sum;
    }

    // Of all keys together: by which of them were drawn, and by what is guessed of each.
    [[nodiscard]] Estimate sizes() const {
        const auto bytes = [](const SampledKey& key) { return static_cast<double>(key.bytes); };
        const double value = sum(bytes);
        const double error = normal_95 * std::sqrt(variance(bytes) + variance_of_sizes());
        return {std::max(0., value - error), value, value + error};
    }

    // A ratio of two sums, its error by linearisation: what is large in both cancels.
    template <class Part, class Whole>
    [[nodiscard]] Estimate ratio(Part part, Whole whole) const {
        const double total = sum(whole);
        if (total <= 0) {
            return {0, 0, 1};
        }
        const double value = sum(part) / total;
        const double spread =
            variance([&](const SampledKey& key) { return part(key) - value * whole(key); });
        double error = normal_95 * std::sqrt(spread) / total;
        if (spread <= 0 && unseen_ > 0) {  // all alike: the rule of three
            error = 3 / static_cast<double>(std::max<std::size_t>(drawn_.size(), 1));
        }
        return {std::max(0., value - error), value, std::min(1., value + error)};
    }

    // Of the sum of all sizes, by what single sizes are uncertain.
    [[nodiscard]] double variance_of_sizes() const {
        double sum = 0;
        for (const auto part : {drawn_, certain_}) {
            for (const Weighed& w : part) {
                const double deviation = w.weight * error_of(*w.key) / normal_95;
                sum += deviation * deviation;
            }
        }
        return sum;
    }

    template <class Measure>
    [[nodiscard]] double variance(Measure measure) const {
        const auto n = static_cast<double>(drawn_.size());
        if (n < 2 || unseen_ <= 0) {
            return 0;
        }
        double sum = 0;
        double squares = 0;
        for (const Weighed& w : drawn_) {
            const double x = measure(*w.key);
            sum += x;
            squares += x * x;
        }
        const double spread = std::max(0., (squares - sum * sum / n) / (n - 1));
        const double all = n * stands_for_;
        return all * all * spread / n * unseen_;
    }

  private:
    std::span<const Weighed> drawn_;
    std::span<const Weighed> certain_;
    double unseen_;  // share of the keys that were not drawn: nothing of those drawn is uncertain
    double stands_for_;  // keys for each one drawn
};

using Name = std::pair<std::int32_t, std::string_view>;

[[nodiscard]] Name name_of_key(const SampledKey& key) noexcept {
    return {key.db, key.key};
}

[[nodiscard]] double bytes_of(const SampledKey& key) noexcept {
    return static_cast<double>(key.bytes);
}

[[nodiscard]] bool has_ttl(const SampledKey& key) noexcept {
    return key.ttl_ms >= 0;
}

// Of each key the pattern under which it is counted, in the order of `all`.
[[nodiscard]] std::map<const SampledKey*, std::string> patterns_of(std::span<const Weighed> all) {
    PatternFold fold;
    PatternBuffer buffer;
    for (const Weighed& w : all) {
        fold.add(key_pattern(w.key->key, buffer), w.weight * bytes_of(*w.key));
    }
    fold.finish();
    std::map<const SampledKey*, std::string> patterns;
    for (const Weighed& w : all) {
        patterns.emplace(w.key, fold.folded(key_pattern(w.key->key, buffer)));
    }
    return patterns;
}

void group(const Total& total, std::span<const Weighed> all, KeySummary& out) {
    const std::map<const SampledKey*, std::string> patterns = patterns_of(all);
    std::map<std::pair<std::string, KeyType>, KeyGroup> groups;
    for (const Weighed& w : all) {
        KeyGroup& row = groups[{patterns.at(w.key), w.key->type}];
        row.keys += w.weight;
        row.bytes += w.weight * bytes_of(*w.key);
        const bool fresh = w.key->idle_s >= 0 && w.key->idle_s <= fresh_s;
        row.fresh_bytes += fresh ? w.weight * bytes_of(*w.key) : 0;
        row.without_ttl += has_ttl(*w.key) ? 0 : w.weight * bytes_of(*w.key);
    }
    for (auto& [name, row] : groups) {
        row.pattern = name.first;
        row.type = name.second;
        row.without_ttl = row.bytes > 0 ? row.without_ttl / row.bytes : 0;
        out.groups.push_back(row);
    }
    std::stable_sort(out.groups.begin(), out.groups.end(), [](const auto& a, const auto& b) {
        return a.bytes > b.bytes;
    });
    out.groups.resize(std::min(out.groups.size(), KeySummary::groups_max));
    for (KeyGroup& row : out.groups) {
        row.share = total.ratio(
            [&](const SampledKey& key) {
                return key.type == row.type && patterns.at(&key) == row.pattern ? bytes_of(key) : 0;
            },
            bytes_of
        );
    }
}

void rank(std::span<const Weighed> all, KeySummary& out) {
    std::vector<const SampledKey*> keys;
    for (const Weighed& w : all) {
        keys.push_back(w.key);
    }
    const std::size_t count = std::min(keys.size(), KeySummary::biggest_max);
    std::partial_sort(
        keys.begin(),
        keys.begin() + static_cast<std::ptrdiff_t>(count),
        keys.end(),
        [](const SampledKey* a, const SampledKey* b) { return a->bytes > b->bytes; }
    );
    for (std::size_t i = 0; i < count; ++i) {
        out.biggest.push_back(*keys[i]);
    }
}

void weigh_idle(const Total& total, std::span<const Weighed> all, KeySummary& out) {
    const bool told =
        std::all_of(all.begin(), all.end(), [](const Weighed& w) { return w.key->idle_s >= 0; });
    if (told && !all.empty()) {
        const double whole = total.sum(bytes_of);
        const double idle = total.sum([](const SampledKey& key) {
            return key.idle_s >= idle_long_s ? bytes_of(key) : 0;
        });
        out.idle_hour_bytes = whole > 0 ? idle / whole : 0;
    }
}

}  // namespace

KeyType key_type(std::string_view name) noexcept {
    for (std::size_t i = 0; i + 1 < key_type_names.size(); ++i) {
        if (key_type_names[i] == name) {
            return static_cast<KeyType>(i);
        }
    }
    return KeyType::other;
}

bool still_holds(const KeySummary& summary, const MemorySample& server) noexcept {
    constexpr std::int64_t few_keys = 100;
    constexpr std::int64_t few_bytes = 256 * 1024;
    const auto alike = [](std::int64_t then, std::int64_t now, std::int64_t few) {
        return std::max(then, now) - std::min(then, now) <= std::max(few, std::max(then, now) / 10);
    };
    const bool same_data = summary.dataset_bytes < 0 || server.used_memory_dataset < 0 ||
                           alike(summary.dataset_bytes, server.used_memory_dataset, few_bytes);
    return same_data &&
           (summary.server_keys < 0 || alike(summary.server_keys, server.keys, few_keys));
}

void date(KeySummary& summary, const MemorySample& server) noexcept {
    const bool all_databases = 10 * summary.keys >= 9 * server.keys;
    if (!still_holds(summary, server) || !all_databases) {
        summary.complete = false;
        summary.searched = summary.unexplained = summary.gap = 0;
    }
    summary.server_keys = server.keys;
    summary.dataset_bytes = server.used_memory_dataset;
}

bool is_large(std::int64_t bytes, std::int64_t data_bytes) noexcept {
    return bytes >= std::max<std::int64_t>(
                        large_bytes_min,
                        static_cast<std::int64_t>(large_share * static_cast<double>(data_bytes))
                    );
}

double error_of(const SampledKey& key) noexcept {
    if (key.error >= 0) {
        return static_cast<double>(key.error);
    }
    // Strings, modules' types and what is stored in one piece are measured, not guessed.
    const bool guessed = key.type != KeyType::string && key.type != KeyType::other;
    return guessed && key.bytes >= large_bytes_min ? bytes_of(key) : 0;
}

namespace {

// The keys of a summary, copied: sizes that are no certainty may be corrected.
struct Parts {
    std::vector<SampledKey> keys;  // of which the others speak
    std::vector<Weighed> certain;
    std::vector<Weighed> drawn;
    double unseen = 0;
    double stands_for = 1;

    [[nodiscard]] Total total() const noexcept { return {drawn, certain, unseen, stands_for}; }
};

[[nodiscard]] Parts parted(
    std::span<const SampledKey> sampled,
    std::span<const SampledKey> found,
    std::int64_t keys,
    std::int64_t data_bytes
) {
    Parts parts;
    std::set<Name> taken;
    std::vector<std::pair<const SampledKey*, bool>> chosen;
    for (const SampledKey& key : found) {
        if (is_large(key.bytes, data_bytes) && taken.insert(name_of_key(key)).second) {
            chosen.emplace_back(&key, true);
        }
    }
    // One drawn key that, taken for its share of all keys, would exceed the data is no sample of
    // them.
    const double stands_for =
        static_cast<double>(keys) / static_cast<double>(std::max<std::size_t>(sampled.size(), 1));
    for (const SampledKey& key : sampled) {
        if (taken.insert(name_of_key(key)).second) {
            const bool alone = is_large(key.bytes, data_bytes) &&
                               bytes_of(key) * stands_for > static_cast<double>(data_bytes);
            chosen.emplace_back(&key, alone);
        }
    }
    parts.keys.reserve(chosen.size());
    for (const auto& [key, certain] : chosen) {
        parts.keys.push_back(*key);
        (certain ? parts.certain : parts.drawn).push_back({&parts.keys.back(), 1});
    }
    const double others =
        std::max(static_cast<double>(keys) - static_cast<double>(parts.certain.size()), 0.);
    const auto n = static_cast<double>(parts.drawn.size());
    parts.stands_for = n > 0 ? std::max(1., others / n) : 1;
    for (Weighed& w : parts.drawn) {
        w.weight = parts.stands_for;
    }
    parts.unseen = others > n ? 1 - n / others : 0;
    return parts;
}

// Sizes that are estimates give way, each by as much as it is uncertain (least squares): all keys
// together are the data, and none holds more than there is.
void reconcile(Parts& parts, std::int64_t data_bytes) {
    const auto data = static_cast<double>(data_bytes);
    const Total total = parts.total();
    const double of_sizes = total.variance_of_sizes();
    if (data <= 0 || of_sizes <= 0) {
        return;
    }
    const double tolerance = dataset_tolerance * data + dataset_tolerance_bytes;
    const double variance = of_sizes + total.variance(bytes_of) + tolerance * tolerance;
    const bool all_known = !parts.drawn.empty() || parts.unseen <= 0;
    double gap = data - total.sum(bytes_of);
    if (gap > 0 && (!all_known || gap > deviations_explaining * std::sqrt(variance))) {
        gap = 0;
    }
    std::vector<double> weights(parts.keys.size(), 1);
    for (const Weighed& w : parts.drawn) {
        weights[static_cast<std::size_t>(w.key - parts.keys.data())] = w.weight;
    }
    for (std::size_t i = 0; i < parts.keys.size(); ++i) {
        SampledKey& key = parts.keys[i];
        const double error = error_of(key);
        if (error <= 0) {
            continue;
        }
        const double own = error * error / (normal_95 * normal_95);
        const double known = std::max(0., 1 - weights[i] * weights[i] * own / variance);
        const double bytes = bytes_of(key) + gap * weights[i] * own / variance;
        key.bytes = static_cast<std::int64_t>(std::clamp(bytes, 0., data));
        key.error = all_known ? static_cast<std::int64_t>(error * std::sqrt(known)) : key.error;
    }
}

// MEMORY USAGE guesses the tree of a stream, and too high: they all together hold no more than
// there is beside the others.
void bound_streams(Parts& parts, double data) {
    const Total total = parts.total();
    const double streams = total.sum([](const SampledKey& key) {
        return key.type == KeyType::stream ? bytes_of(key) : 0;
    });
    const double room = std::max(0., data - (total.sum(bytes_of) - streams));
    if (data <= 0 || streams <= room) {
        return;
    }
    for (SampledKey& key : parts.keys) {
        if (key.type == KeyType::stream) {
            key.bytes = static_cast<std::int64_t>(bytes_of(key) * room / streams);
        }
    }
}

// Beyond it, what is missing in the sizes of all keys is in none of them.
[[nodiscard]] double unsure_of(const Total& total, double keys, double data) {
    const double collections = total.sum([](const SampledKey& key) {
        return key.type != KeyType::string && key.error != 0 ? bytes_of(key) : 0;
    });
    return std::min(
        unsure_share_max * data,
        unsure_share * data + unsure_bytes_per_key * keys +
            unsure_share_of_collections * collections + unsure_bytes
    );
}

// What all keys hold is known from INFO, better than from a sample: those drawn stand for more, or
// fewer, of their kind as they are larger than the mean (a regression estimator). It moves what is
// uncertain by chance, a few large keys, and little else.
void calibrate(Parts& parts, double gap) {
    const double n = static_cast<double>(parts.drawn.size()) * parts.stands_for;
    double sum = 0;
    double squares = 0;
    for (const Weighed& w : parts.drawn) {
        sum += w.weight * bytes_of(*w.key);
        squares += w.weight * bytes_of(*w.key) * bytes_of(*w.key);
    }
    const double spread = squares - sum * sum / n;
    if (n < 2 || spread <= 0) {
        return;
    }
    for (Weighed& w : parts.drawn) {
        const double change = 1 + gap * (bytes_of(*w.key) - sum / n) / spread;
        w.weight = std::max(1., w.weight * std::max(change, 0.));
    }
}

// What is missing beyond chance is told; what may be chance is shared out among those drawn.
void weigh_gap(Parts& parts, double data, KeySummary& out) {
    const Total total = parts.total();
    const Estimate sum = total.sizes();
    const double unsure = unsure_of(total, static_cast<double>(out.keys), data);
    out.gap = data - sum.value;
    if (out.gap - (sum.high - sum.value) > unsure) {
        out.unexplained = out.gap;
    } else if (std::abs(out.gap) > unsure && data > 0) {
        calibrate(parts, out.gap);
    }
}

// Lists and streams are read and removed by consumers; what expires by itself is a cache's.
void count_kinds(
    std::span<const SampledKey> sampled, std::span<const SampledKey> found, KeySummary& out
) {
    for (const auto keys : {sampled, found}) {
        for (const SampledKey& key : keys) {
            const bool queue = key.type == KeyType::list || key.type == KeyType::stream;
            out.collections += key.type != KeyType::string ? 1 : 0;
            out.queues += queue && !has_ttl(key) ? 1 : 0;
        }
    }
}

}  // namespace

KeySummary summarize(
    std::span<const SampledKey> sampled,
    std::span<const SampledKey> found,
    std::int64_t keys,
    std::int64_t data_bytes,
    double searched
) {
    KeySummary out;
    out.keys = std::max<std::int64_t>(keys, 0);
    out.searched = searched;
    Parts parts = parted(sampled, found, out.keys, data_bytes);
    reconcile(parts, data_bytes);
    out.sampled = static_cast<std::int64_t>(parts.keys.size());
    out.complete = out.sampled > 0 && parts.unseen <= 0;
    count_kinds(sampled, found, out);

    const auto one = [](const SampledKey&) { return 1.; };
    out.with_ttl_keys =
        parts.total().ratio([](const SampledKey& key) { return has_ttl(key) ? 1. : 0.; }, one);
    // The tables that find keys and their times are in no key's MEMORY USAGE.
    const double tables =
        table_bytes_per_key * static_cast<double>(out.keys) +
        table_bytes_per_ttl * out.with_ttl_keys.value * static_cast<double>(out.keys);
    const double data = static_cast<double>(data_bytes) - tables;
    bound_streams(parts, data);
    if (!out.complete && !parts.drawn.empty()) {
        weigh_gap(parts, data, out);
    }

    const Total total = parts.total();
    std::vector<Weighed> all = parts.certain;
    all.insert(all.end(), parts.drawn.begin(), parts.drawn.end());
    out.bytes = total.sizes();
    out.with_ttl_bytes = total.ratio(
        [](const SampledKey& key) { return has_ttl(key) ? bytes_of(key) : 0; }, bytes_of
    );
    group(total, all, out);
    // Of all bytes, also those in no key that was seen.
    const double seen = out.bytes.value / std::max(out.bytes.value + out.unexplained, 1.);
    for (KeyGroup& row : out.groups) {
        row.share.low *= seen;
        row.share.value *= seen;
    }
    rank(all, out);
    weigh_idle(total, all, out);
    return out;
}

}  // namespace spillway::policy
