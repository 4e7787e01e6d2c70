// What a sweep varies: the axes of a job, the points its sampler proposes, and the recipe of each trial. Pure: the same
// job gives the same trials on every machine, in every order, after every restart.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "regatta/config/job.hpp"

namespace regatta {

/// Axis value by JSON pointer, sorted by pointer.
using Point = std::map<std::string, Json>;

/// One axis of the job.
class Axis {
 public:
  Axis(std::string pointer, AxisOptions options) : pointer_(std::move(pointer)), options_(std::move(options)) {}

  const std::string& pointer() const { return pointer_; }
  const AxisOptions& options() const { return options_; }
  bool is_log() const { return !options_.log.empty(); }

  /// Values that `grid` takes: the list's length, `points`, or all integers of the range. 0: `points` is missing.
  std::int64_t grid_size() const;

  /// The i-th of them, ends included; doubles rounded to 12 significant digits (so that libm's last bit never matters).
  Json grid_value(std::int64_t index) const;

  /// The value at u in [0, 1): linear a + u (b - a), log exp(ln a + u ln(b / a)), integer a + floor(u (b - a + 1)),
  /// list floor(u n). Doubles rounded as in `grid_value`.
  Json value_at(double u) const;

 private:
  std::string pointer_;
  AxisOptions options_;
};

class Space;

/// Proposes points. A proposal is a pure function of (space, seed, point index).
class Sampler {
 public:
  virtual ~Sampler() = default;

  /// Refuses a space that this sampler cannot serve. @throws ConfigError
  virtual void check(const Space& space) const = 0;

  /// Distinct points there are; 0: as many as one likes.
  virtual std::int64_t size(const Space& space) const = 0;

  virtual Point propose(const Space& space, std::int64_t index) const = 0;
};

struct SamplerRow {
  const char* name;
  const char* help;
  std::unique_ptr<Sampler> (*make)();
};

/// All samplers, in the order of samplers.def.
const std::vector<SamplerRow>& sampler_rows();

/// @throws ConfigError naming the samplers there are
std::unique_ptr<Sampler> make_sampler(const std::string& name);

/// A trial before it has run. Trial number = point index x replicates + replicate.
struct TrialPoint {
  std::int64_t number = 0;
  std::int64_t index = 0;  ///< of the point
  int replicate = 0;
  Point point;
};

class Space {
 public:
  /// @throws ConfigError: unknown sampler, an axis that it cannot serve, more trials than a grid has points
  explicit Space(const JobOptions& job);

  const std::vector<Axis>& axes() const { return axes_; }
  std::uint64_t seed() const { return seed_; }
  int replicates() const { return replicates_; }

  /// Trials in total: the job's, or with 0 all points of the grid times replicates.
  std::int64_t total_trials() const { return total_; }

  TrialPoint trial(std::int64_t number) const;

 private:
  std::vector<Axis> axes_;
  std::uint64_t seed_;
  int replicates_;
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
std::string point_text(const Point& point);

/// A short name per axis pointer: its last part if unique among them, the whole pointer otherwise.
std::map<std::string, std::string> axis_titles(const std::vector<std::string>& pointers);

}  // namespace regatta
