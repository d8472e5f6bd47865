# The functions that declare RayX's modules, tests and programs. How to use them:
#
#   # runtime/shm/CMakeLists.txt: the static library rayx_shm; files include "shm/lane.h"
#   rayx_module(shm SOURCES lane.cc segment.cc DEPS base model io LIBS absl::flat_hash_map)
#
#   # tests/unit/shm/CMakeLists.txt: the executable shm_lane_test, Catch2's main included
#   rayx_test(shm_lane_test SOURCES lane_test.cc DEPS shm base LIBS absl::strings
#             LABELS unit TIMEOUT 30)
#
#   # examples/01_hello/CMakeLists.txt: a user's program, in bin/examples/01_hello
#   rayx_executable(01_hello SOURCES hello.cc FOLDER examples)
#
#   # runtime/bin: the wrapper that makes a program its own worker (rayx::rayx brings it)
#   rayx_wrap_main(<target>)
#
#   # bench or torch: parse <torch/torch.h> once for all targets
#   rayx_use_torch_pch(<target>)
#
# DEPS are modules (checked against layers.txt; `public`, `proto_local`, `proto_services` and
# `torch` are names like any other), LIBS are targets of third_party/dependencies.cmake. DEPS and
# LIBS pass on to whoever depends on the module. A module without SOURCES has headers only.
# Tests may use every module. LABELS default to the name of the folder under tests/; those of the
# benchmark suite have `bench`. Those labelled `unit` also run under AddressSanitizer, those labelled
# `threads` under ThreadSanitizer, those labelled `sanitize` under both.
#
# The sanitizers' presets compile a module's sources a dozen at once (CMAKE_UNITY_BUILD), which
# halves their time: names in the unnamed namespaces of one module differ.
#
# One module alone: `ninja -C build/release rayx_shm shm_segment_test`. A second build folder beside
# the first: `cmake --preset release -B build/mine`.

set(RAYX_RUNTIME_DIR ${CMAKE_CURRENT_LIST_DIR})

# Warnings are errors in our own code. -Wrestrict has false alarms on std::string in GCC 12
# (PR 105651), -Wmaybe-uninitialized under sanitizers.
add_library(rayx_warnings INTERFACE)
target_compile_options(rayx_warnings INTERFACE -Wall -Wextra -Werror -Wno-restrict)
if(RAYX_SANITIZE)
  target_compile_options(rayx_warnings INTERFACE -Wno-maybe-uninitialized)
endif()
if(CMAKE_UNITY_BUILD)
  # A source is included there, so that its unnamed namespace looks like a header's.
  target_compile_options(rayx_warnings INTERFACE -Wno-subobject-linkage)
endif()

# Tests are not optimised: they wait or search little, and compile in half the time. What they test
# is compiled as the build type says, but for templates and inline functions. OPTIMISED for those
# whose searches or races want more.
set(RAYX_TEST_FLAGS -O0)

# librayx.so and `rayx` are made of these. A variable of a thread costs them one load, not a call:
# what there is of them fits into what the loader keeps for libraries that come late.
set(RAYX_LIBRARY_MODULES base model io scheduling shm client)

# Reads layers.txt once into the global properties RAYX_MODULES and RAYX_EDGES_<module>.
function(rayx_read_layers)
  set(file ${RAYX_RUNTIME_DIR}/layers.txt)
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(STRINGS ${file} lines REGEX "^[a-z_]+:")
  set(above "")
  foreach(line ${lines})
    string(REGEX MATCH "^([a-z_]+):(.*)$" _ "${line}")
    set(module ${CMAKE_MATCH_1})
    string(REGEX MATCHALL "[a-z_]+" edges "${CMAKE_MATCH_2}")
    foreach(edge ${edges})
      if(NOT edge IN_LIST above)
        message(FATAL_ERROR "layers.txt: ${module} names ${edge}, which is not above it")
      endif()
    endforeach()
    list(APPEND above ${module})
    set_property(GLOBAL PROPERTY RAYX_EDGES_${module} "${edges}")
  endforeach()
  set_property(GLOBAL PROPERTY RAYX_MODULES "${above}")
