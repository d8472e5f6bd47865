# `cpack --config build/release/CPackConfig.cmake`: a .deb of what cmake --install installs, under
# /usr. Its dependencies are those of the programs in it (dpkg-shlibdeps) and what the public headers
# include. LibTorch is nobody's package: rayx::torch asks for it when it is used.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME rayx)
set(CPACK_PACKAGE_CONTACT "The RayX maintainers <maintainers@rayx.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libmsgpack-cxx-dev")
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS OFF)
include(CPack)
