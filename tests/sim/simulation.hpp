// What all simulations have in common: a seed, the schedule that is drawn from it, and how to run
// one again that failed.
//
// Other seeds, or more of them: SPILLWAY_SIM_SEEDS=<first>:<count>; one alone:
// SPILLWAY_SIM_SEEDS=<seed>.
#pragma once

#include "tests/sim/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

namespace spillway::sim {

using policy::millisecond;
using policy::second;

// Worlds that take long have fewer of them by default.
inline constexpr std::uint64_t many_seeds = 200;
inline constexpr std::uint64_t some_seeds = 100;

inline auto seeds(std::uint64_t count = many_seeds) {
    std::uint64_t first = 1;
    if (const char* asked = std::getenv("SPILLWAY_SIM_SEEDS"); asked != nullptr) {
        char* colon = nullptr;
        first = std::strtoull(asked, &colon, 10);
        count = *colon == ':' ? std::strtoull(colon + 1, nullptr, 10) : 1;
    }
    return testing::Range<std::uint64_t>(first, first + count);
}

// Draws a schedule.
class Draw {
  public:
    explicit Draw(std::uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15ULL) {}
    [[nodiscard]] std::int64_t number(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
    }
    [[nodiscard]] double share(double low, double high) {
        return std::uniform_real_distribution<double>(low, high)(random_);
    }
    template <typename T>
    [[nodiscard]] T one_of(std::initializer_list<T> choices) {
        return *(choices.begin() + number(0, static_cast<std::int64_t>(choices.size()) - 1));
    }

  private:
    std::mt19937_64 random_;
};

class Simulation : public testing::TestWithParam<std::uint64_t> {
  protected:
    Simulation() : draw(GetParam()), seed(GetParam()) {}

    void TearDown() override {
        if (HasFailure()) {
            const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
            const std::string name = test.name();
            std::fprintf(
                stderr,
                "seed %llu; again: SPILLWAY_SIM_SEEDS=%llu test_sim --gtest_filter='%s.%s/*'\n",
                static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(seed),
                test.test_suite_name(),
                name.substr(0, name.find('/')).c_str()
            );
        }
    }

    RedisModel::Settings any_redis() {
        RedisModel::Settings redis;
        redis.maxmemory = draw.one_of<std::int64_t>({16, 32, 64, 128}) * mib;
        redis.noise_bytes = std::min<std::int64_t>(redis.maxmemory / 1500, 40 * 1024);
        return redis;
    }
    policy::GuardSettings any_guard() {
        policy::GuardSettings guard;
        guard.horizon = draw.one_of<Nanos>({0, second, second, 2 * second});
        return guard;
    }
    // A burst of its own: how many clients, how deep their pipelines, how large their values.
    Load any_load() {
        Load load;
        load.connections = static_cast<int>(draw.number(1, 12));
        load.depth = draw.one_of<int>({1, 4, 16, 100});
        load.value_min = draw.one_of<std::int64_t>({20, 200, 1000, 4000});
        load.value_max = load.value_min * draw.number(1, 4);
        load.per_second = draw.one_of<double>({0, 0, 3000, 20'000});
        return load;
    }
    Draw draw;
    std::uint64_t seed;
};

}  // namespace spillway::sim
