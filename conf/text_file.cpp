// Reads files in chunks, so that an endless one costs no more than its bound.
#include "conf/text_file.hpp"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace spillway::conf {

namespace {

constexpr std::size_t secret_bytes_max = 4096;

// The stream itself only knows that it failed; why is in errno.
Fault system_fault(std::string_view what) {
    return {std::string(what).append(": ").append(std::generic_category().message(errno))};
}

}  // namespace

Parsed<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        return system_fault("cannot open");
    }
    std::string content;
    std::array<char, 16'384> chunk{};
    while (file) {
        file.read(chunk.data(), chunk.size());
        content.append(chunk.data(), static_cast<std::size_t>(file.gcount()));
        if (content.size() > bytes_max) {
            return Fault{"larger than " + std::to_string(bytes_max) + " bytes"};
        }
    }
    return file.bad() ? Parsed<std::string>(system_fault("cannot read")) : content;
}

Parsed<std::string> read_regular_file(const std::string& path, std::size_t bytes_max) {
    std::error_code failure;
    if (std::filesystem::exists(path, failure) &&
        !std::filesystem::is_regular_file(path, failure)) {
        return Fault{"not a regular file"};
    }
    return read_text_file(path, bytes_max);
}

Parsed<std::string> read_secret_file(const std::string& path, std::string_view what) {
    auto content = read_regular_file(path, secret_bytes_max);
    if (auto* secret = std::get_if<std::string>(&content)) {
        secret->erase(secret->find_last_not_of("\r\n") + 1);
        if (secret->empty()) {
            return Fault{std::string("holds no ").append(what)};
        }
        if (secret->find_first_of("\r\n") != std::string::npos) {
            return Fault{"holds more than one line"};
        }
    }
    return content;
}

}  // namespace spillway::conf
