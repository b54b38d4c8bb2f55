# What `cmake --install` puts where, and the Debian package: `cpack -G DEB` in the build folder, or scripts/package.
include(GNUInstallDirs)

# The service reads /etc, wherever the program is.
set(SPILLWAY_CONFIG_DIR "/etc/spillway" CACHE PATH "Where the configuration is installed")

install(TARGETS spillway RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES conf/spillway.toml DESTINATION "${SPILLWAY_CONFIG_DIR}")
install(FILES packaging/man/spillway.1 DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES packaging/man/spillway.toml.5 DESTINATION "${CMAKE_INSTALL_MANDIR}/man5")
install(FILES packaging/completion/spillway DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright)

# The unit names the program by its whole path, which is known when it is installed.
install(CODE "
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
