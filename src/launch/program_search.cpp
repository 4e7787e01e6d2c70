// PATH search without a shell.
#include "launch/program_search.hpp"

#include <filesystem>

#include <unistd.h>

#include "launch/launcher_place.hpp"
#include "regatta/base/text.hpp"

namespace regatta {

std::optional<std::string> find_program(const std::string& name) {
  for (const std::string& folder : split(environment_variable("PATH").value_or("/usr/local/bin:/usr/bin:/bin"), ':')) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::error_code error;
    if (!folder.empty() && std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0) {
      return path.string();
    }
  }
  return std::nullopt;
}

}  // namespace regatta
