// Runs a fuzz target over the files of its corpus, for builds that have no libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::vector<char>& input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// Every seed whole, and cut short at up to 64 places: a parser meets unfinished input most of the
// time.
void run_with_prefixes(const std::vector<char>& input) {
    constexpr std::size_t cuts = 64;
    for (std::size_t cut = 0; cut < cuts; ++cut) {
        const auto length = static_cast<std::ptrdiff_t>(input.size() * cut / cuts);
        run({input.begin(), input.begin() + length});
    }
    run(input);
}

}  // namespace

int main(int count, char** arguments) {
    std::size_t files = 0;
    for (int i = 1; i < count; ++i) {
        std::error_code failure;
        for (std::filesystem::recursive_directory_iterator entry(arguments[i], failure), end;
             !failure && entry != end;
             entry.increment(failure)) {
            if (!entry->is_regular_file()) {
                continue;
            }
            std::ifstream file(entry->path(), std::ios::binary);
            run_with_prefixes({std::istreambuf_iterator<char>(file), {}});
            ++files;
        }
        if (failure) {
            std::fprintf(stderr, "cannot read %s: %s\n", arguments[i], failure.message().c_str());
            return 1;
        }
    }
    std::printf("%zu inputs replayed\n", files);
    return files > 0 ? 0 : 1;  // an empty corpus would prove nothing
}
