// `regatta init`: looks at a folder of scans and writes the data set file, a recipe and a job file to begin with.
// Reads every header and the voxels of a few scans; docs/data.md says what is chosen and how.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "regatta/config/json.hpp"
#include "regatta/volume/geometry.hpp"

namespace regatta {

struct InitOptions {
  std::filesystem::path folder;
  std::filesystem::path output = ".";  ///< folder of the files written; made if it is not there
  std::string layout;                  ///< empty: the first that claims the folder
  double val = 0.2;      ///< fraction of the subjects held out for validation, where the release says nothing
  bool replace = false;  ///< files of these names may be there
};

/// What was found and chosen; nothing is written yet.
struct InitPlan {
  std::string layout;
  std::string name;
  Json dataset;
  Json recipe;  ///< null for two scans: there is nothing to train on
  Json job;
  std::string archive;  ///< file name that the recipe gives the archive
  std::map<std::string, std::int64_t> split_subjects;
  std::map<std::string, std::int64_t> split_pairs;
  std::int64_t with_labels = 0;
  std::int64_t label_count = 0;  ///< values in the label maps that were looked into, the background included
  std::int64_t with_mask = 0;
  std::int64_t with_keypoints = 0;
  std::int64_t pairs_with_keypoints = 0;  ///< that have their own
  std::vector<std::string> choices;       ///< lines: orientation, spacing, shape, intensity, and why
  std::vector<std::string> notes;         ///< lines: what was not understood or is to be looked at
  Shape3 shape{};
  std::uintmax_t archive_bytes = 0;
};

/// @throws ConfigError for the layout or files that contradict themselves; DataError for a folder without scans, fewer
///         than two subjects, voxels that cannot be read
InitPlan plan_dataset(const InitOptions& options);

/// Writes dataset.json and, if there is a recipe, recipe.json and job.json, each whole or not at all; all are checked
/// first.
/// @return their paths
/// @throws DataError if one is there and may not be replaced, or is the release's own file
std::vector<std::filesystem::path> write_plan(const InitPlan& plan, const InitOptions& options);

/// Names of the layouts with their help lines.
std::vector<std::pair<std::string, std::string>> layout_help();

}  // namespace regatta
