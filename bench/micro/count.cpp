// Counts what a command costs between the two sockets: allocations, and under callgrind
// instructions.
#include "bench/micro/traffic.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>

namespace {

std::uint64_t allocations = 0;

void* allocate(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) {
        return memory;
    }
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
    return allocate(size);
}
void* operator new[](std::size_t size) {
    return allocate(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}

// usage: command_costs [NAME], for one kind of load alone. Prints a line for each: name, commands
// measured, allocations in them.
int main(int argc, char** argv) {
    constexpr std::uint64_t passes = 2000;
    try {
        for (const spillway::bench::Mix& mix : spillway::bench::mixes()) {
            if (argc > 1 && mix.name != argv[1]) {
                continue;
            }
            spillway::bench::Traffic traffic(mix);
            for (int i = 0; i < 100; ++i) {
                traffic.pass();
            }
            const std::uint64_t before = allocations;
            traffic.measured(passes);
            std::printf(
                "%.*s %llu %llu\n",
                static_cast<int>(mix.name.size()),
                mix.name.data(),
                static_cast<unsigned long long>(passes * traffic.commands_per_pass()),
                static_cast<unsigned long long>(allocations - before)
            );
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
