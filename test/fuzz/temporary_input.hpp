// Inputs of a fuzz target as a file: readers take paths.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

namespace regatta::fuzz {

/// Ends the process if it does not hold, and libFuzzer keeps the input.
inline void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

/// A folder in memory (/dev/shm), removed at the end of the process.
class TemporaryInput {
 public:
  TemporaryInput() : folder_("/dev/shm/regatta-fuzz-" + std::to_string(::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~TemporaryInput() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TemporaryInput(const TemporaryInput&) = delete;
  TemporaryInput& operator=(const TemporaryInput&) = delete;

  std::filesystem::path operator/(const char* name) const { return folder_ / name; }

  /// The file of this name, holding exactly these bytes.
  std::filesystem::path write(const char* name, const std::uint8_t* bytes, std::size_t size) const {
    const std::filesystem::path path = folder_ / name;
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    out.close();
    require(out.good());
    return path;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace regatta::fuzz
