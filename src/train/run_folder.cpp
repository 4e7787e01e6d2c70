// Ownership of a run's folder and the recipe that lives in it.
#include "regatta/train/run_folder.hpp"

#include <cstdlib>
#include <system_error>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/process.hpp"
#include "regatta/config/settings.hpp"
#include "regatta/train/checkpoint.hpp"
#include "regatta/train/trainer.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

struct Owner {
  ProcessIdentity process;
  std::string slurm_job;  ///< empty outside Slurm
  int slurm_restart = 0;
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

Owner this_owner() {
  Owner owner{this_process(), variable("SLURM_JOB_ID"), 0};
  const std::string restart = variable("SLURM_RESTART_COUNT");
  owner.slurm_restart = restart.empty() ? 0 : std::atoi(restart.c_str());
  return owner;
}

std::string owner_text(const Owner& owner) {
  Json value;
  value["host"] = owner.process.host;
  value["boot"] = owner.process.boot;
  value["pid"] = owner.process.pid;
  value["start_ticks"] = owner.process.start_ticks;
  value["slurm_job"] = owner.slurm_job;
  value["slurm_restart"] = owner.slurm_restart;
  return dump_pretty(value);
}

Owner read_owner(const fs::path& path) {
  const Json value = read_json(path);
  Owner owner;
  owner.process = {value.value("host", ""), value.value("boot", ""), value.value("pid", std::int64_t{0}),
                   value.value("start_ticks", std::uint64_t{0})};
  owner.slurm_job = value.value("slurm_job", "");
  owner.slurm_restart = value.value("slurm_restart", 0);
  return owner;
}

bool is_gone(const Owner& owner, const Owner& self) {
  const bool earlier_start =
      !owner.slurm_job.empty() && owner.slurm_job == self.slurm_job && owner.slurm_restart < self.slurm_restart;
  return earlier_start || liveness(owner.process) == Liveness::kGone;
}

/// Moves a dead owner's file away. Two processes may try this at once: the one that finds another owner's file in its
/// hand puts it back.
void remove_stale(const fs::path& path, const std::string& stale_text) {
  const fs::path aside = path.parent_path() / str(".owner.stale.", unique_suffix());
  std::error_code error;
  fs::rename(path, aside, error);
  if (error) {
    return;
  }
  const std::string text = read_file(aside);
  if (text != stale_text) {
    fs::create_hard_link(aside, path, error);
  }
  fs::remove(aside, error);
}

/// The recipe in an old folder, changed as far as that is allowed.
ResolvedRecipe continue_recipe(const TrialFiles& files, Recipe recipe, RecipeResolver& resolver) {
  const Recipe born = recipe_from_json(read_json(files.recipe()), files.recipe().string());
  if (recipe.optim.horizon_epochs == 0) {
    recipe.optim.horizon_epochs = born.optim.horizon_epochs;
  }
  if (recipe.run.threads == 0) {
    recipe.run.threads = born.run.threads;
  }
  ResolvedRecipe now = resolver.resolve(std::move(recipe));
  std::error_code error;
  const bool weights_moved = !born.model.init_from.empty() && !fs::exists(born.model.init_from, error);
  if (weights_moved || !fs::exists(born.data.archive, error)) {  // the checkpoint's recipe hash still guards both
    return now;
  }
  const ResolvedRecipe before = resolver.resolve(born);
  REGATTA_REQUIRE(before.hash == now.hash, ConfigError, files.root.string(), ": holds another experiment; ",
                  join(json_differences(before.identity, now.identity), "; "),
                  "; choose another folder with -o, or --fresh to replace it");
  return now;
}

}  // namespace

RunOwner::RunOwner(const fs::path& folder) : path_(folder / "owner.json") {
  make_directories(folder);
  const Owner self = this_owner();
  for (int attempt = 0; attempt < 3; ++attempt) {
    if (claim_file(path_, owner_text(self))) {
      return;
    }
    std::error_code error;
    if (!fs::exists(path_, error)) {
      continue;
    }
    const std::string text = read_file(path_);
    const Owner owner = read_owner(path_);
    REGATTA_REQUIRE(is_gone(owner, self), BusyError, folder.string(), ": process ", owner.process.pid, " of host ",
                    owner.process.host, " trains here; if it is gone, remove ", path_.string());
    log_info("taking over from process ", owner.process.pid, ", which is gone");
    remove_stale(path_, text);
  }
  throw BusyError(str(folder.string(), ": other processes are starting a training here"));
}

RunOwner::~RunOwner() {
  std::error_code error;
  fs::remove(path_, error);
}

ResolvedRecipe settle_recipe(const TrialFiles& files, Recipe recipe, RecipeResolver& resolver, Existing existing) {
  make_directories(files.root);
  std::error_code error;
  const bool is_old = existing == Existing::kContinue && fs::exists(files.recipe(), error);
  ResolvedRecipe resolved =
      is_old ? continue_recipe(files, std::move(recipe), resolver) : resolver.resolve(std::move(recipe));
  if (resolved.recipe.run.threads == 0) {
    resolved.recipe.run.threads = usable_cores();
    resolved.json = write_options(resolved.recipe);
  }
  if (existing == Existing::kForget) {
    remove_checkpoints(files);
  }
  write_file_atomically(files.recipe(), dump_pretty(resolved.json));
  return resolved;
}

int next_attempt(const TrialFiles& files) {
  const std::vector<int> numbers = files.attempts();
  return numbers.empty() ? 1 : numbers.back() + 1;
}

}  // namespace regatta
