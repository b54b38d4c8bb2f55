# What `cmake --install` puts where, and the Debian package: `cpack -G DEB` in the build folder, or scripts/package.
include(GNUInstallDirs)

# The service reads /etc for a program in /usr or /usr/local; below any other prefix all stays together, unless
# CMAKE_INSTALL_SYSCONFDIR says otherwise: "etc" is what GNUInstallDirs sets by itself.
set(config_dir "")
if(NOT CMAKE_INSTALL_SYSCONFDIR STREQUAL "etc")
    set(config_dir "${CMAKE_INSTALL_SYSCONFDIR}/spillway")
endif()

install(TARGETS spillway RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES packaging/man/spillway.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES packaging/man/spillway.toml.5 DESTINATION "${CMAKE_INSTALL_MANDIR}/man5")
install(FILES packaging/completion/spillway DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")

# The folders are those of the repository, so that links between the pages lead somewhere.
file(GLOB pages RELATIVE "${PROJECT_SOURCE_DIR}" CONFIGURE_DEPENDS
    "${PROJECT_SOURCE_DIR}/docs/*.md" "${PROJECT_SOURCE_DIR}/packaging/kubernetes/*.yaml")
foreach(file IN LISTS pages ITEMS README.md bench/memory-curve.svg conf/spillway.toml docs/dashboard.png
        packaging/README.md packaging/grafana/spillway.json packaging/prometheus/spillway.rules.yml
        packaging/examples/README.md packaging/examples/elasticache.toml
        packaging/examples/haproxy/haproxy.cfg packaging/examples/haproxy/spillway.toml
        packaging/examples/sentinel/spillway.toml)
    cmake_path(GET file PARENT_PATH folder)
    install(FILES "${file}" DESTINATION "${CMAKE_INSTALL_DOCDIR}/${folder}")
endforeach()
install(PROGRAMS packaging/examples/sentinel/reconfigure DESTINATION "${CMAKE_INSTALL_DOCDIR}/packaging/examples/sentinel")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright)

# A configuration that is there is somebody's work. The unit names program and configuration by their whole paths, which
# are known when they are installed.
install(CODE "
    set(config_dir \"${config_dir}\")
    if(config_dir STREQUAL \"\" AND CMAKE_INSTALL_PREFIX MATCHES \"^/usr(/local)?/?$\")
        set(config_dir /etc/spillway)
    elseif(config_dir STREQUAL \"\")
        set(config_dir etc/spillway)
    endif()
    cmake_path(ABSOLUTE_PATH config_dir BASE_DIRECTORY \"\${CMAKE_INSTALL_PREFIX}\" NORMALIZE)
    if(EXISTS \"\$ENV{DESTDIR}\${config_dir}/spillway.toml\")
        message(STATUS \"Kept as it is: \$ENV{DESTDIR}\${config_dir}/spillway.toml\")
    else()
        file(INSTALL DESTINATION \"\${config_dir}\" TYPE FILE FILES \"${PROJECT_SOURCE_DIR}/conf/spillway.toml\")
    endif()
    set(bindir \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}\")
    configure_file(\"${PROJECT_SOURCE_DIR}/packaging/systemd/spillway.service.in\"
        \"${PROJECT_BINARY_DIR}/spillway.service\" @ONLY)
")
install(FILES "${PROJECT_BINARY_DIR}/spillway.service" DESTINATION lib/systemd/system)

# Only the program is installed, so only the program need be built.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)  # the configuration's path is absolute
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_CONTACT "The Spillway maintainers <maintainers@spillway.invalid>")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS redis-server)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${PROJECT_SOURCE_DIR}/packaging/debian/conffiles;${PROJECT_SOURCE_DIR}/packaging/debian/postinst;${PROJECT_SOURCE_DIR}/packaging/debian/prerm;${PROJECT_SOURCE_DIR}/packaging/debian/postrm")
include(CPack)
