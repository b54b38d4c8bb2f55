// Bytes on their way that a socket did not take: empty, and owning nothing, most of the time.
#include "proxy/core/relay_buffer.hpp"

#include <algorithm>
#include <cstring>

namespace spillway::core {

void RelayBuffer::append(std::string_view bytes) {
    if (bytes.empty()) {
        return;
    }
    if (!blocks_) {
        blocks_ = std::make_unique<Blocks>();
    }
    size_ += bytes.size();
    while (!bytes.empty()) {
        if (blocks_->queue.empty() ||
            blocks_->queue.back().filled == blocks_->queue.back().capacity) {
            const bool small = blocks_->queue.empty() && bytes.size() <= small_block_bytes;
            Block block;
            block.capacity = small ? small_block_bytes : block_bytes;
            block.bytes.reset(new char[block.capacity]
            );  // not zeroed: it is filled before it is read
            blocks_->queue.push_back(std::move(block));
        }
        Block& block = blocks_->queue.back();
        const std::size_t step = std::min(bytes.size(), block.capacity - block.filled);
        std::memcpy(block.bytes.get() + block.filled, bytes.data(), step);
        block.filled += step;
        bytes.remove_prefix(step);
    }
}

std::string_view RelayBuffer::front() const noexcept {
    if (size_ == 0) {
        return {};
    }
    const Block& block = blocks_->queue.front();
    return {block.bytes.get() + block.sent, block.filled - block.sent};
}

void RelayBuffer::consume(std::size_t count) noexcept {
    if (count == 0) {
        return;
    }
    Block& block = blocks_->queue.front();
    block.sent += count;
    size_ -= count;
    if (block.sent == block.filled) {
        blocks_->queue.pop_front();
    }
    if (size_ == 0) {
        blocks_.reset();
    }
}

void RelayBuffer::clear() noexcept {
    blocks_.reset();
    size_ = 0;
}

}  // namespace spillway::core
