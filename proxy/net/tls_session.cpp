// One connection's TLS over a non-blocking socket: whole reads and whole writes, as a plain socket
// has them.
#include "proxy/net/tls_session.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace spillway::net {
namespace {

constexpr std::size_t record_bytes = SSL3_RT_MAX_PLAIN_LENGTH;
// One record with all that surrounds it. OpenSSL may hold the begin of one from before.
constexpr std::size_t record_bytes_max = SSL3_RT_MAX_ENCRYPTED_LENGTH + SSL3_RT_HEADER_LENGTH;
constexpr std::size_t batch_bytes = 4 * record_bytes;  // encrypted before they are sent
constexpr std::size_t receive_bytes = 64 * 1024;
// What a peer that reads nothing can make us say: answers to its key updates.
constexpr std::size_t unsent_bytes_max = 256 * 1024;

// Within one call only, so all connections of a thread share it.
struct Scratch {
    std::array<char, receive_bytes> input;
    std::array<char, record_bytes> gathered;
    std::string output;
};

Scratch& scratch() {
    thread_local std::unique_ptr<Scratch> own;
    if (!own) {
        own = std::make_unique<Scratch>();
        own->output.reserve(batch_bytes + 4 * 1024);
    }
    return *own;
}

TlsSession& session_of(BIO* bio) {
    return *static_cast<TlsSession*>(BIO_get_data(bio));
}

}  // namespace

std::unique_ptr<TlsSession> TlsSession::begin(const TlsContext& context) {
    SSL* const ssl = context.connection();
    if (ssl == nullptr) {
        return nullptr;
    }
    std::unique_ptr<TlsSession> session(new TlsSession(ssl));
    if (!session->connect_bio()) {
        return nullptr;
    }
    return session;
}

TlsSession::~TlsSession() {
    SSL_free(ssl_);
}

bool TlsSession::connect_bio() {
    static BIO_METHOD* const method = [] {
        BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "memory");
        if (made != nullptr) {
            (void)BIO_meth_set_read(made, &TlsSession::take_input);
            (void)BIO_meth_set_write(made, &TlsSession::give_output);
            (void)BIO_meth_set_ctrl(made, &TlsSession::control);
        }
        return made;
    }();
    BIO* const bio = method == nullptr ? nullptr : BIO_new(method);
    if (bio == nullptr) {
        return false;
    }
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_, bio, bio);
    return true;
}

int TlsSession::take_input(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    std::string_view& input = session_of(bio).input_;
    if (input.empty()) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const std::size_t count = std::min(input.size(), static_cast<std::size_t>(size));
    std::memcpy(into, input.data(), count);
    input.remove_prefix(count);
    return static_cast<int>(count);
}

int TlsSession::give_output(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    scratch().output.append(from, static_cast<std::size_t>(size));
    return size;
}

long TlsSession::control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

IoResult TlsSession::handshake(int fd) {
    if (unsent() && flush(fd) == IoStatus::failed) {
        return fail();
    }
    if (!early_.empty()) {
        received_ = true;
    }
    input_ = early_;
    while (true) {
        ERR_clear_error();
        const int result = SSL_do_handshake(ssl_);
        const int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
        if (error == SSL_ERROR_NONE || input_.empty()) {
            keep_rest();
        }
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
            explain_failure();
        }
        // Where the peer has closed already, its last word is still to be read.
        (void)send_output(fd);
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ) {
            return fail();
        }
        if (error == SSL_ERROR_NONE) {
            established_ = true;
            return {};
        }
        IoResult got;
        if (!receive(fd, receive_bytes, got)) {
            // A peer that likes no certificate may reset the connection over its own alert.
            if (got.status != IoStatus::blocked && received_) {
                problem_ = "the connection ended within the handshake";
                return fail();
            }
            return got;
        }
    }
}

// False when nothing came: `result` says why.
bool TlsSession::receive(int fd, std::size_t bytes_max, IoResult& result) {
    auto& input = scratch().input;
    result = read_some(fd, std::span(input).first(std::min(bytes_max, input.size())));
    if (result.status != IoStatus::done) {
        return false;
    }
    received_ = true;
    input_ = {input.data(), result.bytes};
    return true;
}

// Part of a record is nothing to the caller: only what the socket says of its end may be told.
IoResult TlsSession::read(int fd, std::span<char> into) {
    more_ = false;
    std::size_t filled = 0;
    while (filled == 0) {
        if (end_ != End::none) {
            return {end_ == End::closed ? IoStatus::closed : IoStatus::failed, 0, 0};
        }
        if (area_full_ || !early_.empty()) {
            input_ = early_;
            more_ = true;
        } else {
            // Leaves place for what OpenSSL has of the record before, so that all fits.
            const std::size_t wanted =
                std::min(receive_bytes, into.size() - std::min(record_bytes_max, into.size() / 2));
            IoResult got;
            if (!receive(fd, wanted, got)) {
                // A peer that goes away without having read all, be it only a ticket, resets.
                if (got.status == IoStatus::failed && got.error == ECONNRESET) {
                    got.status = IoStatus::closed;
                }
                truncated_ = got.status == IoStatus::closed;
                return got;
            }
            more_ = got.bytes == wanted;
        }
        decrypt(into, filled);
        keep_rest();
        (void)send_output(fd);
        if (unsent_.size() > unsent_bytes_max) {
            return fail();
        }
        area_full_ = filled == into.size();
        more_ = more_ || area_full_ || end_ != End::none;
    }
    return {IoStatus::done, filled, 0};
}

