// What rank 0 prepares before MPI starts: the job read and resolved, the sweep's directory made or opened, the trials
// to come described. The describing program is started here, so that nothing forks beside MPI.
#pragma once

#include <memory>

#include "launch/trial_book.hpp"
#include "regatta/launch/sweep_run.hpp"
#include "regatta/sweep/sweep.hpp"

namespace regatta {

struct SweepStart {
  SweepStart(const SweepRun& run, Describer& describer, JobProbe& probe);

  /// Over a sweep that is open already.
  SweepStart(JobOptions given, SweepDefinition defined, std::unique_ptr<Sweep> opened, std::unique_ptr<TrialBook> books)
      : job(std::move(given)),
        definition(std::move(defined)),
        sweep(std::move(opened)),
        own_book(std::move(books)),
        book(*own_book) {}

  bool is_finished() const { return sweep->state().finished(); }

  JobOptions job;              ///< as given now
  SweepDefinition definition;  ///< as born, with the resources given now and all extensions
  bool as_born = true;         ///< the sweep's folder holds all that the job says
  std::unique_ptr<Sweep> sweep;
  std::unique_ptr<TrialBook> own_book;
  TrialBook& book;
};

}  // namespace regatta
