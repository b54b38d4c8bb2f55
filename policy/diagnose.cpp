// Explains why memory is full, or whether it is about to be: scores every cause, then tells the
// best one.
#include "policy/diagnose.hpp"

#include "policy/diagnose_phrases.hpp"
#include "policy/diagnose_rules.hpp"
#include "policy/diagnose_words.hpp"

#include <algorithm>
#include <array>

namespace spillway::policy {
namespace {

constexpr std::array rules = {
    CauseRule{Cause::script_refused, score::script_refused, words::script_refused, nullptr},
    CauseRule{Cause::ceiling_lowered, score::ceiling_lowered, words::ceiling_lowered, nullptr},
    CauseRule{Cause::replica_promoted, score::replica_promoted, words::replica_promoted, nullptr},
    CauseRule{
        Cause::oversized_write,
        score::oversized_write,
        words::oversized_write,
        words::against_oversized_write},
    CauseRule{
        Cause::client_buffers,
        score::client_buffers,
        words::client_buffers,
        words::against_client_buffers},
    CauseRule{
        Cause::replication_buffers,
        score::replication_buffers,
        words::replication_buffers,
        words::against_replication_buffers},
    CauseRule{Cause::big_key, score::big_key, words::big_key, words::against_big_key},
    CauseRule{Cause::script_memory, score::script_memory, words::script_memory, nullptr},
    CauseRule{
        Cause::lazyfree_pending,
        score::lazyfree_pending,
        words::lazyfree_pending,
        words::against_lazyfree_pending},
    CauseRule{
        Cause::non_data_overhead, score::non_data_overhead, words::non_data_overhead, nullptr},
    CauseRule{
        Cause::no_evictable_keys, score::no_evictable_keys, words::no_evictable_keys, nullptr},
    CauseRule{
        Cause::few_evictable_keys, score::few_evictable_keys, words::few_evictable_keys, nullptr},
    CauseRule{
        Cause::noeviction_at_ceiling,
        score::noeviction_at_ceiling,
        words::noeviction_at_ceiling,
        nullptr},
    CauseRule{
        Cause::eviction_too_slow, score::eviction_too_slow, words::eviction_too_slow, nullptr},
    CauseRule{
        Cause::provider_limit,
        score::provider_limit,
        words::provider_limit,
        words::against_provider_limit},
    CauseRule{Cause::cluster_skew, score::cluster_skew, words::cluster_skew, nullptr},
    CauseRule{Cause::write_burst, score::write_burst, words::write_burst, nullptr},
    CauseRule{Cause::unknown, score::unknown, words::unknown, nullptr},
};

constexpr double also_score_min = 0.4;
constexpr std::size_t also_max = 4;

using Scores = std::array<double, rules.size()>;

[[nodiscard]] Scores scores_of(const Figures& f) noexcept {
    Scores scores{};
    for (std::size_t i = 0; i < rules.size(); ++i) {
        scores[i] = rules[i].score(f);
    }
    return scores;
}

[[nodiscard]] std::size_t best_of(const Scores& scores) noexcept {
    return static_cast<std::size_t>(
        std::max_element(scores.begin(), scores.end()) - scores.begin()
    );
}

constexpr double brimful = .997;  // the next writes fill it
constexpr double nearly_full = .97;
constexpr double rather_full = .9;

// Under volatile-* the ratio stays at 1 while keys with a TTL go: what is left of them is the
// warning.
[[nodiscard]] bool evictable_runs_out(const Figures& f) noexcept {
    const MemorySample& s = f.sample();
    const auto expires = static_cast<double>(s.expires);
    return (f.drained_in && *f.drained_in < 120) || f.ttl_share < .05 ||
           expires < .25 * static_cast<double>(f.in.facts.expires_high);
}

// The next ordinary write is refused: above the limit, or so little below it that refused clients'
// own buffers made the difference.
[[nodiscard]] bool is_at_limit(const Figures& f) noexcept {
    const bool refused = f.sample().oom_errors > 0;
    return f.room < 0 || (refused && f.room < std::max(131072., .005 * f.ceiling));
}

// Full and standing still is how many a server lives for years; full and growing is not.
[[nodiscard]] bool is_pressed(const Figures& f) noexcept {
    const auto grows_full_within = [&f](double seconds) {
        return f.seconds_left && *f.seconds_left < seconds;
    };
    // Without a baseline it may have refused at any time; with one, what is long past does not
    // count.
    const bool refuses = f.in.ooms_before ? ooms_rise(f) : f.sample().oom_errors > 0;
    const bool nothing_goes = f.sample().family == EvictionFamily::noeviction;
    const bool stands_still = nothing_goes && f.sample().oom_errors == 0;
    const double full = stands_still ? brimful : nearly_full;
    return grows_full_within(120) || f.fullness() >= full ||
           (f.fullness() >= rather_full && (grows_full_within(600) || refuses));
}

[[nodiscard]] Health health_of(const Figures& f) noexcept {
    if (f.reply) {
        return Health::oom;
    }
    const MemorySample& s = f.sample();
    if (ooms_rise(f)) {  // whatever INFO shows of a limit
        return Health::oom;
    }
    if (!f.limited || s.used_memory < 0 || !s.primary) {  // replicas ignore the limit
        return Health::healthy;
    }
    // Not data that has settled, but what comes and goes.
    const bool others_hold_it = f.share(f.clients + f.replication + f.scripts + f.non_data) > .5;
    const bool filled_by_others = f.fullness() > rather_full && others_hold_it;
    switch (s.family) {
        case EvictionFamily::all_keys:
            if (s.keys == 0 && is_at_limit(f)) {
                return Health::oom;
            }
            return s.eviction_exceeded_ms >= 1000 || filled_by_others || f.in.guard_refuses
                       ? Health::at_risk
                       : Health::healthy;
        case EvictionFamily::volatile_keys:
            if (s.expires == 0 && is_at_limit(f)) {
                return Health::oom;
            }
            return (evictable_runs_out(f) && is_pressed(f)) || s.eviction_exceeded_ms >= 1000 ||
                           f.in.guard_refuses
                       ? Health::at_risk
                       : Health::healthy;
        case EvictionFamily::noeviction:
            if (is_at_limit(f)) {
                return Health::oom;
            }
            break;
        case EvictionFamily::unknown:
            break;
    }
    return is_pressed(f) || filled_by_others || f.in.guard_refuses ? Health::at_risk
                                                                   : Health::healthy;
}

// What makes the verdict less sure: figures from before the event, or none at all.
[[nodiscard]] double trust_in(const Figures& f) noexcept {
    if (f.sample().used_memory < 0) {
        return .5;
    }
    return f.reply && !f.fresh ? .8 : 1;
}

void bound(std::vector<std::string>& sentences) {
    std::vector<std::string> kept;
    for (auto& sentence : sentences) {
        const bool told = std::find(kept.begin(), kept.end(), sentence) != kept.end();
        if (!sentence.empty() && !told && kept.size() < diagnosis_list_max) {
            kept.push_back(words::plain(sentence, sentence_bytes_max));
        }
    }
    sentences = std::move(kept);
}

// Tells the best cause, what adds to it, and what speaks against the one that came closest without
// adding.
void tell(const Figures& f, const Scores& scores, std::size_t best, Diagnosis& out) {
    Story story;
    const bool by_guard = f.event() != nullptr && f.event()->origin == OomOrigin::guard;
    if (by_guard && f.event()->guard_cause != rules[best].cause) {
        words::refusal(f, story);
    }
    rules[best].tell(f, story);
    words::form(f, story);

    std::array<std::size_t, rules.size()> order{};
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
        return scores[a] > scores[b];
    });
    bool refuted = false;
    for (const std::size_t i : order) {
        if (i == best || rules[i].cause == Cause::unknown) {
            continue;
        }
        if (scores[i] >= also_score_min && out.also.size() < also_max) {
            out.also.push_back(rules[i].cause);
            Story more;
            rules[i].tell(f, more);
            if (!more.evidence.empty()) {
                story.evidence.push_back(std::move(more.evidence.front()));
            }
        } else if (!refuted && rules[i].against != nullptr) {
            story.evidence.push_back(rules[i].against(f));
            refuted = !story.evidence.back().empty();
        }
    }
    out.evidence = std::move(story.evidence);
    out.advice = std::move(story.advice);
}

}  // namespace

