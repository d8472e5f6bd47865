# librayx.so (rayx_shared, alias rayx::rayx), librayx_main.a (rayx_main) and what is installed.
#
# librayx.so is runtime/client and all it depends on, whole and with default visibility: one
# registry of functions a process. librayx_main.a holds only __wrap_main, out of the one file
# wrap_main.cc in runtime/client, which that folder's module must not list: inside a shared library
# the wrapper would link but die at start.
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/rayx_shared.cc @ONLY
  CONTENT "// librayx.so is made of archives.\n")
add_library(rayx_shared SHARED ${CMAKE_BINARY_DIR}/generated/rayx_shared.cc)
set_target_properties(rayx_shared PROPERTIES OUTPUT_NAME rayx)
# Its own functions call each other directly, not through a table that a program could change.
target_link_options(rayx_shared PRIVATE LINKER:-Bsymbolic-functions)
foreach(module base model io scheduling shm proto_local client)
  rayx_link_whole(rayx_shared rayx_${module})
endforeach()
target_include_directories(rayx_shared PUBLIC
  $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include>)
target_compile_definitions(rayx_shared PUBLIC MSGPACK_NO_BOOST)

add_library(rayx_main STATIC client/wrap_main.cc)
target_include_directories(rayx_main PRIVATE
  ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/include)
target_link_libraries(rayx_main PRIVATE rayx_warnings)

# What a user links: librayx.so and the wrapper.
add_library(rayx_user INTERFACE)
target_link_libraries(rayx_user INTERFACE rayx_shared)
rayx_wrap_main(rayx_user INTERFACE)
add_library(rayx::rayx ALIAS rayx_user)
