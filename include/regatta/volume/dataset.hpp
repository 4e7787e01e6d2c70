// The data set file: which volumes, their splits and pairs, and what is to be done to them. Input of `regatta pack`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "regatta/config/options.hpp"
#include "regatta/volume/archive.hpp"
#include "regatta/volume/preprocess.hpp"

namespace regatta {

inline constexpr int kDatasetSchema = 1;

/// One row of "subjects".
struct SubjectEntry {
  std::string id;
  std::string image;
  Json images = Json::object();
  std::string labels;
  std::string mask;
  std::string keypoints;
  int frame = -1;
  std::string group;
  std::string split = "train";
  std::vector<std::string> files;  ///< not in the file: one image a modality, paths as in DatasetFile

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("id", s.id, "unique name: letters, digits and . _ - + = @");
    v("image", s.image, ".nii, .nii.gz, .mgz or .npz (its array vol); relative to the data set file");
    v("images", s.images,
      "instead of `image`, of several modalities: {\"t1\": file, \"t2\": file}, names of /modalities");
    v("labels", s.labels, "label map on the image's grid (npz: its array seg); empty: none");
    v("mask", s.mask, "mask on the image's grid: voxels count where it is not 0; empty: none");
    v("keypoints", s.keypoints, "text file with one point per line, \"d,h,w\" in /keypoint_space; empty: none");
    v("frame", s.frame, "which volume of a 4-D file, from 0; -1: the file is 3-D", between(-1, 32767));
    v("group", s.group, "group, such as a patient: a group's subjects stay in one split; empty: the id");
    v("split", s.split, "train, val, test; atlas belongs to none of them", one_of({"train", "val", "test", "atlas"}));
  }
};

/// One row of "pairs/explicit".
struct PairEntry {
  std::string split;
  std::string moving;
  std::string fixed;
  std::string moving_keypoints = {};
  std::string fixed_keypoints = {};

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("split", s.split, "train, val or test", one_of({"train", "val", "test"}));
    v("moving", s.moving, "id of the subject that is warped");
    v("fixed", s.fixed, "id of the subject that it is warped onto");
    v("moving_keypoints", s.moving_keypoints,
      "text file as the subjects' `keypoints`, for this pair in whatever split it is; empty: the subject's own");
    v("fixed_keypoints", s.fixed_keypoints, "the same places in the fixed scan");
  }
};

/// Files of the key-points of one pair.
struct PairKeypointFiles {
  std::string moving;
  std::string fixed;

  bool operator==(const PairKeypointFiles&) const = default;
};

struct PairRule {
  std::string rule = "all";
  std::string atlas;
  std::int64_t count = 100;
  std::int64_t seed = 0;
  Json explicit_pairs = Json::array();

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("rule", s.rule,
      "atlas: the atlas is warped onto every other subject of a split; all: all ordered pairs within a split; random: "
      "`count` different ordered pairs within each split (all, where there are fewer); explicit: those listed",
      one_of({"atlas", "all", "random", "explicit"}));
    v("atlas", s.atlas, "id of the atlas, for `atlas`");
    v("count", s.count, "pairs per split, for `random`", between(1, 100000000));
    v("seed", s.seed, "seed of the draw, for `random`", between(0, 9007199254740991.0));
    v("explicit", s.explicit_pairs,
      "list of {split, moving, fixed, moving_keypoints, fixed_keypoints}; under another rule, a split that is named "
      "here has these pairs alone");
  }
};

struct LabelRule {
  Json merge = Json::object();
  std::string others = "keep";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("merge", s.merge, "{\"new id\": [old ids]}: label values that become one");
    v("others", s.others, "values that `merge` does not name: kept, or made background",
      one_of({"keep", "background"}));
  }
};

struct FoldRule {
  int count = 0;
  std::int64_t seed = 0;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("count", s.count,
      "number of folds for cross-validation: the groups of train and val are divided into the splits train0, val0, "
      "train1, ...; 0: none",
      between(0, 100));
    v("seed", s.seed, "seed of the division into folds", between(0, 9007199254740991.0));
  }
};

struct DatasetOptions {
  int schema = kDatasetSchema;
  std::string name;
  Json subjects = Json::array();
  std::vector<std::string> modalities;
  PairRule pairs;
  FoldRule folds;
  PreprocessOptions preprocess;
  LabelRule labels;
  std::string affine = "none";
  std::string affine_atlas;
  std::string keypoint_space = "voxel";
  std::string npz_orientation = "RAS";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("schema", s.schema, "version of this file's layout", between(kDatasetSchema, kDatasetSchema));
    v("name", s.name, "name of the data set");
    v("subjects", s.subjects, "list of {id, image, labels, mask, keypoints, frame, group, split}");
    v("modalities", s.modalities, "names of the subjects' `images`, the first gives the grid; empty: one `image` each");
    v("pairs", s.pairs, "");
    v("folds", s.folds, "");
    v("preprocess", s.preprocess, "");
    v("labels", s.labels, "");
    v("affine", s.affine,
      "to_atlas: each subject is registered to the atlas with 12 parameters first, and packed on the atlas's grid",
      one_of({"none", "to_atlas"}));
    v("affine_atlas", s.affine_atlas, "id of that atlas; empty: /pairs/atlas, else the only subject of split atlas");
    v("keypoint_space", s.keypoint_space,
      "coordinates in the key-point files: voxels of the image file, or millimetres in RAS or LPS",
      one_of({"voxel", "ras", "lps"}));
    v("npz_orientation", s.npz_orientation, "axes of .npz files, which carry no affine: such as RAS or LIA");
  }
};

/// A data set file, checked, with its lists read.
struct DatasetFile {
  DatasetOptions options;
  std::vector<SubjectEntry> subjects;  ///< paths made absolute or relative to the working directory
  std::vector<ArchivePair> pairs;      ///< in the order train, val, test
  /// Of pairs that have their own, by moving and fixed subject; paths as those of the subjects.
  std::map<std::pair<std::int64_t, std::int64_t>, PairKeypointFiles> pair_keypoints = {};
  std::map<std::int32_t, std::int32_t> merged;  ///< old label to new; values not here: see options.labels.others

  /// The pair's own files, also of the pair the other way round; none: its subjects'.
  std::optional<PairKeypointFiles> keypoint_files(const ArchivePair& pair) const;

  /// What a label value of a file becomes.
  std::int32_t label(std::int32_t value) const;
};

/// @param folder  what relative paths are relative to
/// @throws ConfigError with the JSON pointer: unknown keys, wrong types, duplicate or unknown ids, unknown splits,
///         a rule without pairs
DatasetFile dataset_from_json(const Json& value, const std::filesystem::path& folder);

/// @throws DataError if the file cannot be read, ConfigError as above with the file's name in front
DatasetFile read_dataset(const std::filesystem::path& path);

/// A data set's name as a name of files and sweeps: "Learn2Reg NLST" -> "learn2reg_nlst".
std::string file_name_of(const std::string& name);

}  // namespace regatta
