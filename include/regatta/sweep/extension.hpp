// Extensions: what a sweep was given after its birth. Each is one journal record, alone in a shard whose name holds its
// number and is made by link(2), so that exactly one process writes extension 1, one extension 2, and all readers
// replay the same whatever the order in which they see the shards. Trials that an extension adds have later numbers and
// stand in it with point and replicate; those that are there already keep theirs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "regatta/sweep/layout.hpp"
#include "regatta/sweep/proposal.hpp"
#include "regatta/sweep/space.hpp"

namespace regatta {

/// How long every trial trains, as /train/epochs and /train/steps say it.
struct TrainingLength {
  std::int64_t epochs = 0;
  std::int64_t steps = 0;       ///< 0: `epochs` decides
  std::int64_t base_steps = 0;  ///< optimiser steps of the base recipe, for comparisons

  bool operator==(const TrainingLength&) const = default;
};

/// The record "extension".
struct Extension {
  std::int64_t number = 0;               ///< 1, 2, ...
  std::int64_t first = 0;                ///< number of its first trial
  std::int64_t trials = 0;               ///< of the sweep in total, from now on
  std::vector<TrialPoint> added;         ///< trials first .. trials - 1; empty: they follow from the space as born
  std::optional<TrainingLength> length;  ///< of all trials, from now on
  bool enqueued = false;                 ///< a person asked for these points: they go before those that wait

  /// Its trials stand in it, rather than follow from the space.
  bool is_listed() const { return !added.empty(); }
};

/// "extension-00001.jsonl"
std::string extension_shard(std::int64_t number);

/// The record's own members.
Json to_json(const Extension& extension);

/// Nothing if a member is missing or does not fit the others (a later version may have written it).
std::optional<Extension> extension_from_json(const Json& record);

/// Writes the record into its shard. @return false if an extension of that number is there @throws DataError
bool write_extension(const SweepFiles& files, const Extension& extension);

/// The trials of a sweep by number: those of the space as born, and between them those that extensions list.
class TrialList {
 public:
  /// @param extensions  by number, without a gap @param proposals  settings that are decided, of a sampler that reads
  /// the history; both must live as long as the list
  TrialList(const JobOptions& born, const std::vector<Extension>& extensions, const ProposedSettings& proposals);

  /// Of a setting on which the sampler is yet to decide: open, without a point.
  TrialPoint trial(std::int64_t number) const;

  /// The same, but an open trial has a point that could come there: for forecasts.
  TrialPoint likely_trial(std::int64_t number) const;

  /// The first setting on which the sampler is yet to decide; of samplers without history none matters.
  std::int64_t first_open_setting() const;

  /// A setting's place among all, those included that extensions have put between them: the point's index over folds.
  std::int64_t order_of(const TrialPoint& trial) const { return trial.index / space_.folds(); }

  /// The index and the first number of a setting that is added behind `total` trials.
  TrialPoint place_behind(std::int64_t total) const;

  const Space& space() const { return space_; }
  const std::vector<Axis>& axes() const { return space_.axes(); }

  /// The most that a point has.
  int replicates() const { return replicates_; }

 private:
  const TrialPoint* listed(std::int64_t number) const;
  TrialPoint own_place(std::int64_t number) const;
  std::int64_t listed_before(std::int64_t number) const;

  Space space_;
  const std::vector<Extension>& extensions_;
  const ProposedSettings& proposals_;
  int replicates_;
};

}  // namespace regatta
