// One visitor reads each type of field.
#include "conf/assign.hpp"

#include "conf/choice.hpp"
#include "conf/text.hpp"
#include "conf/units.hpp"
#include "conf/value.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <type_traits>
#include <utility>

namespace spillway::conf {

namespace {

constexpr std::size_t shown_bytes_max = 48;
constexpr std::size_t command_bytes_max = 64;
constexpr std::string_view mask_given =
    "holds the mask that `spillway check` prints in place of a secret: give the secret itself";

bool inside(const Range& range, double value) {
    return (range.above_least ? value > range.least : value >= range.least) && value <= range.most;
}

// What the user wrote, for a message about a key that holds no secret.
std::string shown(const TomlValue& value) {
    if (const auto* text = std::get_if<std::string>(&value.content)) {
        const bool may_hold_password = text->find("://") != std::string::npos;
        return may_hold_password ? "a URL" : quoted(*text, shown_bytes_max);
    }
    if (const auto* integer = std::get_if<std::int64_t>(&value.content)) {
        return std::to_string(*integer);
    }
    if (const auto* real = std::get_if<double>(&value.content)) {
        return toml_float(*real);
    }
    return std::string(kind_of(value));
}

std::optional<std::string> read_command(std::string_view text, std::string& command) {
    if (text.starts_with('@')) {
        if (std::ranges::find(command_groups(), text) == command_groups().end()) {
            return "unknown group " + quoted(text, shown_bytes_max) + "; must be " +
                   joined_quoted(command_groups());
        }
        command = text;
        return std::nullopt;
    }
    // A subcommand follows a space, or a bar as ACL rules write it; modules put dots and dashes
    // into names.
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._- ";
    std::string upper(text);
    std::ranges::transform(upper, upper.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c == '|' ? ' ' : c;
    });
    if (upper.empty() || upper.size() > command_bytes_max ||
        upper.find_first_not_of(allowed) != std::string::npos || upper.starts_with(' ') ||
        upper.ends_with(' ') || upper.find(' ') != upper.rfind(' ')) {
        return quoted(text, shown_bytes_max) + " is no command name";
    }
    command = std::move(upper);
    return std::nullopt;
}

std::optional<std::string> read_pattern(
    std::string_view what, std::string_view text, std::string& pattern
) {
    if (text.empty() || text.size() > pattern_bytes_max) {
        return std::string(what) + " has from 1 to " + std::to_string(pattern_bytes_max) + " bytes";
    }
    pattern = text;
    return std::nullopt;
}

class Assigner {
  public:
    Assigner(const Key& key, const TomlValue& value) : key_(key), value_(value) {}

    void operator()(bool* field) { take(field, std::get_if<bool>(&value_.content)); }

    void operator()(std::uint32_t* field) {
        const auto* integer = std::get_if<std::int64_t>(&value_.content);
        if (integer == nullptr || !inside(key_.range, static_cast<double>(*integer))) {
            return reject_value();
        }
        *field = static_cast<std::uint32_t>(*integer);
    }

    void operator()(std::uint64_t* field) {
        const auto size = read_size();
        take(field, size ? &*size : nullptr);
    }

    void operator()(std::optional<std::uint64_t>* field) {
        if (text() != nullptr && *text() == automatic) {
            field->reset();
            return;
        }
        const auto size = read_size();
        take(field, size ? &*size : nullptr);
    }

    void operator()(double* field) {
        double share = std::nan("");
        if (const auto* real = std::get_if<double>(&value_.content)) {
            share = *real;
        } else if (const auto* integer = std::get_if<std::int64_t>(&value_.content)) {
            share = static_cast<double>(*integer);
        }
        take(field, inside(key_.range, share) ? &share : nullptr);
    }

    void operator()(std::chrono::microseconds* field) {
        const auto duration = read_duration();
        take(field, duration ? &*duration : nullptr);
    }

    void operator()(std::chrono::milliseconds* field) {
        const auto duration = read_duration();
        if (!duration) {
            return reject_value();
        }
        const auto whole = std::chrono::duration_cast<std::chrono::milliseconds>(*duration);
        if (whole != *duration) {
            return reject("must be in whole milliseconds, not " + shown(value_));
        }
        *field = whole;
    }

    void operator()(std::string* field) {
        if (check_text()) {
            *field = *text();
        }
    }

    void operator()(std::optional<std::string>* field) {
        if (text() != nullptr && *text() == automatic) {
            field->reset();
            return;
        }
        const bool known =
            text() != nullptr && std::ranges::find(key_.values, *text()) != key_.values.end();
        take(field, known ? text() : nullptr);
    }

