// Walks a TOML document by the schema, lays flags over it, and checks the whole.
#include "conf/load.hpp"

#include "conf/assign.hpp"
#include "conf/text.hpp"
#include "conf/text_file.hpp"
#include "conf/toml_document.hpp"
#include "conf/validate.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace spillway::conf {

namespace {

constexpr std::size_t shown_bytes_max = 64;

std::string prefix_of(const Section& section, std::size_t item) {
    std::string prefix(section.path);
    if (section.repeated()) {
        prefix.append("[").append(std::to_string(item)).append("]");
    }
    return section.path.empty() ? prefix : prefix + ".";
}

// The section that a table called `name` inside `parent` is; null when there is none.
const Section* child_of(const Section& parent, std::string_view name) {
    const std::string path =
        parent.path.empty() ? std::string(name) : std::string(parent.path).append(".").append(name);
    return name.empty() || name.find('.') != std::string_view::npos ? nullptr : find_section(path);
}

std::vector<std::string_view> names_in(const Section& section) {
    std::vector<std::string_view> names;
    for (const Key& key : keys()) {
        if (key.section == section.path) {
            names.push_back(key.name);
        }
    }
    for (const Section& other : sections()) {
        const std::string_view name = other.path.substr(other.path.rfind('.') + 1);
        if (!other.path.empty() && child_of(section, name) == &other) {
            names.push_back(name);
        }
    }
    return names;
}

std::string suggestion_for(std::string_view name, const Section& section) {
    const auto here = names_in(section);
    if (const auto near = nearest(name, here)) {
        return "; did you mean " + quoted(*near) + "?";
    }
    std::vector<std::string_view> everywhere;
    for (const Key& key : keys()) {
        everywhere.push_back(key.name);
    }
    if (const auto near = nearest(name, everywhere)) {
        const auto found = std::ranges::find(keys(), *near, &Key::name);
        return "; did you mean " + quoted(path_of(*found)) +
               (found->section.empty() ? ", which stands before the first table?" : "?");
    }
    std::string known;
    for (const std::string_view other : here) {
        known.append(known.empty() ? "" : ", ").append(other);
    }
    return "; known here: " + known;
}

class Loader {
  public:
    explicit Loader(std::string_view file) { loaded_.file = file; }

    void read(const TomlDocument& document) {
        std::vector<Pending> pending = {{&sections().front(), 0, {}}};
        for (std::size_t next = 0; next < pending.size(); ++next) {
            const Pending current = pending[next];
            read_table(document, current, pending);
        }
    }

    void lay_over(std::span<const Override> overrides) {
        std::size_t items = 0;
        for (const Override& flag : overrides) {
            const Section* const section = find_section(flag.key->section);
            std::size_t item = 0;
            if (section->repeated()) {
                item = items++;
                make_listener(item);
            }
            take(
                *flag.key,
                {.place = {}, .content = flag.value},
                item,
                {.kind = Origin::Kind::flag, .place = {}, .flag = flag.flag}
            );
        }
    }

    void read_secrets() {
        Config& config = loaded_.config;
        read_secret(
            "monitor.password_file",
            "password",
            config.monitor.password_file,
            config.monitor.password
        );
        read_secret("admin.token_file", "token", config.admin.token_file, config.admin.file_token);
    }

    void read_pems() {
        for (const Key& key : keys()) {
            const Section& section = *find_section(key.section);
            for (std::size_t item = 0; item < count_of(section, loaded_.config); ++item) {
                const Field field = key.field(loaded_.config, item);
                auto* const* const file = std::get_if<PemFile*>(&field);
                const std::string problem = file == nullptr ? "" : read_pem(**file);
                if (!problem.empty()) {
                    const std::string path = path_of(key, item);
                    report_at({path}, path + ": " + problem);
                }
            }
        }
    }

    void check_whole() {
        for (const Conflict& conflict : find_conflicts(loaded_.config)) {
            report_at(conflict.paths, conflict.message);
        }
    }

    void report(Place place, std::string message) {
        problems_.push_back({loaded_.file, place.line, place.column, std::move(message)});
    }

    LoadResult result() && {
        if (problems_.empty()) {
            return std::move(loaded_);
        }
        std::ranges::stable_sort(problems_, {}, [](const Problem& p) {
            return Place{p.line, p.column};
        });
        if (problems_.size() > problems_max) {
            const std::size_t rest = problems_.size() - (problems_max - 1);
            problems_.resize(problems_max - 1);
            problems_.push_back(
                {loaded_.file, 0, 0, "and " + std::to_string(rest) + " problems more"}
            );
        }
        return std::move(problems_);
    }