Diagnosis diagnose(const Evidence& evidence) {
    const Figures f = figures_of(evidence);
    Diagnosis out;
    out.health = health_of(f);
    const bool refusal = f.event() != nullptr && !f.reply;
    if (out.health == Health::healthy && !refusal) {
        Story story;
        words::healthy(f, story);
        out.evidence = std::move(story.evidence);
        out.advice = std::move(story.advice);
        out.confidence = f.sample().used_memory < 0 ? 0 : 1;
    } else {
        const Scores scores = scores_of(f);
        const std::size_t best = best_of(scores);
        out.cause = rules[best].cause;
        out.confidence = scores[best] * trust_in(f);
        tell(f, scores, best, out);
        if (refusal) {
            const Cause told = evidence.event->guard_cause;
            std::erase(out.also, told);
            if (out.cause != Cause::unknown && out.cause != told) {
                out.also.insert(out.also.begin(), out.cause);
            }
            out.cause = told;
            out.confidence = 1;
        }
    }
    out.confidence = static_cast<double>(static_cast<int>(out.confidence * 100 + .5)) / 100;
    bound(out.evidence);
    bound(out.advice);
    return out;
}

Cause likely_cause(const Evidence& evidence) {
    const Figures f = figures_of(evidence);
    return rules[best_of(scores_of(f))].cause;
}

}  // namespace spillway::policy
