// The training and the metrics that networks are compared by.
#pragma once

#include <array>
#include <string>

#include "regatta/config/recipe.hpp"

namespace regatta {

/// The loss that compares the images.
inline constexpr const char* kBaselineSimilarity = "ncc";

/// Batch 1, NCC (window 9, closed form) and squared forward differences of the field, Adam with AMSGrad: the work of
/// the published baselines.
Recipe baseline_recipe(const std::string& model, const Json& model_options = Json::object());

/// A metric that `regatta bench` times.
struct BaselineMetric {
  const char* name;
  double most_apart;  ///< of one number of a faster form from the reference: docs/performance.md says where from
  bool together;      ///< measured with the others, the host waiting once; false: on the CPU, and slow
};

inline constexpr std::array<BaselineMetric, 7> kBaselineMetrics = {{{"dice", 0.0, true},
                                                                    {"dice_linear", 1e-3, true},
                                                                    {"folding", 0.0, true},
                                                                    {"hd95", 0.0, false},
                                                                    {"mse", 0.0, true},
                                                                    {"ncc", 1e-6, true},
                                                                    {"sdlogj", 1e-10, true}}};

/// What `regatta evaluate` measures unless its list of cases says otherwise.
inline constexpr std::array<const char*, 3> kCaseMetrics = {"dice", "hd95", "sdlogj"};

}  // namespace regatta
