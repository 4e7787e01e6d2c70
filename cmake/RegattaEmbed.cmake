# regatta_embed(TARGET HEADER NAME=FILE...[+FILE...] ...)
# Texts as constants of a target: HEADER declares each NAME as `extern const std::string_view`; files joined by + follow
# each other in one text, and a NAME without a file is empty. The generated source is made again when a file changes.
function(regatta_embed target header)
  set(_source ${CMAKE_CURRENT_BINARY_DIR}/${target}_texts.cpp)
  string(REGEX REPLACE "[^;]*=" "" _files "${ARGN}")
  string(REPLACE "+" ";" _files "${_files}")
  list(FILTER _files EXCLUDE REGEX "^$")
  string(JOIN "|" _texts ${ARGN})
  add_custom_command(OUTPUT ${_source}
    COMMAND ${CMAKE_COMMAND} "-DOUT=${_source}" "-DHEADER=${header}" "-DTEXTS=${_texts}" -P ${CMAKE_SOURCE_DIR}/cmake/write_texts.cmake
    DEPENDS ${_files} ${CMAKE_SOURCE_DIR}/cmake/write_texts.cmake
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} VERBATIM)
  target_sources(${target} PRIVATE ${_source})
  set_source_files_properties(${_source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON SKIP_PRECOMPILE_HEADERS ON
    COMPILE_OPTIONS "$<$<CXX_COMPILER_ID:Clang>:-Wno-overlength-strings>")
endfunction()
