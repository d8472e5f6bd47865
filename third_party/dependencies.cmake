# Finds everything RayX depends on; installs nothing (third_party/install does).
#
# Defines, beside the packages' own targets (absl::*, spdlog::spdlog, protobuf::libprotobuf,
# gRPC::grpc++, CLI11::CLI11, Catch2::Catch2, OpenSSL::SSL, OpenSSL::Crypto, ZLIB::ZLIB,
# nlohmann_json::nlohmann_json, LibArchive::LibArchive, Threads::Threads):
#   rayx_msgpack_dep   msgpack-cxx without Boost
#   rayx_torch_dep     LibTorch and Debian's Gloo headers (only with RAYX_TORCH)
#   rayx_torch_pch     precompiled <torch/torch.h>; use it with rayx_use_torch_pch(<target>)
#   rayx_arrow         Arrow C++ and Parquet (only where the virtual environment has them)
#   RAYX_PYTHON        the interpreter of the virtual environment, else the system's
set(RAYX_INSTALL_HINT "Run third_party/install (or install it by hand) and configure again.")

macro(rayx_find_package name)
  find_package(${name} ${ARGN} QUIET)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "RayX needs ${name}, which was not found. ${RAYX_INSTALL_HINT}")
  endif()
endmacro()

set(THREADS_PREFER_PTHREAD_FLAG ON)
set(CMAKE_FIND_PACKAGE_PREFER_CONFIG OFF)
rayx_find_package(Threads)
rayx_find_package(absl CONFIG)
rayx_find_package(Protobuf)
rayx_find_package(gRPC CONFIG)
rayx_find_package(spdlog CONFIG)
rayx_find_package(CLI11 CONFIG)
rayx_find_package(nlohmann_json CONFIG)
rayx_find_package(OpenSSL)
rayx_find_package(ZLIB)
rayx_find_package(LibArchive)
if(RAYX_TESTS)
  rayx_find_package(Catch2 2 CONFIG)
endif()

find_program(RAYX_GRPC_CPP_PLUGIN grpc_cpp_plugin)
if(NOT RAYX_GRPC_CPP_PLUGIN)
  message(FATAL_ERROR "RayX needs grpc_cpp_plugin, which was not found. ${RAYX_INSTALL_HINT}")
endif()

# Debian's CMake package of msgpack asks for Boost; the headers do not when told so.
find_path(RAYX_MSGPACK_INCLUDE msgpack.hpp)
if(NOT RAYX_MSGPACK_INCLUDE)
  message(FATAL_ERROR "RayX needs msgpack-cxx, which was not found. ${RAYX_INSTALL_HINT}")
endif()
add_library(rayx_msgpack_dep INTERFACE)
target_compile_definitions(rayx_msgpack_dep INTERFACE MSGPACK_NO_BOOST)

# The virtual environment of third_party/install: $RAYX_VENV, else the machine's, else this
# checkout's. It is looked for in the same order there.
set(RAYX_VENV "$ENV{RAYX_VENV}" CACHE PATH "Virtual environment made by third_party/install")
if(NOT RAYX_VENV)
  foreach(venv /opt/rayx/venv ${CMAKE_SOURCE_DIR}/third_party/.venv)
    if(EXISTS ${venv}/bin/python)
      set(RAYX_VENV ${venv} CACHE PATH "" FORCE)
      break()
    endif()
  endforeach()
endif()
if(EXISTS "${RAYX_VENV}/bin/python")
  set(RAYX_PYTHON ${RAYX_VENV}/bin/python)
else()
  find_program(RAYX_SYSTEM_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
  find_program(RAYX_SYSTEM_PYTHON python3 REQUIRED)
  set(RAYX_PYTHON ${RAYX_SYSTEM_PYTHON})
endif()

include(${CMAKE_CURRENT_LIST_DIR}/arrow.cmake)
if(RAYX_TORCH)
  include(${CMAKE_CURRENT_LIST_DIR}/torch.cmake)
endif()
