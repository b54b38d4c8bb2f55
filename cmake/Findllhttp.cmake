# Finds llhttp as a library (libllhttp-dev) or as Debian 12 ships it, as C sources (node-llhttp): llhttp::llhttp.
find_path(LLHTTP_INCLUDE_DIR NAMES llhttp.h PATH_SUFFIXES llhttp
    PATHS /usr/include /usr/share/include)
find_library(LLHTTP_LIBRARY NAMES llhttp)
find_path(LLHTTP_SOURCE_DIR NAMES llhttp.c PATH_SUFFIXES llhttp PATHS /usr/share)
mark_as_advanced(LLHTTP_INCLUDE_DIR LLHTTP_LIBRARY LLHTTP_SOURCE_DIR)

if(LLHTTP_LIBRARY)
    set(llhttp_code "${LLHTTP_LIBRARY}")
else()
    set(llhttp_code "${LLHTTP_SOURCE_DIR}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(llhttp REQUIRED_VARS LLHTTP_INCLUDE_DIR llhttp_code)

if(llhttp_FOUND AND NOT TARGET llhttp::llhttp)
    if(LLHTTP_LIBRARY)
        add_library(llhttp::llhttp UNKNOWN IMPORTED)
        set_target_properties(llhttp::llhttp PROPERTIES
            IMPORTED_LOCATION "${LLHTTP_LIBRARY}"
            INTERFACE_INCLUDE_DIRECTORIES "${LLHTTP_INCLUDE_DIR}")
    else()
        add_library(llhttp STATIC
            "${LLHTTP_SOURCE_DIR}/api.c" "${LLHTTP_SOURCE_DIR}/http.c" "${LLHTTP_SOURCE_DIR}/llhttp.c")
        target_include_directories(llhttp SYSTEM PUBLIC "${LLHTTP_INCLUDE_DIR}")
        target_compile_options(llhttp PRIVATE -w)
        add_library(llhttp::llhttp ALIAS llhttp)
    endif()
endif()
