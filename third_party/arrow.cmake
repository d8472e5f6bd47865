# Arrow C++ (CSV, Parquet) as one interface target, rayx_arrow. For bench/ alone.
#
# Debian has no Arrow; the pyarrow wheel of the virtual environment brings headers and libraries. A
# machine without it builds everything else: whoever needs Arrow asks `if(TARGET rayx_arrow)`.
unset(arrow_root)
if(RAYX_VENV)
  file(GLOB arrow_places ${RAYX_VENV}/lib/python3*/site-packages/pyarrow)
  foreach(place ${arrow_places})
    if(EXISTS ${place}/include/arrow/api.h AND EXISTS ${place}/include/parquet/arrow/writer.h)
      set(arrow_root ${place})
      break()
    endif()
  endforeach()
endif()

# The version is part of the libraries' names, and is the first thing an ABI depends on: take the
# one that the headers name.
unset(arrow_version)
if(arrow_root)
  file(STRINGS ${arrow_root}/include/arrow/util/config.h arrow_version
    REGEX "^#define ARROW_SO_VERSION ")
  string(REGEX REPLACE "^#define ARROW_SO_VERSION \"([0-9]+)\".*" "\\1" arrow_version
    "${arrow_version}")
  foreach(library arrow parquet)
    if(NOT EXISTS ${arrow_root}/lib${library}.so.${arrow_version})
      message(STATUS "Arrow: ${arrow_root} lacks lib${library}.so.${arrow_version}")
      unset(arrow_root)
      break()
    endif()
  endforeach()
endif()
if(NOT arrow_root)
  message(STATUS "Arrow C++ was not found in the virtual environment: rayx-data and the benchmarks "
    "that read tables are not built. ${RAYX_INSTALL_HINT}")
  return()
endif()
message(STATUS "Arrow C++: ${arrow_root} (libarrow.so.${arrow_version})")

# Imported libraries, so that CMake writes their folder into the rpath of what links them.
foreach(library arrow parquet)
  add_library(rayx_${library}_library SHARED IMPORTED GLOBAL)
  set_target_properties(rayx_${library}_library PROPERTIES
    IMPORTED_LOCATION ${arrow_root}/lib${library}.so.${arrow_version}
    IMPORTED_SONAME lib${library}.so.${arrow_version})
endforeach()
# -idirafter, as for LibTorch: nothing of a wheel comes before the system's headers, and warnings of
# these headers are silent.
add_library(rayx_arrow INTERFACE)
target_compile_options(rayx_arrow INTERFACE "SHELL:-idirafter ${arrow_root}/include")
target_link_libraries(rayx_arrow INTERFACE
  rayx_parquet_library rayx_arrow_library Threads::Threads)