  private:
    struct Pending {
        const Section* section;
        std::size_t item;
        TomlTableId table;
        std::string prefix = {};  // "tls." within the section
    };

    void read_table(
        const TomlDocument& document, const Pending& current, std::vector<Pending>& pending
    ) {
        const Section& section = *current.section;
        std::set<std::string_view> given;
        for (const TomlEntry& entry : document.tables[current.table.index].entries) {
            // A dot parts tables; one in quotes is part of no name that we know.
            const bool is_name = entry.key.find('.') == std::string::npos;
            const std::string name = current.prefix + entry.key;
            const auto* const table = std::get_if<TomlTableId>(&entry.value.content);
            given.insert(entry.key);
            if (const Key* const key = is_name ? find_key(section.path, name) : nullptr) {
                take(
                    *key,
                    entry.value,
                    current.item,
                    {.kind = Origin::Kind::file, .place = entry.value.place, .flag = {}}
                );
            } else if (const Section* const child = child_of(section, entry.key);
                       child != nullptr && current.prefix.empty()) {
                read_section(*child, entry, pending);
            } else if (is_name && table != nullptr && is_table_of(section.path, name)) {
                pending.push_back({current.section, current.item, *table, name + "."});
            } else if (is_name && is_table_of(section.path, name)) {
                report(
                    entry.value.place,
                    prefix_of(section, current.item) + name + ": must be a table, not " +
                        std::string(kind_of(entry.value))
                );
            } else {
                const bool is_table = std::holds_alternative<TomlTableId>(entry.value.content) ||
                                      std::holds_alternative<TomlTables>(entry.value.content);
                report(
                    entry.key_place,
                    std::string("unknown ") + (is_table ? "table " : "key ") +
                        quoted(prefix_of(section, current.item) + name, shown_bytes_max) +
                        (problems_.size() < problems_max ? suggestion_for(name, section) : "")
                );
            }
        }
        for (const Key& key : keys()) {
            if (key.required && key.section == section.path && current.prefix.empty() &&
                !given.contains(key.name)) {
                failed_.insert(path_of(key, current.item));
                report(current.table.place, path_of(key, current.item) + " is missing");
            }
        }
    }

    void read_section(
        const Section& section, const TomlEntry& entry, std::vector<Pending>& pending
    ) {
        const std::string path(section.path);
        const TomlValue& value = entry.value;
        const auto* const array = std::get_if<TomlArray>(&value.content);
        const auto* const table = std::get_if<TomlTableId>(&value.content);
        const auto* const tables = std::get_if<TomlTables>(&value.content);
        if (!section.repeated()) {
            if (table != nullptr) {
                pending.push_back({&section, 0, *table});
            } else {
                report(
                    entry.key_place,
                    path + " must be a table, written [" + path + "], not " +
                        std::string(kind_of(value))
                );
            }
            return;
        }
        const bool empty = array != nullptr && array->empty();
        if (tables == nullptr && !empty) {
            report(
                entry.key_place,
                path + " must be an array of tables, written [[" + path + "]], not " +
                    std::string(kind_of(value))
            );
            return;
        }
        const std::size_t count = empty ? 0 : tables->size();
        if (count < section.count_min || count > section.count_max) {
            report(
                entry.key_place,
                path + ": must be given from " + std::to_string(section.count_min) + " to " +
                    std::to_string(section.count_max) + " times, not " + std::to_string(count)
            );
            return;
        }
        section.resize(loaded_.config, count);
        for (std::size_t item = 0; item < count; ++item) {
            pending.push_back({&section, item, (*tables)[item]});
        }
    }

    void read_secret(
        const std::string& path, std::string_view what, const std::string& file, Secret& secret
    ) {
        if (file.empty()) {
            return;
        }
        auto content = read_secret_file(file, what);
        if (const auto* fault = std::get_if<Fault>(&content)) {
            report_at({path}, path + ": " + quoted(file) + ": " + fault->message);
            failed_.insert(path);
            return;
        }
        secret = Secret(std::get<std::string>(std::move(content)));
    }

    void take(const Key& key, const TomlValue& value, std::size_t item, const Origin& origin) {
        const std::string path = path_of(key, item);
        const auto rejections = assign(key, value, loaded_.config, item);
        for (const Rejection& rejection : rejections) {
            if (origin.kind == Origin::Kind::flag) {
                problems_.push_back({std::string(origin.flag), 0, 0, rejection.message});
            } else {
                report(rejection.place, path + ": " + rejection.message);
            }
        }
        if (rejections.empty()) {
            loaded_.origins.insert_or_assign(path, origin);
        } else {
            failed_.insert(path);
        }
    }

