// Pairs each command with the reply it will get, in order: the only tie between the two lanes of a
// session.
//
//   RequestLane ── push ──►  [ reply x 40 | local x 3 | reply x 7 | subscription | … ]  ── front,
//   pop ──► ReplyLane
//
// Like commands in a row are one run, so that a million commands ahead of the first reply cost next
// to nothing. Once there are many runs, differences that only matter for statistics no longer
// separate them.
#pragma once

#include "policy/growth_sampler.hpp"
#include "policy/string_lengths.hpp"
#include "proxy/core/block_queue.hpp"
#include "proxy/metrics/labels.hpp"
#include "resp/command_facts.hpp"

#include <cstdint>
#include <string>

namespace spillway::core {

using policy::Nanos;

enum class Expect : std::uint8_t {
    reply,     // one from the backend
    local,     // none: ours stands in its place
    replaced,  // one from the backend, to a command put in place of a refused one; ours is shown
               // instead
    subscription,    // `frames` confirmations, or one error
    unsubscription,  // the same; how many may be known only when its turn comes
    monitor,         // one; if it is no error, an endless stream follows
    replication,     // an error, or a stream that leaves RESP at once
    pipe,            // from here on nothing is paired
};

struct LedgerRun {
    Expect expect = Expect::reply;
    metrics::CommandClass command_class = metrics::CommandClass::other;
    resp::SubscriptionKind subscription = resp::SubscriptionKind::channel;
    bool detailed = false;    // each of its commands has a CommandDetail
    bool has_effect = false;  // a reply that is no error changes the connection's state
    resp::Effect effect = resp::Effect::none;
    bool in_exec = false;  // errors inside its reply belong to a transaction
    std::uint32_t frames =
        0;  // of a subscription: still to come; 0 in an unsubscription = one per subscription
    std::uint64_t count = 1;
    Nanos sent_at = 0;
    std::int64_t charged = 0;  // summed over the run
    std::int64_t lasting = 0;
    const std::string* text = nullptr;  // of local and replaced: outlives the session
};

// What is remembered of a growing command, so that an OOM reply can name it. Cut where it is too
// long.
struct CommandDetail {
    static constexpr std::size_t key_bytes_max = 44;
    std::uint16_t command;  // CommandId
    bool in_multi : 1;
    bool script_declared : 1;  // EVAL of a text with a line of flags
    std::uint8_t key_size;
    std::uint32_t bytes;
    std::uint32_t largest_bytes;
    std::array<char, key_bytes_max> key;  // key_size of them
};

class ReplyLedger {
  public:
    // From this many runs on, runs are merged coarsely; at the hard cap the session must end.
    static constexpr std::size_t coarse_runs = 4096;
    static constexpr std::size_t runs_max = 1'000'000;
    static constexpr std::size_t details_max = 1024;
    static constexpr std::size_t reaches_max = 1024;
    static constexpr std::size_t samples_max = 64;

    explicit ReplyLedger(BlockPool& pool) noexcept
        : runs_(pool), details_(pool), reaches_(pool), samples_(pool) {}

