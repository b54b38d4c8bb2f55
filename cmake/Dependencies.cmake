# Finds every third-party library, and names the Debian package of one that is missing.

# Stops the configuration with what to install.
function(spillway_missing what package)
    message(FATAL_ERROR "${what} was not found.\n"
        "Install it with: apt-get install ${package}, or run scripts/deps to install all that Spillway needs")
endfunction()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

find_package(Boost 1.81 QUIET COMPONENTS headers json CONFIG)
if(NOT TARGET Boost::headers)
    spillway_missing("Boost 1.81 or newer (headers)" libboost1.81-dev)
elseif(NOT TARGET Boost::json)
    spillway_missing("Boost.JSON 1.81 or newer" libboost-json1.81-dev)
endif()

find_package(spdlog QUIET CONFIG)
if(NOT TARGET spdlog::spdlog)
    spillway_missing("spdlog" libspdlog-dev)
endif()
set(SPILLWAY_SPDLOG spdlog::spdlog)
if(SPILLWAY_SANITIZE MATCHES "thread")
    set(SPILLWAY_SPDLOG spdlog::spdlog_header_only)  # Debian's library is not instrumented: its locks would go unseen
endif()

find_package(tomlplusplus QUIET CONFIG)
if(NOT TARGET tomlplusplus::tomlplusplus)
    spillway_missing("toml++" libtomlplusplus-dev)
endif()

find_package(llhttp QUIET MODULE)
if(NOT TARGET llhttp::llhttp)
    spillway_missing("llhttp" "node-llhttp (Debian 12) or libllhttp-dev (newer)")
endif()

find_package(OpenSSL 3.0 QUIET COMPONENTS SSL Crypto)
if(NOT TARGET OpenSSL::SSL)
    spillway_missing("OpenSSL 3.0 or newer" libssl-dev)
endif()

if(BUILD_TESTING)
    find_package(GTest QUIET)
    if(NOT TARGET GTest::gtest_main)
        spillway_missing("GoogleTest" libgtest-dev)
    endif()
endif()

# Asio is compiled once, here, instead of in every file that includes it.
add_library(spillway_asio STATIC cmake/asio.cpp)
target_compile_definitions(spillway_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED)
target_link_libraries(spillway_asio PUBLIC Boost::headers Threads::Threads)
