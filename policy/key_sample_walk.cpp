// Decides which keys are looked at, and by which commands: a bounded sample first, then, where it
// leaves memory unexplained, a search for the few large keys that a sample misses.
#include "policy/key_sample_walk.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace spillway::policy {
namespace {

constexpr std::size_t batch = 64;  // keys of one pipeline: some hundred microseconds of server time
constexpr std::size_t search_batch = 200;  // of which each is asked but one thing
constexpr std::size_t scan_count = 64;
constexpr std::size_t search_count = 500;    // a millisecond of server time
constexpr std::size_t key_bytes_max = 4096;  // a longer one is not worth sending back four times
constexpr std::size_t candidates_max = 64;
constexpr double explained_enough = .15;
constexpr std::int64_t element_bytes = 64;  // of a collection's, with what it takes to keep it
// As many are looked at at once, before any of them is measured more closely.
constexpr std::int64_t few_keys = 64;
// Among more, a list or stream is not looked for without need; the latter where none is written.
constexpr std::int64_t queue_search_max = 4'000'000;
constexpr std::int64_t queue_search_max_unused = 200'000;

[[nodiscard]] std::optional<std::int64_t> integer(const resp::Reply& reply) noexcept {
    if (reply.type == resp::ReplyType::integer) {
        return reply.integer;
    }
    return std::nullopt;
}

}  // namespace

KeyWalk::KeyWalk(KeyWalkPlan plan) : plan_(std::move(plan)), closer_(plan_.asks_lengths) {
    const MemorySample& server = plan_.server;
    for (std::size_t db = 0; db < server.databases.size(); ++db) {
        if (server.databases[db].keys > 0) {
            databases_.push_back(static_cast<std::int32_t>(db));
            keys_ += server.databases[db].keys;
        }
    }
    asks_idle_ = plan_.asks_idle && server.policy.find("lfu") == std::string::npos;
    const std::size_t count = std::min(plan_.candidates.size(), candidates_max);
    for (std::size_t i = 0; i < count; ++i) {
        if (seen_.insert(plan_.candidates[i]).second) {
            waiting_.push_back(plan_.candidates[i]);
        }
    }
    if (databases_.empty()) {
        stage_ = Stage::done;
    }
}

std::int64_t KeyWalk::keys_of(std::int32_t db) const noexcept {
    return plan_.server.databases[static_cast<std::size_t>(db)].keys;
}

// Of the sample, in proportion to the keys; a few of each.
std::size_t KeyWalk::share_of(std::int32_t db) const noexcept {
    const double share =
        static_cast<double>(keys_of(db)) / static_cast<double>(std::max<std::int64_t>(keys_, 1));
    return std::max<std::size_t>(
        static_cast<std::size_t>(share * static_cast<double>(plan_.sampled_max) + .5), 1
    );
}

std::vector<Command> KeyWalk::next() {
    advance();
    if (stage_ == Stage::done) {
        return {};
    }
    if (stage_ == Stage::lengths) {
        asked_ = Ask::lengths;
        return ask_lengths();
    }
    if (closer_.busy()) {
        asked_ = Ask::sizes;
        std::vector<Command> out;
        select(closer_.db(), out);
        const std::vector<Command> sizes = closer_.ask();
        out.insert(out.end(), sizes.begin(), sizes.end());
        return out;
    }
    if (!waiting_.empty()) {
        asked_ = Ask::facts;
        return ask_facts();
    }
    asked_ = Ask::names;
    return ask_names();
}

