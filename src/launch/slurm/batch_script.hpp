// A batch script whose `#SBATCH` lines are changed and whose other text stays as it is.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace regatta {

/// slurm/sweep.sbatch and slurm/collect.sbatch, as they were when the program was built.
extern const char* const kSweepScript;
extern const char* const kCollectScript;

class BatchScript {
 public:
  explicit BatchScript(std::string_view text);

  /// Replaces or adds a line. @param option  "--nodes" @param value  empty: a flag
  /// @throws ConfigError unless `is_plain_value(value)`
  void set(const std::string& option, const std::string& value = "");

  void remove(const std::string& option);

  /// "" if it is not there or a flag.
  std::string value(const std::string& option) const;

  std::string text() const;

 private:
  using Lines = std::vector<std::pair<std::string, std::string>>;
  Lines options_;
  std::string before_;
  std::string after_;
};

}  // namespace regatta
