# Third-party headers that most sources of a target include, read by the compiler once per target instead of once per
# source. Sources include what they use all the same: the presets `dev`, `tidy` and `fuzz` build without this.
#   regatta_precompile(TARGET [CATCH] [TORCH])
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
  target_precompile_headers(${target} PRIVATE ${_headers})
  # ccache must see what comes from the precompiled header. GCC forgets that what it inlines from there is the system's,
  # and raises false alarms about std::string.
  target_compile_options(${target} PRIVATE -fpch-preprocess -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
endfunction()
