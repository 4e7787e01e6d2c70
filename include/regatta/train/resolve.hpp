// What a recipe means: every option written out, its identity and hash, and what it asks of data and device. Reads the
// archive's tables, never its voxels; starts nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "regatta/config/recipe.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/nn/weights.hpp"
#include "regatta/train/dataset.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// What the archive holds for this recipe.
struct DataFacts {
  std::string fingerprint;
  Shape3 shape{};
  std::int64_t train_pairs = 0;
  std::int64_t val_pairs = 0;
  std::int64_t label_count = 0;  ///< values a label map may have, the background included; 0 without labels
  std::vector<std::string> splits;
  bool has_masks = false;
  bool has_keypoints = false;
  std::int64_t resident_bytes = 0;  ///< of all volumes on the device
  std::int64_t subject_bytes = 0;   ///< of one subject

  /// @param need  "labels", "masks", "key-points" or ""
  bool has(std::string_view need) const;
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

  /// Direction of the metric that chooses the best weights.
  Direction best_direction = Direction::kHigherIsBetter;
};

/// Remembers the archives and the weights that it opened: a sweep's recipes share them.
class RecipeResolver {
 public:
  /// Resolves model, losses and metrics through their registries and checks them against the archive, and the weights
  /// to start from against the network.
  /// @throws ConfigError with the JSON pointer (unknown names or keys, a shape that the network cannot take, a metric
  ///         without its labels, a split without pairs), DataError for the archive and for the weights
  ResolvedRecipe resolve(Recipe recipe);

  const Archive& archive(const std::string& path);

 private:
  /// Names, shapes and checksum of weights to start from; without their values.
  const SafetensorsFile& initial_weights(const std::string& path);

  std::map<std::string, Archive> archives_;
  std::map<std::string, SafetensorsFile> initial_weights_;
};

}  // namespace regatta