void TlsSession::decrypt(std::span<char> into, std::size_t& filled) {
    while (filled < into.size()) {
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_, into.data() + filled, into.size() - filled, &count);
        if (result == 1) {
            filled += count;
            continue;
        }
        switch (SSL_get_error(ssl_, result)) {
            case SSL_ERROR_WANT_READ:
                return;
            case SSL_ERROR_ZERO_RETURN:
                end_ = End::closed;
                return;
            default:
                explain_failure();
                end_ = End::failed;
                return;
        }
    }
}

// OpenSSL has taken all of it, unless the handshake or a full area ended its reading.
void TlsSession::keep_rest() {
    if (input_.size() != early_.size()) {
        early_ = std::string(input_);
    }
    input_ = {};
}

IoResult TlsSession::write(int fd, std::span<const std::string_view> pieces) {
    if (unsent()) {
        const IoStatus status = flush(fd);
        if (status != IoStatus::done) {
            return {status, 0, 0};
        }
    }
    auto& gathered = scratch().gathered;
    std::size_t waiting = 0;  // gathered
    std::size_t batch = 0;    // taken since the last send
    std::size_t taken = 0;
    for (std::string_view piece : pieces) {
        while (!piece.empty()) {
            const std::size_t step = std::min(piece.size(), record_bytes - waiting);
            const std::string_view part = piece.substr(0, step);
            piece.remove_prefix(step);
            taken += step;
            batch += step;
            if (step == record_bytes) {
                if (!encrypt(part)) {
                    return fail();
                }
            } else {
                std::memcpy(gathered.data() + waiting, part.data(), step);
                waiting += step;
            }
            if (waiting == record_bytes || (batch >= batch_bytes && waiting > 0)) {
                if (!encrypt({gathered.data(), std::exchange(waiting, 0)})) {
                    return fail();
                }
            }
            if (batch >= batch_bytes) {
                batch = 0;
                if (!send_output(fd)) {  // why the peer has closed may still be read
                    return {IoStatus::failed, 0, 0};
                }
                if (unsent()) {
                    return {IoStatus::done, taken, 0};
                }
            }
        }
    }
    if (waiting > 0 && !encrypt({gathered.data(), waiting})) {
        return fail();
    }
    if (!send_output(fd)) {
        return {IoStatus::failed, 0, 0};
    }
    return {IoStatus::done, taken, 0};
}

bool TlsSession::encrypt(std::string_view record) {
    ERR_clear_error();
    std::size_t written = 0;
    if (SSL_write_ex(ssl_, record.data(), record.size(), &written) == 1) {
        return true;
    }
    explain_failure();
    return false;
}

// What OpenSSL said, behind what the socket refused before.
bool TlsSession::send_output(int fd) {
    std::string& output = scratch().output;
    if (output.empty()) {
        return true;
    }
    std::size_t sent = 0;
    bool works = true;
    if (unsent_.empty()) {
        const std::string_view all = output;
        const IoResult result = write_some(fd, {&all, 1});
        works = result.status != IoStatus::failed;
        sent = result.bytes;
    }
    if (works && sent < output.size()) {
        unsent_.append(output, sent, std::string::npos);
    }
    output.clear();
    return works;
}

IoStatus TlsSession::flush(int fd) {
    const std::string_view all = unsent_;
    const IoResult result = write_some(fd, {&all, 1});
    if (result.status != IoStatus::done) {
        return result.status;
    }
    if (result.bytes < unsent_.size()) {
        unsent_.erase(0, result.bytes);
        return IoStatus::blocked;
    }
    std::string().swap(unsent_);
    if (finishing_) {
        finish_writing(fd);
    }
    return IoStatus::done;
}

bool TlsSession::resumed() const noexcept {
    return SSL_session_reused(ssl_) == 1;
}

void TlsSession::finish(int fd) {
    if (!finishing_ && established_ && end_ != End::failed) {
        ERR_clear_error();
        (void)SSL_shutdown(ssl_);
        (void)send_output(fd);
    }
    finishing_ = true;
    if (!unsent()) {
        finish_writing(fd);
    }
}

IoResult TlsSession::fail(int error) {
    end_ = End::failed;
    scratch().output.clear();
    return {IoStatus::failed, 0, error};
}

void TlsSession::explain_failure() {
    const unsigned long error = ERR_peek_error();
    const int reason = ERR_GET_REASON(error);
    const long verdict = SSL_get_verify_result(ssl_);
    const char* const text = ERR_reason_error_string(error);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK) {
        problem_ = std::string("the certificate is not accepted: ") +
                   X509_verify_cert_error_string(verdict);
    } else if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
        problem_ = "the other side does not speak TLS";
    } else {
        problem_ = text == nullptr ? "OpenSSL says no more" : text;
    }
    ERR_clear_error();
}

}  // namespace spillway::net
