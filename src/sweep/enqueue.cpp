// Points that a person asks for while a sweep runs.
#include <chrono>
#include <thread>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/sweep/definition.hpp"
#include "regatta/sweep/journal.hpp"
#include "regatta/sweep/steer.hpp"

namespace regatta {
namespace {

constexpr auto kReadAgain = std::chrono::milliseconds(200);

void require_new(const TrialList& trials, std::int64_t total, const Point& point) {
  const std::string key = point_key(point);
  for (std::int64_t number = 0; number < total; ++number) {
    REGATTA_REQUIRE(point_key(trials.trial(number).point) != key, ConfigError,
                    "enqueue: the sweep has this point: ", trial_name(number), " (", point_text(point, trials.axes()),
                    ")");
  }
}

Extension extension_for(const SweepDefinition& definition, std::int64_t total, const Point& setting) {
  const TrialList trials = trials_of(definition);
  const TrialPoint place = trials.place_behind(total);
  Extension extension;
  extension.number = static_cast<std::int64_t>(definition.extensions.size()) + 1;
  extension.first = total;
  extension.enqueued = true;
  for (std::int64_t fold = 0; fold < trials.space().folds(); ++fold) {
    for (int replicate = 0; replicate < trials.space().replicates(); ++replicate) {
      TrialPoint trial = place;
      trial.number = total + static_cast<std::int64_t>(extension.added.size());
      trial.index += fold;
      trial.replicate = replicate;
      trials.space().put_setting(trial, setting);
      require_new(trials, total, trial.point);
      extension.added.push_back(std::move(trial));
    }
  }
  extension.trials = total + static_cast<std::int64_t>(extension.added.size());
  return extension;
}

}  // namespace

EnqueuedPoint order_enqueue(const SweepFiles& files, const Json& given, Describer& describer) {
  SweepDefinition definition = read_definition(files);
  const Space space(definition.job);
  const Point setting = space.asked_point(given, "enqueue");
  while (true) {
    SweepState state(rules_of(definition));
    JournalReader reader(files.journal());
    state.apply(reader.poll());
    definition.extensions = state.extensions();
    definition.proposals = state.proposals();
    const Extension extension = extension_for(definition, state.total(), setting);
    SweepDefinition extended = definition;
    extended.extensions.push_back(extension);
    const std::int64_t count = extension.trials - extension.first;
    plan_trials(extended, extension.first, count, describer);  // what is refused is never recorded
    if (write_extension(files, extension)) {
      return {extension.added.front().point, extension.first, count};
    }
    std::this_thread::sleep_for(kReadAgain);  // another process has just written it: it may not be seen here yet
  }
}

}  // namespace regatta