// Goes on to the next database, type or stage when there is nothing left to ask in this one.
void KeyWalk::advance() {
    if (stage_ == Stage::search && found_large_ && !closer_.busy() && !look_closer()) {
        found_large_ = false;
        if (!is_missing()) {
            waiting_.clear();
            end_type();
        }
    }
    while (waiting_.empty() && !closer_.busy()) {
        if (stage_ == Stage::candidates) {
            if (keys_ > few_keys && look_closer()) {
                return;
            }
            stage_ = Stage::sample;
            draws_left_ = 3 * share_of(databases_.front());
        } else if (stage_ == Stage::sample) {
            const bool enough = drawn_in_database_ >= share_of(databases_[at_database_]);
            if (!enough && !pass_over_ && (!plan_.clustered || draws_left_ > 0)) {
                return;
            }
            if (at_database_ + 1 == databases_.size()) {
                if (!look_closer()) {
                    begin_search();
                }
                continue;
            }
            ++at_database_;
            cursor_ = "0";
            pass_over_ = false;
            drawn_in_database_ = 0;
            draws_left_ = 3 * share_of(databases_[at_database_]);
        } else if (stage_ == Stage::search) {
            const bool over = searched_ >= plan_.searched_max || found_.size() >= plan_.found_max;
            if ((!pass_over_ && !over) || look_closer()) {
                return;
            }
            if (over) {
                stage_ = Stage::lengths;
                return;
            }
            next_pass();
        } else {
            return;
        }
    }
}

// There are bytes of data for which nothing that was seen accounts, or only by chance.
bool KeyWalk::is_missing() const {
    const KeySummary seen = summary();
    return seen.unexplained > 0 ||
           seen.gap > explained_enough * static_cast<double>(plan_.data_bytes);
}

// Whether there is something to measure again, by what is known so far.
bool KeyWalk::look_closer() {
    // Also where every key was seen: then it is one of them that is larger than it looked.
    const KeySummary seen = summary();
    const auto data = static_cast<double>(plan_.data_bytes);
    const bool missing = stage_ != Stage::candidates && seen.known() &&
                         data - seen.bytes.high > explained_enough * data;
    closer_.plan(sampled_, found_, plan_.data_bytes, missing);
    return closer_.busy();
}

void KeyWalk::begin_search() {
    at_database_ = 0;
    cursor_ = "0";
    pass_over_ = false;
    stage_ = choose_type() ? Stage::search : Stage::lengths;
}

// What the sample has many of takes longest to look through, and its mean says most of it.
bool KeyWalk::is_worth_a_search(KeyType type, bool rare, const KeySummary& seen) const {
    if (seen.unexplained > 0) {
        return true;
    }
    if (rare && seen.gap > explained_enough * static_cast<double>(plan_.data_bytes)) {
        return true;
    }
    const bool queue = type == KeyType::list || type == KeyType::stream;
    const MemorySample& server = plan_.server;
    const bool roomy = server.maxmemory > 0 && server.counted() < server.maxmemory / 5 * 4;
    if (!queue || roomy || seen.complete || seen.queues > 0 || !seen.known() ||
        plan_.server.family == EvictionFamily::all_keys) {
        return false;
    }
    const auto used = plan_.types.order.begin() + static_cast<std::ptrdiff_t>(plan_.types.used);
    const bool is_used = std::find(plan_.types.order.begin(), used, type) != used;
    return keys_ <= (is_used ? queue_search_max : queue_search_max_unused);
}

// The rare ones first, and first among them those that are written.
bool KeyWalk::choose_type() {
    const KeySummary seen = summary();
    std::array<std::size_t, key_type_names.size()> counts{};
    for (const SampledKey& key : sampled_) {
        ++counts[static_cast<std::size_t>(key.type)];
    }
    const auto is_rare = [&](KeyType type) {
        return counts[static_cast<std::size_t>(type)] <= sampled_.size() / 20;
    };
    std::vector<KeyType> order = plan_.types.order;
    std::stable_partition(
        order.begin(),
        order.begin() + static_cast<std::ptrdiff_t>(std::min(plan_.types.used, order.size())),
        is_rare
    );
    const auto next = std::find_if(order.begin(), order.end(), [&](KeyType type) {
        return !searched_types_[static_cast<std::size_t>(type)] &&
               is_worth_a_search(type, is_rare(type), seen);
    });
    if (next == order.end()) {
        return false;
    }
    type_ = *next;
    return true;
}

