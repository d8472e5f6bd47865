# Arrow C++ and Parquet as one interface target, rayx_arrow_dep, for bench/ and the data side only.
# Debian has no Arrow; the pyarrow wheel in the virtual environment brings headers and libraries.
# Without it the target is missing and what needs it is left out.
file(GLOB arrow_places ${RAYX_VENV}/lib/python3*/site-packages/pyarrow)
foreach(place ${arrow_places})
  file(GLOB arrow_library ${place}/libarrow.so.[0-9]*)
  file(GLOB parquet_library ${place}/libparquet.so.[0-9]*)
  file(GLOB compute_library ${place}/libarrow_compute.so.[0-9]*)
  if(arrow_library AND parquet_library AND NOT TARGET rayx_arrow_dep)
    add_library(rayx_arrow_dep INTERFACE)
    target_include_directories(rayx_arrow_dep SYSTEM INTERFACE ${place}/include)
    target_link_libraries(rayx_arrow_dep INTERFACE
      ${parquet_library} ${compute_library} ${arrow_library})
    message(STATUS "Arrow: ${arrow_library}")
  endif()
endforeach()
