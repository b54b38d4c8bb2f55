// Chooses the commands that the growth ledger looks at, and books what their replies say.
#include "policy/growth_sampler.hpp"

#include <algorithm>

namespace spillway::policy {
namespace {

// Other numbers than those of keys: what is known of a pattern stands in the same table.
std::uint64_t key_of_pattern(std::string_view pattern) noexcept {
    return ~std::hash<std::string_view>{}(pattern) | 1U;
}

// What a key still counts for in its row.
double counted_for(const SampledKeys::Entry& key) noexcept {
    return key.times == 1 ? key.stands_for : 1;
}

}  // namespace

// Between a half and one and a half of the mean: enough to lose any step that traffic has, and
// little enough that the points are hardly more or fewer than they should be.
std::int64_t GrowthSampler::gap() noexcept {
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    constexpr auto mean = static_cast<std::uint64_t>(mean_bytes);
    return static_cast<std::int64_t>(mean / 2 + (random_ >> 32U) % mean);
}

double GrowthSampler::draw(std::int64_t bytes) noexcept {
    constexpr std::int64_t points_max = 16;
    if (bytes > points_max * mean_bytes) {
        left_ = gap();
        return 1;
    }
    double points = 0;
    while (left_ <= 0) {
        left_ += gap();
        ++points;
    }
    return points * static_cast<double>(mean_bytes) / static_cast<double>(bytes);
}

void GrowthSampler::settle(
    const GrowthSample& sample,
    const GrowthReply& reply,
    std::string_view client,
    std::string_view command,
    Nanos now
) {
    if (reply.kind == GrowthReply::Kind::failed || reply.kind == GrowthReply::Kind::null) {
        return;
    }
    news_ = true;
    const std::string_view pattern(sample.pattern.data(), sample.pattern_size);
    const Booking of{sample, reply, {pattern, client, command}, now};
    switch (sample.model.shape) {
        case GrowthShape::nothing:
            return;
        case GrowthShape::value:
            return book_value(of);
        case GrowthShape::flow:
            return book_flow(of);
        case GrowthShape::elements:
            return book_elements(of);
        case GrowthShape::removes_elements:
        case GrowthShape::removes_keys:
            return book_removal(of);
        case GrowthShape::moves:
            return book_move(of);
        case GrowthShape::trims:
            return note_bound(of);
    }
}

void GrowthSampler::book_value(const Booking& of) {
    const GrowthSample& sample = of.sample;
    if (sample.model.told == GrowthTold::added && of.reply.kind == GrowthReply::Kind::integer &&
        of.reply.number <= 0) {
        return;
    }
    if (sample.key != 0) {
        if (SampledKeys::Entry* const key = keys_.find(sample.key, of.now); key != nullptr) {
            return book_value_again(of, *key);
        }
    }
    const double own = sample.model.unit_bytes;
    const double all = own * sample.stands_for;
    const std::uint64_t row = ledger_.put(
        of.name,
        {.bytes = all,
         .lasting = sample.lasting ? all : 0,
         .keys = sample.stands_for,
         .units = sample.stands_for,
         .unit_bytes = all,
         .once = all,
         .once_own = own},
        of.now
    );
    if (sample.key == 0) {
        return;
    }
    SampledKeys::Entry& key = keys_.insert(sample.key, of.now);
    key.row = row;
    key.booked_at = of.now;
    key.bytes = sample.model.unit_bytes;
    key.stands_for = sample.stands_for;
    key.times = 1;
    key.lasting = sample.lasting;
    key.whole = true;
    keys_.set_expiry(key, sample.model.ttl_s, of.now);
}

// It was there before: it stood for itself alone, and adds what it is longer by.
void GrowthSampler::book_value_again(const Booking& of, SampledKeys::Entry& key) {
    const double own = key.bytes;
    const double all = own * key.stands_for;
    GrowthAmount correction;
    if (key.times == 1) {
        const double less = all - own;
        const double fewer = key.stands_for - 1;
        correction = {
            .bytes = -less,
            .lasting = key.lasting ? -less : 0,
            .keys = -fewer,
            .once = -all,
            .once_own = -own,
            .twice = all};
    } else if (key.times == 2) {
        correction = {.twice = -all, .thrice = all};
    } else if (key.times == 3) {
        correction = {.thrice = -all};
    }
    ledger_.correct(key.row, correction, key.booked_at);
    key.times = static_cast<std::uint8_t>(std::min(key.times + 1, 4));
    const double longer = of.sample.model.unit_bytes - own;
    ledger_.correct(key.row, {.bytes = longer, .lasting = key.lasting ? longer : 0}, of.now);
    key.stands_for = static_cast<float>(all / std::max<double>(of.sample.model.unit_bytes, 1));
    key.bytes = of.sample.model.unit_bytes;
    keys_.set_expiry(key, of.sample.model.ttl_s, of.now);
}

void GrowthSampler::book_elements(const Booking& of) {
    const GrowthModel& model = of.sample.model;
    const bool integer = of.reply.kind == GrowthReply::Kind::integer;
    if (integer && model.told == GrowthTold::length) {
        return book_list(of);
    }
    double units = model.units;
    if (integer && model.told == GrowthTold::added) {
        units = std::min<double>(units, static_cast<double>(of.reply.number));
    } else if (integer && model.told == GrowthTold::counter) {
        units = of.reply.number == model.added ? 1 : 0;
    }
    if (units <= 0) {
        return;
    }
    const double times = of.sample.stands_for;
    SampledKeys::Entry* key = of.sample.key != 0 ? keys_.find(of.sample.key, of.now) : nullptr;
    GrowthAmount added;
    if (key == nullptr) {
        added.bytes = model.key_bytes * times;
        added.keys = times;
    } else if (key->times == 1) {
        const double fewer = key->stands_for - 1;
        const double less = key->bytes * fewer;
        ledger_.correct(
            key->row,
            {.bytes = -less, .lasting = key->lasting ? -less : 0, .keys = -fewer},
            key->booked_at
        );
        key->times = 2;
    }
    const bool is_new = key == nullptr;
    if (is_new && of.sample.key != 0) {
        key = &keys_.insert(of.sample.key, of.now);
    }
    double all = units * times;
    double unit = model.unit_bytes;
    if (key != nullptr) {
        if (model.units_kept != UINT32_MAX) {
            all = std::clamp<double>(static_cast<double>(model.units_kept) - key->elements, 0, all);
        }
        key->elements += static_cast<float>(all);
        unit = static_cast<double>(key->elements) <= model.packed_max ? model.packed_bytes : unit;
    }
    added.bytes += all * unit;
    added.units = all;
    added.unit_bytes = all * unit;
    added.lasting = of.sample.lasting ? added.bytes : 0;
    const std::uint64_t row = ledger_.put(of.name, added, of.now);
    if (is_new && key != nullptr) {
        key->row = row;
        key->booked_at = of.now;
        key->bytes = model.key_bytes;
        key->stands_for = of.sample.stands_for;
        key->times = 1;
        key->lasting = of.sample.lasting;
    }
}

// A push tells how long the list is: what lies between two of them is known, whatever was taken
// out meanwhile. The first one stands for pushes to other lists as well, until there is a second:
// then for those to this one that came before it, which are all of a list that was not long.
void GrowthSampler::book_list(const Booking& of) {
    const GrowthModel& model = of.sample.model;
    if (of.reply.number <= 0) {
        return;
    }
    auto length = static_cast<double>(of.reply.number);
    const bool makes_key = of.reply.number <= model.units;
    const double unit = model.unit_bytes;
    const double times = of.sample.stands_for;
    const SampledKeys::Entry* const bound = keys_.find(key_of_pattern(of.name.pattern), of.now);
    const bool trimmed = bound != nullptr && length > static_cast<double>(bound->elements);
    if (trimmed) {
        length = bound->elements;
    }
    SampledKeys::Entry* const known =
        of.sample.key != 0 ? keys_.find(of.sample.key, of.now) : nullptr;
    GrowthAmount added{.units = model.units * times, .unit_bytes = model.units * times * unit};
    if (known != nullptr && known->list) {
        if (known->times == 1) {
            const double told = static_cast<double>(known->bytes) * known->stands_for;
            const double before = known->elements <= 4 * known->stands_for
                                      ? static_cast<double>(known->elements)
                                      : static_cast<double>(known->stands_for);
            const double less = told - before * known->unit;
            const double fewer = known->makes_key ? known->stands_for - 1 : 0;
            ledger_.correct(
                known->row, {.bytes = -less, .lasting = -less, .keys = -fewer}, known->booked_at
            );
            known->times = 2;
        }
        added.bytes = added.lasting = (length - static_cast<double>(known->elements)) * unit;
        known->elements = static_cast<float>(length);
        known->unit = model.unit_bytes;
        ledger_.put(of.name, added, of.now);
        return;
    }
    const double own = (trimmed ? 0 : model.units * unit) + (makes_key ? model.key_bytes : 0);
    added.bytes = added.lasting = own * times;
    added.keys = makes_key ? times : 0;
    // With the last element the list goes.
    added.unit_bytes += makes_key ? model.key_bytes * times : 0;
    const std::uint64_t row = ledger_.put(of.name, added, of.now);
    if (of.sample.key == 0) {
        return;
    }
    SampledKeys::Entry& key = known != nullptr ? *known : keys_.insert(of.sample.key, of.now);
    key.row = row;
    key.booked_at = of.now;
    key.bytes = static_cast<float>(own);
    key.stands_for = of.sample.stands_for;
    key.elements = static_cast<float>(length);
    key.unit = model.unit_bytes;
    key.times = 1;
    key.list = true;
    key.whole = false;
    key.makes_key = makes_key;
}

void GrowthSampler::shorten(SampledKeys::Entry& list, double elements, Nanos now) {
    const double gone = std::min<double>(elements, list.elements);
    list.elements -= static_cast<float>(gone);
    const double bytes = gone * list.unit;
    ledger_.correct(list.row, {.bytes = -bytes, .lasting = -bytes}, now);
}

void GrowthSampler::book_flow(const Booking& of) {
    const GrowthModel& model = of.sample.model;
    const bool integer = of.reply.kind == GrowthReply::Kind::integer;
    if (model.told == GrowthTold::counter && integer && of.reply.number != model.added) {
        return;
    }
    const double all = static_cast<double>(model.unit_bytes) * of.sample.stands_for;
    ledger_.put(
        of.name,
        {.bytes = all,
         .lasting = of.sample.lasting ? all : 0,
         .keys = model.told == GrowthTold::counter ? of.sample.stands_for : 0,
         .units = of.sample.stands_for,
         .unit_bytes = all},
        of.now
    );
}

void GrowthSampler::book_removal(const Booking& of) {
    const GrowthModel& model = of.sample.model;
    double units = model.units;
    if (of.reply.kind == GrowthReply::Kind::integer) {
        units = static_cast<double>(of.reply.number);
    } else if (of.reply.kind == GrowthReply::Kind::bulk) {
        units = 1;
    } else if (of.reply.kind == GrowthReply::Kind::array) {
        units = std::min<double>(units, static_cast<double>(of.reply.number));
    }
    if (units <= 0) {
        return;
    }
    units *= of.sample.stands_for;
    GrowthAmount removed;
    SampledKeys::Entry* const key =
        of.sample.key != 0 ? keys_.find(of.sample.key, of.now) : nullptr;
    if (model.shape == GrowthShape::removes_elements) {
        if (key != nullptr && key->list) {
            return shorten(*key, units, of.now);
        }
        removed.removed_units = units;
    } else if (key == nullptr || model.units != 1) {
        removed.removed_keys = units;
    } else {
        if (key->list && key->times > 1) {
            shorten(*key, key->elements, of.now);
        } else if (key->whole) {
            removed.removed = static_cast<double>(key->bytes) * of.sample.stands_for;
        } else {
            removed.removed_keys = units;
        }
        SampledKeys::erase(*key);
    }
    ledger_.remove(of.name.pattern, removed, of.now);
}

// The list that gets what another one has lost.
void GrowthSampler::book_move(const Booking& of) {
    if (of.reply.kind != GrowthReply::Kind::bulk) {
        return;
    }
    const double all =
        list_element_bytes(static_cast<double>(of.reply.number)) * of.sample.stands_for;
    ledger_.put(
        of.name,
        {.bytes = all, .lasting = all, .units = of.sample.stands_for, .unit_bytes = all},
        of.now
    );
}

void GrowthSampler::note_bound(const Booking& of) {
    const std::uint64_t number = key_of_pattern(of.name.pattern);
    SampledKeys::Entry* entry = keys_.find(number, of.now);
    if (entry == nullptr) {
        entry = &keys_.insert(number, of.now);
    }
    const auto kept = static_cast<double>(of.sample.model.units_kept);
    entry->elements = static_cast<float>(kept);
    SampledKeys::Entry* const list =
        of.sample.key != 0 ? keys_.find(of.sample.key, of.now) : nullptr;
    if (list != nullptr && list->list && static_cast<double>(list->elements) > kept) {
        shorten(*list, list->elements - kept, of.now);
    }
}

void GrowthSampler::expire(Nanos now) {
    keys_.expire(now, [this, now](const SampledKeys::Entry& key) {
        const double gone = counted_for(key);
        const double bytes = key.bytes * gone;
        GrowthAmount correction{
            .bytes = -bytes, .lasting = key.lasting ? -bytes : 0, .keys = -gone};
        if (key.times == 1) {
            correction.once = -bytes;
            correction.once_own = -static_cast<double>(key.bytes);
        }
        ledger_.correct(key.row, correction, now);
        news_ = true;
    });
}

}  // namespace spillway::policy
