// What goes to one destination in a pass: pieces that lie in other buffers, in order, for one send.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace spillway::core {

// Pieces stay valid until the pass is flushed. Text of our own is copied into scratch memory that
// the output owns.
class Output {
  public:
    static constexpr std::size_t pieces_max = 64;
    static constexpr std::size_t scratch_bytes = 64 * 1024;

    // False when there is no place: flush first.
    [[nodiscard]] bool add(std::string_view piece) noexcept {
        if (piece.empty()) {
            return true;
        }
        if (count_ > 0 && pieces_[count_ - 1].data() + pieces_[count_ - 1].size() == piece.data()) {
            pieces_[count_ - 1] = {
                pieces_[count_ - 1].data(), pieces_[count_ - 1].size() + piece.size()};
            return true;
        }
        if (count_ == pieces_max) {
            return false;
        }
        pieces_[count_++] = piece;
        return true;
    }
    // A copy of `text`, which must be shorter than scratch_bytes.
    [[nodiscard]] bool add_copy(std::string_view text) noexcept {
        if (scratch_bytes - scratch_used_ < text.size()) {
            return false;
        }
        char* place = scratch_.get() + scratch_used_;
        std::memcpy(place, text.data(), text.size());
        if (!add({place, text.size()})) {
            return false;
        }
        scratch_used_ += text.size();
        return true;
    }

    // A place for one piece and one copy of at most this many bytes is certain.
    [[nodiscard]] bool has_place_for(std::size_t copy_bytes) const noexcept {
        return count_ + 4 <= pieces_max && scratch_bytes - scratch_used_ >= copy_bytes;
    }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::span<const std::string_view> pieces() const noexcept {
        return {pieces_.data(), count_};
    }
    void clear() noexcept {
        count_ = 0;
        scratch_used_ = 0;
    }

  private:
    std::array<std::string_view, pieces_max> pieces_{};
    std::size_t count_ = 0;
    std::size_t scratch_used_ = 0;
    std::unique_ptr<char[]> scratch_ = std::make_unique<char[]>(scratch_bytes);
};

}  // namespace spillway::core
