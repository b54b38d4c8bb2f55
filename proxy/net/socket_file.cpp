// The file of a unix socket that this process is to remove when it ends: it, and nothing else that
// may stand at its path by then.
#include "proxy/net/socket_file.hpp"

#include <optional>

#include <sys/stat.h>
#include <unistd.h>

namespace spillway::net {
namespace {

std::optional<FileIdentity> socket_at(const std::string& path) noexcept {
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) {
        return std::nullopt;
    }
    return FileIdentity{.device = file.st_dev, .inode = file.st_ino};
}

}  // namespace

SocketFile SocketFile::at(const std::string& path) {
    SocketFile file;
    if (const auto found = socket_at(path)) {
        file.path_ = path;
        file.is_ = *found;
    }
    return file;
}

void SocketFile::remove() noexcept {
    if (!path_.empty() && socket_at(path_) == is_) {
        (void)::unlink(path_.c_str());
    }
    path_.clear();
}

}  // namespace spillway::net
