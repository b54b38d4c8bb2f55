// One visitor writes each type of field, one says what it accepts.
#include "conf/value.hpp"

#include "conf/choice.hpp"
#include "conf/text.hpp"
#include "conf/units.hpp"

#include <charconv>
#include <type_traits>

namespace spillway::conf {

namespace {

std::string number(double value) {
    std::string text(32, '\0');
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
    text.resize(static_cast<std::size_t>(end - text.data()));
    return text;
}

std::string duration(double microseconds) {
    return quoted(format_duration(std::chrono::microseconds(static_cast<std::int64_t>(microseconds))
    ));
}

struct Accepted {
    const Key& key;

    std::string operator()(const bool*) const { return "true or false"; }
    std::string operator()(const std::uint32_t*) const {
        return "a whole number from " + number(key.range.least) + " to " +
               std::to_string(static_cast<std::uint32_t>(key.range.most));
    }
    std::string operator()(const std::uint64_t*) const {
        return R"(a size such as "64mb" or a number of bytes)";
    }
    std::string operator()(const std::optional<std::uint64_t>*) const {
        return R"("auto", a size such as "64mb" or a number of bytes above 0)";
    }
    std::string operator()(const double*) const {
        const std::string most = number(key.range.most);
        return key.range.above_least
                   ? "a number above " + number(key.range.least) + ", up to " + most
                   : "a number from " + number(key.range.least) + " to " + most;
    }
    std::string operator()(const std::chrono::milliseconds*) const {
        return "a duration from " + duration(key.range.least) + " to " + duration(key.range.most);
    }
    std::string operator()(const std::chrono::microseconds*) const {
        return (*this)(static_cast<const std::chrono::milliseconds*>(nullptr));
    }
    std::string operator()(const std::string*) const { return "a string"; }
    std::string operator()(const std::optional<std::string>*) const {
        std::vector<std::string_view> names = {automatic};
        names.insert(names.end(), key.values.begin(), key.values.end());
        return joined_quoted(names);
    }
    std::string operator()(const std::vector<std::string>*) const {
        switch (key.element) {
            case Element::command:
                return "a list of command names and of " + joined_quoted(command_groups());
            case Element::listener:
                return "a list of names or addresses of listeners";
            case Element::pattern:
                break;
        }
        return "a list of patterns";
    }
    std::string operator()(const Secret*) const { return "a string"; }
    std::string operator()(const PemFile*) const { return "a file"; }
    std::string operator()(const Address*) const {
        return R"("host:port", "[v6]:port" or "unix:/path")";
    }
    std::string operator()(const BackendUrl*) const {
        return R"("redis://host:port", "rediss://host:port" or "unix:///path")";
    }
    template <Choice Type>
    std::string operator()(const Type*) const {
        return joined_quoted(names_of<Type>());
    }
};

struct Rendered {
    std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
    std::string operator()(const std::uint32_t* value) const { return std::to_string(*value); }
    std::string operator()(const std::uint64_t* value) const { return quoted(format_size(*value)); }
    std::string operator()(const std::optional<std::uint64_t>* value) const {
        return quoted(*value ? format_size(**value) : automatic);
    }
    std::string operator()(const double* value) const { return toml_float(*value); }
    std::string operator()(const std::chrono::milliseconds* value) const {
        return quoted(format_duration(*value));
    }
    std::string operator()(const std::chrono::microseconds* value) const {
        return quoted(format_duration(*value));
    }
    std::string operator()(const std::string* value) const { return quoted(*value); }
    std::string operator()(const std::optional<std::string>* value) const {
        return quoted(value->value_or(std::string(automatic)));
    }
    std::string operator()(const std::vector<std::string>* value) const {
        std::string list = "[";
        for (const std::string& element : *value) {
            list.append(list.size() > 1 ? ", " : "").append(quoted(element));
        }
        return list + "]";
    }
    std::string operator()(const Secret* value) const { return quoted(value->masked()); }
    std::string operator()(const PemFile* value) const { return quoted(value->path); }
    std::string operator()(const Address* value) const { return quoted(to_string(*value)); }
    std::string operator()(const BackendUrl* value) const { return quoted(to_string(*value)); }
    template <Choice Type>
    std::string operator()(const Type* value) const {
        return quoted(name_of(*value));
    }
};

}  // namespace

std::string toml_float(double value) {
    const std::string text = number(value);
    return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string to_toml(const Key& key, const Config& config, std::size_t item) {
    return std::visit(Rendered{}, field_of(key, config, item));
}

std::string accepted(const Key& key) {
    Config types;
    types.guard.rules.emplace_back();
    return std::visit(Accepted{key}, field_of(key, types, 0));
}

bool same_value(const Key& key, const Config& left, const Config& right, std::size_t item) {
    const auto equal = []<class A, class B>(const A& a, const B& b) {
        if constexpr (!std::is_same_v<A, B>) {
            return false;
        } else {
            return *a == *b;
        }
    };
    return std::visit(equal, field_of(key, left, item), field_of(key, right, item));
}

}  // namespace spillway::conf
