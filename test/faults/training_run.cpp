#include "faults/training_run.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/signals.hpp"
#include "regatta/train/checkpoint.hpp"
#include "unit/train/scene.hpp"

namespace regatta::faults {
namespace {

namespace fs = std::filesystem;

class SignalObserver final : public TrainObserver {
 public:
  bool should_leave() override { return leave_requested(); }
};

}  // namespace

int train(const fs::path& run, const Recipe& recipe) {
  try {
    const RunOwner owner(run);
    RecipeResolver resolver;
    TrainSetup setup;
    setup.files = {run};
    setup.resolved = settle_recipe(setup.files, recipe, resolver, Existing::kContinue);
    if (finished_result(setup.files, setup.resolved)) {
      return 0;
    }
    setup.attempt = next_attempt(setup.files);
    SignalObserver observer;
    const Archive& archive = resolver.archive(recipe.data.archive);
    const TrainOutcome outcome = Trainer(std::move(setup), observer).run(archive);
    log_info("end: ", status_name(outcome.status), ", step ", outcome.step, ", ", outcome.message);
    return outcome.status == AttemptStatus::kOk ? 0 : outcome.status == AttemptStatus::kPaused ? 85 : 13;
  } catch (const Error& error) {
    log_error(error.what());
    return static_cast<int>(error.code());
  }
}

bool has_bad_files(const fs::path& run) {
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (entry.path().extension() == ".bad") {
      return true;
    }
  }
  return false;
}

Plan no_fault() {
  return {};
}

std::int64_t newest_step(const fs::path& run) {
  std::int64_t step = 0;
  for (const MetricLine& line : read_metric_lines({run})) {
    step = std::max(step, line.step);
  }
  return step;
}

std::string finish_cleanly(const Whole& whole, const Recipe& recipe, const fs::path& run, const fs::path& log) {
  if (fs::exists(run) && has_bad_files(run)) {
    return "a checkpoint did not verify before the clean run";
  }
  const ChildEnd end = run_child(no_fault(), log, [&] { return train(run, recipe); });
  if (end.code != 0) {
    return str("the clean run ended with ", end.code, ": ", one_line(end.log, 400));
  }
  if (has_bad_files(run)) {
    return "a checkpoint did not verify";
  }
  const auto published = list_checkpoints({run});
  if (published.empty() || test::bytes_of(published[0].path) != whole.last) {
    return "the last checkpoint differs";
  }
  return test::bytes_of(run / "best.safetensors") == whole.best ? "" : "best.safetensors differs";
}

}  // namespace regatta::faults
