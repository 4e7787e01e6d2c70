// A recipe and a sweep to begin with, after published ones of the same anatomy (jobs/README.md).
#pragma once

#include "volume/layouts/layout.hpp"

namespace regatta {

/// What the data offer to losses and metrics.
struct RecipeFacts {
  Anatomy anatomy = Anatomy::kUnknown;
  bool is_ct = false;
  bool labels = false;
  bool masks = false;
  bool keypoints = false;
  bool atlas = false;
  std::int64_t train_pairs = 0;
  std::int64_t train_subjects = 0;
};

struct RecipeChoice {
  Json recipe;
  Json axes;  ///< of the job
  std::string reason;
};

RecipeChoice choose_recipe(const RecipeFacts& facts, const std::string& archive);

}  // namespace regatta
