# cmake -DPROGRAM=... -DMODE=local|embedded -DEXPECTED=file -P compare_output.cmake: fails unless the
# program exits with 0 and prints exactly what the file says.
set(flags "")
if(MODE STREQUAL "local")
  set(flags --local)
endif()
execute_process(COMMAND ${PROGRAM} ${flags}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} (${MODE}) ended with ${result}:\n${output}${error}")
endif()
file(READ ${EXPECTED} expected)
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "${PROGRAM} (${MODE}) printed\n${output}\nand not\n${expected}\n${error}")
endif()