void KeyWalk::next_pass() {
    cursor_ = "0";
    pass_over_ = false;
    if (++at_database_ == databases_.size()) {
        end_type();
    }
}

void KeyWalk::end_type() {
    ++searches_;
    searched_types_[static_cast<std::size_t>(type_)] = true;
    begin_search();
}

void KeyWalk::select(std::int32_t db, std::vector<Command>& out) {
    selects_ = db != selected_;
    if (selects_) {
        out.push_back({"SELECT", std::to_string(db)});
        selected_ = db;
    }
}

std::vector<Command> KeyWalk::ask_names() {
    std::vector<Command> out;
    select(databases_[at_database_], out);
    if (stage_ == Stage::search) {
        out.push_back(
            {"SCAN",
             cursor_,
             "COUNT",
             std::to_string(search_count),
             "TYPE",
             std::string(name_of(type_))}
        );
    } else if (plan_.clustered) {
        const std::size_t count = std::min(batch, draws_left_);
        draws_left_ -= count;
        out.insert(out.end(), count, {"RANDOMKEY"});
    } else {
        out.push_back({"SCAN", cursor_, "COUNT", std::to_string(scan_count)});
    }
    return out;
}

std::vector<Command> KeyWalk::ask_facts() {
    std::vector<Command> out;
    const std::int32_t db = waiting_.front().first;
    select(db, out);
    asked_names_.clear();
    std::vector<Name> later;
    // A search knows the type, and wants the few large ones: what else there is to know of them is
    // asked at the end.
    const bool sizes_only = stage_ == Stage::search;
    const std::size_t most = sizes_only ? search_batch : batch;
    for (Name& name : waiting_) {
        if (name.first != db || asked_names_.size() == most) {
            later.push_back(std::move(name));
            continue;
        }
        out.push_back({"MEMORY", "USAGE", name.second, "SAMPLES", "5"});
        if (sizes_only) {
            const KeyType type = plan_.asks_lengths ? type_ : KeyType::other;
            out.push_back({std::string(length_command(type)), name.second});
            out.push_back({"PTTL", name.second});
        } else {
            out.push_back({"TYPE", name.second});
            out.push_back({"PTTL", name.second});
        }
        if (!sizes_only && asks_idle_) {
            out.push_back({"OBJECT", "IDLETIME", name.second});
        }
        asked_names_.push_back(std::move(name));
    }
    waiting_ = std::move(later);
    return out;
}

std::vector<Command> KeyWalk::ask_lengths() {
    std::vector<Command> out;
    if (biggest_.empty()) {
        biggest_ = summary().biggest;
        std::erase_if(biggest_, [](const SampledKey& key) {
            return key.key.size() >= pattern_key_bytes_max;
        });
    }
    if (!plan_.asks_lengths) {
        biggest_.clear();
    }
    for (const SampledKey& key : biggest_) {
        out.push_back({"SELECT", std::to_string(key.db)});
        out.push_back({std::string(length_command(key.type)), key.key});
        out.push_back({"PTTL", key.key});
        selected_ = key.db;
    }
    if (out.empty()) {
        stage_ = Stage::done;
    }
    return out;
}

void KeyWalk::take(std::span<const resp::Reply> replies) {
    take_replies(replies);
    advance();
}

void KeyWalk::take_replies(std::span<const resp::Reply> replies) {
    if (asked_ == Ask::lengths) {
        return take_lengths(replies);
    }
    if (selects_ && !replies.empty()) {
        if (replies.front().is_error()) {
            note_refusal("SELECT", replies.front());
            return stop();
        }
        replies = replies.subspan(1);
    }
    if (asked_ == Ask::sizes) {
        take_sizes(replies);
    } else {
        asked_ == Ask::names ? take_names(replies) : take_facts(replies);
    }
}

