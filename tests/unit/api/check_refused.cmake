# cmake -DCOMPILER=... -DINCLUDE=folder -DPROGRAM=refused_programs.cc -P check_refused.cmake
# One compiler run: a failed static_assert does not end it, so that it reports every mistake.
execute_process(
  COMMAND ${COMPILER} -std=c++17 -fsyntax-only -fmax-errors=0 -I${INCLUDE} ${PROGRAM}
  RESULT_VARIABLE result ERROR_VARIABLE said OUTPUT_QUIET)
if(result EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} compiled, and nothing in it should")
endif()
# Sentences hold semicolons, of which CMake would make list separators.
string(REPLACE ";" "," said "${said}")
file(READ ${PROGRAM} program)
string(REPLACE ";" "," program "${program}")
string(REGEX MATCHALL "EXPECT: [^\n]+" expected "${program}")
list(LENGTH expected count)
if(count LESS 20)
  message(FATAL_ERROR "only ${count} expectations found in ${PROGRAM}")
endif()
set(missing "")
foreach(line ${expected})
  string(REPLACE "EXPECT: " "" sentence "${line}")
  string(FIND "${said}" "${sentence}" place)
  if(place EQUAL -1)
    string(APPEND missing "  ${sentence}\n")
  endif()
endforeach()
if(missing)
  message(FATAL_ERROR "The compiler did not say\n${missing}It said\n${said}")
endif()
message(STATUS "${count} mistakes refused")
