// A queue in fixed blocks from a pool that all sessions of a shard share: an empty queue owns
// nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

namespace spillway::core {

// Blocks of one size, kept for the next queue that needs one. One thread.
class BlockPool {
  public:
    static constexpr std::size_t block_bytes = 512;
    static constexpr std::size_t kept_max = 4096;

    struct alignas(std::max_align_t) Block {
        Block* next = nullptr;
        std::array<std::byte, block_bytes - sizeof(Block*) - 8> bytes;
    };

    // With a few at hand, so that what is queued rarely finds one too.
    BlockPool() {
        constexpr std::size_t first = 8;
        kept_.reserve(4 * first);
        while (kept_.size() < first) {
            kept_.push_back(std::make_unique<Block>());
        }
    }

    [[nodiscard]] Block* take() {
        if (kept_.empty()) {
            return new Block;
        }
        Block* block = kept_.back().release();
        kept_.pop_back();
        block->next = nullptr;
        return block;
    }
    void give_back(Block* block) {
        std::unique_ptr<Block> owned(block);
        if (kept_.size() < kept_max) {
            kept_.push_back(std::move(owned));
        }
    }

  private:
    std::vector<std::unique_ptr<Block>> kept_;
};

template <typename T>
class BlockQueue {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

  public:
    static constexpr std::size_t per_block = sizeof(BlockPool::Block::bytes) / sizeof(T);

    explicit BlockQueue(BlockPool& pool) noexcept : pool_(&pool) {}
    BlockQueue(const BlockQueue&) = delete;
    BlockQueue& operator=(const BlockQueue&) = delete;
    ~BlockQueue() { pop(size_); }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    // Front and back of a queue that is not empty.
    [[nodiscard]] T& front() noexcept { return items(head_)[head_at_]; }
    [[nodiscard]] T& back() noexcept { return items(tail_)[tail_end_ - 1]; }

    void push(const T& item) { grow() = item; }
    // One item more at the back, with nothing set in it.
    [[nodiscard]] T& grow() {
        if (tail_ == nullptr || tail_end_ == per_block) {
            add_block();
        }
        ++size_;
        return *new (&items(tail_)[tail_end_++]) T;
    }
    // Drops `count` items from the front, at most size().
    void pop(std::size_t count) {
        size_ -= count;
        while (count > 0) {
            const std::size_t end = head_ == tail_ ? tail_end_ : per_block;
            const std::size_t step = std::min(count, end - head_at_);
            count -= step;
            head_at_ += step;
            if (head_at_ != end) {
                return;
            }
            BlockPool::Block* next = head_->next;
            pool_->give_back(head_);
            head_ = next;
            head_at_ = 0;
            if (head_ == nullptr) {
                tail_ = nullptr;
                tail_end_ = 0;
            }
        }
    }

  private:
    [[gnu::noinline]] void add_block() {
        BlockPool::Block* block = pool_->take();
        (tail_ == nullptr ? head_ : tail_->next) = block;
        tail_ = block;
        tail_end_ = 0;
    }
    [[nodiscard]] static T* items(BlockPool::Block* block) noexcept {
        return std::launder(reinterpret_cast<T*>(block->bytes.data()));
    }

    BlockPool* pool_;
    BlockPool::Block* head_ = nullptr;
    BlockPool::Block* tail_ = nullptr;
    std::size_t size_ = 0;
    std::size_t head_at_ = 0;
    std::size_t tail_end_ = 0;
};

}  // namespace spillway::core
