// Writes the reference page of the metrics from the catalogue.
#include "proxy/metrics/catalogue.hpp"

#include <variant>

namespace spillway::metrics {
namespace {

void append_code(std::string& page, std::string_view text) {
    page += '`';
    page += text;
    page += '`';
}

void append_row(std::string& page, const Metric& metric) {
    page += "| ";
    append_code(page, std::string(name_prefix) + std::string(metric.name));
    page += " | ";
    page += name_of(metric.type);
    page += " | ";
    bool first = true;
    for (const Label& label : metric.labels) {
        page += first ? "" : ", ";
        append_code(page, label.name);
        first = false;
    }
    if (std::holds_alternative<FromBackends>(metric.source)) {
        append_code(page, "backend");
    }
    page += " | ";
    page += metric.help;
    page += " |\n";
}

bool same_label(const Label& one, const Label& other) {
    return one.name == other.name && one.values == other.values &&
           one.listed.data() == other.listed.data();
}

// One line for each label, at the first metric that carries it; it names the others too.
void append_label(
    std::string& page,
    const Metric& metric,
    const Label& label,
    std::span<const std::string_view> cause_names
) {
    std::string carriers;
    for (const Metric& other : catalogue()) {
        for (const Label& candidate : other.labels) {
            if (!same_label(label, candidate)) {
                continue;
            }
            if (carriers.empty() && other.name != metric.name) {
                return;
            }
            carriers += carriers.empty() ? "" : ", ";
            append_code(carriers, std::string(name_prefix) + std::string(other.name));
        }
    }
    page += "- ";
    append_code(page, label.name);
    page += " of " + carriers + ": ";
    page += label.meaning;
    const auto values = label.values == LabelValues::cause_names ? cause_names : label.listed;
    const char* separator = ". One of ";
    for (const std::string_view value : values) {
        page += separator;
        append_code(page, value);
        separator = ", ";
    }
    page += ".\n";
}

constexpr std::string_view introduction = R"(# Metrics

Generated from the catalogue in `proxy/metrics/catalogue.cpp`; a unit test fails when this page is
out of date and says how to renew it.

`GET /metrics` on the admin address answers in the Prometheus text format. A value that is not
known is `NaN`. The label `backend` appears when there are several backends. Histograms count
seconds, from 50 microseconds to 10 seconds. No label ever holds a key, an address or anything else
that a client chooses.

Worth an alert:

- `spillway_backend_time_to_ceiling_seconds < 600`: at this growth memory is full in ten minutes.
- `rate(spillway_oom_replies_total[5m]) > 0`: clients see refusals;
  `origin` and `cause` say whose and why.
- `spillway_guard_state{state="blind"} == 1` for a minute: the guard has no fresh sample and
  protects nothing.
- `spillway_backend_up == 0`: the backend does not answer.

| metric | type | labels | meaning |
|---|---|---|---|
)";

}  // namespace

std::string catalogue_page(std::span<const std::string_view> cause_names) {
    std::string page(introduction);
    for (const Metric& metric : catalogue()) {
        append_row(page, metric);
    }
    page += "\n## Label values\n\n";
    for (const Metric& metric : catalogue()) {
        for (const Label& label : metric.labels) {
            append_label(page, metric, label, cause_names);
        }
    }
    return page;
}

}  // namespace spillway::metrics
