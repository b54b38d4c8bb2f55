// Measures single collections again, with more elements: five may be unlike the others, and the
// first elements of a list unlike its last.
#include "policy/key_closer_look.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace spillway::policy {
namespace {

constexpr std::int64_t samples_first = 8;
constexpr std::int64_t samples_together = 512;  // up to here in one pipeline: they cost little
// Work is counted in nodes of a list, some 8 ns each. One command takes the server a millisecond
// or two at most, also where nothing is in its cache.
constexpr std::int64_t work_max = 131'072;
constexpr std::int64_t work_of_pipeline = work_max / 2;  // unless one command alone takes more
constexpr std::size_t large_max = 32;                    // keys of each plan
constexpr std::size_t longest_max = 16;
constexpr std::size_t subjects_max = 128;  // of a walk
constexpr std::size_t lengths_of_pipeline = 200;
constexpr std::int64_t seen_at_first = 5;    // what the walk's own MEMORY USAGE looks at
constexpr std::size_t name_bytes_max = 256;  // of a longer one only its beginning is known
constexpr double good_enough_of_key = .02;
constexpr double good_enough_of_data = .005;
// MEMORY USAGE follows a sorted set from its lowest score: where names grow with the score, or are
// older and shorter, those beyond are unlike all that it saw.
constexpr double trend_of_unseen = .15;

// MEMORY USAGE goes from node to node of a list or stream; of the others, it follows an entry, its
// name and its value, each elsewhere in memory.
[[nodiscard]] std::int64_t work_of_sample(KeyType type) noexcept {
    return type == KeyType::list ? 1 : type == KeyType::stream ? 4 : 16;
}

[[nodiscard]] std::int64_t samples_max(KeyType type) noexcept {
    return work_max / work_of_sample(type);
}

[[nodiscard]] bool is_collection(KeyType type) noexcept {
    return type != KeyType::string && type != KeyType::other;
}

// In which each sample is one element, where it is a table at all.
[[nodiscard]] bool samples_elements(KeyType type) noexcept {
    return type == KeyType::hash || type == KeyType::set || type == KeyType::zset;
}

[[nodiscard]] std::int64_t number(const resp::Reply& reply) noexcept {
    return reply.type == resp::ReplyType::integer ? reply.integer : -1;
}

}  // namespace

std::string_view length_command(KeyType type) noexcept {
    switch (type) {
        case KeyType::string:
            return "STRLEN";
        case KeyType::list:
            return "LLEN";
        case KeyType::set:
            return "SCARD";
        case KeyType::zset:
            return "ZCARD";
        case KeyType::hash:
            return "HLEN";
        case KeyType::stream:
            return "XLEN";
        case KeyType::other:
            break;
    }
    return "TYPE";
}

// The size is a fixed part plus the mean of the elements seen times their number. With b instead of
// a elements it changes by a variance of (b - a) / (a b) times that of one element (times their
// number, squared); each step estimates the latter, and their mean divided by the last b is the
// variance of the last size.
MeasuredSize measured_size(
    std::span<const SizeReading> readings, KeyType type, std::int64_t length
) noexcept {
    if (readings.empty()) {
        return {};
    }
    MeasuredSize size{.bytes = readings.back().bytes};
    const auto last = static_cast<double>(readings.back().samples);
    if (length >= 0 && readings.back().samples >= length) {
        size.error = 0;
        return size;
    }
    double squares = 0;
    double change = 0;
    for (std::size_t i = 1; i < readings.size(); ++i) {
        const auto a = static_cast<double>(readings[i - 1].samples);
        const auto b = static_cast<double>(readings[i].samples);
        change = std::abs(static_cast<double>(readings[i].bytes - readings[i - 1].bytes));
        squares += b > a ? change * change * a * b / (b - a) : 0;
    }
    if (readings.size() < 2) {
        return size;
    }
    if (!samples_elements(type) && change == 0) {
        size.error = 0;  // it was walked to its end, or is the same throughout
        return size;
    }
    const auto steps = static_cast<double>(readings.size() - 1);
    const bool part = samples_elements(type) && length > 0;
    const double unseen = part ? 1 - last / static_cast<double>(length) : 1;
    double error = (2 + 4 / steps) * std::sqrt(squares / steps / last * unseen);
    if (type != KeyType::hash && type != KeyType::set) {
        error = std::max(error, 2 * change);  // taken in order, not by chance: there may be a trend
    }
    size.error = static_cast<std::int64_t>(std::min(error, 9e18));
    return size;
}