    // The first listener that a flag asks for replaces those of the file.
    void make_listener(std::size_t item) {
        auto& listeners = loaded_.config.listeners;
        if (item > 0) {
            listeners.push_back(listeners.front());
            listeners.back().name.clear();  // each has its own
        } else {
            listeners.resize(1);
            std::erase_if(loaded_.origins, [](const auto& origin) {
                return origin.first.starts_with("listener[") &&
                       !origin.first.starts_with("listener[0]");
            });
        }
        for (const Key& key : keys()) {
            const auto first = loaded_.origins.find(path_of(key, 0));
            if (item > 0 && key.section == "listener" && key.name != "name" &&
                first != loaded_.origins.end()) {
                loaded_.origins.insert_or_assign(path_of(key, item), first->second);
            }
        }
    }

    // Reports at the key that was set last: a flag if one is among them. Nothing is said about a
    // key whose value was refused already, since its default is not what the user meant.
    void report_at(const std::vector<std::string>& paths, const std::string& message) {
        Origin latest;
        for (const std::string& path : paths) {
            if (failed_.contains(path)) {
                return;
            }
            const auto found = loaded_.origins.find(path);
            if (found != loaded_.origins.end() &&
                std::pair(found->second.kind, found->second.place) >=
                    std::pair(latest.kind, latest.place)) {
                latest = found->second;
            }
        }
        const std::string file =
            latest.kind == Origin::Kind::flag ? std::string(latest.flag) : loaded_.file;
        problems_.push_back({file, latest.place.line, latest.place.column, message});
    }

    Loaded loaded_;
    Problems problems_;
    std::set<std::string> failed_;  // paths whose value was refused or is missing
};

}  // namespace

LoadResult load_text(
    std::string_view text, std::string_view name, std::span<const Override> overrides
) {
    Loader loader(name);
    auto parsed = parse_toml(text);
    if (const auto* fault = std::get_if<TomlFault>(&parsed)) {
        loader.report(fault->place, fault->message);
        return std::move(loader).result();
    }
    loader.read(std::get<TomlDocument>(parsed));
    loader.lay_over(overrides);
    loader.read_secrets();
    loader.read_pems();
    loader.check_whole();
    return std::move(loader).result();
}

LoadResult load(std::optional<std::string_view> file, std::span<const Override> overrides) {
    if (!file) {
        return load_text("", "", overrides);
    }
    const std::string name(*file);
    auto content = read_text_file(name, file_bytes_max);
    if (const auto* fault = std::get_if<Fault>(&content)) {
        return Problems{{name, 0, 0, fault->message}};
    }
    return load_text(std::get<std::string>(content), name, overrides);
}

std::string read_pem(PemFile& file) {
    if (file.path.empty()) {
        return {};
    }
    auto content = read_regular_file(file.path, pem_bytes_max);
    if (const auto* fault = std::get_if<Fault>(&content)) {
        return file.path + ": " + fault->message;
    }
    file.text = Secret(std::get<std::string>(std::move(content)));
    return {};
}

Origin origin_of(const Loaded& loaded, const Key& key, std::size_t item) {
    const auto found = loaded.origins.find(path_of(key, item));
    return found == loaded.origins.end() ? Origin{} : found->second;
}

Problem problem_at(
    const Loaded& loaded, const Key& key, std::size_t item, std::string_view message
) {
    const Origin origin = origin_of(loaded, key, item);
    return {
        .file = origin.kind == Origin::Kind::flag ? std::string(origin.flag) : loaded.file,
        .line = origin.place.line,
        .column = origin.place.column,
        .message = path_of(key, item).append(": ").append(message)};
}

std::string to_string(const Origin& origin, std::string_view file) {
    switch (origin.kind) {
        case Origin::Kind::built_in:
            return "default";
        case Origin::Kind::file:
            return std::string(file).append(":").append(std::to_string(origin.place.line));
        case Origin::Kind::flag:
            return std::string("flag ").append(origin.flag);
        case Origin::Kind::request:
            return std::string(origin.flag);
    }
    return "?";
}

std::string to_string(const Problem& problem) {
    std::string text = problem.file;
    if (problem.line > 0) {
        text.append(":")
            .append(std::to_string(problem.line))
            .append(":")
            .append(std::to_string(problem.column));
    }
    return text.append(text.empty() ? "" : ": ").append(problem.message);
}

}  // namespace spillway::conf