endfunction()
rayx_read_layers()

# Fails the configuration unless layers.txt has the edges name -> each dependency.
function(rayx_check_edges name)
  get_property(modules GLOBAL PROPERTY RAYX_MODULES)
  if(NOT name IN_LIST modules)
    message(FATAL_ERROR "rayx_module(${name}): layers.txt has no line for it")
  endif()
  get_property(edges GLOBAL PROPERTY RAYX_EDGES_${name})
  foreach(dep ${ARGN})
    if(NOT dep IN_LIST modules)
      message(FATAL_ERROR "rayx_module(${name}): layers.txt knows no module ${dep}")
    elseif(NOT dep IN_LIST edges)
      message(FATAL_ERROR "rayx_module(${name}): layers.txt forbids ${name} -> ${dep}")
    endif()
  endforeach()
endfunction()

# Module names to targets.
function(rayx_module_targets out)
  set(targets "")
  foreach(dep ${ARGN})
    list(APPEND targets rayx_${dep})
  endforeach()
  set(${out} ${targets} PARENT_SCOPE)
endfunction()

# rayx_module(<name> [SOURCES ...] [DEPS modules...] [LIBS targets...])
function(rayx_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;LIBS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "rayx_module(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
  endif()
  rayx_check_edges(${name} ${arg_DEPS})
  rayx_module_targets(deps ${arg_DEPS})
  if(arg_SOURCES)
    add_library(rayx_${name} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(rayx_${name} PRIVATE rayx_warnings)
    if(name IN_LIST RAYX_LIBRARY_MODULES)
      target_compile_options(rayx_${name} PRIVATE -ftls-model=initial-exec
        -fno-tree-slp-vectorize)
    endif()
    rayx_module_pch(rayx_${name} ${arg_DEPS})
  else()
    add_library(rayx_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(rayx::mod::${name} ALIAS rayx_${name})
  target_include_directories(rayx_${name} ${scope} ${RAYX_RUNTIME_DIR})
  target_link_libraries(rayx_${name} ${scope} ${deps} ${arg_LIBS} Threads::Threads)
  if(RAYX_TESTS AND arg_SOURCES AND NOT RAYX_SANITIZE)
    rayx_link_test(${name})
  endif()
endfunction()

# The precompiled header that fits a module with these dependencies.
function(rayx_module_pch target)
  if(target STREQUAL "rayx_torch")
    return()  # it has LibTorch's
  elseif("proto_services" IN_LIST ARGN)
    rayx_use_pch(${target} rayx_services_pch)
  elseif("proto_local" IN_LIST ARGN)
    rayx_use_pch(${target} rayx_messages_pch)
  else()
    rayx_use_pch(${target} rayx_plain_pch)
  endif()
endfunction()

# An empty program with every object of the module and what the module says it needs: it links only
# if DEPS and LIBS are the truth. Building it is the test.
function(rayx_link_test name)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/empty_main.cc CONTENT "int main() {}\n")
  add_executable(rayx_${name}_links ${CMAKE_BINARY_DIR}/generated/empty_main.cc)
  set_target_properties(rayx_${name}_links PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/tests/links)
  rayx_link_whole(rayx_${name}_links rayx_${name})
  if(name STREQUAL "torch")  # stands on the public API, that is on librayx.so
    target_link_libraries(rayx_${name}_links PRIVATE rayx_shared)
  endif()
endfunction()

# rayx_test(<name> SOURCES ... [DEPS modules...] [LIBS targets...] [LABELS ...] [TIMEOUT seconds]
#           [ENVIRONMENT NAME=value...] [ARGS ...] [SERIAL] [THREADS] [OPTIMISED])
# SERIAL: never beside another test. THREADS: the label
# `threads` beside the others, for what has several threads of our own and little of libraries'.
# OPTIMISED: see RAYX_TEST_FLAGS.
function(rayx_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL;THREADS;OPTIMISED"
    "TIMEOUT" "SOURCES;DEPS;LIBS;LABELS;ENVIRONMENT;ARGS")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_SOURCES)
    message(FATAL_ERROR "rayx_test(${name}): no SOURCES or unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  rayx_module_targets(deps ${arg_DEPS})
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/tests UNITY_BUILD OFF)
  target_include_directories(${name} PRIVATE ${RAYX_RUNTIME_DIR} ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE rayx_warnings ${deps} ${arg_LIBS} Threads::Threads)
  target_link_libraries(${name} PRIVATE rayx_test_main)
  if(NOT arg_OPTIMISED)
    target_compile_options(${name} PRIVATE ${RAYX_TEST_FLAGS})
    rayx_test_pch(${name} ${arg_DEPS})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  if(NOT arg_LABELS)
    file(RELATIVE_PATH arg_LABELS ${CMAKE_SOURCE_DIR}/tests ${CMAKE_CURRENT_SOURCE_DIR})
    string(REGEX REPLACE "/.*" "" arg_LABELS "${arg_LABELS}")
  endif()
  if(arg_THREADS)
    list(APPEND arg_LABELS threads)
  endif()
  add_test(NAME ${name} COMMAND ${name} ${arg_ARGS})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}" ENVIRONMENT "${arg_ENVIRONMENT}")
  rayx_sanitized(${name})
  if(arg_SERIAL)
    set_tests_properties(${name} PROPERTIES RUN_SERIAL ON)
  endif()
