# regatta_add_unit_tests(LAYER SOURCES ... DEPENDS ... [TIMEOUT s])
# One Catch2 executable per layer, test_LAYER, one CTest entry per executable with label "unit".
function(regatta_add_unit_tests layer)
  cmake_parse_arguments(UNIT "" "TIMEOUT" "SOURCES;DEPENDS" ${ARGN})
  if(NOT UNIT_TIMEOUT)
    set(UNIT_TIMEOUT 120)
  endif()
  regatta_only_existing(UNIT_SOURCES)  # TRANSITION
  add_executable(test_${layer} ${UNIT_SOURCES})
  target_link_libraries(test_${layer} PRIVATE ${UNIT_DEPENDS} regatta_test_support regatta_warnings regatta_sanitizers)
  target_include_directories(test_${layer} PRIVATE ${CMAKE_SOURCE_DIR}/test ${CMAKE_SOURCE_DIR}/src)
  add_test(NAME unit.${layer} COMMAND test_${layer})
  set_tests_properties(unit.${layer} PROPERTIES LABELS unit TIMEOUT ${UNIT_TIMEOUT})
endfunction()
