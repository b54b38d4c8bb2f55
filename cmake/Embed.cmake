# Makes the files of a folder a table in the program, so that it needs none of them where it runs.

# spillway_embed(<target> <folder> <namespace> <function>): the target defines
# `std::span<const EmbeddedFile> <namespace>::<function>()`; proxy/admin/embedded.hpp declares both.
# Done when CMake configures, which it does again after one of the files was changed.
function(spillway_embed target folder namespace function)
    file(GLOB paths CONFIGURE_DEPENDS "${folder}/*.html" "${folder}/*.css" "${folder}/*.js")
    set(rows "")
    foreach(path IN LISTS paths)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path}")
        get_filename_component(name "${path}" NAME)
        file(READ "${path}" text)
        file(SHA256 "${path}" hash)
        string(SUBSTRING "${hash}" 0 16 tag)
        string(APPEND rows "    {\"${name}\", \"\\\"${tag}\\\"\", R\"spillway(${text})spillway\"},\n")
    endforeach()
    file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.cpp" @ONLY CONTENT
        "// Made by cmake/Embed.cmake.
#include \"proxy/admin/embedded.hpp\"

namespace @namespace@ {

std::span<const EmbeddedFile> @function@() noexcept {
    static constexpr EmbeddedFile files[] = {
@rows@    };
    return files;
}

}  // namespace @namespace@
")
    target_sources(${target} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/${target}_embedded.cpp")
endfunction()