void CloserLook::plan(
    std::span<const SampledKey> sampled,
    std::span<const SampledKey> found,
    std::int64_t data_bytes,
    bool missing
) {
    data_bytes_ = data_bytes;
    std::vector<const SampledKey*> large;
    for (const auto keys : {sampled, found}) {
        for (const SampledKey& key : keys) {
            if (is_collection(key.type) && is_large(key.bytes, data_bytes)) {
                large.push_back(&key);
            }
        }
        if (missing) {
            survey(keys);
        }
    }
    std::stable_sort(large.begin(), large.end(), [](const SampledKey* a, const SampledKey* b) {
        return a->bytes > b->bytes;
    });
    large.resize(std::min(large.size(), large_max));
    for (const SampledKey* key : large) {
        open({key->db, key->key}, key->type, key->length, missing);
    }
    if (missing && unasked_.empty()) {
        open_longest();
    }
}

// Of each collection the length is worth knowing, once.
void CloserLook::survey(std::span<const SampledKey> keys) {
    for (const SampledKey& key : keys) {
        if (!is_collection(key.type) || key.key.size() >= name_bytes_max) {
            continue;
        }
        const auto [entry, added] = lengths_.try_emplace(
            Name(key.db, key.key), Length{.type = key.type, .elements = key.length}
        );
        if (added && key.length < 0 && asks_lengths_) {
            unasked_.push_back(&*entry);
        }
    }
}

void CloserLook::open(const Name& name, KeyType type, std::int64_t length, bool to_the_end) {
    const bool too_many = subjects_.size() >= subjects_max && !subjects_.contains(name);
    if (name.second.size() >= name_bytes_max || too_many) {
        return;
    }
    const auto [entry, added] = subjects_.try_emplace(name);
    Subject& subject = entry->second;
    if (added) {
        subject.type = type;
        subject.length = length;
    }
    subject.to_the_end = subject.to_the_end || to_the_end;
    const bool queued = std::find(queue_.begin(), queue_.end(), &*entry) != queue_.end();
    if (!queued && !is_settled(subject)) {
        queue_.insert(queue_.begin(), &*entry);
        ++opened_;
    }
}

void CloserLook::open_longest() {
    std::vector<const std::pair<const Name, Length>*> longest;
    for (const auto& entry : lengths_) {
        if (entry.second.elements > seen_at_first) {
            longest.push_back(&entry);
        }
    }
    const std::size_t count = std::min(longest.size(), longest_max);
    std::partial_sort(
        longest.begin(),
        longest.begin() + static_cast<std::ptrdiff_t>(count),
        longest.end(),
        [](const auto* a, const auto* b) { return a->second.elements > b->second.elements; }
    );
    for (std::size_t i = 0; i < count; ++i) {
        open(longest[i]->first, longest[i]->second.type, longest[i]->second.elements, true);
    }
}

bool CloserLook::is_settled(const Subject& subject) const noexcept {
    if (subject.gone) {
        return true;
    }
    if (subject.readings.empty()) {
        return false;
    }
    const MeasuredSize size = measured_size(subject.readings, subject.type, subject.length);
    const double enough = std::max(
        good_enough_of_key * static_cast<double>(size.bytes),
        good_enough_of_data * static_cast<double>(data_bytes_)
    );
    const std::int64_t samples = subject.readings.back().samples;
    const bool all_seen = subject.length >= 0 && samples >= subject.length;
    // Elements of a list or stream come in the order of their age, and their nodes cost little:
    // they are followed to the end, where the size stops changing.
    const bool by_age = !samples_elements(subject.type);
    const bool sure = by_age ? size.error == 0 && samples > samples_together
                             : size.error >= 0 && static_cast<double>(size.error) <= enough;
    return all_seen || samples >= samples_max(subject.type) || (sure && !subject.to_the_end);
}

std::int32_t CloserLook::db() const noexcept {
    if (!queue_.empty()) {
        return queue_.back()->first.first;
    }
    return unasked_.empty() ? 0 : unasked_.back()->first.first;
}