    void operator()(std::vector<std::string>* field) {
        const auto* array = std::get_if<TomlArray>(&value_.content);
        if (array == nullptr) {
            return reject_value();
        }
        if (array->size() > elements_max) {
            return reject(
                "at most " + std::to_string(elements_max) + " elements, not " +
                std::to_string(array->size())
            );
        }
        std::vector<std::string> elements(array->size());
        for (std::size_t i = 0; i < array->size(); ++i) {
            read_element((*array)[i], elements[i]);
        }
        if (rejections_.empty()) {
            *field = std::move(elements);
        }
    }

    void operator()(Secret* field) {
        if (!check_text()) {
            return;
        }
        if (*text() == secret_mask) {
            return reject(mask_given);
        }
        *field = Secret(*text());
    }

    // The loader reads it.
    void operator()(PemFile* field) {
        if (check_text()) {
            field->path = *text();
        }
    }

    void operator()(Address* field) {
        if (text() == nullptr) {
            return reject_value();
        }
        auto parsed = parse_address(*text());
        if (const auto* fault = std::get_if<Fault>(&parsed)) {
            return reject(fault->message);
        }
        *field = std::get<Address>(std::move(parsed));
    }

    void operator()(BackendUrl* field) {
        if (text() == nullptr) {
            return reject("must be " + accepted(key_) + ", not " + std::string(kind_of(value_)));
        }
        auto parsed = parse_backend_url(*text());
        if (const auto* fault = std::get_if<Fault>(&parsed)) {
            return reject(fault->message);
        }
        auto& url = std::get<BackendUrl>(parsed);
        if (url.password.reveal() == secret_mask) {
            return reject(mask_given);
        }
        *field = std::move(url);
    }

    template <Choice Type>
    void operator()(Type* field) {
        const auto names = names_of<Type>();
        const auto found = text() == nullptr ? names.end() : std::ranges::find(names, *text());
        if (found == names.end()) {
            return reject_value();
        }
        *field = static_cast<Type>(found - names.begin());
    }

    std::vector<Rejection> rejections() && { return std::move(rejections_); }

  private:
    [[nodiscard]] const std::string* text() const {
        return std::get_if<std::string>(&value_.content);
    }

    void reject(std::string_view message) {
        rejections_.push_back({value_.place, std::string(message)});
    }
    void reject_value() { reject("must be " + accepted(key_) + ", not " + shown(value_)); }

    template <class Target, class Source>
    void take(Target* field, const Source* value) {
        if (value == nullptr) {
            return reject_value();
        }
        *field = *value;
    }

    [[nodiscard]] std::optional<std::uint64_t> read_size() const {
        std::optional<std::uint64_t> size;
        if (const auto* integer = std::get_if<std::int64_t>(&value_.content);
            integer != nullptr && *integer >= 0) {
            size = static_cast<std::uint64_t>(*integer);
        } else if (text() != nullptr) {
            size = parse_size(*text());
        }
        return size && inside(key_.range, static_cast<double>(*size)) ? size : std::nullopt;
    }

    [[nodiscard]] std::optional<std::chrono::microseconds> read_duration() const {
        const auto duration = text() == nullptr ? std::nullopt : parse_duration(*text());
        return duration && inside(key_.range, static_cast<double>(duration->count()))
                   ? duration
                   : std::nullopt;
    }

    // Such texts become paths, names and header values: a control character is a mistake in each.
    // The message shows the kind alone, since the text may be a secret.
    bool check_text() {
        if (text() == nullptr) {
            reject("must be " + accepted(key_) + ", not " + std::string(kind_of(value_)));
            return false;
        }
        const auto is_control = [](char c) {
            return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
        };
        if (std::ranges::any_of(*text(), is_control)) {
            reject("must not hold control characters");
            return false;
        }
        if (text()->size() > text_bytes_max) {
            reject("must have at most " + std::to_string(text_bytes_max) + " bytes");
            return false;
        }
        return true;
    }

    void read_element(const TomlValue& element, std::string& out) {
        const auto* content = std::get_if<std::string>(&element.content);
        if (content == nullptr) {
            rejections_.push_back(
                {element.place,
                 "must be " + accepted(key_) + ": this element is " + std::string(kind_of(element))}
            );
            return;
        }
        const std::string_view what =
            key_.element == Element::listener ? "a listener's name" : "a pattern";
        const auto problem = key_.element == Element::command ? read_command(*content, out)
                                                              : read_pattern(what, *content, out);
        if (problem) {
            rejections_.push_back({element.place, *problem});
        }
    }

    const Key& key_;
    const TomlValue& value_;
    std::vector<Rejection> rejections_;
};

}  // namespace

std::vector<Rejection> assign(
    const Key& key, const TomlValue& value, Config& config, std::size_t item
) {
    Assigner assigner(key, value);
    std::visit(assigner, key.field(config, item));
    return std::move(assigner).rejections();
}

}  // namespace spillway::conf
