// The data set file: which volumes, their splits and pairs, and what is to be done to them. Input of `regatta pack`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
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
  std::string labels;
  std::string split = "train";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("id", s.id, "unique name: letters, digits and . _ - + = @");
    v("image", s.image, ".nii, .nii.gz or .npz (its array vol); relative to the data set file");
    v("labels", s.labels, "label map on the image's grid (npz: its array seg); empty: none");
    v("split", s.split, "train, val, test; atlas belongs to none of them", one_of({"train", "val", "test", "atlas"}));
  }
};

/// One row of "pairs/explicit".
struct PairEntry {
  std::string split;
  std::string moving;
  std::string fixed;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("split", s.split, "train, val or test", one_of({"train", "val", "test"}));
    v("moving", s.moving, "id of the subject that is warped");
    v("fixed", s.fixed, "id of the subject that it is warped onto");
  }
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
    v("count", s.count, "pairs a split, for `random`", between(1, 100000000));
    v("seed", s.seed, "of the draw, for `random`", between(0, 9007199254740991.0));
    v("explicit", s.explicit_pairs,
      "list of {split, moving, fixed}; under another rule, a split that is named here has these pairs alone");
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

struct DatasetOptions {
  int schema = kDatasetSchema;
  std::string name;
  Json subjects = Json::array();
  PairRule pairs;
  PreprocessOptions preprocess;
  LabelRule labels;
  std::string npz_orientation = "RAS";

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("schema", s.schema, "version of this file's layout", between(kDatasetSchema, kDatasetSchema));
    v("name", s.name, "name of the data set");
    v("subjects", s.subjects, "list of {id, image, labels, split}");
    v("pairs", s.pairs, "");
    v("preprocess", s.preprocess, "");
    v("labels", s.labels, "");
    v("npz_orientation", s.npz_orientation, "axes of .npz files, which carry no affine: such as RAS or LIA");
  }
};

/// A data set file, checked, with its lists read.
struct DatasetFile {
  DatasetOptions options;
  std::vector<SubjectEntry> subjects;           ///< paths made absolute or relative to the working directory
  std::vector<ArchivePair> pairs;               ///< in the order train, val, test
  std::map<std::int32_t, std::int32_t> merged;  ///< old label to new; values not here: see options.labels.others

  /// What a label value of a file becomes.
  std::int32_t label(std::int32_t value) const;
};

/// @param folder  what relative paths are relative to
/// @throws ConfigError with the JSON pointer: unknown keys, wrong types, duplicate or unknown ids, unknown splits,
///         a rule without pairs
DatasetFile dataset_from_json(const Json& value, const std::filesystem::path& folder);

/// @throws DataError if the file cannot be read, ConfigError as above with the file's name in front
DatasetFile read_dataset(const std::filesystem::path& path);

}  // namespace regatta
