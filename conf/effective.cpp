// Prints the configuration in force by walking the schema.
#include "conf/effective.hpp"

#include "conf/text.hpp"
#include "conf/value.hpp"

#include <algorithm>
#include <vector>

namespace spillway::conf {

namespace {

constexpr std::size_t comment_column_max =
    64;  // longer lines do not push the comments of all others

struct Line {
    std::string text;
    std::string comment;
};

// A file name may hold anything, a comment neither control characters nor broken UTF-8.
std::string as_comment(std::string text) {
    const bool ascii_only = !is_utf8(text);
    std::ranges::replace_if(
        text,
        [ascii_only](char c) {
            const auto byte = static_cast<unsigned char>(c);
            return byte < 0x20 || byte == 0x7f || (ascii_only && byte > 0x7f);
        },
        '?'
    );
    return text;
}

void add_section(
    const Section& section, std::size_t item, const Loaded& loaded, std::vector<Line>& lines
) {
    if (!section.path.empty()) {
        const std::string path(section.path);
        lines.push_back({});
        lines.push_back({section.repeated() ? "[[" + path + "]]" : "[" + path + "]", {}});
    }
    for (const Key& key : keys()) {
        if (key.section != section.path) {
            continue;
        }
        lines.push_back(
            {std::string(key.name).append(" = ").append(to_toml(key, loaded.config, item)),
             as_comment(to_string(origin_of(loaded, key, item), loaded.file))}
        );
    }
}

}  // namespace

std::string render_effective(const Loaded& loaded) {
    std::vector<Line> lines;
    for (const Section& section : sections()) {
        for (std::size_t item = 0; item < count_of(section, loaded.config); ++item) {
            add_section(section, item, loaded, lines);
        }
    }
    std::size_t column = 0;
    for (const Line& line : lines) {
        if (!line.comment.empty() && line.text.size() <= comment_column_max) {
            column = std::max(column, line.text.size());
        }
    }
    std::string text;
    for (const Line& line : lines) {
        text += line.text;
        if (!line.comment.empty()) {
            text.append(line.text.size() < column ? column - line.text.size() : 0, ' ');
            text.append("  # ").append(line.comment);
        }
        text += '\n';
    }
    return text;
}

}  // namespace spillway::conf
