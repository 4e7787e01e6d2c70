# Third-party libraries as imported targets, one owner layer each. Headers are SYSTEM.
find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)

# HDF5 by name: find_package(HDF5) picks a parallel build where both are installed, and its wrapper needs h5cc.
find_path(REGATTA_HDF5_INCLUDE hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
find_library(REGATTA_HDF5_LIBRARY NAMES hdf5_serial hdf5 PATH_SUFFIXES hdf5/serial REQUIRED)
file(STRINGS ${REGATTA_HDF5_INCLUDE}/H5public.h _hdf5_version REGEX "define H5_VERS_INFO")
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" REGATTA_HDF5_VERSION "${_hdf5_version}")
add_library(regatta_hdf5 INTERFACE)
target_include_directories(regatta_hdf5 SYSTEM INTERFACE ${REGATTA_HDF5_INCLUDE})
target_link_libraries(regatta_hdf5 INTERFACE ${REGATTA_HDF5_LIBRARY})

if(REGATTA_WITH_MPI)
  find_package(MPI REQUIRED COMPONENTS C)
  get_target_property(_mpi_include MPI::MPI_C INTERFACE_INCLUDE_DIRECTORIES)
  execute_process(COMMAND ${MPIEXEC_EXECUTABLE} --version OUTPUT_VARIABLE _mpi_version ERROR_QUIET)
  string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" REGATTA_OPENMPI_VERSION "${_mpi_version}")
  set_target_properties(MPI::MPI_C PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_mpi_include}")
endif()
if(REGATTA_WITH_TORCH)
  include(RegattaTorch)
endif()

# One revision for all programs: git's, with "+" when the tree has changes.
execute_process(COMMAND git describe --always --dirty=+ --abbrev=12 WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                OUTPUT_VARIABLE REGATTA_GIT_REVISION OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT REGATTA_GIT_REVISION)
  set(REGATTA_GIT_REVISION unknown)
endif()
