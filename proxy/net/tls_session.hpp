// One connection's TLS over a non-blocking socket: whole reads and whole writes, as a plain socket
// has them.
//
//   read   socket ── one recv ──► scratch ── OpenSSL ──► the caller's area
//   write  pieces ── gathered into records ── OpenSSL ──► scratch ── one send ──► socket
//                                                        what it refuses: unsent_
//
// OpenSSL never sees the socket: its records are read and written in memory, so that nothing is
// left to be asked for again with the same buffer, and many records cost one system call.
#pragma once

#include "proxy/net/socket.hpp"
#include "proxy/net/tls_context.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>

struct bio_st;

namespace spillway::net {

class TlsSession {
  public:
    // Null when memory is short.
    [[nodiscard]] static std::unique_ptr<TlsSession> begin(const TlsContext& context);
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;
    ~TlsSession();

    // What was read from the socket before it was known to be TLS.
    void take_early(std::string_view received) { early_.append(received); }
    // done = established; blocked = go on when the socket is readable or, with unsent(), writable;
    // closed = the peer went away without a word.
    [[nodiscard]] IoResult handshake(int fd);
    [[nodiscard]] bool established() const noexcept { return established_; }
    // The handshake took up an earlier session, and so needed no certificate.
    [[nodiscard]] bool resumed() const noexcept;

    // `closed` also when the peer ended without saying so by TLS: see truncated().
    [[nodiscard]] IoResult read(int fd, std::span<char> into);
    // The last read may have left something: the next event may not come before it is read.
    [[nodiscard]] bool more() const noexcept { return more_; }
    // Takes all, unless the socket is full; then the rest is for when it is writable.
    [[nodiscard]] IoResult write(int fd, std::span<const std::string_view> pieces);
    // Bytes that write() took wait for the socket: flush() when it is writable.
    [[nodiscard]] bool unsent() const noexcept { return !unsent_.empty(); }
    [[nodiscard]] IoStatus flush(int fd);
    // No more will be written: said by TLS, then by the socket, behind all that was.
    void finish(int fd);

    [[nodiscard]] bool truncated() const noexcept { return truncated_; }
    // Why it failed; empty where the socket did.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

  private:
    enum class End : std::uint8_t { none, closed, failed };

    explicit TlsSession(ssl_st* ssl) noexcept : ssl_(ssl) {}

    static int take_input(bio_st* bio, char* into, int size);
    static int give_output(bio_st* bio, const char* from, int size);
    static long control(bio_st* bio, int command, long number, void* pointer);
    [[nodiscard]] bool connect_bio();

    [[nodiscard]] bool receive(int fd, std::size_t bytes_max, IoResult& result);
    void decrypt(std::span<char> into, std::size_t& filled);
    [[nodiscard]] bool encrypt(std::string_view record);
    [[nodiscard]] bool send_output(int fd);
    void keep_rest();
    IoResult fail(int error = 0);
    void explain_failure();

    ssl_st* ssl_;
    std::string_view input_;  // received and not yet taken by OpenSSL: within one call
    std::string early_;       // the same from one call to the next: hardly ever
    std::string unsent_;
    std::string problem_;
    End end_ = End::none;
    bool established_ = false;
    bool received_ = false;   // anything at all
    bool area_full_ = false;  // and so OpenSSL may hold more
    bool more_ = false;
    bool truncated_ = false;
    bool finishing_ = false;
};

}  // namespace spillway::net
