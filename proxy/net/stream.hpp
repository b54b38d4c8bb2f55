// A connection's socket, with TLS over it or without: one and the same to who reads and writes it.
#pragma once

#include "proxy/net/socket.hpp"
#include "proxy/net/tls_session.hpp"

#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace spillway::net {

// Plain connections pay for TLS with a look at one pointer.
class Stream {
  public:
    void open(Fd fd) noexcept {
        tls_.reset();
        fd_ = std::move(fd);
    }
    void close() noexcept { open(Fd()); }
    // False when memory is short. The handshake is the caller's to drive.
    [[nodiscard]] bool secure(const TlsContext& context) {
        tls_ = TlsSession::begin(context);
        return tls_ != nullptr;
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    // Null without TLS.
    [[nodiscard]] TlsSession* tls() const noexcept { return tls_.get(); }

    [[nodiscard]] IoResult read(std::span<char> into) {
        return tls_ ? tls_->read(fd_.get(), into) : read_some(fd_.get(), into);
    }
    // After a read of `bytes` into an area of `size`: nothing is left, and what comes later is told
    // anew.
    [[nodiscard]] bool drained(std::size_t bytes, std::size_t size) const noexcept {
        return tls_ ? !tls_->more() : bytes < size;
    }
    // What it does not take goes on when the socket is writable.
    [[nodiscard]] IoResult write(std::span<const std::string_view> pieces) {
        return tls_ ? tls_->write(fd_.get(), pieces) : write_some(fd_.get(), pieces);
    }
    // Bytes that were taken are not in the socket yet.
    [[nodiscard]] bool unsent() const noexcept { return tls_ && tls_->unsent(); }
    [[nodiscard]] IoStatus flush() { return unsent() ? tls_->flush(fd_.get()) : IoStatus::done; }
    // No more will be written; what was written still arrives.
    void finish() {
        if (tls_) {
            tls_->finish(fd_.get());
        } else {
            finish_writing(fd_.get());
        }
    }

  private:
    Fd fd_;
    std::unique_ptr<TlsSession> tls_;
};

}  // namespace spillway::net
