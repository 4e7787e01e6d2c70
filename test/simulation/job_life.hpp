// One life of a job: what ends with its processes.
#pragma once

#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <vector>

#include "stand_ins.hpp"

namespace regatta::simulation {

inline constexpr double kLetter_s = 0.01;  ///< until it arrives
inline constexpr double kForever = std::numeric_limits<double>::infinity();

inline SweepDefinition definition_of(const SimulationOptions& options) {
  SweepDefinition definition;
  definition.trials = options.trials;
  definition.job.name = "simulated";
  definition.job.objective.metric = "dice";
  definition.job.objective.direction = "maximise";
  definition.job.replicates = options.replicates;
  definition.job.scheduler.name = options.scheduler;
  if (options.scheduler != "none") {
    definition.job.scheduler.eta = options.eta;
    definition.job.scheduler.form = options.form;
  }
  definition.base.steps = kSteps;
  definition.base.steps_per_epoch = kStepsPerEpoch;
  return definition;
}

struct Job::Life {
  Life(World& world, int job, std::uint64_t view_number, const JobPlace& place, double leave_s,
       std::function<void()> wake)
      : files(std::make_shared<FileView>(world.files, view_number)),
        probe(world),
        start(definition_of(world.options).job, definition_of(world.options),
              std::make_unique<Sweep>(SweepFiles{}, files, world.journal, rules_of(definition_of(world.options)), place,
                                      probe, world.clock),
              std::make_unique<SimulatedBook>(world, view_number, rungs_of(definition_of(world.options)))),
        ranks(world.options.ranks),
        writer(*files, place, str(view_number), world.clock),
        journal(writer, std::move(wake)),
        owner{{str("node", job), "boot", 100, view_number}, place, writer.shard()},
        time_left(leave_s, world.clock),
        progress(nowhere, false, world.clock),
        coordinator(ranks, start, journal, owner,
                    std::vector<std::string>(static_cast<std::size_t>(world.options.ranks), owner.process.host), 1,
                    progress, time_left, CoordinatorTimes{}, world.clock),
        seats(static_cast<std::size_t>(world.options.ranks)),
        durable_s(world.clock.now_s) {
    journal.append("join", join_fields(owner, world.options.ranks));
  }

  std::shared_ptr<FileView> files;
  SimulatedProbe probe;
  SweepStart start;
  SimulatedRanks ranks;
  JournalWriter writer;
  SimulatedJournal journal;
  Owner owner;
  std::ostream nowhere{nullptr};
  FixedTimeLeft time_left;
  SweepProgress progress;
  Coordinator coordinator;
  std::vector<Rank> seats;
  std::vector<Letter> inbox;
  double durable_s;           ///< by the coordinator's newest word to its supervisors
  double busy_until_s = 0.0;  ///< the coordinator waits for the file system
  double step_due_s = kForever;
  double cut_until_s = 0.0;
  bool committing = false;
  std::optional<int> finish_code;
};

}  // namespace regatta::simulation
