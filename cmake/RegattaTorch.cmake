# LibTorch as the imported target regatta::torch, made by hand: the wheel's own package file demands a CUDA toolkit.
# Searched: REGATTA_TORCH_ROOT, CMAKE_PREFIX_PATH, then what env/setup.sh put under REGATTA_PREFIX.
set(_prefix $ENV{REGATTA_PREFIX})
if(NOT _prefix)
  set(_prefix $ENV{HOME}/.local/share/regatta)
endif()
file(GLOB _wheels ${_prefix}/torch-*-cuda/lib/python3*/site-packages/torch ${_prefix}/torch-*-cpu/lib/python3*/site-packages/torch)
find_path(REGATTA_TORCH_INCLUDE ATen/core/Tensor.h HINTS ${REGATTA_TORCH_ROOT}/include PATHS ${_wheels} PATH_SUFFIXES include REQUIRED)
cmake_path(GET REGATTA_TORCH_INCLUDE PARENT_PATH REGATTA_TORCH_FOUND)

file(STRINGS ${REGATTA_TORCH_INCLUDE}/torch/headeronly/version.h _version REGEX "TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
string(REGEX MATCHALL "[0-9]+" _version "${_version}")
list(JOIN _version "." REGATTA_TORCH_VERSION)
find_library(REGATTA_TORCH_CPU torch_cpu PATHS ${REGATTA_TORCH_FOUND}/lib NO_DEFAULT_PATH REQUIRED)
find_library(REGATTA_C10 c10 PATHS ${REGATTA_TORCH_FOUND}/lib NO_DEFAULT_PATH REQUIRED)
find_library(REGATTA_TORCH_CUDA torch_cuda PATHS ${REGATTA_TORCH_FOUND}/lib NO_DEFAULT_PATH)
find_library(REGATTA_C10_CUDA c10_cuda PATHS ${REGATTA_TORCH_FOUND}/lib NO_DEFAULT_PATH)
# The CUDA headers of the wheel's neighbour packages, or of a toolkit.
file(GLOB _cuda_includes ${REGATTA_TORCH_FOUND}/../nvidia/cu*/include ${REGATTA_TORCH_FOUND}/../nvidia/cuda_runtime/include)
find_path(REGATTA_CUDA_INCLUDE cuda_runtime_api.h PATHS ${_cuda_includes} /usr/local/cuda/include)
file(GLOB _cuda_libraries ${REGATTA_TORCH_FOUND}/../nvidia/*/lib)

add_library(regatta_torch INTERFACE)
add_library(regatta::torch ALIAS regatta_torch)
target_include_directories(regatta_torch SYSTEM INTERFACE ${REGATTA_TORCH_INCLUDE} ${REGATTA_TORCH_INCLUDE}/torch/csrc/api/include)
# Headers of single operators only: without it some LibTorch headers pull in all of them (8 s a source instead of 3).
target_compile_definitions(regatta_torch INTERFACE AT_PER_OPERATOR_HEADERS)
target_link_libraries(regatta_torch INTERFACE ${REGATTA_TORCH_CPU} ${REGATTA_C10} Threads::Threads)
target_link_options(regatta_torch INTERFACE -Wl,-rpath,${REGATTA_TORCH_FOUND}/lib)
foreach(_folder ${_cuda_libraries})
  target_link_options(regatta_torch INTERFACE -Wl,-rpath,${_folder} -Wl,-rpath-link,${_folder})
endforeach()
# The CPU form that env/libtorch.sh installs is the same wheel without most of its neighbours: torch_cuda is in it, with
# CUDA headers beside it, but cannot be loaded.
set(_torch_cuda_loads ON)
if(EXISTS ${REGATTA_TORCH_FOUND}/../nvidia AND NOT EXISTS ${REGATTA_TORCH_FOUND}/../nvidia/cudnn)
  set(_torch_cuda_loads OFF)
endif()
if(_torch_cuda_loads AND REGATTA_TORCH_CUDA AND REGATTA_C10_CUDA AND REGATTA_CUDA_INCLUDE)
  set(REGATTA_WITH_CUDA ON)
  target_include_directories(regatta_torch SYSTEM INTERFACE ${REGATTA_CUDA_INCLUDE})
  # torch_cuda registers its kernels when it is loaded; nothing refers to it by name.
  target_link_libraries(regatta_torch INTERFACE -Wl,--no-as-needed ${REGATTA_TORCH_CUDA} ${REGATTA_C10_CUDA} -Wl,--as-needed)
else()
  set(REGATTA_WITH_CUDA OFF)
endif()
if(REGATTA_REQUIRE_CUDA AND NOT REGATTA_WITH_CUDA)
  message(FATAL_ERROR "LibTorch at ${REGATTA_TORCH_FOUND} is the form for the CPU; env/setup.sh --cuda installs the full form")
endif()
