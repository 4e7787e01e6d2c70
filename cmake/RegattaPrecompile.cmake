# Third-party headers that most sources of a target include, read by the compiler once instead of once per source. The
# first of the libraries, or of the tests, with the same headers makes them and the others use its file; a program, whose
# definitions are its own, makes its own. Sources include what they use all the same: the presets `dev`, `tidy` and `fuzz` build without this.
#   regatta_precompile(LIBRARY|TEST|PROGRAM [CATCH] [TORCH])
option(REGATTA_PRECOMPILE "precompile headers of the standard library, nlohmann-json, LibTorch and Catch2" OFF)

function(regatta_precompile target)
  cmake_parse_arguments(PRECOMPILE "CATCH;TORCH" "" "" ${ARGN})
  if(NOT REGATTA_PRECOMPILE)
    return()
  endif()
  set(_headers <algorithm> <array> <cstdint> <filesystem> <functional> <map> <memory> <optional> <set> <string> <vector>
               <nlohmann/json.hpp>)
  if(PRECOMPILE_TORCH)
    list(APPEND _headers <ATen/TensorOperators.h> <ATen/core/Tensor.h> <ATen/core/grad_mode.h>)
  endif()
  if(PRECOMPILE_CATCH)
    list(APPEND _headers [["support/catch.hpp"]])
  endif()
  get_target_property(_type ${target} TYPE)
  set(_kind REGATTA_PRECOMPILED_${_type}_${PRECOMPILE_CATCH}_${PRECOMPILE_TORCH})
  get_property(_owner GLOBAL PROPERTY ${_kind})
  if(_owner AND (PRECOMPILE_CATCH OR NOT _type STREQUAL EXECUTABLE))
    target_precompile_headers(${target} REUSE_FROM ${_owner})
  else()
    target_precompile_headers(${target} PRIVATE ${_headers})
    set_property(GLOBAL PROPERTY ${_kind} ${target})
  endif()
  # ccache must see what comes from the precompiled header. GCC forgets that what it inlines from there is the system's,
  # and raises false alarms about std::string.
  target_compile_options(${target} PRIVATE -fpch-preprocess -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endfunction()
