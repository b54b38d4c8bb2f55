// One side's TLS settings: what we show, whom we trust, which versions and ciphers are allowed.
#pragma once

#include "conf/secret.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace spillway::conf {

enum class TlsVersion : std::uint8_t { v1_2, v1_3 };

[[nodiscard]] std::string_view name_of(TlsVersion value) noexcept;

// A file of certificates or a key, read when the configuration was: one that was replaced under the
// same name is a changed value, and a reload takes it over.
struct PemFile {
    std::string path;  // empty = none
    Secret text;

    friend bool operator==(const PemFile&, const PemFile&) = default;
};

struct Tls {
    PemFile cert;  // ours, with the chain that leads to its authority
    PemFile key;   // no path = it stands in the certificate's file
    PemFile ca;    // of the peer; a listener with one lets in nobody without a certificate
    std::string server_name;  // towards a backend alone; empty = the host of its URL
    TlsVersion min_version = TlsVersion::v1_2;
    std::string ciphers;       // of TLS 1.2, in OpenSSL's words; empty = OpenSSL's choice
    std::string ciphersuites;  // of TLS 1.3, likewise

    friend bool operator==(const Tls&, const Tls&) = default;
};

}  // namespace spillway::conf