std::vector<Command> CloserLook::ask() {
    steps_.clear();
    lengths_asked_ = 0;
    return queue_.empty() ? ask_lengths() : ask_sizes();
}

std::vector<Command> CloserLook::ask_lengths() {
    std::vector<Command> out;
    for (auto entry = unasked_.rbegin(); entry != unasked_.rend(); ++entry) {
        const auto& [name, length] = **entry;
        if (out.size() == lengths_of_pipeline || name.first != db()) {
            break;
        }
        out.push_back({std::string(length_command(length.type)), name.second});
    }
    lengths_asked_ = out.size();
    return out;
}

std::vector<Command> CloserLook::ask_sizes() {
    auto& [name, subject] = *queue_.back();
    std::vector<Command> out;
    subject.length_asked = asks_lengths_ && subject.length < 0;
    if (subject.length_asked) {
        out.push_back({std::string(length_command(subject.type)), name.second});
    }
    const std::int64_t most = samples_max(subject.type);
    std::int64_t samples =
        subject.readings.empty() ? samples_first : 2 * subject.readings.back().samples;
    std::int64_t work = 0;
    const std::int64_t together =
        samples <= samples_together ? samples_together : std::numeric_limits<std::int64_t>::max();
    do {
        out.push_back({"MEMORY", "USAGE", name.second, "SAMPLES", std::to_string(samples)});
        steps_.push_back(samples);
        work += samples * work_of_sample(subject.type);
        samples *= 2;
    } while (samples <= std::min(most, together) &&
             work + samples * work_of_sample(subject.type) <= work_of_pipeline);
    return out;
}

const resp::Reply* CloserLook::take(std::span<const resp::Reply> replies) {
    measured_ = nullptr;
    if (steps_.empty()) {
        take_lengths(replies);  // without them there is nothing wrong with sizes
    } else if (!replies.empty() && replies.back().is_error()) {
        queue_.clear();
        unasked_.clear();
        return &replies.back();
    } else {
        take_sizes(replies);
    }
    return nullptr;
}

void CloserLook::take_lengths(std::span<const resp::Reply> replies) {
    for (std::size_t i = 0; i < lengths_asked_ && !unasked_.empty(); ++i) {
        unasked_.back()->second.elements = i < replies.size() ? number(replies[i]) : -1;
        unasked_.pop_back();
    }
    if (unasked_.empty()) {
        open_longest();
    }
}

void CloserLook::take_sizes(std::span<const resp::Reply> replies) {
    Subject& subject = queue_.back()->second;
    if (subject.length_asked && !replies.empty()) {
        subject.length = number(replies.front());
        replies = replies.subspan(1);
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        const std::int64_t bytes = i < replies.size() ? number(replies[i]) : -1;
        if (bytes < 0) {
            subject.gone = true;
            break;
        }
        subject.readings.push_back({.samples = steps_[i], .bytes = bytes});
    }
    measured_ = subject.readings.empty() ? nullptr : queue_.back();
    if (is_settled(subject)) {
        queue_.pop_back();
    }
}

void CloserLook::apply(std::vector<SampledKey>& keys) const {
    if (measured_ == nullptr) {
        return;
    }
    const auto& [name, subject] = *measured_;
    const MeasuredSize size = measured_size(subject.readings, subject.type, subject.length);
    for (SampledKey& key : keys) {
        if (key.db == name.first && key.key == name.second) {
            key.bytes = size.bytes;
            key.error = size.error;
            const std::int64_t seen = subject.readings.back().samples;
            if (subject.type == KeyType::zset && size.error >= 0 && seen < subject.length) {
                const double unseen =
                    1 - static_cast<double>(seen) / static_cast<double>(subject.length);
                const double trend = trend_of_unseen * unseen * static_cast<double>(size.bytes);
                key.error = std::max(key.error, static_cast<std::int64_t>(trend));
            }
            key.length = subject.length;
        }
    }
}

double CloserLook::progress() const noexcept {
    const auto all = static_cast<double>(std::max<std::size_t>(opened_, 1));
    return 1 - std::min(1., static_cast<double>(queue_.size()) / all);
}

}  // namespace spillway::policy