endfunction()

# The precompiled header that fits a test with these dependencies.
function(rayx_test_pch name)
  set(pch rayx_test_plain_pch)
  foreach(module rpc head node store cli)
    if(module IN_LIST ARGN)
      set(pch rayx_test_services_pch)
    endif()
  endforeach()
  if(torch IN_LIST ARGN)
    target_link_libraries(${name} PRIVATE rayx_torch_dep)
    set(pch rayx_test_torch_pch)
  elseif(client IN_LIST ARGN AND pch STREQUAL rayx_test_plain_pch)
    set(pch rayx_test_api_pch)
  endif()
  rayx_use_pch(${name} ${pch})
endfunction()

# rayx_test_executable(<name> SOURCES ... [LIBS targets...] [TORCH]): a user's program that is a
# test, in bin/tests.
function(rayx_test_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "" "SOURCES;LIBS")
  rayx_executable(${name} SOURCES ${arg_SOURCES} FOLDER tests
    LIBS Catch2::Catch2 rayx_test_main ${arg_LIBS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${RAYX_TEST_FLAGS})
  if(arg_TORCH)
    rayx_test_pch(${name} torch)
  else()
    rayx_test_pch(${name} client)
  endif()
endfunction()

# rayx_sanitized(<test>): after its properties are set. If a sanitizer of this build runs one of the
# test's labels, tests/run builds it, with more time and the sanitizer's options.
function(rayx_sanitized name)
  set(own unit)
  if(RAYX_SANITIZE STREQUAL "thread")
    set(own threads)
  endif()
  get_test_property(${name} LABELS labels)
  if(NOT RAYX_SANITIZE OR NOT (own IN_LIST labels OR "sanitize" IN_LIST labels))
    return()
  endif()
  add_dependencies(rayx_sanitizer_tests ${name})
  get_test_property(${name} TIMEOUT timeout)
  math(EXPR timeout "${timeout} * 4")
  set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout})
  set(suppressions ${CMAKE_SOURCE_DIR}/tests/tsan_suppressions.txt)
  # halt_on_error: a race in any process of a cluster, not only in the test's own, ends in red.
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=halt_on_error=1:suppressions=${suppressions}")
endfunction()

