# cmake --install: the public headers, librayx.so, librayx_main.a, `rayx`, and the files by which
# CMake (find_package(rayx)) and pkg-config find them. bin/ and lib/ keep their places to each
# other, because the library looks for `rayx` in ../bin.
install(DIRECTORY include/ DESTINATION include)
install(TARGETS rayx_shared rayx_main DESTINATION lib)

set(RAYX_INSTALL_TORCH OFF)
if(RAYX_TORCH)
  set(RAYX_INSTALL_TORCH ON)
  install(DIRECTORY torch/include/ DESTINATION include)
  install(FILES ${CMAKE_SOURCE_DIR}/third_party/torch.cmake DESTINATION lib/cmake/rayx)
  install(FILES $<TARGET_FILE:rayx_torch> DESTINATION lib)
endif()
install(PROGRAMS $<TARGET_FILE:rayx> DESTINATION bin)
# For rows of `rayx microbenchmark` that simulate VMs.
install(PROGRAMS $<TARGET_FILE:rayx-vm-init> DESTINATION libexec/rayx)
# For `rayx microbenchmark --vs-ray`.
install(PROGRAMS cli/microbenchmark/vs_ray/run_both DESTINATION libexec/rayx/vs_ray)
install(FILES cli/microbenchmark/vs_ray/ray_rows.cc DESTINATION libexec/rayx/vs_ray)

# Completion where each shell looks. Debian's zsh looks below /usr in a folder of Debian's own.
set(completions ${CMAKE_BINARY_DIR}/generated/completions)
install(FILES ${completions}/rayx DESTINATION share/bash-completion/completions)
install(FILES ${completions}/rayx.fish DESTINATION share/fish/vendor_completions.d)
install(CODE "
  set(folder site-functions)
  if(CMAKE_INSTALL_PREFIX STREQUAL /usr)
    set(folder vendor-completions)
  endif()
  file(INSTALL ${completions}/_rayx DESTINATION \${CMAKE_INSTALL_PREFIX}/share/zsh/\${folder})
")

configure_file(rayxConfig.cmake.in ${CMAKE_BINARY_DIR}/generated/rayxConfig.cmake @ONLY)
configure_file(rayx.pc.in ${CMAKE_BINARY_DIR}/generated/rayx.pc @ONLY)
include(CMakePackageConfigHelpers)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/generated/rayxConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_BINARY_DIR}/generated/rayxConfig.cmake
  ${CMAKE_BINARY_DIR}/generated/rayxConfigVersion.cmake
  DESTINATION lib/cmake/rayx)
install(FILES ${CMAKE_BINARY_DIR}/generated/rayx.pc DESTINATION lib/pkgconfig)
