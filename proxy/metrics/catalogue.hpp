// The one list of all metrics: name, help, type, labels, and where each value comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "proxy/metrics/render.hpp"
#include "proxy/metrics/shard_metrics.hpp"

namespace spillway::metrics {

inline constexpr std::string_view name_prefix = "spillway_";

enum class MetricType : std::uint8_t { counter, gauge, histogram };

struct Label {
    std::string_view name;
    std::span<const std::string_view> values;  // empty: named at run time, which `meaning` explains
    std::string_view meaning;
};

// Summed over the shards; `first` and `second` index the values of the labels.
struct FromShards {
    std::int64_t (*read)(const ShardMetrics&, std::size_t first, std::size_t second);
};
// Histograms have at most one label.
struct HistogramFromShards {
    const Histogram& (*find)(const ShardMetrics&, std::size_t first);
};
struct FromBackends {
    double (*read)(const BackendGauges&);
};
struct FromGauges {
    double (*read)(const GlobalGauges&, std::size_t first);
};
using Source = std::variant<FromShards, HistogramFromShards, FromBackends, FromGauges>;

struct Metric {
    std::string_view name;  // without the prefix
    MetricType type;
    std::string_view help;          // one sentence, no line break
    std::span<const Label> labels;  // at most two
    Source source;
};

[[nodiscard]] std::span<const Metric> catalogue() noexcept;

// The page docs/metrics.md, made from the catalogue; `cause_names` as in GlobalGauges.
[[nodiscard]] std::string catalogue_markdown(std::span<const std::string_view> cause_names);

}  // namespace spillway::metrics
