// What a command really adds to memory or takes from it, once its reply is known: an estimate of
// what is likely, where Cost is a bound.
#include "policy/growth_model.hpp"

#include "resp/word.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

namespace spillway::policy {
namespace {

constexpr double dictionary_entry = 32;
constexpr double table_slots = 11;  // of a table that is doubled as it fills
constexpr double object = 16;
constexpr double expires_entry = dictionary_entry + table_slots;
constexpr std::uint32_t options_searched_max = 16;

// jemalloc: steps of 16 up to 128, then four to each doubling.
double allocated(double bytes) noexcept {
    if (bytes <= 128) {
        return std::ceil(bytes / 16) * 16;
    }
    const double step = std::exp2(std::ceil(std::log2(bytes)) - 3);
    return std::ceil(bytes / step) * step;
}

// A string with its header and its final zero.
double text_bytes(double length) noexcept {
    const double header = length < 32 ? 2 : length < 256 ? 4 : length < 65536 ? 6 : 10;
    return allocated(length + header);
}

double value_bytes(double length, bool is_number) noexcept {
    if (is_number) {
        return length <= 4 ? 0 : object;  // small ones are shared
    }
    return length <= 44 ? allocated(length + 20) : object + text_bytes(length);
}

double key_entry_bytes(double key_length) noexcept {
    return dictionary_entry + table_slots + text_bytes(key_length);
}

bool is_number(std::string_view text) noexcept {
    if (text.empty() || text.size() > 20) {
        return false;
    }
    const std::string_view digits = text.front() == '-' ? text.substr(1) : text;
    return !digits.empty() &&
           std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::int64_t> number_of(std::string_view text) noexcept {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                    : std::nullopt;
}

std::uint32_t count_of(std::uint64_t count) noexcept {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(count, UINT32_MAX - 1));
}

// How the arguments of a command are laid out that it is modelled by.
enum class Kind : std::uint8_t {
    set,         // SET key value …
    set_ttl,     // SETEX key seconds value
    set_ttl_ms,  // PSETEX key milliseconds value
    set_new,     // SETNX
    set_many,    // MSET, MSETNX
    counter,
    append,
    offset,
    hash,
    hash_counter,
    hash_one,
    list,
    list_insert,
    list_set,
    list_move,
    members,
    scores,
    score_counter,
    places,
    sketch,
    stream,
    script,
    whole,  // as bounded; a second one on the same key is written over
    adds,   // as bounded, each time
    nothing,
    removes,       // elements: all arguments behind the key
    removes_some,  // elements, as many as the reply says
    pops,
    pops_many,  // the count is an argument, if any
    removes_keys,
    takes_key,
    trims,
};

struct Row {
    std::string_view name;
    Kind kind;
};

constexpr auto sorted_rows = [] {
    auto rows = std::to_array<Row>({
        {"SET", Kind::set},
        {"GETSET", Kind::set},
        {"SETNX", Kind::set_new},
        {"SETEX", Kind::set_ttl},
        {"PSETEX", Kind::set_ttl_ms},
        {"MSET", Kind::set_many},
        {"MSETNX", Kind::set_many},
        {"INCR", Kind::counter},
        {"DECR", Kind::counter},
        {"INCRBY", Kind::counter},
        {"DECRBY", Kind::counter},
        {"INCRBYFLOAT", Kind::whole},
        {"APPEND", Kind::append},
        {"SETRANGE", Kind::offset},
        {"SETBIT", Kind::offset},
        {"BITFIELD", Kind::offset},
        {"HSET", Kind::hash},
        {"HMSET", Kind::hash},
        {"HSETNX", Kind::hash_one},
        {"HINCRBY", Kind::hash_counter},
        {"HINCRBYFLOAT", Kind::nothing},
        {"LPUSH", Kind::list},
        {"RPUSH", Kind::list},
        {"LPUSHX", Kind::list},
        {"RPUSHX", Kind::list},
        {"LINSERT", Kind::list_insert},
        {"LSET", Kind::nothing},
        {"LMOVE", Kind::list_move},
        {"BLMOVE", Kind::list_move},
        {"RPOPLPUSH", Kind::list_move},
        {"BRPOPLPUSH", Kind::list_move},
        {"SADD", Kind::members},
        {"ZADD", Kind::scores},
        {"ZINCRBY", Kind::score_counter},
        {"GEOADD", Kind::places},
        {"PFADD", Kind::sketch},
        {"XADD", Kind::stream},
        {"EVAL", Kind::script},
        {"EVALSHA", Kind::nothing},
        {"FCALL", Kind::nothing},
        {"COPY", Kind::whole},
        {"RESTORE", Kind::whole},
        {"BITOP", Kind::whole},
        {"PFMERGE", Kind::whole},
        {"GETEX", Kind::nothing},
        {"WATCH", Kind::nothing},
        {"EXPIRE", Kind::nothing},
        {"EXPIREAT", Kind::nothing},
        {"PEXPIRE", Kind::nothing},
        {"PEXPIREAT", Kind::nothing},
        {"XREADGROUP", Kind::nothing},
        {"XCLAIM", Kind::nothing},
        {"XAUTOCLAIM", Kind::nothing},
        {"SREM", Kind::removes},
        {"ZREM", Kind::removes},
        {"HDEL", Kind::removes},
        {"XDEL", Kind::removes},
        {"LREM", Kind::removes_some},
        {"XTRIM", Kind::removes_some},
        {"ZREMRANGEBYLEX", Kind::removes_some},
        {"ZREMRANGEBYRANK", Kind::removes_some},
        {"ZREMRANGEBYSCORE", Kind::removes_some},
        {"LPOP", Kind::pops_many},
        {"RPOP", Kind::pops_many},
        {"SPOP", Kind::pops_many},
        {"ZPOPMIN", Kind::pops_many},
        {"ZPOPMAX", Kind::pops_many},
        {"BLPOP", Kind::pops},
        {"BRPOP", Kind::pops},
        {"BZPOPMIN", Kind::pops},
        {"BZPOPMAX", Kind::pops},
        {"DEL", Kind::removes_keys},
        {"UNLINK", Kind::removes_keys},
        {"GETDEL", Kind::takes_key},
        {"LTRIM", Kind::trims},
    });
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
    return rows;
}();

std::optional<Kind> kind_of(std::string_view name) noexcept {
    const auto* const row = std::lower_bound(
        sorted_rows.begin(),
        sorted_rows.end(),
        name,
        [](const Row& a, std::string_view b) { return a.name < b; }
    );
    return row != sorted_rows.end() && row->name == name ? std::optional(row->kind) : std::nullopt;
}

// Seconds until a value set with these options expires; 0 = it does not, or at a time of day.
std::uint32_t ttl_of(const GrowthArguments& arguments) {
    const std::uint32_t end = std::min(arguments.count(), options_searched_max);
    for (std::uint32_t i = 3; i + 1 < end; ++i) {
        const std::string_view option = arguments.text(i);
        const bool seconds = resp::is_word(option, "EX");
        if (!seconds && !resp::is_word(option, "PX")) {
            continue;
        }
        const std::int64_t given = number_of(arguments.text(i + 1)).value_or(0);
        const std::int64_t ttl = seconds ? given : (given + 999) / 1000;
        return ttl > 0 ? count_of(static_cast<std::uint64_t>(ttl)) : 0;
    }
    return 0;
}

// Of XADD: how many entries the stream keeps, and where its entry begins.
void read_stream_options(
    const GrowthArguments& arguments, GrowthModel& model, std::uint32_t& fields_from
) {
    const std::uint32_t end = std::min(arguments.count(), options_searched_max);
    std::uint32_t i = 2;
    while (i < end) {
        const std::string_view option = arguments.text(i);
        if (resp::is_word(option, "NOMKSTREAM")) {
            ++i;
        } else if (resp::is_word(option, "LIMIT")) {
            i += 2;
        } else if (resp::is_word(option, "MAXLEN") || resp::is_word(option, "MINID")) {
            const bool sign = arguments.text(i + 1) == "~" || arguments.text(i + 1) == "=";
            const std::uint32_t number_at = i + (sign ? 2 : 1);
            if (resp::is_word(option, "MAXLEN")) {
                const std::int64_t kept = number_of(arguments.text(number_at)).value_or(-1);
                model.units_kept =
                    kept >= 0 ? count_of(static_cast<std::uint64_t>(kept)) : UINT32_MAX;
            }
            i = number_at + 1;
        } else {
            break;
        }
    }
    fields_from = i + 1;
}

// The parts of an argument list that most models need.
struct Parts {
    double key;      // its length
    double payload;  // of what stands behind it
    std::uint32_t behind;

