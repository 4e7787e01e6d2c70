// What a sweep varies: the axes of a job, the points its sampler proposes, and the recipe of each trial. Pure: the same
// job gives the same trials on every machine, in every order, after every restart.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "regatta/sweep/axis.hpp"
#include "regatta/sweep/history.hpp"

namespace regatta {

class Space;

/// Proposes settings: points, but for the folds of a cross-validation. A proposal is a pure function of (space, seed,
/// index), and of the history if the sampler reads it.
class Sampler {
 public:
  virtual ~Sampler() = default;

  /// Called once, before all else: refuses a space that this sampler cannot serve. @throws ConfigError
  virtual void prepare(const Space& space) = 0;

  /// Whether `propose` with a history differs from `propose` without.
  virtual bool reads_history() const { return false; }

  /// Distinct settings there are; 0: as many as one likes.
  virtual std::int64_t size(const Space& space) const = 0;

  /// Whether every proposal is trained on all folds of a cross-validation, where folds are an axis.
  virtual bool takes_all_folds() const { return false; }

  /// A value for every axis of `space.drawn()`; the space leaves out those that do not count.
  virtual Point propose(const Space& space, std::int64_t index) const = 0;

  /// The same, with what is known by then.
  virtual Point propose_from(const Space& space, std::int64_t index, const History&) const {
    return propose(space, index);
  }
};

/// The axis along which trials are one setting: folds of a cross-validation.
inline constexpr const char* kFoldAxis = "/data/fold";

struct SamplerRow {
  const char* name;
  const char* help;
  std::unique_ptr<Sampler> (*make)();
};

/// All samplers, in the order of samplers.def.
const std::vector<SamplerRow>& sampler_rows();

/// @throws ConfigError naming the samplers there are
std::unique_ptr<Sampler> make_sampler(const std::string& name);

/// For samplers that draw: there are axes, and none says how many values a grid takes. @throws ConfigError
void require_drawn_axes(const Space& space);

/// A trial before it has run. Trial number = point index x replicates + replicate.
struct TrialPoint {
  std::int64_t number = 0;
  std::int64_t index = 0;  ///< of the point
  int replicate = 0;
  Point point;
  bool open = false;  ///< the sampler is yet to decide on the point, which is empty
};

class Space {
 public:
  /// @throws ConfigError: unknown sampler, an axis that it cannot serve, more trials than a grid has points
  explicit Space(const JobOptions& job);

  const std::vector<Axis>& axes() const { return axes_; }

  /// The axes that the sampler sees, sorted by pointer: all, but for the folds of a sampler that has every setting
  /// trained on all of them.
  const std::vector<Axis>& drawn() const { return drawn_; }

  /// Of `drawn`, see `order_of_conditions`.
  const std::vector<std::size_t>& order() const { return order_; }

  const JobOptions& job() const { return job_; }
  std::uint64_t seed() const { return static_cast<std::uint64_t>(job_.seed); }
  int replicates() const { return job_.replicates; }

  /// Points of a setting: the folds of a cross-validation that the sampler has every setting trained on, else 1.
  std::int64_t folds() const { return folds_; }

  /// Trials of a setting: its folds times replicates, by number one after the other.
  std::int64_t trials_per_setting() const { return folds_ * replicates(); }

  bool reads_history() const { return sampler_->reads_history(); }

  /// Settings that the job wants tried first; the sampler's come after them.
  std::int64_t enqueued() const { return static_cast<std::int64_t>(enqueued_.size()); }

  /// The setting as the sampler proposes it without a history, of those that are enqueued as the job says.
  Point setting(std::int64_t index) const;

  /// The same with a history.
  Point setting_from(std::int64_t index, const History& history) const;

  /// The point that a person asks for: values by axis, or their names; axes that are left out keep the recipe's value.
  /// @param given  an object @param at  for messages
  /// @throws ConfigError: something that is no axis or does not count there, a value that the axis does not have
  Point asked_point(const Json& given, const std::string& at) const;

  /// Where a trial stands, without its point.
  TrialPoint place(std::int64_t number) const;

  /// Gives a trial its point: the setting, and its fold.
  void put_setting(TrialPoint& trial, Point setting) const;

  /// Trials in total: the job's, or with 0 all points of the grid times replicates.
  std::int64_t total_trials() const { return total_; }

  /// Of a sampler that reads history as `setting`.
  TrialPoint trial(std::int64_t number) const;

 private:
  void check_axes() const;
  void take_enqueued();
  std::int64_t proposal_of(std::int64_t index) const;

  JobOptions job_;
  std::vector<Axis> axes_;
  std::vector<Axis> drawn_;
  std::vector<std::size_t> order_;
  std::int64_t folds_ = 1;
  std::vector<Point> enqueued_;
  std::vector<std::int64_t> repeated_;  ///< proposals of a grid that are enqueued, ascending
  std::int64_t total_ = 0;
  std::shared_ptr<const Sampler> sampler_;
};

/// The base recipe with the point's values put in and /train/seed raised by the replicate (replicate 0 keeps the
/// recipe's own seed, so it equals `regatta train` of that recipe; replicate r has the same seed at every point:
/// paired). All fields of Recipe are written out; types, ranges and rules are checked again.
/// @throws ConfigError with the pointer: an axis that names nothing, a value that does not fit
Json trial_recipe(const Json& base, const Point& point, int replicate);

/// "lr 0.001  weight 2": the point for tables and log lines, axes by their last name, or whole pointers where two
/// agree.
/// @param axes  for the names of named values
std::string point_text(const Point& point, const std::vector<Axis>& axes = {});

/// A short name per axis pointer: its last part if unique among them, the whole pointer otherwise.
std::map<std::string, std::string> axis_titles(const std::vector<std::string>& pointers);

}  // namespace regatta
