# Makes one room of the house a static library named spillway_<room>.

# spillway_room(<name> DIRECTORY <folder> [SOURCES <file>...] [USES <room>...] [LINKS <target>...]
#               [PRECOMPILE <header>... | PRECOMPILED_BY <room>])
# The sources are every .cpp file under the folder, or those given. A room whose folder holds no .cpp file is an interface library, so that others can link it all the same.
function(spillway_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "" "DIRECTORY;PRECOMPILED_BY" "SOURCES;USES;LINKS;PRECOMPILE")
    if(NOT "SOURCES" IN_LIST ARGN)
        file(GLOB_RECURSE room_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${room_DIRECTORY}/*.cpp")
    endif()
    list(TRANSFORM room_USES PREPEND spillway_)

    set(target "spillway_${name}")
    if(NOT room_SOURCES)
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE spillway_options ${room_USES} ${room_LINKS})
        return()
    endif()
    add_library(${target} STATIC ${room_SOURCES})
    target_link_libraries(${target} PUBLIC spillway_options ${room_USES} ${room_LINKS})
    list(LENGTH room_SOURCES count)
    if(room_PRECOMPILE AND count GREATER 2)  # for fewer files it costs more than it saves
        target_precompile_headers(${target} PRIVATE ${room_PRECOMPILE})
    elseif(room_PRECOMPILED_BY)  # what it is compiled with must be the same
        target_precompile_headers(${target} REUSE_FROM spillway_${room_PRECOMPILED_BY})
    endif()
endfunction()
