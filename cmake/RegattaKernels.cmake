# CUDA sources by a compile rule of our own: CMake's CUDA language wants a whole toolkit, and users have nvcc from PyPI.
# Searched: REGATTA_NVCC, what env/nvcc.sh put under REGATTA_PREFIX, PATH, /usr/local/cuda. Built where LibTorch is the
# full form and an nvcc of its CUDA's major version is found; else the layer holds the CPU forms alone.
file(GLOB _nvccs ${_prefix}/nvcc-*/lib/python3*/site-packages/nvidia/cu*/bin)
find_program(REGATTA_NVCC nvcc HINTS ${_nvccs} PATHS /usr/local/cuda/bin)
set(REGATTA_WITH_KERNELS OFF)
set(REGATTA_KERNELS_WHY "left out: LibTorch is left out or its CPU form")
if(REGATTA_WITH_TORCH AND REGATTA_WITH_CUDA)
  set(REGATTA_KERNELS_WHY "left out: no nvcc")
  file(GLOB REGATTA_CUDART ${REGATTA_TORCH_FOUND}/../nvidia/cu*/lib/libcudart.so.*
       ${REGATTA_TORCH_FOUND}/../nvidia/cuda_runtime/lib/libcudart.so.*)
  if(REGATTA_NVCC AND NOT REGATTA_CUDART)
    set(REGATTA_KERNELS_WHY "left out: no libcudart beside LibTorch")
  elseif(REGATTA_NVCC)
    execute_process(COMMAND ${REGATTA_NVCC} --version OUTPUT_VARIABLE _nvcc_version ERROR_QUIET)
    string(REGEX MATCH "V([0-9]+)\\.[0-9]+\\.[0-9]+" REGATTA_NVCC_VERSION "${_nvcc_version}")
    set(_nvcc_major "${CMAKE_MATCH_1}")
    list(GET REGATTA_CUDART 0 REGATTA_CUDART)
    cmake_path(ABSOLUTE_PATH REGATTA_CUDART NORMALIZE)
    if(REGATTA_CUDART MATCHES "\\.so\\.${_nvcc_major}(\\.|$)")
      set(REGATTA_WITH_KERNELS ON)
      set(REGATTA_KERNELS_WHY "nvcc ${REGATTA_NVCC_VERSION}")
    else()
      set(REGATTA_KERNELS_WHY "left out: nvcc ${REGATTA_NVCC_VERSION} does not fit ${REGATTA_CUDART}")
    endif()
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
