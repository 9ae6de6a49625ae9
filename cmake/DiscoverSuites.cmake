# One CTest entry for each suite of a GoogleTest program: what a suite sets up (a simulated, converted tile) is made once
# and not for each of its cases, and a program of a hundred cases is not loaded a hundred times. CTest includes this when
# it starts, with `program`, `label` and `name` set.
if(NOT EXISTS "${program}")
  add_test("${label}.${name}_NOT_BUILT" "${name}_NOT_BUILT")
  set_tests_properties("${label}.${name}_NOT_BUILT" PROPERTIES LABELS ${label})
  return()
endif()
execute_process(COMMAND "${program}" --gtest_list_tests OUTPUT_VARIABLE listing RESULT_VARIABLE status)
string(REGEX MATCHALL "\n[A-Za-z0-9_/]+\\." suites "\n${listing}")
if(NOT status EQUAL 0 OR NOT suites)
  message(FATAL_ERROR "${program} --gtest_list_tests: ${status} ${listing}")
endif()
foreach(suite ${suites})
  string(REGEX REPLACE "[\n.]" "" suite "${suite}")
  add_test("${label}.${suite}" "${program}" "--gtest_filter=${suite}.*")
  set_tests_properties("${label}.${suite}" PROPERTIES LABELS ${label} TIMEOUT 900 SKIP_RETURN_CODE 77)
  if(NOT label STREQUAL "unit")  # they convert and image whole tiles, with threads
    set_tests_properties("${label}.${suite}" PROPERTIES PROCESSORS 2 COST 20)
  endif()
endforeach()
