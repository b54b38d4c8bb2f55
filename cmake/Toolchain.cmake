# Compiler, warnings, hardening, sanitizers and build speed: the flags that hold for every target.
include(CheckPIESupported)
include(CheckIPOSupported)

option(BUILD_TESTING "Build the tests" ON)
option(SPILLWAY_WERROR "Treat compiler warnings as errors" OFF)
option(SPILLWAY_LTO "Optimise across translation units" OFF)
option(SPILLWAY_COVERAGE "Record which lines the tests run" OFF)
option(SPILLWAY_FUZZ "Build the fuzz targets with libFuzzer (clang only), else as replayers of their corpora" OFF)
set(SPILLWAY_SANITIZE "" CACHE STRING "Sanitizers to build with, separated by commas: address,undefined or thread")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug or RelWithDebInfo" FORCE)
endif()
# No NDEBUG anywhere: a broken invariant must end the process in release too.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# Flags of our own targets only; third-party code keeps its own warnings to itself.
add_library(spillway_options INTERFACE)
target_compile_options(spillway_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
    $<$<BOOL:${SPILLWAY_WERROR}>:-Werror>)
target_include_directories(spillway_options INTERFACE "${PROJECT_SOURCE_DIR}")

add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_compile_options(-fstack-protector-strong)
add_link_options(LINKER:-z,relro,-z,now)
# Paths in messages and asserts are those of the repository, whatever folder it was built in.
add_compile_options("-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=")

if(SPILLWAY_SANITIZE)
    add_compile_options("-fsanitize=${SPILLWAY_SANITIZE}" -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options("-fsanitize=${SPILLWAY_SANITIZE}")
    if(SPILLWAY_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-Wno-tsan)  # Asio's fences are not modelled; nothing of ours uses them
    endif()
    if(SPILLWAY_SANITIZE MATCHES "undefined" AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        add_compile_options(-fno-sanitize=function)  # clang 14 cannot assemble it for coroutines
    endif()
elseif(CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

if(SPILLWAY_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "libFuzzer is part of clang: configure with `cmake --preset fuzz`.\n"
            "Install it with: apt-get install clang-14 libclang-rt-14-dev, or run scripts/deps --test")
    endif()
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(SPILLWAY_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()

if(SPILLWAY_LTO)
    check_ipo_supported(RESULT lto_works OUTPUT lto_error LANGUAGES CXX)
    if(lto_works)
        set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    else()
        message(STATUS "This compiler cannot optimise across translation units: ${lto_error}")
    endif()
endif()

# lld links faster, but cannot read the intermediate code of GCC's link-time optimisation.
find_program(SPILLWAY_LLD NAMES ld.lld)
mark_as_advanced(SPILLWAY_LLD)
if(SPILLWAY_LLD AND NOT (CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU"))
    add_link_options(-fuse-ld=lld)
endif()

find_program(SPILLWAY_CCACHE NAMES ccache)
mark_as_advanced(SPILLWAY_CCACHE)
if(SPILLWAY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # The sloppiness is what ccache's manual asks for where precompiled headers are used; without folders in the keys,
    # a clean clone finds what another has built.
    set(launcher "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros
        "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${SPILLWAY_CCACHE}")
    set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
    set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
endif()
