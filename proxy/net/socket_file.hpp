// The file of a unix socket that this process is to remove when it ends: it, and nothing else that
// may stand at its path by then.
#pragma once

#include <string>
#include <utility>

#include <sys/types.h>

namespace spillway::net {

// Which file it is, whatever it is called.
struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
};

class SocketFile {
  public:
    SocketFile() = default;
    // The socket that stands at this path now; nothing where there is none.
    [[nodiscard]] static SocketFile at(const std::string& path);

    SocketFile(SocketFile&& other) noexcept
        : path_(std::exchange(other.path_, {})), is_(other.is_) {}
    SocketFile& operator=(SocketFile&& other) noexcept {
        path_ = std::exchange(other.path_, {});
        is_ = other.is_;
        return *this;
    }
    SocketFile(const SocketFile&) = delete;
    SocketFile& operator=(const SocketFile&) = delete;
    ~SocketFile() = default;

    explicit operator bool() const noexcept { return !path_.empty(); }
    [[nodiscard]] const FileIdentity& identity() const noexcept { return is_; }
    // Unless another file has come to its place.
    void remove() noexcept;

  private:
    std::string path_;  // empty = none
    FileIdentity is_;
};

}  // namespace spillway::net
