# TRANSITION: drops names of files that do not exist yet.
function(regatta_only_existing variable)
  set(_kept "")
  foreach(_file ${${variable}})
    if(EXISTS ${_file} OR EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${_file})
      list(APPEND _kept ${_file})
    else()
      message(WARNING "missing ${_file}")
    endif()
  endforeach()
  set(${variable} ${_kept} PARENT_SCOPE)
endfunction()

# regatta_add_layer(NAME SOURCES ... HEADERS ... DEPENDS ... [PRIVATE_DEPENDS ...])
# A static library regatta::NAME from src/NAME; HEADERS are names under include/regatta/NAME and are also compiled alone
# (target all_verify_interface_header_sets).
function(regatta_add_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;HEADERS;DEPENDS;PRIVATE_DEPENDS" ${ARGN})
  regatta_only_existing(LAYER_SOURCES)  # TRANSITION
  add_library(regatta_${name} STATIC ${LAYER_SOURCES})
  add_library(regatta::${name} ALIAS regatta_${name})
  list(TRANSFORM LAYER_HEADERS PREPEND ${CMAKE_SOURCE_DIR}/include/regatta/${name}/)
  regatta_only_existing(LAYER_HEADERS)  # TRANSITION
  target_sources(regatta_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/include FILES ${LAYER_HEADERS})
  set_target_properties(regatta_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_include_directories(regatta_${name} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(regatta_${name} PUBLIC ${LAYER_DEPENDS} PRIVATE ${LAYER_PRIVATE_DEPENDS} regatta_warnings regatta_sanitizers)
endfunction()
