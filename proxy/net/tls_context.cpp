// Makes OpenSSL's contexts from PEM texts, and says in plain words what is wrong with one.
#include "proxy/net/tls_context.hpp"

#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace spillway::net {
namespace {

struct Free {
    void operator()(BIO* bio) const noexcept { (void)BIO_free(bio); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using Bio = std::unique_ptr<BIO, Free>;
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;
using Trouble = std::optional<TlsContext::Problem>;

Bio bytes_of(const conf::PemFile& file) {
    const std::string& text = file.text.reveal();
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string last_reason() {
    const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason == nullptr ? "OpenSSL says no more" : reason;
}

// Nobody is there to be asked.
int no_passphrase(char* /*into*/, int /*size*/, int /*writes*/, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

Certificate next_certificate(const Bio& bio) {
    bool asked = false;
    return Certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, &asked));
}

// After the last certificate: was it the end of the text, or one that cannot be read?
bool at_end() {
    const bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (end) {
        ERR_clear_error();
    }
    return end;
}

std::string date_of(const ASN1_TIME* time) {
    const Bio bio(BIO_new(BIO_s_mem()));
    char* text = nullptr;
    if (!bio || ASN1_TIME_print(bio.get(), time) != 1) {
        return "an unreadable date";
    }
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

void look_at_dates(
    const X509* certificate, const std::string& path, std::vector<std::string>& warnings
) {
    const ASN1_TIME* const begin = X509_get0_notBefore(certificate);
    const ASN1_TIME* const end = X509_get0_notAfter(certificate);
    if (X509_cmp_current_time(end) < 0) {
        warnings.push_back(path + ": expired on " + date_of(end));
    } else if (X509_cmp_current_time(begin) > 0) {
        warnings.push_back(path + ": is not valid before " + date_of(begin));
    }
}

Trouble use_certificate(
    SSL_CTX* context, const conf::PemFile& file, std::vector<std::string>& warnings
) {
    const Bio bio = bytes_of(file);
    const Certificate own = next_certificate(bio);
    if (!own) {
        const std::string what = at_end() ? "holds no certificate (PEM)" : last_reason();
        return TlsContext::Problem{"cert", file.path + ": " + what};
    }
    if (SSL_CTX_use_certificate(context, own.get()) != 1) {
        return TlsContext::Problem{"cert", file.path + ": " + last_reason()};
    }
    look_at_dates(own.get(), file.path, warnings);
    while (Certificate issuer = next_certificate(bio)) {
        if (SSL_CTX_add0_chain_cert(context, issuer.get()) != 1) {
            return TlsContext::Problem{"cert", file.path + ": " + last_reason()};
        }
        (void)issuer.release();
    }
    if (!at_end()) {
        return TlsContext::Problem{
            "cert", file.path + ": a certificate of its chain cannot be read: " + last_reason()};
    }
    return std::nullopt;
}

Trouble use_key(SSL_CTX* context, const conf::Tls& settings) {
    const bool apart = !settings.key.path.empty();
    const conf::PemFile& file = apart ? settings.key : settings.cert;
    const std::string_view field = apart ? "key" : "cert";
    const Bio bio = bytes_of(file);
    bool asked = false;
    const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked));
    if (asked) {
        ERR_clear_error();
        return TlsContext::Problem{
            field,
            file.path +
                ": the key is encrypted, and nobody is asked for its passphrase: store it "
                "decrypted, readable by Spillway's user alone"};
    }
    if (!key) {
        ERR_clear_error();
        return TlsContext::Problem{
            field,
            file.path + ": holds no private key (PEM)" +
                (apart ? "" : "; where it has a file of its own, set tls.key")};
    }
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        ERR_clear_error();
        return TlsContext::Problem{
            field, file.path + ": is not the key of the certificate in " + settings.cert.path};
    }
    return std::nullopt;
}

Trouble use_authorities(SSL_CTX* context, const conf::PemFile& file, bool told_to_peer) {
    const Bio bio = bytes_of(file);
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    std::size_t count = 0;
    while (const Certificate authority = next_certificate(bio)) {
        ++count;
        if (X509_STORE_add_cert(store, authority.get()) != 1 ||
            (told_to_peer && SSL_CTX_add_client_CA(context, authority.get()) != 1)) {
            return TlsContext::Problem{"ca", file.path + ": " + last_reason()};
        }
    }
    if (!at_end()) {
        return TlsContext::Problem{
            "ca", file.path + ": a certificate cannot be read: " + last_reason()};
    }
    if (count == 0) {
        return TlsContext::Problem{"ca", file.path + ": holds no certificate (PEM)"};
    }
    return std::nullopt;
}

Trouble use_ciphers(SSL_CTX* context, const conf::Tls& settings) {
    const int version =
        settings.min_version == conf::TlsVersion::v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    (void)SSL_CTX_set_min_proto_version(context, version);
    if (!settings.ciphers.empty() &&
        SSL_CTX_set_cipher_list(context, settings.ciphers.c_str()) != 1) {
        ERR_clear_error();
        return TlsContext::Problem{"ciphers", "names no cipher of TLS 1.2 that OpenSSL has"};
    }
    return std::nullopt;
}

Trouble use_ciphersuites(SSL_CTX* context, const std::string& suites) {
    if (!suites.empty() && SSL_CTX_set_ciphersuites(context, suites.c_str()) != 1) {
        ERR_clear_error();
        return TlsContext::Problem{
            "ciphersuites", "names a cipher suite of TLS 1.3 that OpenSSL does not have"};
    }
    return std::nullopt;
}

// All is said at once.
void add(Trouble& trouble, Trouble next) {
    if (!trouble) {
        trouble = std::move(next);
    } else if (next) {
        trouble->further.push_back(*std::move(next));
    }
}

// The newest session that a backend gave us: with it the next handshake needs no certificate, whose
// signature is most of what a handshake costs the server. Never carried over to another context,
// which may trust others.
class LastSession {
  public:
    ~LastSession() { SSL_SESSION_free(session_); }

