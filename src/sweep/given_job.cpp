#include "regatta/sweep/given_job.hpp"

#include "regatta/base/error.hpp"
#include "regatta/base/shell.hpp"
#include "regatta/sweep/definition.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

fs::path tidy(const fs::path& path) {
  fs::path whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();  // "runs/a/" is "runs/a"
}

/// A sweep's own job.json is no job file: its recipe is resolved, and its identity stands in it.
bool is_in_sweep(const fs::path& path) {
  std::error_code error;
  return path.filename() == "job.json" && fs::is_directory(tidy(path).parent_path() / "journal", error);
}

}  // namespace

GivenJob read_given_job(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const SweepFiles files{tidy(path)};
    REGATTA_REQUIRE(fs::exists(files.job(), error), DataError, path.string(),
                    ": not a sweep (no job.json); give a job file, or the folder of a sweep to continue it");
    return {read_definition(files).job, files};
  }
  REGATTA_REQUIRE(
      !is_in_sweep(path), ConfigError, path.string(),
      ": belongs to a sweep; give the sweep's folder to continue it: ", shell_quote(tidy(path).parent_path().string()));
  return {read_job(path), std::nullopt};
}

SweepFiles files_of(const GivenJob& given, const fs::path& output) {
  if (given.sweep) {
    REGATTA_REQUIRE(output.empty() || tidy(output) == given.sweep->root, ConfigError, given.sweep->root.string(),
                    ": is a sweep, which continues in its own folder; -o ", output.string(), " needs a job file");
    return *given.sweep;
  }
  return {tidy(output.empty() ? fs::path("runs") / given.job.name : output)};
}

}  // namespace regatta