    void push(const LedgerRun& run) {
        under_way_ += awaited(run) ? run.count : 0;
        if (!runs_.empty() && merges(runs_.back(), run)) {
            LedgerRun& last = runs_.back();
            last.count += run.count;
            last.charged += run.charged;
            last.lasting += run.lasting;
        } else {
            runs_.push(run);
        }
    }
    // What differs between the commands that are answered by one reply and change nothing else.
    struct Plain {
        metrics::CommandClass command_class = metrics::CommandClass::other;
        bool detailed = false;
        Nanos sent_at = 0;
        std::int64_t charged = 0;
        std::int64_t lasting = 0;
    };
    // As push of such a run of one; most commands extend the run of those before them.
    void push_plain(const Plain& plain) {
        if (!runs_.empty()) {
            LedgerRun& last = runs_.back();
            if (last.expect == Expect::reply && last.command_class == plain.command_class &&
                last.sent_at == plain.sent_at && last.detailed == plain.detailed &&
                !last.has_effect && !last.in_exec) {
                ++last.count;
                ++under_way_;
                last.charged += plain.charged;
                last.lasting += plain.lasting;
                return;
            }
        }
        push_run_of(plain);
    }
    // Adds to what the newest command was charged; false when it is no longer there.
    [[nodiscard]] bool charge_last(std::int64_t bytes) noexcept {
        if (runs_.empty() || !settles(runs_.back())) {
            return false;
        }
        runs_.back().charged += bytes;
        return true;
    }
    // The newest command has one more argument of this size, or some that came together: its head
    // had not announced them.
    void weigh_last(std::uint64_t bytes) noexcept {
        if (runs_.empty() || !runs_.back().detailed || details_.empty()) {
            return;
        }
        CommandDetail& detail = details_.back();
        const auto size = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, UINT32_MAX));
        detail.bytes += std::min(size, UINT32_MAX - detail.bytes);
        detail.largest_bytes = std::max(detail.largest_bytes, size);
    }
    // Where to write the detail of the next command; null when there is no place: its run must then
    // not be detailed.
    [[nodiscard]] CommandDetail* push_detail() {
        return details_.size() < details_max ? &details_.grow() : nullptr;
    }

    // The newest command writes into a string; forgotten where there is no place.
    void push_reach(const policy::StringLengths::Reach& reach) {
        if (reaches_.size() < reaches_max) {
            reaches_.push({answered_ + under_way_, reach});
        }
    }
    [[nodiscard]] bool awaits_reaches() const noexcept { return !reaches_.empty(); }
    // Calls `take` for the writes into strings that have been answered.
    template <typename Take>
    void take_reaches(const Take& take) {
        while (!reaches_.empty() && reaches_.front().number <= answered_) {
            take(reaches_.front().reach);
            reaches_.pop(1);
        }
    }

    // The growth ledger looks at the newest command; false where there is no place.
    [[nodiscard]] bool push_sample(const policy::GrowthSample& sample) {
        if (samples_.size() >= samples_max) {
            return false;
        }
        samples_.push({answered_ + under_way_, sample});
        return true;
    }
    [[nodiscard]] bool awaits_samples() const noexcept { return !samples_.empty(); }
    // Behind `ended` commands of the front run: how many replies come before the one that is looked
    // at. 0 = it is next, or has been.
    [[nodiscard]] std::uint64_t before_sample(std::uint64_t ended) noexcept {
        const std::uint64_t next = answered_ + ended + 1;
        const std::uint64_t number = samples_.front().number;
        return number > next ? number - next : 0;
    }
    // The sample whose reply is next, or has been.
    [[nodiscard]] const policy::GrowthSample& front_sample() noexcept {
        return samples_.front().sample;
    }
    void pop_sample() { samples_.pop(1); }

    [[nodiscard]] bool empty() const noexcept { return runs_.empty(); }
    // Commands that the backend is still to answer.
    [[nodiscard]] std::uint64_t under_way() const noexcept { return under_way_; }
    [[nodiscard]] bool full() const noexcept { return runs_.size() >= runs_max; }
    [[nodiscard]] LedgerRun& front() noexcept { return runs_.front(); }
    [[nodiscard]] CommandDetail& front_detail() noexcept { return details_.front(); }
    void pop_details(std::uint64_t count) { details_.pop(static_cast<std::size_t>(count)); }
    // Ends `count` commands of the front run, at most as many as it has.
    void pop(std::uint64_t count) {
        LedgerRun& run = runs_.front();
        const std::uint64_t answered = awaited(run) ? count : 0;
        under_way_ -= answered;
        answered_ += answered;
        run.count -= count;
        if (run.count == 0) {
            runs_.pop(1);
        }
    }

  private:
    // Apart, so that the way of most commands stays short.
    [[gnu::noinline]] void push_run_of(const Plain& plain) {
        LedgerRun run;
        run.command_class = plain.command_class;
        run.detailed = plain.detailed;
        run.sent_at = plain.sent_at;
        run.charged = plain.charged;
        run.lasting = plain.lasting;
        push(run);
    }
    // What it was charged is settled when it ends; nothing is charged for what we answer ourselves.
    [[nodiscard]] static bool settles(const LedgerRun& run) noexcept {
        return awaited(run) && run.text == nullptr;
    }
    [[nodiscard]] static bool awaited(const LedgerRun& run) noexcept {
        return run.expect != Expect::local && run.expect != Expect::pipe;
    }
    [[nodiscard]] bool merges(const LedgerRun& last, const LedgerRun& run) const noexcept {
        if (last.expect != run.expect || last.has_effect || run.has_effect || last.in_exec ||
            run.in_exec) {
            return false;
        }
        if (run.expect == Expect::local) {
            return last.text == run.text;
        }
        if (run.expect != Expect::reply || last.detailed != run.detailed) {
            return false;
        }
        return runs_.size() >= coarse_runs ||
               (last.command_class == run.command_class && last.sent_at == run.sent_at);
    }

    // Told apart by its number among all that the backend answers.
    struct NumberedReach {
        std::uint64_t number;
        policy::StringLengths::Reach reach;
    };

    struct NumberedSample {
        std::uint64_t number;
        policy::GrowthSample sample;
    };

    std::uint64_t under_way_ = 0;
    std::uint64_t answered_ = 0;
    BlockQueue<LedgerRun> runs_;
    BlockQueue<CommandDetail> details_;
    BlockQueue<NumberedReach> reaches_;
    BlockQueue<NumberedSample> samples_;
};

}  // namespace spillway::core