void KeyWalk::take_sizes(std::span<const resp::Reply> replies) {
    if (const resp::Reply* refusal = closer_.take(replies)) {
        note_refusal("MEMORY USAGE", *refusal);
    }
    looked_closer_ = true;
    closer_.apply(sampled_);
    closer_.apply(found_);
}

void KeyWalk::take_names(std::span<const resp::Reply> replies) {
    for (const resp::Reply& reply : replies) {
        if (reply.is_error()) {
            const bool scans = stage_ == Stage::search || !plan_.clustered;
            note_refusal(scans ? "SCAN" : "RANDOMKEY", reply);
            // A sample can also be drawn at random; a search cannot.
            if (stage_ == Stage::sample && !plan_.clustered) {
                plan_.clustered = true;
                draws_left_ = 3 * share_of(databases_[at_database_]);
            } else {
                stage_ = Stage::lengths;
            }
            return;
        }
        if (reply.is_text()) {
            const std::size_t before = waiting_.size();
            enqueue(reply.text);
            drawn_in_database_ += waiting_.size() - before;
        } else if (reply.is_list()) {
            take_scan(reply);
        } else {
            pass_over_ = true;  // RANDOMKEY: the database is empty
        }
    }
}

void KeyWalk::take_scan(const resp::Reply& reply) {
    if (reply.elements.size() != 2 || !reply.elements[0].is_text() ||
        !reply.elements[1].is_list()) {
        pass_over_ = true;
        return;
    }
    cursor_ = std::string(reply.elements[0].text.substr(0, 32));
    pass_over_ = cursor_ == "0";
    for (const resp::Reply& name : reply.elements[1].elements) {
        enqueue(name.text);
    }
    if (stage_ == Stage::search) {
        searched_ += static_cast<std::int64_t>(search_count);
    } else {
        drawn_in_database_ += reply.elements[1].elements.size();
    }
}

void KeyWalk::enqueue(std::string_view key) {
    if (key.size() > key_bytes_max) {
        return;
    }
    Name name{selected_, std::string(key)};
    if (seen_.insert(name).second) {
        waiting_.push_back(std::move(name));
        return;
    }
    // A candidate that is drawn by chance as well is one of the sample: it was measured already.
    const auto candidate = std::find_if(found_.begin(), found_.end(), [&](const SampledKey& found) {
        return found.db == name.first && found.key == name.second;
    });
    if (stage_ == Stage::sample && candidate != found_.end()) {
        sampled_.push_back(std::move(*candidate));
        found_.erase(candidate);
    }
}

void KeyWalk::take_facts(std::span<const resp::Reply> replies) {
    const bool sizes_only = stage_ == Stage::search;
    const std::size_t each = !sizes_only && asks_idle_ ? 4 : 3;
    std::size_t measured = 0;
    for (std::size_t i = 0; i < asked_names_.size() && (i + 1) * each <= replies.size(); ++i) {
        const auto of_key = replies.subspan(i * each, each);
        SampledKey key;
        key.db = asked_names_[i].first;
        key.key = asked_names_[i].second.substr(0, pattern_key_bytes_max);
        note_refusal("MEMORY USAGE", of_key[0]);
        if (of_key[0].is_error()) {
            return stop();  // without sizes there is nothing to learn
        }
        if (sizes_only) {
            key.type = type_;
            key.length = integer(of_key[1]).value_or(-1);
            key.ttl_ms = std::max<std::int64_t>(integer(of_key[2]).value_or(-1), -1);
        } else {
            take_kind(of_key.subspan(1), key);
        }
        const auto bytes = integer(of_key[0]);
        if (!bytes) {
            continue;  // it went away meanwhile
        }
        key.bytes = *bytes;
        ++measured;
        // Its first elements may be its smallest.
        const std::int64_t elements = key.type == KeyType::string ? 0 : key.length;
        const std::int64_t may_hold = std::max(key.bytes, elements * element_bytes);
        found_large_ = found_large_ || may_hold > plan_.data_bytes / 50;
        (stage_ == Stage::sample ? sampled_ : found_).push_back(std::move(key));
    }
    if (measured == 0 && stage_ == Stage::sample && plan_.clustered && draws_left_ == 0) {
        pass_over_ = true;
    }
}

