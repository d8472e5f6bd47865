# LibTorch as one interface target, rayx_torch_dep, and a precompiled header for it.
#
# Not through find_package(Torch): that file demands a CUDA toolkit for a CUDA build of the wheel,
# even from programs that never touch a GPU. Only its place is used: Torch_DIR, then
# CMAKE_PREFIX_PATH, then the virtual environment.
set(torch_places "")
if(Torch_DIR)
  list(APPEND torch_places ${Torch_DIR})
endif()
foreach(prefix ${CMAKE_PREFIX_PATH} $ENV{CMAKE_PREFIX_PATH})
  list(APPEND torch_places ${prefix}/Torch ${prefix}/share/cmake/Torch)
endforeach()
if(RAYX_VENV)
  file(GLOB venv_places ${RAYX_VENV}/lib/python3*/site-packages/torch/share/cmake/Torch)
  list(APPEND torch_places ${venv_places})
endif()
unset(torch_root)
foreach(place ${torch_places})
  if(EXISTS ${place}/TorchConfig.cmake)
    get_filename_component(torch_root ${place}/../../.. ABSOLUTE)
    break()
  endif()
endforeach()
if(NOT torch_root)
  message(FATAL_ERROR
    "RayX needs LibTorch, which was not found in Torch_DIR, CMAKE_PREFIX_PATH or the virtual "
    "environment. ${RAYX_INSTALL_HINT} -DRAYX_TORCH=OFF builds without it.")
endif()
set(RAYX_TORCH_ROOT ${torch_root} CACHE INTERNAL "Where the LibTorch in use lies")
message(STATUS "LibTorch: ${torch_root}")

# ProcessGroupGloo.hpp needs Gloo's headers, which the wheel lacks. Headers only: the library is
# inside the wheel.
find_path(RAYX_GLOO_INCLUDE gloo/algorithm.h)
if(NOT RAYX_GLOO_INCLUDE)
  message(FATAL_ERROR "RayX needs Gloo's headers (libgloo-dev). ${RAYX_INSTALL_HINT}")
endif()

# -idirafter: the wheel carries an old protobuf's headers, which must never come before the
# system's. It also makes warnings of these headers silent.
add_library(rayx_torch_dep INTERFACE)
target_compile_options(rayx_torch_dep INTERFACE
  "SHELL:-idirafter ${torch_root}/include"
  "SHELL:-idirafter ${torch_root}/include/torch/csrc/api/include")
target_compile_definitions(rayx_torch_dep INTERFACE USE_C10D_GLOO USE_DISTRIBUTED USE_RPC)
target_link_libraries(rayx_torch_dep INTERFACE
  ${torch_root}/lib/libtorch.so ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so
  Threads::Threads)
# LibTorch registers by static initialisers: keep it although no symbol of libtorch.so is named.
target_link_options(rayx_torch_dep INTERFACE
  LINKER:--no-as-needed LINKER:-rpath-link,${torch_root}/lib)
if(EXISTS ${torch_root}/lib/libtorch_cuda.so)
  # Its CUDA libraries lie in other wheels, which it finds at run time by its own rpath.
  target_link_options(rayx_torch_dep INTERFACE LINKER:--allow-shlib-undefined)
endif()

file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/torch_pch.cc @ONLY
  CONTENT "// Carrier of the precompiled header.\n")
add_library(rayx_torch_pch OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/torch_pch.cc)
target_link_libraries(rayx_torch_pch PRIVATE rayx_torch_dep)
target_precompile_headers(rayx_torch_pch PRIVATE <torch/torch.h>)
set_target_properties(rayx_torch_pch PROPERTIES PCH_WARN_INVALID OFF)
target_compile_options(rayx_torch_pch PRIVATE -fpch-preprocess)
