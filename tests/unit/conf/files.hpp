// Reads and writes the files that the configuration's tests compare; the working directory is the
// repository.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

namespace spillway::conf {

inline std::string content_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file) << "cannot open " << path << ": run the tests from the repository's root";
    return {std::istreambuf_iterator<char>(file), {}};
}

inline void write(const std::filesystem::path& path, std::string_view content) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << content;
    EXPECT_TRUE(file.flush()) << path;
}

// A folder of its own for a test, removed with all in it; tests of several builds may run at once.
class TemporaryFolder {
  public:
    TemporaryFolder() {
        for (int number = 0; path_.empty() && number < 1000; ++number) {
            const auto path = std::filesystem::path(testing::TempDir()) /
                              ("spillway_conf_" + std::to_string(number));
            std::error_code failure;
            if (std::filesystem::create_directory(path, failure)) {
                path_ = path;
            }
        }
        EXPECT_FALSE(path_.empty()) << "cannot create a folder in " << testing::TempDir();
    }
    ~TemporaryFolder() {
        std::error_code failure;
        if (!path_.empty()) {
            std::filesystem::remove_all(path_, failure);
        }
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    TemporaryFolder(TemporaryFolder&&) = delete;
    TemporaryFolder& operator=(TemporaryFolder&&) = delete;

    [[nodiscard]] std::string file(std::string_view name) const { return (path_ / name).string(); }

  private:
    std::filesystem::path path_;
};

// The .toml files of a folder of tests/conf, sorted.
inline std::vector<std::filesystem::path> fixtures(std::string_view folder) {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path("tests/conf") / folder)) {
        if (entry.path().extension() == ".toml") {
            paths.push_back(entry.path());
        }
    }
    std::ranges::sort(paths);
    return paths;
}

}  // namespace spillway::conf
