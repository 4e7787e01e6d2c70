// REGATTA_MPI(call): any MPI error becomes a CommError that names the call.
#pragma once

#include <string>

// Only the C interface: the old C++ one would need another library.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include "regatta/base/error.hpp"

namespace regatta {

inline void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) {
    return;
  }
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw CommError(str(call, ": ", one_line(std::string(text, static_cast<std::size_t>(length)))));
}

}  // namespace regatta

#define REGATTA_MPI(call) ::regatta::check_mpi(call, #call)
