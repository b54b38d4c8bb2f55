// Writes what doctor found for a person at a terminal: what is wrong, why we think so, what to do.
#include "proxy/doctor/report.hpp"

#include "policy/diagnose_figures.hpp"
#include "policy/diagnose_meaning.hpp"
#include "policy/utf8.hpp"
#include "policy/wording.hpp"
#include "proxy/log/encode.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace spillway::doctor {
namespace {

using policy::bytes_text;
using policy::count_text;
using policy::percent_text;

constexpr unsigned width_min = 40;
constexpr unsigned width_of_all = 60;  // of every column; below, some are left out
constexpr unsigned width_max = 110;
constexpr std::size_t bar_cells_max = 32;
constexpr std::size_t bar_lead = 50;  // columns before it: what it is of
constexpr std::size_t name_cells_max = 40;
constexpr std::size_t rows_shown = 5;

[[nodiscard]] std::string size_text(double bytes) {
    return bytes_text(static_cast<std::int64_t>(std::clamp(bytes, -9.0e18, 9.0e18)));
}

class Page {
  public:
    explicit Page(const Style& style)
        : style_(style), width_(std::clamp(style.width, width_min, width_max)) {}

    [[nodiscard]] std::string paint(std::string_view text, std::string_view code) const {
        return style_.colour ? "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m"
                             : std::string(text);
    }
    [[nodiscard]] std::string bold(std::string_view text) const { return paint(text, "1"); }
    [[nodiscard]] std::string dim(std::string_view text) const { return paint(text, "2"); }

    void line(std::string_view text = {}) { out_.append(text).append("\n"); }
    void heading(std::string_view text) {
        line();
        line("  " + bold(text));
    }

    // Folded at spaces, later lines under the first word of the first.
    void item(std::string_view mark, std::string_view text) {
        fold("    " + std::string(mark) + " ", 4 + marks_width(mark) + 1, text);
    }
    void note(std::string_view text) {
        if (text.size() + 4 <= width_) {
            line("    " + dim(text));
        } else {
            fold("    ", 4, text);
        }
    }
    void fold(const std::string& lead, std::size_t indent, std::string_view text) {
        const std::size_t room = width_ - indent;
        bool first = true;
        while (!text.empty()) {
            std::size_t end = text.size();
            if (text.size() > room) {
                end = text.rfind(' ', room);
                end = end == std::string_view::npos || end == 0 ? text.find(' ', room) : end;
                end = std::min(end, text.size());
            }
            line((first ? lead : std::string(indent, ' ')) + std::string(text.substr(0, end)));
            text.remove_prefix(std::min(end + 1, text.size()));
            first = false;
        }
    }

    [[nodiscard]] std::string bar(double share, std::string_view code) const {
        const std::size_t bar_cells = std::min<std::size_t>(width_ - bar_lead, bar_cells_max);
        const double cells = std::clamp(share, 0., 1.) * static_cast<double>(bar_cells);
        auto full = static_cast<std::size_t>(cells);
        std::string text;
        if (!style_.blocks) {
            full = std::min(static_cast<std::size_t>(cells + .5), bar_cells);
            return paint(std::string(full, '#'), code) + std::string(bar_cells - full, '.');
        }
        constexpr std::array<std::string_view, 8> eighths = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
        for (std::size_t i = 0; i < full; ++i) {
            text += "█";
        }
        const auto part = static_cast<std::size_t>((cells - static_cast<double>(full)) * 8);
        text += eighths[part];
        return paint(text, code) + std::string(bar_cells - full - (part > 0 ? 1 : 0), ' ');
    }

    [[nodiscard]] std::string_view bullet() const { return style_.blocks ? "•" : "-"; }
    [[nodiscard]] unsigned width() const { return width_; }
    [[nodiscard]] bool narrow() const { return width_ < width_of_all; }
    [[nodiscard]] std::string take() { return std::move(out_); }