    // It and the callbacks of OpenSSL live as long as the context: connections may outlast ours.
    static void keep_in(SSL_CTX* context) {
        if (SSL_CTX_set_ex_data(context, index(), new LastSession) != 1) {
            throw std::bad_alloc();
        }
        (void)SSL_CTX_set_session_cache_mode(
            context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
        );
        SSL_CTX_sess_set_new_cb(context, keep);
    }

    static void resume(SSL* ssl) {
        LastSession& last = of(SSL_get_SSL_CTX(ssl));
        const std::lock_guard lock(last.mutex_);
        if (last.session_ == nullptr || SSL_SESSION_is_resumable(last.session_) != 1) {
            return;
        }
        SSL_SESSION* const session = SSL_SESSION_dup(last.session_);
        (void)SSL_set_session(ssl, session);
        SSL_SESSION_free(session);
    }

  private:
    static void
    destroy(void* /*context*/, void* last, CRYPTO_EX_DATA* /*all*/, int /*index*/, long, void*) {
        delete static_cast<LastSession*>(last);
    }
    static int index() {
        static const int value = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, destroy);
        return value;
    }
    static LastSession& of(const SSL_CTX* context) {
        return *static_cast<LastSession*>(SSL_CTX_get_ex_data(context, index()));
    }
    // A copy, as resume() gives each connection one: those that fail, or end without a farewell,
    // spoil theirs. 0 = the original is not ours.
    static int keep(SSL* ssl, SSL_SESSION* session) {
        LastSession& last = of(SSL_get_SSL_CTX(ssl));
        const std::lock_guard lock(last.mutex_);
        SSL_SESSION_free(std::exchange(last.session_, SSL_SESSION_dup(session)));
        return 0;
    }

    std::mutex mutex_;
    SSL_SESSION* session_ = nullptr;
};