    explicit Parts(const GrowthArguments& arguments)
        : key(static_cast<double>(arguments.length(1))),
          payload(std::max(
              static_cast<double>(arguments.bytes()) - static_cast<double>(arguments.length(0)) -
                  key,
              0.
          )),
          behind(std::max(arguments.count(), 2U) - 2) {}
    [[nodiscard]] double each(std::uint32_t count) const noexcept {
        return payload / std::max(count, 1U);
    }
};

GrowthModel value_model(Kind kind, const GrowthArguments& arguments, const Parts& parts) {
    GrowthModel model{.shape = GrowthShape::value, .units = 1};
    const bool ttl_first = kind == Kind::set_ttl || kind == Kind::set_ttl_ms;
    std::uint32_t value_at = ttl_first ? 3 : 2;
    double length = static_cast<double>(arguments.length(value_at));
    const bool number = is_number(arguments.text(value_at));
    double expires = 0;
    if (ttl_first) {
        const std::int64_t unit = kind == Kind::set_ttl_ms ? 1000 : 1;
        const std::int64_t ttl = number_of(arguments.text(2)).value_or(0);
        const std::int64_t given = ttl / unit + (ttl % unit > 0 ? 1 : 0);
        model.ttl_s = given > 0 ? count_of(static_cast<std::uint64_t>(given)) : 0;
        expires = expires_entry;
    } else if (kind == Kind::set) {
        model.ttl_s = ttl_of(arguments);
        expires = model.ttl_s > 0 ? expires_entry : 0;
    }
    model.told = kind == Kind::set_new ? GrowthTold::added : GrowthTold::done;
    double keys = 1;
    if (kind == Kind::set_many) {
        keys = std::max((parts.behind + 1) / 2, 1U);
        length = std::max((parts.payload - (keys - 1) * parts.key) / keys, 0.);
    }
    model.unit_bytes =
        static_cast<float>(keys * (string_bytes(parts.key, length, number) + expires));
    return model;
}

GrowthModel elements_model(Kind kind, const GrowthArguments& arguments, const Parts& parts) {
    GrowthModel model{.shape = GrowthShape::elements, .told = GrowthTold::added};
    const double entry = dictionary_entry + table_slots;
    double unit = 0;
    double packed = 0;
    double key = key_entry_bytes(parts.key) + object;
    if (kind == Kind::hash || kind == Kind::hash_one || kind == Kind::hash_counter) {
        model.units = kind == Kind::hash ? std::max(parts.behind / 2, 1U) : 1;
        const double field = static_cast<double>(arguments.length(2));
        const double value = std::max(parts.each(model.units) - field, 0.);
        unit = entry + text_bytes(field) + text_bytes(value);
        packed = field + value + 4;
        model.packed_max = std::max(field, value) > 64 ? 0 : 512;
        key += 32;
        if (arguments.text(0).size() == 5) {  // HMSET says OK
            model.told = GrowthTold::done;
        }
        if (kind == Kind::hash_counter) {
            model.told = GrowthTold::counter;
            model.added = number_of(arguments.text(3)).value_or(0);
        }
    } else if (kind == Kind::list || kind == Kind::list_insert) {
        model.told = GrowthTold::length;
        model.units = kind == Kind::list ? std::max(parts.behind, 1U) : 1;
        const double length =
            kind == Kind::list ? parts.each(model.units) : static_cast<double>(arguments.length(4));
        unit = list_element_bytes(length);
        key += 130;
    } else if (kind == Kind::members) {
        model.units = std::max(parts.behind, 1U);
        unit = entry + text_bytes(parts.each(model.units));
        packed = 8;
        model.packed_max = is_number(arguments.text(2)) ? 512 : 0;
        key += 112;
    } else if (kind == Kind::sketch) {
        model.units = 1;
        unit = 16;
        key += 80;
    } else {
        const std::uint32_t stride = kind == Kind::places ? 3 : 2;
        model.units = std::max(parts.behind / stride, 1U);
        const double member = static_cast<double>(arguments.length(1 + stride));
        unit = entry + 53 + text_bytes(member);
        packed = member + 12;
        model.packed_max = member > 64 ? 0 : 128;
        key += 32;
        if (kind == Kind::score_counter) {
            // Its reply does not tell whether the member is new. Boards that grow do so by ZADD,
            // mostly.
            model.shape = GrowthShape::nothing;
        }
    }
    model.unit_bytes = static_cast<float>(unit);
    model.packed_bytes = static_cast<float>(packed);
    model.key_bytes = static_cast<float>(key);
    return model;
}

GrowthModel stream_model(const GrowthArguments& arguments, const Parts& parts) {
    GrowthModel model{.shape = GrowthShape::elements, .units = 1};
    std::uint32_t from = 3;
    read_stream_options(arguments, model, from);
    // The names of fields are those of the first entry in the node, mostly, and are not repeated.
    double values = 0;
    std::uint32_t count = 0;
    for (std::uint32_t i = from + 1; i < std::min(arguments.count(), from + 32); i += 2) {
        values += static_cast<double>(arguments.length(i)) + 3;
        ++count;
    }
    const double fields =
        std::max(arguments.count() > from ? (arguments.count() - from) / 2 : 0, count);
    const double all = count > 0 ? values * fields / count : 0;
    model.unit_bytes = static_cast<float>(all + 10 + all / 64);
    model.key_bytes = static_cast<float>(key_entry_bytes(parts.key) + 4'300);
    return model;
}

GrowthModel removal_model(Kind kind, const GrowthArguments& arguments, const Parts& parts) {
    GrowthModel model{.shape = GrowthShape::removes_elements, .told = GrowthTold::removed};
    model.units = std::max(parts.behind, 1U);
    switch (kind) {
        case Kind::removes_some:
            model.units = 1;
            break;
        case Kind::pops:
            model.told = GrowthTold::popped;
            model.units = 1;
            break;
        case Kind::pops_many: {
            model.told = GrowthTold::popped;
            const std::int64_t asked = number_of(arguments.text(2)).value_or(1);
            model.units = asked > 0 ? count_of(static_cast<std::uint64_t>(asked)) : 0;
            break;
        }
        case Kind::removes_keys:
            model.shape = GrowthShape::removes_keys;
            model.units = parts.behind + 1;
            break;
        case Kind::takes_key:
            model.shape = GrowthShape::removes_keys;
            model.told = GrowthTold::popped;
            model.units = 1;
            break;
        default:
            break;
    }
    return model;
}

GrowthModel trim_model(const GrowthArguments& arguments) {
    GrowthModel model{.shape = GrowthShape::trims};
    const auto start = number_of(arguments.text(2));
    const auto stop = number_of(arguments.text(3));
    if (!start || !stop) {
        model.shape = GrowthShape::nothing;
    } else if (*start >= 0 && *stop >= *start) {
        model.units_kept = count_of(static_cast<std::uint64_t>(*stop - *start) + 1);
    } else if (*start < 0 && *stop == -1) {
        model.units_kept = count_of(static_cast<std::uint64_t>(-(*start + 1)) + 1);
    } else {
        model.shape = GrowthShape::nothing;
    }
    return model;
}

GrowthModel as_bounded(GrowthShape shape, std::int64_t bound) {
    return {.shape = shape, .unit_bytes = static_cast<float>(bound), .units = 1};
}

}  // namespace

double list_element_bytes(double length) noexcept {
    if (length > 8'000) {
        return allocated(length + 16) + 48;
    }
    return length + (length < 64 ? 2 : 6) + length / 48;
}

double string_bytes(double key_length, double length, bool is_number) noexcept {
    return key_entry_bytes(key_length) + value_bytes(length, is_number);
}

GrowthModel growth_model(
    std::string_view name, const GrowthArguments& arguments, std::int64_t bound
) {
    const std::optional<Kind> kind = kind_of(name);
    if (!kind) {
        return as_bounded(bound > 0 ? GrowthShape::flow : GrowthShape::nothing, bound);
    }
    const Parts parts(arguments);
    switch (*kind) {
        case Kind::set:
        case Kind::set_ttl:
        case Kind::set_ttl_ms:
        case Kind::set_new:
        case Kind::set_many:
            return value_model(*kind, arguments, parts);
        case Kind::counter: {
            GrowthModel model = as_bounded(GrowthShape::flow, 0);
            model.told = GrowthTold::counter;
            const std::int64_t by =
                arguments.count() > 2 ? number_of(arguments.text(2)).value_or(0) : 1;
            model.added = name.starts_with("DECR") ? -std::max<std::int64_t>(by, -INT64_MAX) : by;
            model.unit_bytes = static_cast<float>(key_entry_bytes(parts.key));
            return model;
        }
        case Kind::append:
            return as_bounded(GrowthShape::flow, static_cast<std::int64_t>(parts.payload));
        case Kind::offset:
        case Kind::whole:
        case Kind::script:
            return as_bounded(GrowthShape::value, bound);
        case Kind::stream:
            return stream_model(arguments, parts);
        case Kind::list_move: {
            GrowthModel model = as_bounded(GrowthShape::removes_elements, 0);
            model.told = GrowthTold::popped;
            model.may_move = true;
            return model;
        }
        case Kind::adds:
            return as_bounded(GrowthShape::flow, bound);
        case Kind::nothing:
        case Kind::list_set:
            return {};
        case Kind::trims:
            return trim_model(arguments);
        case Kind::removes:
        case Kind::removes_some:
        case Kind::pops:
        case Kind::pops_many:
        case Kind::removes_keys:
        case Kind::takes_key:
            return removal_model(*kind, arguments, parts);
        default:
            return elements_model(*kind, arguments, parts);
    }
}

}  // namespace spillway::policy