# rayx_executable(<name> SOURCES ... [FOLDER folder] [LIBS targets...]): a program written against
# the public API, linked as a user links it: librayx.so, and librayx_main.a after all the rest.
function(rayx_executable name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "SOURCES;LIBS")
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin/${arg_FOLDER} PCH_WARN_INVALID OFF)
  target_link_libraries(${name} PRIVATE rayx_warnings ${arg_LIBS} rayx::rayx)
  # The driver starts the rayx of its own build.
  add_dependencies(${name} rayx)
endfunction()

# rayx_wrap_main(<target> [INTERFACE]): puts the wrapper of worker mode before the target's main.
# `-u main` makes the order of libraries irrelevant: without it a main that comes out of a static
# library named before librayx_main.a is not found.
function(rayx_wrap_main target)
  set(scope PRIVATE)
  if(ARGN)
    set(scope ${ARGN})
  endif()
  target_link_options(${target} ${scope} LINKER:--wrap=main LINKER:-u,main)
  target_link_libraries(${target} ${scope} rayx_main)
endfunction()

# rayx_use_torch_pch(<target>): the target, which links rayx_torch_dep, takes <torch/torch.h> from
# the one precompiled header.
function(rayx_use_torch_pch target)
  target_link_libraries(${target} PRIVATE rayx_torch_dep)
  rayx_use_pch(${target} rayx_torch_pch)
endfunction()

# rayx_link_whole(<target> <static library>...): links every object of a static library, so that
# the RAYX_REMOTE registrations in it survive although nothing names them.
function(rayx_link_whole target)
  foreach(library ${ARGN})
    target_link_libraries(${target} PRIVATE
      -Wl,--whole-archive $<TARGET_FILE:${library}> -Wl,--no-whole-archive ${library})
    add_dependencies(${target} ${library})
  endforeach()
endfunction()

# rayx_proto(<name> PROTOS files... [GRPC] [DEPS modules...]): the static library rayx_<name> from
# .proto files of the folder proto/, which import each other as "proto/x.proto". Sources include
# "proto/x.pb.h" and, with GRPC, "proto/x.grpc.pb.h".
function(rayx_proto name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "GRPC" "" "PROTOS;DEPS")
  rayx_check_edges(${name} ${arg_DEPS})
  set(out ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${out}/proto)
  set(sources "")
  foreach(proto ${arg_PROTOS})
    get_filename_component(stem ${proto} NAME_WE)
    set(generated ${out}/proto/${stem}.pb.cc ${out}/proto/${stem}.pb.h)
    set(plugin "")
    if(arg_GRPC)
      list(APPEND generated ${out}/proto/${stem}.grpc.pb.cc ${out}/proto/${stem}.grpc.pb.h)
      set(plugin --grpc_out=${out} --plugin=protoc-gen-grpc=${RAYX_GRPC_CPP_PLUGIN})
    endif()
    # Imports are few: every file of the folder counts as an input of each.
    file(GLOB all_protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/proto/*.proto)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR} --cpp_out=${out} ${plugin} proto/${stem}.proto
      DEPENDS ${all_protos}
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
      COMMENT "protoc ${stem}.proto" VERBATIM)
    list(APPEND sources ${generated})
  endforeach()
  rayx_module_targets(deps ${arg_DEPS})
  add_library(rayx_${name} STATIC ${sources})
  set_target_properties(rayx_${name} PROPERTIES UNITY_BUILD OFF)
  add_library(rayx::mod::${name} ALIAS rayx_${name})
  target_include_directories(rayx_${name} SYSTEM PUBLIC ${out})
  target_link_libraries(rayx_${name} PUBLIC ${deps} protobuf::libprotobuf)
  if(arg_GRPC)
    target_link_libraries(rayx_${name} PUBLIC gRPC::grpc++)
  endif()
endfunction()