void KeyWalk::take_kind(std::span<const resp::Reply> replies, SampledKey& key) {
    note_refusal("TYPE", replies[0]);
    note_refusal("PTTL", replies[1]);
    key.type = replies[0].is_text() ? key_type(replies[0].text) : KeyType::other;
    key.ttl_ms = std::max<std::int64_t>(integer(replies[1]).value_or(-1), -1);
    if (asks_idle_) {
        note_refusal("OBJECT IDLETIME", replies[2]);
        key.idle_s = integer(replies[2]).value_or(-1);
    }
}

void KeyWalk::take_lengths(std::span<const resp::Reply> replies) {
    for (std::size_t i = 0; i < biggest_.size() && 3 * i + 2 < replies.size(); ++i) {
        biggest_[i].length = integer(replies[3 * i + 1]).value_or(-1);
        biggest_[i].ttl_ms = std::max<std::int64_t>(integer(replies[3 * i + 2]).value_or(-1), -1);
        for (SampledKey& key : found_) {
            if (key.db == biggest_[i].db && key.key == biggest_[i].key) {
                key.length = biggest_[i].length;
                key.ttl_ms = biggest_[i].ttl_ms;
            }
        }
    }
    stage_ = Stage::done;
}

void KeyWalk::note_refusal(std::string_view command, const resp::Reply& reply) {
    constexpr std::size_t refused_max = 8;
    if (!reply.is_error() || refused_.size() >= refused_max) {
        return;
    }
    std::string text = std::string(command) + ": " + std::string(reply.text.substr(0, 120));
    const auto same = [&](const std::string& told) {
        return told.substr(0, command.size() + 1) == text.substr(0, command.size() + 1);
    };
    if (std::none_of(refused_.begin(), refused_.end(), same)) {
        refused_.push_back(std::move(text));
    }
}

KeySummary KeyWalk::summary() const {
    const double passed =
        static_cast<double>(searched_) / static_cast<double>(std::max<std::int64_t>(keys_, 1));
    const double searched =
        plan_.types.order.empty()
            ? 0
            : std::min(1., passed / static_cast<double>(plan_.types.order.size()));
    KeySummary out = summarize(sampled_, found_, keys_, plan_.data_bytes, searched);
    date(out, plan_.server);
    for (SampledKey& key : out.biggest) {
        for (const SampledKey& measured : biggest_) {
            if (measured.db == key.db && measured.key == key.key) {
                key.length = measured.length;
            }
        }
    }
    return out;
}

bool KeyWalk::has_begun() const noexcept {
    if (keys_ <= few_keys) {  // then it is soon over: all are seen before any is named
        return stage_ > Stage::sample || (stage_ == Stage::sample && closer_.busy());
    }
    return stage_ != Stage::candidates || looked_closer_;
}

double KeyWalk::progress() const noexcept {
    if (closer_.busy()) {
        return closer_.progress();
    }
    switch (stage_) {
        case Stage::candidates:
            return 0;
        case Stage::sample: {
            const auto wanted = std::min<double>(
                static_cast<double>(plan_.sampled_max),
                static_cast<double>(std::max<std::int64_t>(keys_, 1))
            );
            return std::min(1., static_cast<double>(sampled_.size()) / wanted);
        }
        case Stage::search: {
            const double all =
                static_cast<double>(keys_) * static_cast<double>(plan_.types.order.size());
            return all > 0 ? std::min(1., static_cast<double>(searched_) / all) : 1;
        }
        case Stage::lengths:
        case Stage::done:
            break;
    }
    return 1;
}

std::string_view KeyWalk::doing() const noexcept {
    return closer_.busy()            ? "measuring large keys"
           : stage_ == Stage::search ? "looking for large keys"
                                     : "sampling keys";
}

}  // namespace spillway::policy
