# `cmake --build --preset release --target docs`: the public headers as pages, by Doxygen, in
# build/release/docs/html. Doxygen is for whoever wants them: `third_party/install --with-docs`.
# A public class or function without a comment fails the target, and the test of the same name.
find_package(Doxygen QUIET)
if(NOT DOXYGEN_FOUND)
  add_custom_target(docs
    COMMAND ${CMAKE_COMMAND} -E echo
      "docs: no doxygen here: third_party/install --with-docs, then cmake --preset release"
    COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
  return()
endif()

set(here ${CMAKE_CURRENT_SOURCE_DIR})
set(folders ${here}/include/rayx ${here}/torch/include/rayx ${here}/torch/include/rayx/torch)
list(TRANSFORM folders APPEND /*.h)
file(GLOB headers CONFIGURE_DEPENDS ${folders})
# Of detail/ those in which a program meets something: docs_filter.py says what.
foreach(name builder error_record packer runtime_interface unpacker)
  list(APPEND headers ${here}/include/rayx/detail/${name}.h)
endforeach()

set(DOXYGEN_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/docs)
set(DOXYGEN_FILTER_PATTERNS "*.h=${RAYX_PYTHON} ${here}/docs_filter.py")
set(DOXYGEN_ALIASES "contract=@file ^^ ")  # two lines out of one: the filter keeps their number
set(DOXYGEN_STRIP_FROM_PATH ${here}/include ${here}/torch/include)
set(DOXYGEN_STRIP_FROM_INC_PATH ${DOXYGEN_STRIP_FROM_PATH})
set(DOXYGEN_PREDEFINED RAYX_PUBLIC= __cplusplus=202002L)
set(DOXYGEN_MACRO_EXPANSION YES)
set(DOXYGEN_EXPAND_ONLY_PREDEF YES)
set(DOXYGEN_JAVADOC_AUTOBRIEF YES)
set(DOXYGEN_DISTRIBUTE_GROUP_DOC YES)
set(DOXYGEN_INLINE_INHERITED_MEMB YES)
set(DOXYGEN_SORT_MEMBER_DOCS NO)
set(DOXYGEN_SHOW_INCLUDE_FILES NO)
set(DOXYGEN_VERBATIM_HEADERS NO)
set(DOXYGEN_HAVE_DOT NO)
set(DOXYGEN_QUIET YES)
set(DOXYGEN_WARN_AS_ERROR FAIL_ON_WARNINGS)
doxygen_add_docs(docs ${here}/docs.dox ${headers}
  COMMENT "Doxygen: ${CMAKE_BINARY_DIR}/docs/html/index.html")
if(RAYX_TESTS AND NOT RAYX_SANITIZE)
  add_test(NAME docs COMMAND Doxygen::doxygen ${CMAKE_CURRENT_BINARY_DIR}/Doxyfile.docs)
  set_tests_properties(docs PROPERTIES LABELS tidy TIMEOUT 120)
endif()
