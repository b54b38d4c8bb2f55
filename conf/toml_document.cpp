// Parses TOML with toml++ and flattens its tree, the only file that knows that library.
#include "conf/toml_document.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <toml++/toml.h>

namespace spillway::conf {

namespace {

// toml++ frees nested tables by recursion and bounds only nested values (256), not the parts of a
// dotted key: without this bound one long key exhausts the stack. Our own deepest key has three
// parts.
constexpr unsigned dots_per_line_max = 8;

// Walks the text as TOML's strings and comments demand and finds a line with too many dots outside
// them.
class DotCounter {
  public:
    explicit DotCounter(std::string_view text) : text_(text) {}

    std::optional<Place> find_excess() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"' || c == '\'') {
                skip_string(c);
            } else if (c == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else {
                step();
                if (c == '.' && ++dots_ > dots_per_line_max) {
                    return Place{line_, static_cast<std::uint32_t>(at_ - line_begin_)};
                }
            }
        }
        return std::nullopt;
    }

  private:
    void step() {
        if (text_[at_++] == '\n') {
            ++line_;
            line_begin_ = at_;
            dots_ = 0;
        }
    }

    void skip_string(char quote) {
        const bool multi_line = text_.substr(at_, 3) == std::string(3, quote);
        const std::string end(multi_line ? 3 : 1, quote);
        at_ += end.size();
        while (at_ < text_.size() && text_.substr(at_, end.size()) != end) {
            if (text_[at_] == '\n' && !multi_line) {
                return;  // unterminated: the parser will say so
            }
            if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) {
                step();
            }
            step();
        }
        at_ = std::min(at_ + end.size(), text_.size());
        // A multi-line string may end with up to two quotes of its own before the closing three.
        for (int extra = 0; multi_line && extra < 2 && at_ < text_.size() && text_[at_] == quote;
             ++extra) {
            ++at_;
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t line_begin_ = 0;
    std::uint32_t line_ = 1;
    unsigned dots_ = 0;
};

Place place_of(const toml::source_region& region) {
    return {region.begin.line, region.begin.column};
}

std::string_view name_of(toml::node_type type) {
    switch (type) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::date:
            return "a date";
        case toml::node_type::time:
            return "a time";
        case toml::node_type::date_time:
            return "a date and time";
        default:
            return "that";
    }
}

std::string message_of(const toml::parse_error& error) {
    constexpr std::string_view preamble = "Error while parsing ";
    const std::string_view text = error.description();
    return text.starts_with(preamble)
               ? "invalid TOML in " + std::string(text.substr(preamble.size()))
               : "invalid TOML: " + std::string(text);
}

class Flattener {
  public:
    TomlDocument flatten(const toml::table& root) {
        add(root);
        // Tables found on the way join the end of the list.
        for (std::size_t i = 0; i < sources_.size(); ++i) {
            for (const auto& [key, node] : *sources_[i]) {
                TomlEntry entry{std::string(key.str()), place_of(key.source()), value_of(node)};
                document_.tables[i].entries.push_back(std::move(entry));
            }
            std::ranges::sort(document_.tables[i].entries, {}, &TomlEntry::key_place);
        }
        return std::move(document_);
    }

  private:
    TomlTableId add(const toml::table& table) {
        sources_.push_back(&table);
        document_.tables.emplace_back();
        return {sources_.size() - 1, place_of(table.source())};
    }

    static TomlValue scalar_of(const toml::node& node) {
        TomlValue value{place_of(node.source()), TomlOther{name_of(node.type())}};
        if (const auto* text = node.as_string()) {
            value.content = text->get();
        } else if (const auto* integer = node.as_integer()) {
            value.content = integer->get();
        } else if (const auto* number = node.as_floating_point()) {
            value.content = number->get();
        } else if (const auto* flag = node.as_boolean()) {
            value.content = flag->get();
        }
        return value;
    }

    TomlValue value_of(const toml::node& node) {
        TomlValue value = scalar_of(node);
        if (const auto* table = node.as_table()) {
            value.content = add(*table);
        } else if (const auto* array = node.as_array()) {
            value.content = elements_of(*array);
        }
        return value;
    }

    decltype(TomlValue::content) elements_of(const toml::array& array) {
        if (array.is_array_of_tables()) {
            TomlTables tables;
            for (const toml::node& element : array) {
                tables.push_back(add(*element.as_table()));
            }
            return tables;
        }
        TomlArray elements;
        for (const toml::node& element : array) {
            elements.push_back(scalar_of(element));
        }
        return elements;
    }

    TomlDocument document_;
    std::vector<const toml::table*> sources_;  // parallel to document_.tables
};

}  // namespace

std::variant<TomlDocument, TomlFault> parse_toml(std::string_view text) {
    if (const auto place = DotCounter(text).find_excess()) {
        return TomlFault{*place, "a key has too many dotted parts"};
    }
    try {
        return Flattener().flatten(toml::parse(text));
    } catch (const toml::parse_error& error) {
        return TomlFault{place_of(error.source()), message_of(error)};
    }
}

std::string_view kind_of(const TomlValue& value) {
    struct Visitor {
        std::string_view operator()(const TomlOther& other) const { return other.name; }
        std::string_view operator()(bool) const { return "a boolean"; }
        std::string_view operator()(std::int64_t) const { return "an integer"; }
        std::string_view operator()(double) const { return "a float"; }
        std::string_view operator()(const std::string&) const { return "a string"; }
        std::string_view operator()(const TomlTableId&) const { return "a table"; }
        std::string_view operator()(const TomlTables&) const { return "an array of tables"; }
        std::string_view operator()(const TomlArray&) const { return "an array"; }
    };
    return std::visit(Visitor{}, value.content);
}

}  // namespace spillway::conf
