# cmake -DPROGRAM=... -DMODE=local|embedded|cluster -DRAYX=... -DPROGRAM_TIMEOUT=seconds
#       -DEXPECTED=file -P compare_output.cmake
# fails unless the program exits with 0 and prints exactly what the file says. With MODE=cluster it
# runs against a cluster that `rayx start` has made in a session folder of this test's own, and that
# is stopped whatever came of it.
foreach(name ADDRESS LOCAL_MODE NAMESPACE)
  unset(ENV{RAYX_${name}})
endforeach()
set(flags "")
set(session "")
if(MODE STREQUAL "local")
  set(flags --local)
elseif(MODE STREQUAL "cluster")
  # Short: the path of a unix socket below it has at most 107 bytes.
  execute_process(COMMAND mktemp -d /tmp/rayx-example-XXXXXX
    OUTPUT_VARIABLE session OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{RAYX_SESSION_DIR} ${session})
  execute_process(COMMAND ${RAYX} start --head --port 0
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)
  if(NOT result EQUAL 0 OR NOT output MATCHES "RAYX_ADDRESS=([0-9.]+:[0-9]+)")
    execute_process(COMMAND ${RAYX} stop OUTPUT_QUIET ERROR_QUIET)
    file(REMOVE_RECURSE ${session})
    message(FATAL_ERROR "rayx start ended with ${result}:\n${output}${error}")
  endif()
  set(flags --address ${CMAKE_MATCH_1})
endif()

execute_process(COMMAND ${PROGRAM} ${flags} TIMEOUT ${PROGRAM_TIMEOUT}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE error)

if(MODE STREQUAL "cluster")
  execute_process(COMMAND ${RAYX} stop
    RESULT_VARIABLE stopped OUTPUT_VARIABLE stop_output ERROR_VARIABLE stop_output)
  file(REMOVE_RECURSE ${session})
  if(NOT stopped EQUAL 0)
    message(SEND_ERROR "rayx stop ended with ${stopped}:\n${stop_output}")
  endif()
endif()
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} (${MODE}) ended with ${result}:\n${output}${error}")
endif()
file(READ ${EXPECTED} expected)
if(NOT output STREQUAL expected)
  message(FATAL_ERROR "${PROGRAM} (${MODE}) printed\n${output}\nand not\n${expected}\n${error}")
endif()
