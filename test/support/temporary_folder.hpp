// A folder that lives as long as its object, and where tests find real scans.
#pragma once

#include <filesystem>

namespace regatta::test {

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The folder of real scans and weights: $REGATTA_TEST_DATA, else shared/data beside the checkout. May not exist.
std::filesystem::path real_data_folder();

/// The templates folder of the package mricron-data. May not exist.
std::filesystem::path mricron_folder();

}  // namespace regatta::test
