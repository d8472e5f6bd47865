# Precompiled headers: what nearly every source of a group parses, parsed once. They are for the
# time of a build alone: a source still includes all that it uses, the preset `debug` builds without
# them, and tests/tidy compiles every header by itself.
#
#   rayx_plain_pch          the standard library, absl::Status
#   rayx_messages_pch       plain and the messages of proto_local
#   rayx_services_pch       messages, gRPC and the services of proto_services
#   rayx_test_plain_pch     plain and Catch2
#   rayx_test_services_pch  services and Catch2
#   rayx_test_api_pch       plain, Catch2 and the public API
#   rayx_test_torch_pch     plain, Catch2, LibTorch and the public API
#
# Those of tests are compiled as tests are, with RAYX_TEST_FLAGS.

set(plain <algorithm> <array> <atomic> <cerrno> <chrono> <condition_variable> <cstdint> <cstring>
  <deque> <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span> <string>
  <thread> <unordered_map> <utility> <vector>
  <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h>)
set(messages ${plain} <absl/container/flat_hash_map.h>
  <proto/types.pb.h> <proto/cluster.pb.h> <proto/local.pb.h>)
set(services ${messages} <grpcpp/grpcpp.h> <proto/head.grpc.pb.h> <proto/node.grpc.pb.h>)

# rayx_pch(<name> HEADERS ... LIBS ...): an object library that carries the precompiled header.
function(rayx_pch name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HEADERS;LIBS")
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/${name}.cc @ONLY
    CONTENT "// Carrier of the precompiled header.\n")
  add_library(${name} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/generated/${name}.cc)
  target_link_libraries(${name} PRIVATE ${arg_LIBS} Threads::Threads)
  target_precompile_headers(${name} PRIVATE ${arg_HEADERS})
  set_target_properties(${name} PROPERTIES PCH_WARN_INVALID OFF)
  target_compile_options(${name} PRIVATE -fpch-preprocess)
endfunction()

set(absl_libs absl::status absl::statusor absl::strings absl::flat_hash_map)
rayx_pch(rayx_plain_pch HEADERS ${plain} LIBS ${absl_libs})
rayx_pch(rayx_messages_pch HEADERS ${messages} LIBS ${absl_libs} rayx_proto_local)
rayx_pch(rayx_services_pch HEADERS ${services} LIBS ${absl_libs} rayx_proto_services)
if(RAYX_TESTS)
  rayx_pch(rayx_test_plain_pch HEADERS <catch2/catch.hpp> ${plain} LIBS ${absl_libs} Catch2::Catch2)
  rayx_pch(rayx_test_services_pch HEADERS <catch2/catch.hpp> ${services}
    LIBS ${absl_libs} rayx_proto_services Catch2::Catch2)
  rayx_pch(rayx_test_api_pch HEADERS <catch2/catch.hpp> ${plain} <rayx/rayx.h>
    LIBS ${absl_libs} rayx_public Catch2::Catch2)
  set(test_pchs plain services api)
  if(RAYX_TORCH)
    rayx_pch(rayx_test_torch_pch
      HEADERS ${CMAKE_SOURCE_DIR}/tests/unit/torch/torch_catch.h ${plain} <rayx/rayx.h>
      LIBS ${absl_libs} rayx_public rayx_torch_dep Catch2::Catch2)
    list(APPEND test_pchs torch)
  endif()
  foreach(name ${test_pchs})
    target_compile_options(rayx_test_${name}_pch PRIVATE ${RAYX_TEST_FLAGS})
  endforeach()
endif()

# rayx_use_pch(<target> <pch>)
function(rayx_use_pch target pch)
  set_target_properties(${target} PROPERTIES PCH_WARN_INVALID OFF)
  target_precompile_headers(${target} REUSE_FROM ${pch})
  target_compile_options(${target} PRIVATE -fpch-preprocess)
endfunction()