  private:
    [[nodiscard]] static std::size_t marks_width(std::string_view mark) {
        return mark == "•" ? 1 : mark.size();
    }

    Style style_;
    unsigned width_;
    std::string out_;
};

[[nodiscard]] std::string left(std::string text, std::size_t width) {
    text.resize(std::max(text.size(), width), ' ');
    return text;
}

// Never without a space before it: cells stay apart, whatever is in them.
[[nodiscard]] std::string right(const std::string& text, std::size_t width) {
    return std::string(std::max(width, text.size() + 1) - text.size(), ' ') + text;
}

// "under 0.1 %" is for prose.
[[nodiscard]] std::string share_cell(double share, std::size_t width) {
    const std::string text = percent_text(share);
    return right(text.starts_with("under ") ? "<" + text.substr(6) : text, width);
}

// Columns that a character takes: most scripts one, those of East Asia and pictures two.
[[nodiscard]] std::size_t cells_of(std::string_view character) {
    const auto lead = static_cast<unsigned char>(character[0]);
    return lead >= 0xE3 && lead != 0xEF ? 2 : 1;
}

[[nodiscard]] std::string_view first_character(std::string_view text) {
    return text.substr(0, std::max<std::size_t>(policy::utf8_character(text), 1));
}

[[nodiscard]] std::size_t cells_in(std::string_view text) {
    std::size_t cells = 0;
    while (!text.empty()) {
        const auto character = first_character(text);
        cells += cells_of(character);
        text.remove_prefix(character.size());
    }
    return cells;
}

[[nodiscard]] int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Patterns have what is not ASCII as \xHH; back to the bytes, which are shown again as they may be.
[[nodiscard]] std::string unescaped(std::string_view pattern) {
    std::string bytes;
    while (!pattern.empty()) {
        const bool escaped = pattern.size() >= 4 && pattern.starts_with("\\x") &&
                             hex_digit(pattern[2]) >= 8 && hex_digit(pattern[3]) >= 0;
        bytes += escaped ? static_cast<char>(hex_digit(pattern[2]) * 16 + hex_digit(pattern[3]))
                         : pattern[0];
        pattern.remove_prefix(escaped ? 4 : 1);
    }
    return bytes;
}

// Names come from clients: nothing that a terminal would obey, and no wider than its column.
[[nodiscard]] std::string name_text(std::string_view name, std::size_t width) {
    const std::string shown = log::terminal_text(name);
    std::string text;
    if (cells_in(shown) <= width) {
        text = shown;
    } else {
        std::size_t cells = 0;
        for (std::string_view rest = shown; !rest.empty();) {
            const auto character = first_character(rest);
            cells += cells_of(character);
            if (cells + 2 > width) {
                break;
            }
            text += character;
            rest.remove_prefix(character.size());
        }
        text += "..";
    }
    return text + std::string(width - std::min(cells_in(text), width) + 1, ' ');
}

[[nodiscard]] std::string_view colour_of(policy::Health health) noexcept {
    switch (health) {
        case policy::Health::healthy:
            return "1;32";
        case policy::Health::at_risk:
            return "1;33";
        case policy::Health::oom:
            return "1;31";
    }
    return "0";
}

void write_verdict(const Findings& findings, Page& page) {
    const policy::MemorySample& sample = findings.state.sample;
    const policy::Diagnosis& diagnosis = findings.diagnosis;
    page.line();
    const std::string between = page.narrow() ? "\n    " : "   ";
    page.line(
        "  " + page.bold(log::terminal_text(findings.target)) + between +
        (sample.server.empty() ? std::string("server of unknown kind") : sample.server) +
        (sample.primary ? "   primary" : "   replica") +
        (sample.policy.empty() ? "" : between + sample.policy)
    );
    page.line();
    const auto code = colour_of(diagnosis.health);
    if (diagnosis.health == policy::Health::healthy) {
        const bool brimful = sample.family == policy::EvictionFamily::noeviction &&
                             findings.state.ceiling > 0 && sample.primary &&
                             static_cast<double>(findings.state.counted) >
                                 .95 * static_cast<double>(findings.state.ceiling);
        page.fold(
            "  " + page.paint(" HEALTHY ", code) + " ",
            12,
            brimful ? "Nearly full, but standing still: nothing is refused now"
                    : "Writes are not in danger of OOM"
        );
        return;
    }
    const bool oom = diagnosis.health == policy::Health::oom;
    page.line(
        "  " + page.paint(oom ? " OUT OF MEMORY " : " AT RISK ", code) +
        (page.narrow() ? "\n    " : " ") + page.bold(policy::name_of(diagnosis.cause)) +
        page.dim(", " + percent_text(diagnosis.confidence) + " sure")
    );
    page.item(" ", std::string(policy::meaning_of(diagnosis.cause).plain) + ".");
}

void write_bar(
    Page& page, std::string_view name, double bytes, double whole, std::string_view code
) {
    const double share = whole > 0 ? bytes / whole : 0;
    if (page.narrow()) {
        page.line(
            "    " + left(std::string(name), 17) + right(size_text(bytes), 9) + share_cell(share, 9)
        );
        return;
    }
    page.line(
        "    " + left(std::string(name), 20) + right(size_text(bytes), 10) +
        right(percent_text(share), 14) + "  " + page.bar(share, code)
    );
}

void write_memory(const Findings& findings, Page& page) {
    const policy::Evidence evidence{.state = findings.state};
    const policy::Figures f = policy::figures_of(evidence);
    const policy::MemorySample& sample = findings.state.sample;
    const double whole = f.limited ? std::max(f.ceiling, f.counted) : f.counted;
    page.heading("Where memory is");
    if (f.limited) {
        const auto code = f.fullness() >= .97 ? "31" : f.fullness() >= .85 ? "33" : "32";
        write_bar(page, "in use", f.counted, f.ceiling, code);
        page.note("of the limit of " + size_text(f.ceiling) + " (maxmemory); of it:");
    } else {
        page.fold(
            "    ",
            4,
            size_text(f.counted) + (sample.maxmemory == 0 ? " in use, and no limit is set"
                                                          : " in use; the limit is hidden")
        );
    }
    struct Part {
        std::string_view name;
        double bytes;
    };
    const double named = f.data + f.clients + f.replication + f.scripts + f.startup + f.non_data;
    const std::array parts{
        Part{"data", f.data},
        Part{"client buffers", f.clients},
        Part{"replication", f.replication},
        Part{"scripts", f.scripts},
        Part{"other overhead", std::max(0., f.non_data + f.counted - named)},
        Part{"the empty server", f.startup},
    };
    for (const Part& part : parts) {
        if (part.bytes >= .001 * whole) {
            write_bar(page, part.name, part.bytes, whole, "36");
        }
    }
    if (f.limited && f.room > 0) {
        write_bar(page, "free", f.room, whole, "2");
    }
    if (sample.used_memory_rss > 0 && sample.used_memory > 0) {
        const std::int64_t beyond = sample.used_memory_rss - sample.used_memory;
        page.note(
            "beside the limit: the process holds " + bytes_text(sample.used_memory_rss) +
            " of the host"
        );
        if (beyond > sample.used_memory / 10) {
            page.note(bytes_text(beyond) + " of it fragmentation and freed pages");
        }
    }
}

void write_list(
    Page& page, std::string_view heading, const std::vector<std::string>& sentences, bool numbered
) {
    if (sentences.empty()) {
        return;
    }
    page.heading(heading);
    for (std::size_t i = 0; i < sentences.size(); ++i) {
        page.item(
            numbered ? std::to_string(i + 1) + "." : std::string(page.bullet()), sentences[i]
        );
    }
}

// What is left of a line beside its other cells.
[[nodiscard]] std::size_t name_cells(const Page& page, std::size_t others) {
    return std::min<std::size_t>(page.width() - others, name_cells_max);
}

void write_groups(const policy::KeySummary& keys, Page& page) {
    const bool all = !page.narrow();
    const std::size_t name = name_cells(page, 4 + 11 + 8 + (all ? 7 + 11 + 8 : 0));
    const auto cell = [all](const std::string& text) { return all ? text : std::string(); };
    page.line(page.dim(
        "    " + left("keys like", name) + cell(left("type", 7) + right("about", 11)) +
        right("bytes", 11) + right("share", 8) + cell(right("no TTL", 8))
    ));
    for (std::size_t i = 0; i < std::min(keys.groups.size(), rows_shown); ++i) {
        const policy::KeyGroup& group = keys.groups[i];
        page.line(
            "    " + name_text(unescaped(group.pattern), name - 1) +
            cell(
                left(std::string(policy::name_of(group.type)), 7) +
                right(count_text(std::llround(group.keys)), 11)
            ) +
            right(size_text(group.bytes), 11) + share_cell(group.share.value, 8) +
            cell(share_cell(group.without_ttl, 8))
        );
    }
}

void write_biggest(const policy::KeySummary& keys, Page& page) {
    const bool all = !page.narrow();
    const std::size_t name = name_cells(page, 4 + 14 + (all ? 7 + 11 + 10 : 0));
    const auto cell = [all](const std::string& text) { return all ? text : std::string(); };
    page.line(page.dim(
        "    " + left("largest keys", name) + cell(left("type", 7) + right("elements", 11)) +
        right("bytes", 14) + cell(right("TTL", 10))
    ));
    for (std::size_t i = 0; i < std::min(keys.biggest.size(), rows_shown); ++i) {
        const policy::SampledKey& key = keys.biggest[i];
        const bool counts = key.length >= 0 && key.type != policy::KeyType::string;
        const bool guessed = policy::error_of(key) > .02 * static_cast<double>(key.bytes);
        const std::string ttl =
            key.ttl_ms < 0 ? "none" : policy::duration_text(static_cast<double>(key.ttl_ms) / 1e3);
        page.line(
            "    " + name_text(key.key, name - 1) +
            cell(
                left(std::string(policy::name_of(key.type)), 7) +
                right(counts ? count_text(key.length) : "", 11)
            ) +
            right((guessed ? "about " : "") + bytes_text(key.bytes), 14) + cell(right(ttl, 10))
        );
    }
}

void write_keys(const Findings& findings, Page& page) {
    const policy::KeySummary& keys = findings.keys;
    if (!keys.known()) {
        return;
    }
    std::string basis = keys.complete
                            ? "all " + count_text(keys.sampled) + " keys"
                            : count_text(keys.sampled) + " of " + count_text(keys.keys) + " keys";
    basis += ", for " + policy::duration_text(static_cast<double>(findings.sampling_cost) / 1e9) +
             " of the server's time";
    page.heading("Who holds the data");
    page.item("by", basis);
    write_groups(keys, page);
    page.line();
    write_biggest(keys, page);
}

}  // namespace

std::string report_text(const Findings& findings, const Style& style) {
    Page page(style);
    write_verdict(findings, page);
    write_memory(findings, page);
    const bool healthy = findings.diagnosis.health == policy::Health::healthy;
    write_list(
        page, healthy ? "What we see" : "Why we think so", findings.diagnosis.evidence, false
    );
    write_list(page, healthy ? "Worth doing" : "What to do", findings.diagnosis.advice, true);
    if (!findings.diagnosis.also.empty()) {
        page.heading("It adds to it");
        for (const policy::Cause cause : findings.diagnosis.also) {
            page.item(
                page.bullet(),
                std::string(policy::name_of(cause)) + ": " +
                    std::string(policy::meaning_of(cause).plain)
            );
        }
    }
    write_keys(findings, page);
    write_list(page, "Not looked at", findings.unavailable, false);
    page.line();
    return page.take();
}

}  // namespace spillway::doctor
