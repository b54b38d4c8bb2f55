// Walks the catalogue and prints each family in the Prometheus text format, version 0.0.4.
#include "proxy/metrics/render.hpp"

#include "proxy/metrics/catalogue.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <utility>
#include <variant>

namespace spillway::metrics {
namespace {

using Shards = std::span<const ShardMetrics* const>;

constexpr double nanoseconds_per_second = 1e9;

void append_number(std::string& out, std::integral auto value) {
    std::array<char, 24> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out.append(digits.data(), end.ptr);
}

void append_number(std::string& out, double value) {
    if (std::isnan(value)) {
        out += "NaN";
        return;
    }
    if (std::isinf(value)) {
        out += value > 0 ? "+Inf" : "-Inf";
        return;
    }
    std::array<char, 32> digits{};  // the shortest form of a double takes at most 24
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out.append(digits.data(), end.ptr);
}

// A bucket's bound in seconds, without an exponent: dashboards compare the label as text.
std::string bound_text(std::size_t bucket) {
    if (bucket >= bucket_bounds_ns.size()) {
        return "+Inf";
    }
    const double seconds = static_cast<double>(bucket_bounds_ns[bucket]) / nanoseconds_per_second;
    std::array<char, 32> digits{};
    const auto end = std::to_chars(
        digits.data(), digits.data() + digits.size(), seconds, std::chars_format::fixed
    );
    return {digits.data(), end.ptr};
}

// HELP escapes backslash and line feed; label values escape the quote too.
void append_escaped(std::string& out, std::string_view text, bool in_quotes) {
    for (const char character : text) {
        if (character == '\n') {
            out += "\\n";
        } else if (character == '\\' || (in_quotes && character == '"')) {
            out += '\\';
            out += character;
        } else {
            out += character;
        }
    }
}

// The labels of one series: `{a="x",b="y"}`, or nothing.
class LabelText {
  public:
    void add(std::string_view name, std::string_view value) {
        text_ += text_.empty() ? '{' : ',';
        text_ += name;
        text_ += "=\"";
        append_escaped(text_, value, true);
        text_ += '"';
    }
    void append_to(std::string& out) const {
        if (!text_.empty()) {
            out += text_;
            out += '}';
        }
    }

  private:
    std::string text_;
};

class Writer {
  public:
    Writer(Shards shards, const GlobalGauges& gauges) : shards_(shards), gauges_(gauges) {
        out_.reserve(std::size_t{32} * 1024);
    }

    void family(const Metric& metric) {
        metric_ = &metric;
        for (const std::string_view keyword : {"HELP", "TYPE"}) {
            out_ += "# ";
            out_ += keyword;
            out_ += ' ';
            name("");
            out_ += ' ';
            if (keyword == "HELP") {
                append_escaped(out_, metric.help, false);
            } else {
                out_ += name_of(metric.type);
            }
            out_ += '\n';
        }
        std::visit([this](const auto& source) { series(source); }, metric.source);
    }

    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    void name(std::string_view suffix) {
        out_ += name_prefix;
        out_ += metric_->name;
        out_ += suffix;
    }

    void line(std::string_view suffix, const LabelText& labels, auto value) {
        name(suffix);
        labels.append_to(out_);
        out_ += ' ';
        append_number(out_, value);
        out_ += '\n';
    }

    [[nodiscard]] std::size_t values_of(std::size_t label) const {
        if (label >= metric_->labels.size()) {
            return 1;
        }
        switch (metric_->labels[label].values) {
            case LabelValues::listed:
                return metric_->labels[label].listed.size();
            case LabelValues::version:
                return 1;
            case LabelValues::cause_names:
                return std::min(gauges_.cause_names.size(), causes_max);
        }
        return 0;
    }

    void add_label(LabelText& text, std::size_t label, std::size_t value) const {
        if (label >= metric_->labels.size()) {
            return;
        }
        const Label& which = metric_->labels[label];
        switch (which.values) {
            case LabelValues::listed:
                text.add(which.name, which.listed[value]);
                break;
            case LabelValues::version:
                text.add(which.name, gauges_.version);
                break;
            case LabelValues::cause_names:
                text.add(which.name, gauges_.cause_names[value]);
                break;
        }
    }

    void series(const FromShards& source) {
        for (std::size_t first = 0; first < values_of(0); ++first) {
            for (std::size_t second = 0; second < values_of(1); ++second) {
                std::int64_t sum = 0;
                for (const ShardMetrics* shard : shards_) {
                    sum += shard == nullptr ? 0 : source.read(*shard, first, second);
                }
                LabelText labels;
                add_label(labels, 0, first);
                add_label(labels, 1, second);
                line("", labels, sum);
            }
        }
    }

    void series(const HistogramFromShards& source) {
        for (std::size_t first = 0; first < values_of(0); ++first) {
            std::array<std::uint64_t, bucket_count> buckets{};
            std::uint64_t sum_ns = 0;
            for (const ShardMetrics* shard : shards_) {
                if (shard == nullptr) {
                    continue;
                }
                const Histogram& histogram = source.find(*shard, first);
                for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
                    buckets[bucket] += histogram.bucket(bucket);
                }
                sum_ns += histogram.sum_ns();
            }
            histogram_lines(first, buckets, sum_ns);
        }
    }

    void histogram_lines(
        std::size_t first,
        const std::array<std::uint64_t, bucket_count>& buckets,
        std::uint64_t sum_ns
    ) {
        LabelText labels;
        add_label(labels, 0, first);
        std::uint64_t at_most = 0;
        for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
            at_most += buckets[bucket];
            LabelText with_bound = labels;
            with_bound.add("le", bound_text(bucket));
            line("_bucket", with_bound, at_most);
        }
        line("_sum", labels, static_cast<double>(sum_ns) / nanoseconds_per_second);
        line("_count", labels, at_most);
    }

    void series(const FromBackends& source) {
        for (const BackendGauges& backend : gauges_.backends) {
            LabelText labels;
            if (gauges_.backends.size() > 1) {
                labels.add("backend", backend.name);
            }
            line("", labels, source.read(backend));
        }
    }

    void series(const FromGauges& source) {
        for (std::size_t first = 0; first < values_of(0); ++first) {
            LabelText labels;
            add_label(labels, 0, first);
            line("", labels, source.read(gauges_, first));
        }
    }

    Shards shards_;
    const GlobalGauges& gauges_;
    const Metric* metric_ = nullptr;
    std::string out_;
};

}  // namespace

std::string render(Shards shards, const GlobalGauges& gauges) {
    Writer writer(shards, gauges);
    for (const Metric& metric : catalogue()) {
        writer.family(metric);
    }
    return writer.take();
}

}  // namespace spillway::metrics
