#include "support/temporary_folder.hpp"

#include <cstdlib>
#include <stdexcept>

#include <stdlib.h>

namespace regatta::test {

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "regatta-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("cannot make a temporary folder");
  }
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path real_data_folder() {
  if (const char* given = std::getenv("REGATTA_TEST_DATA"); given != nullptr) {
    return given;
  }
  return std::filesystem::path(REGATTA_SOURCE_DIR).parent_path() / "shared" / "data";
}

std::filesystem::path mricron_folder() {
  return "/usr/share/mricron/templates";
}

}  // namespace regatta::test
