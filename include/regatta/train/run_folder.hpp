// The folder of a `regatta train` run: who owns it, which recipe lives in it, which attempt comes next.
#pragma once

#include <filesystem>
#include <string>

#include "regatta/config/trial_files.hpp"
#include "regatta/train/resolve.hpp"

namespace regatta {

/// Keeps a second training out of a run's folder while this object lives.
class RunOwner {
 public:
  /// Takes the folder over at once from a process of this host that is gone, or from an earlier start of the same Slurm
  /// job. @throws BusyError naming the owner and its file
  explicit RunOwner(const std::filesystem::path& folder);
  ~RunOwner();
  RunOwner(const RunOwner&) = delete;
  RunOwner& operator=(const RunOwner&) = delete;

 private:
  std::filesystem::path path_;
};

/// Whether what earlier attempts reached is kept.
enum class Existing { kContinue, kForget };

/// Brings a recipe and a run's folder together: in a new folder the recipe is born (length of the schedule, threads)
/// and written; in an old one it must be the same experiment, of which totals, paths and resources may have changed.
/// @return the recipe as it is now in recipe.json
/// @throws ConfigError with the differing pointers if the folder holds another experiment
ResolvedRecipe settle_recipe(const TrialFiles& files, Recipe recipe, RecipeResolver& resolver, Existing existing);

/// Number of the attempt that starts now.
int next_attempt(const TrialFiles& files);

}  // namespace regatta
