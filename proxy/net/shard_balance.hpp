// Says which shard a new client goes to: the first that has not many more than the one with the
// fewest.
//
// So a handful of clients share a thread. That keeps what an application does over several
// connections in its order, which threads of their own would shuffle by microseconds where Redis
// and a plain forwarder do not, and it spares wake-ups. Many clients spread evenly.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace spillway::net {

class ShardBalance {
  public:
    // A shard may have this many clients more than another.
    static constexpr std::uint32_t lead_max = 16;

    explicit ShardBalance(std::size_t shards)
        : count_(shards), clients_(std::make_unique<Cell[]>(shards)) {}

    // Any thread. Counts the client; callers that ask at one moment may be told the same shard.
    [[nodiscard]] std::size_t take() noexcept {
        std::uint32_t fewest = clients(0);
        for (std::size_t shard = 1; shard < count_; ++shard) {
            fewest = std::min(fewest, clients(shard));
        }
        std::size_t chosen = 0;
        while (clients(chosen) >= fewest + lead_max && chosen + 1 < count_) {
            ++chosen;
        }
        clients_[chosen].value.fetch_add(1, std::memory_order_relaxed);
        return chosen;
    }
    void give_back(std::size_t shard) noexcept {
        clients_[shard].value.fetch_sub(1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint32_t clients(std::size_t shard) const noexcept {
        return clients_[shard].value.load(std::memory_order_relaxed);
    }

  private:
    struct alignas(64) Cell {
        std::atomic<std::uint32_t> value{0};
    };
    std::size_t count_;
    std::unique_ptr<Cell[]> clients_;
};

}  // namespace spillway::net