bool is_ip(const std::string& host) {
    in6_addr address{};
    return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// A certificate names a host without the dot that ends it.
std::string name_of_server(const conf::Tls& settings, std::string host) {
    std::string name = settings.server_name.empty() ? std::move(host) : settings.server_name;
    if (name.ends_with('.')) {
        name.pop_back();
    }
    return name;
}

Trouble use_own(SSL_CTX* context, const conf::Tls& settings, std::vector<std::string>& warnings) {
    Trouble trouble = use_ciphers(context, settings);
    add(trouble, use_ciphersuites(context, settings.ciphersuites));
    if (!settings.cert.path.empty()) {
        auto of_certificate = use_certificate(context, settings.cert, warnings);
        add(trouble, of_certificate ? std::move(of_certificate) : use_key(context, settings));
    }
    return trouble;
}

}  // namespace

TlsContext::TlsContext(bool accepts)
    : context_(SSL_CTX_new(accepts ? TLS_server_method() : TLS_client_method())),
      accepts_(accepts) {
    if (context_ == nullptr) {
        throw std::bad_alloc();
    }
    (void)SSL_CTX_set_options(
        context_,
        SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
            SSL_OP_PRIORITIZE_CHACHA
    );
    // An idle connection holds no buffers.
    (void)SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    (void)SSL_CTX_set_dh_auto(context_, 1);
    if (!accepts) {
        LastSession::keep_in(context_);
        return;
    }
    // Clients resume theirs by ticket: nothing is kept here for those that may never come back.
    (void)SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(context_, 1);
}

TlsContext::~TlsContext() {
    SSL_CTX_free(context_);
}

TlsContext::Opened TlsContext::for_listener(const conf::Tls& settings) {
    const std::shared_ptr<TlsContext> made(new TlsContext(true));
    Trouble trouble = use_own(made->context_, settings, made->warnings_);
    if (!settings.ca.path.empty()) {
        add(trouble, use_authorities(made->context_, settings.ca, true));
        SSL_CTX_set_verify(
            made->context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr
        );
        // Without one, a session that began with a certificate could not be resumed.
        constexpr std::string_view id = "spillway";
        (void)SSL_CTX_set_session_id_context(
            made->context_, reinterpret_cast<const unsigned char*>(id.data()), id.size()
        );
    }
    if (trouble) {
        return *std::move(trouble);
    }
    return made;
}

TlsContext::Opened TlsContext::for_backend(const conf::Tls& settings, const std::string& host) {
    const std::shared_ptr<TlsContext> made(new TlsContext(false));
    made->server_name_ = name_of_server(settings, host);
    Trouble trouble = use_own(made->context_, settings, made->warnings_);
    if (settings.ca.path.empty()) {
        (void)SSL_CTX_set_default_verify_paths(made->context_);
    } else {
        add(trouble, use_authorities(made->context_, settings.ca, false));
    }
    if (trouble) {
        return *std::move(trouble);
    }
    SSL_CTX_set_verify(made->context_, SSL_VERIFY_PEER, nullptr);
    return made;
}

SSL* TlsContext::connection() const noexcept {
    SSL* const ssl = SSL_new(context_);
    if (ssl == nullptr) {
        ERR_clear_error();
        return nullptr;
    }
    if (accepts_) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_set_connect_state(ssl);
    LastSession::resume(ssl);
    bool named = false;
    if (is_ip(server_name_)) {  // which has no name to send
        named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name_.c_str()) == 1;
    } else {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        named = !server_name_.empty() && SSL_set1_host(ssl, server_name_.c_str()) == 1 &&
                SSL_set_tlsext_host_name(ssl, server_name_.c_str()) == 1;
    }
    if (!named) {  // one that is for nobody in particular would be taken for any
        ERR_clear_error();
        SSL_free(ssl);
        return nullptr;
    }
    return ssl;
}

}  // namespace spillway::net
