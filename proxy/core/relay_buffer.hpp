// Bytes on their way that a socket did not take: empty, and owning nothing, most of the time.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string_view>

namespace spillway::core {

// A queue of bytes in blocks; memory goes back as it drains. The bound is the owner's to keep: see
// size().
class RelayBuffer {
  public:
    static constexpr std::size_t block_bytes = 64 * 1024;
    static constexpr std::size_t small_block_bytes = 4 * 1024;

    void append(std::string_view bytes);
    // The next bytes that lie in one piece; empty when there are none.
    [[nodiscard]] std::string_view front() const noexcept;
    // Drops `count` bytes, at most what front() shows.
    void consume(std::size_t count) noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    void clear() noexcept;

  private:
    struct Block {
        std::unique_ptr<char[]> bytes;
        std::size_t capacity = 0;
        std::size_t sent = 0;  // sent <= filled <= capacity
        std::size_t filled = 0;
    };
    struct Blocks {
        std::deque<Block> queue;
    };
    std::unique_ptr<Blocks> blocks_;
    std::size_t size_ = 0;
};

}  // namespace spillway::core
