// The names of an enumeration that a key may be set to.
#pragma once

#include <string_view>
#include <type_traits>
#include <vector>

namespace spillway::conf {

template <class Type>
concept Choice = std::is_enum_v<Type>;

// Enumerators count from zero, and each name_of answers "?" past the last.
template <Choice Type>
[[nodiscard]] std::vector<std::string_view> names_of() {
    std::vector<std::string_view> names;
    while (name_of(static_cast<Type>(names.size())) != "?") {
        names.push_back(name_of(static_cast<Type>(names.size())));
    }
    return names;
}

}  // namespace spillway::conf
