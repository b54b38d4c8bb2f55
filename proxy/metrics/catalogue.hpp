// The one list of all metrics: name, help, type, labels, and where each value comes from.
#pragma once

#include "proxy/metrics/render.hpp"
#include "proxy/metrics/shard_metrics.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace spillway::metrics {

inline constexpr std::string_view name_prefix = "spillway_";

enum class MetricType : std::uint8_t { counter, gauge, histogram };

inline constexpr std::array<std::string_view, 3> metric_type_names = {
    "counter", "gauge", "histogram"};

[[nodiscard]] constexpr std::string_view name_of(MetricType type) noexcept {
    return metric_type_names[static_cast<std::size_t>(type)];
}

// Where the values of a label stand: in the catalogue, or in GlobalGauges.
enum class LabelValues : std::uint8_t { listed, version, cause_names };

struct Label {
    std::string_view name;
    std::string_view meaning;
    std::span<const std::string_view> listed;
    LabelValues values = LabelValues::listed;
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
[[nodiscard]] std::string catalogue_page(std::span<const std::string_view> cause_names);

}  // namespace spillway::metrics
