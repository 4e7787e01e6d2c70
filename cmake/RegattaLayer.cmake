# regatta_add_layer(NAME SOURCES ... HEADERS ... DEPENDS ... [PRIVATE_DEPENDS ...])
# A static library regatta::NAME from src/NAME; HEADERS are names under include/regatta/NAME and are also compiled alone
# (target all_verify_interface_header_sets).
function(regatta_add_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  add_library(regatta_${name} STATIC ${LAYER_SOURCES})
  add_library(regatta::${name} ALIAS regatta_${name})
  list(TRANSFORM LAYER_HEADERS PREPEND ${CMAKE_SOURCE_DIR}/include/regatta/${name}/)
  target_sources(regatta_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/include FILES ${LAYER_HEADERS})
  set_target_properties(regatta_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_include_directories(regatta_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(regatta_${name} PUBLIC ${LAYER_DEPENDS} PRIVATE ${LAYER_PRIVATE_DEPENDS} regatta_warnings regatta_sanitizers)
endfunction()
