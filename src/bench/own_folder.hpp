// Where benchmarks keep what they make.
#pragma once

#include <filesystem>

#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"

namespace regatta::bench {

/// A folder that is removed at the end.
class OwnFolder {
 public:
  OwnFolder() : path_(std::filesystem::temp_directory_path() / str("regatta-bench-", unique_suffix())) {
    make_directories(path_);
  }
  ~OwnFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  OwnFolder(const OwnFolder&) = delete;
  OwnFolder& operator=(const OwnFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace regatta::bench
