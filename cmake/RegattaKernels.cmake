# CUDA sources by a compile rule of our own: CMake's CUDA language wants a whole toolkit, and users have nvcc from PyPI.
# Searched: REGATTA_NVCC, which env/setup.sh gives ("off" or "none": no kernels), else an nvcc of CUDA_HOME, PATH,
# /usr/local/cuda or env/nvcc.sh of the major version of LibTorch's CUDA. Built where LibTorch is the full form and there
# is such an nvcc; else the layer holds the CPU forms alone.
function(regatta_nvcc_version nvcc version)
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE _text ERROR_QUIET)
  string(REGEX MATCH "V[0-9]+\\.[0-9]+\\.[0-9]+" _version "${_text}")
  set(${version} "${_version}" PARENT_SCOPE)
endfunction()

function(regatta_check_nvcc fits nvcc)
  regatta_nvcc_version(${nvcc} _version)
  if(NOT _version MATCHES "^V${REGATTA_CUDA_MAJOR}\\.")
    set(${fits} FALSE PARENT_SCOPE)
  endif()
endfunction()

set(REGATTA_WITH_KERNELS OFF)
set(REGATTA_KERNELS_WHY "left out: LibTorch is left out or its CPU form")
if(REGATTA_WITH_TORCH AND REGATTA_WITH_CUDA)
  file(REAL_PATH ${REGATTA_CUDART} _cudart)
  string(REGEX MATCH "\\.so\\.([0-9]+)" _ ${_cudart})
  set(REGATTA_CUDA_MAJOR ${CMAKE_MATCH_1})
  file(GLOB _nvccs ${_prefix}/nvcc-*/lib/python3*/site-packages/nvidia/cu*/bin)
  find_program(REGATTA_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda/bin ${_nvccs} PATH_SUFFIXES bin
               VALIDATOR regatta_check_nvcc)
  set(_nvcc_version "")
  if(REGATTA_NVCC)
    regatta_nvcc_version(${REGATTA_NVCC} _nvcc_version)
  endif()
  if(REGATTA_NVCC MATCHES "-NOTFOUND$|^none$")
    set(REGATTA_KERNELS_WHY "left out: no nvcc of CUDA ${REGATTA_CUDA_MAJOR}")
  elseif(NOT REGATTA_NVCC)
    set(REGATTA_KERNELS_WHY "left out: switched off")
  elseif(_nvcc_version MATCHES "^V${REGATTA_CUDA_MAJOR}\\.")
    set(REGATTA_WITH_KERNELS ON)
    set(REGATTA_KERNELS_WHY "nvcc ${_nvcc_version}")
  else()
    set(REGATTA_KERNELS_WHY "left out: ${REGATTA_NVCC} is no nvcc of CUDA ${REGATTA_CUDA_MAJOR}")
  endif()
endif()

set(_nvcc_flags -std=c++20 -O3 -Xcompiler=-fPIC,-Wall,-Wextra --expt-relaxed-constexpr -Xptxas=-v)
if(REGATTA_WERROR)
  list(APPEND _nvcc_flags -Werror=all-warnings)
endif()
# Machine code for the chips that users have, and PTX that later ones compile when they start.
set(_all_chips -gencode=arch=compute_80,code=[sm_80,compute_80] -gencode=arch=compute_90,code=sm_90)
set(_hopper -gencode=arch=compute_90a,code=sm_90a)
# Two at a time, as sources that include LibTorch, where the preset has that pool.
set(_cuda_pool)
if("${CMAKE_JOB_POOLS}" MATCHES "torch=")
  set(_cuda_pool JOB_POOL torch)
endif()

# regatta_add_cuda_sources(TARGET SOURCES ... [HOPPER])
# HOPPER: for compute capability 9.0 alone (wgmma). What ptxas says of registers, shared memory and spills lies beside
# each object, as NAME.cu.ptxas; tools/dev/check_spills reads it.
function(regatta_add_cuda_sources target)
  cmake_parse_arguments(CUDA "HOPPER" "" "SOURCES" ${ARGN})
  set(_chips ${_all_chips})
  if(CUDA_HOPPER)
    set(_chips ${_hopper})
  endif()
  foreach(_source ${CUDA_SOURCES})
    set(_stem ${CMAKE_CURRENT_BINARY_DIR}/${_source})
    cmake_path(GET _stem PARENT_PATH _folder)
    file(MAKE_DIRECTORY ${_folder})
    set(_compile ${CMAKE_CXX_COMPILER_LAUNCHER} ${REGATTA_NVCC} ${_nvcc_flags} ${_chips} -I${CMAKE_SOURCE_DIR}/include
                 -I${CMAKE_SOURCE_DIR}/src -MD -MF ${_stem}.d -c ${CMAKE_CURRENT_SOURCE_DIR}/${_source} -o ${_stem}.o)
    list(JOIN _compile "' '" _compile)
    add_custom_command(OUTPUT ${_stem}.o
      COMMAND sh -c "'${_compile}' 2>'${_stem}.ptxas' || { cat '${_stem}.ptxas' >&2; exit 1; }"
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${_source} DEPFILE ${_stem}.d ${_cuda_pool}
      COMMENT "Building CUDA object ${_source}" VERBATIM)
    target_sources(${target} PRIVATE ${_stem}.o)
    set_source_files_properties(${_stem}.o PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  endforeach()
endfunction()
