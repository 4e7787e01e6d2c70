// What a recipe means: every option written out, its identity and hash, and what it asks of data and device. Reads the
// archive's tables, never its voxels; starts nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/dataset.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// How many pairs a split has, and how many of them have what some losses and metrics need.
struct SplitFacts {
  std::string name;
  std::int64_t pairs = 0;
  std::int64_t labels = 0;     ///< on both scans
  std::int64_t keypoints = 0;  ///< on both scans
  std::int64_t moving_masks = 0;
  std::int64_t fixed_masks = 0;
};

/// What the archive holds for this recipe.
struct DataFacts {
  std::string fingerprint;
  Shape3 shape{};
  SplitFacts train;
  SplitFacts val;
  std::int64_t label_count = 0;  ///< values a label map may have, the background included; 0 without labels
  std::vector<std::string> splits;
  std::int64_t resident_bytes = 0;  ///< of all volumes on the device
  std::int64_t subject_bytes = 0;   ///< of one subject
};

/// What a training needs of its archive.
DatasetParts parts_of(const Recipe& recipe);

struct ResolvedRecipe {
  Recipe recipe;  ///< options of model and losses written out, horizon fixed
  Json json;      ///< the same as JSON: the content of recipe.json
  Json identity;  ///< what defines the experiment, data included
  std::string hash;
  std::string init_from_xxh3;  ///< of the weights to start from; empty: drawn from the seed
  DataFacts data;
  std::int64_t parameters = 0;
  double mul_adds = 0.0;
  int size_multiple = 1;

  /// A training on CUDA repeats its results only numerically: see Model::numerical_on_cuda.
  bool numerical_on_cuda = false;
  std::int64_t steps_per_epoch = 0;
  std::int64_t steps = 0;  ///< in total

  /// What a person should know of it, though it can be trained: one line each.
  std::vector<std::string> notes;

  /// Direction of the metric that chooses the best weights.
  Direction best_direction = Direction::kHigherIsBetter;
};

/// Remembers the archives and the weights that it opened: a sweep's recipes share them.
class RecipeResolver {
 public:
  /// Resolves model, losses and metrics through their registries and checks them against the archive, and the weights
  /// to start from against the network.
  /// @throws ConfigError with the JSON pointer (unknown names or keys, a shape that the network cannot take, a loss or
  ///         metric whose labels, masks or key-points no pair has, a split without pairs, scans that are trained on and
  ///         validated with), DataError for the archive and for the weights
  ResolvedRecipe resolve(Recipe recipe);

  const Archive& archive(const std::string& path);

 private:
  /// Names, shapes and checksum of weights to start from; without their values.
  const SafetensorsFile& initial_weights(const std::string& path);

  std::map<std::string, Archive> archives_;
  std::map<std::string, SafetensorsFile> initial_weights_;
};

}  // namespace regatta
