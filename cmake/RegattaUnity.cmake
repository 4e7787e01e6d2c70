# Several sources of a target compiled as one: what they include alike is read and instantiated once. Names in unnamed
# namespaces are therefore unique within a layer (tools/dev/check_names says where not). The preset `release` builds
# so; the others compile each source alone, so that each includes what it uses and an edit costs one source.
#   regatta_unity(TARGET [ALONE SOURCES ...])
# ALONE: sources that stay alone, as models do, whose authors need not know each other's names.
option(REGATTA_UNITY "compile several sources of a layer as one" OFF)

function(regatta_unity target)
  cmake_parse_arguments(UNITY "" "" "ALONE" ${ARGN})
  if(NOT REGATTA_UNITY)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  # Meant for headers: a class of a source may hold what only that source knows.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
  if(UNITY_ALONE)
    set_source_files_properties(${UNITY_ALONE} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()
