// The program's errors and exit codes. One leaf class per cause; text is built once, where the error is raised.
#pragma once

#include <span>
#include <stdexcept>
#include <string>

#include "regatta/base/text.hpp"

namespace regatta {

enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,
  kConfig = 2,
  kData = 3,
  kComm = 4,
  kDevice = 5,
  kNotBuilt = 6,
  kBusy = 7,
  kOutOfMemory = 12,
  kDiverged = 13,
  kNoCheckpoint = 30,
  kBug = 70,
  kRequeue = 85,
  kNoGain = 86,
};

/// One row of the table behind the help text and docs/cli.md.
struct ExitCodeRow {
  ExitCode code;
  const char* name;
  const char* meaning;
};

std::span<const ExitCodeRow> exit_code_rows();

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& text) : std::runtime_error(text), code_(code) {}

  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Wrong command line, job or recipe.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& text) : Error(ExitCode::kConfig, text) {}
};

/// Wrong or unreadable volumes, archives, weights; a file system that refuses.
class DataError : public Error {
 public:
  explicit DataError(const std::string& text) : Error(ExitCode::kData, text) {}
};

/// MPI, NCCL or the protocol between our processes.
class CommError : public Error {
 public:
  explicit CommError(const std::string& text) : Error(ExitCode::kComm, text) {}
};

/// CUDA.
class DeviceError : public Error {
 public:
  explicit DeviceError(const std::string& text) : Error(ExitCode::kDevice, text) {}
};

/// Asked for something that this build leaves out.
class NotBuilt : public Error {
 public:
  explicit NotBuilt(const std::string& text) : Error(ExitCode::kNotBuilt, text) {}
};

/// A run directory or sweep that another living process owns.
class BusyError : public Error {
 public:
  explicit BusyError(const std::string& text) : Error(ExitCode::kBusy, text) {}
};

/// Programmer error.
class BugError : public Error {
 public:
  explicit BugError(const std::string& text) : Error(ExitCode::kBug, text) {}
};

}  // namespace regatta

/// REGATTA_REQUIRE(fixed == moving, DataError, "shape ", a, ", archive says ", b)
#define REGATTA_REQUIRE(condition, Kind, ...)             \
  do {                                                    \
    if (!(condition)) {                                   \
      throw ::regatta::Kind(::regatta::str(__VA_ARGS__)); \
    }                                                     \
  } while (false)
