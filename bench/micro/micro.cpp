// Times the parts that every command passes: readers, guard, growth ledger, and a whole session.
#include "bench/micro/traffic.hpp"
#include "policy/growth_ledger.hpp"
#include "policy/guard.hpp"
#include "policy/key_pattern.hpp"
#include "resp/command_reader.hpp"
#include "resp/command_table.hpp"
#include "resp/reply_reader.hpp"

#include <benchmark/benchmark.h>

namespace spillway::bench {
namespace {

using benchmark::State;

void session(State& state, const Mix& mix) {
    Traffic traffic(mix);
    std::uint64_t bytes = 0;
    for (auto turn : state) {
        (void)turn;
        bytes += traffic.pass();
    }
    state.SetItemsProcessed(state.iterations() * traffic.commands_per_pass());
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

void command_reader(State& state, const Mix& mix) {
    resp::CommandReader reader;
    for (auto turn : state) {
        (void)turn;
        benchmark::DoNotOptimize(reader.read_head(mix.command));
        std::size_t at = reader.consumed();
        while (reader.in_body()) {
            at += reader.read_body(mix.command.substr(at));
        }
    }
    state.SetItemsProcessed(state.iterations());
}

void reply_reader(State& state, const Mix& mix) {
    resp::ReplyReader reader;
    for (auto turn : state) {
        (void)turn;
        std::size_t at = 0;
        while (at < mix.reply.size()) {
            const auto step = reader.read(mix.reply.substr(at));
            at += step.consumed;
            benchmark::DoNotOptimize(step.event);
        }
    }
    state.SetItemsProcessed(state.iterations());
}

void guard(State& state) {
    policy::CreditPool pool;
    policy::TrafficCells cells;
    const policy::GuardSettings settings;
    policy::Guard guard(pool, cells, settings);
    pool.freeze();
    pool.grant({.open = std::int64_t{1} << 60, .room = std::int64_t{1} << 60, .reserve = 0});
    guard.publish(
        {.state = policy::GuardState::plenty, .family = policy::EvictionFamily::noeviction}
    );
    const policy::Cost cost{.charge = 192, .lasting = 192, .large = false};
    for (auto turn : state) {
        (void)turn;
        benchmark::DoNotOptimize(guard.quick(cost));
        guard.settle(cost.charge, cost.lasting);
    }
    state.SetItemsProcessed(state.iterations());
}

void growth_ledger(State& state) {
    policy::GrowthLedger ledger;
    policy::PatternBuffer buffer;
    policy::Nanos now = policy::second;
    std::uint64_t number = 0;
    for (auto turn : state) {
        (void)turn;
        const std::string key = "cart:" + std::to_string(++number) + ":items";
        ledger.add(policy::key_pattern(key, buffer), "web", "SET", 16'384, true, now += 1000);
    }
    state.SetItemsProcessed(state.iterations());
}

void command_lookup(State& state) {
    resp::CommandLookup commands;
    for (auto turn : state) {
        (void)turn;
        benchmark::DoNotOptimize(commands.table().find("zrangestore"));
    }
    state.SetItemsProcessed(state.iterations());
}

}  // namespace
}  // namespace spillway::bench

int main(int argc, char** argv) {
    using namespace spillway::bench;
    for (const Mix& mix : mixes()) {
        const std::string name(mix.name);
        benchmark::RegisterBenchmark(("session/" + name).c_str(), session, mix);
        if (mix.pipeline == 16 || name.ends_with("16k")) {
            benchmark::RegisterBenchmark(("command_reader/" + name).c_str(), command_reader, mix);
            benchmark::RegisterBenchmark(("reply_reader/" + name).c_str(), reply_reader, mix);
        }
    }
    benchmark::RegisterBenchmark("guard/pass_and_settle", guard);
    benchmark::RegisterBenchmark("growth_ledger/add", growth_ledger);
    benchmark::RegisterBenchmark("command_table/find", command_lookup);
    benchmark::Initialize(&argc, argv);
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
