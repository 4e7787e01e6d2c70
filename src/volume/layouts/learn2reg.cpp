// Learn2Reg releases, and others with such a list: NAME_dataset.json names images, labels, masks, key-points and pairs.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_learn2reg(const ScanTree& tree);
FoundSet find_learn2reg(const ScanTree& tree);

namespace {

/// The release's own list; "" if there is none.
std::string release_file(const ScanTree& tree) {
  std::vector<std::string> named;
  for (const TreeFile& file : tree.files()) {
    if (file.path.find('/') == std::string::npos && file.path.ends_with("_dataset.json")) {
      named.push_back(file.path);
    }
  }
  REGATTA_REQUIRE(named.size() <= 1, ConfigError, tree.folder().string(), ": ", named.size(),
                  " files NAME_dataset.json (", join(named, ", "), "), one expected");
  if (named.empty() && tree.has("dataset.json")) {
    const Json content = read_json(tree.full("dataset.json"));
    if (content.is_object() && (content.contains("registration_val") || content.contains("training"))) {
      return "dataset.json";
    }
  }
  return named.empty() ? "" : named.front();
}

/// "./imagesTr/a.nii.gz" -> "imagesTr/a.nii.gz"
std::string clean(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().generic_string();
}

/// A list of NAME_dataset.json.
struct ListRow {
  const char* key;
  std::string split;  ///< "": to train on, or to be drawn
  bool pairs_alone;
};

/// Images first, whose rows name labels and masks.
const std::array<ListRow, 6> kLists = {{{"training", "", false},
                                        {"validation", "val", false},
                                        {"test", "test", false},
                                        {"training_paired_images", "", true},
                                        {"registration_val", "val", true},
                                        {"registration_test", "test", true}}};

class Release {
 public:
  explicit Release(const ScanTree& tree) : tree_(tree), file_(release_file(tree)) {
    REGATTA_REQUIRE(!file_.empty(), DataError, tree.folder().string(),
                    ": no NAME_dataset.json that lists its images (layout learn2reg)");
    content_ = read_json(tree.full(file_));
    REGATTA_REQUIRE(content_.is_object(), ConfigError, path(), ": ", type_name(content_), ", an object expected");
    out_.known.insert(file_);
  }

  FoundSet find() {
    read_description();
    for (const ListRow& list : kLists) {
      read_list(list);
    }
    note_other_lists();
    channels_ = modality_names_.size() > 1 && !names_sides_;
    judge_ct();
    add_subjects();
    drop_pairs_of_missing();
    add_pair_keypoints();
    note_names(out_, missing_, str("files named by ", file_, " do not exist"));
    if (unpaired_training_ > 0) {
      out_.notes.push_back(
          str("images of `training` left out, no pair of `training_paired_images` has them: ", unpaired_training_));
    }
    if (unpaired_tests_ > 0) {
      out_.notes.push_back(
          str("images of `test` left out, no pair of `registration_test` has them: ", unpaired_tests_));
    }
    return std::move(out_);
  }

 private:
  std::string path() const { return tree_.full(file_).string(); }

  const Json& list_of(const char* key) const {
    static const Json nothing = Json::array();
    const auto found = content_.find(key);
    if (found == content_.end()) {
      return nothing;
    }
    REGATTA_REQUIRE(found->is_array(), ConfigError, path(), ": /", key, ": ", type_name(*found), ", a list expected");
    return *found;
  }

  std::string text_of(const Json& row, const char* key) const {
    const auto found = row.is_object() ? row.find(key) : row.end();
    return row.is_object() && found != row.end() && found->is_string() ? found->get<std::string>() : "";
  }

  void read_description() {
    out_.name = text_of(content_, "name");
    if (const auto found = content_.find("modality"); found != content_.end() && found->is_object()) {
      for (const auto& item : found->items()) {
        if (item.value().is_string()) {
          modality_names_.push_back(id_from(item.value().get<std::string>()));
        }
      }
    }
    out_.anatomy = anatomy_of_text(str(out_.name, ' ', text_of(content_, "description"), ' ', file_));
  }

  /// Of channels each name counts for itself. Scans of several kinds have no name: their values will tell.
  void judge_ct() {
    const auto count = std::count_if(modality_names_.begin(), modality_names_.end(), names_ct);
    out_.is_ct = count > 0 && (channels_ || count == std::ssize(modality_names_));
  }

  /// Rows are images, or pairs of them.
  void read_list(const ListRow& rule) {
    const Json& list = list_of(rule.key);
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string fixed = text_of(list[i], "fixed");
      const std::string moving = text_of(list[i], "moving");
      if (!fixed.empty() && !moving.empty()) {
        add_pair(rule.split, fixed, moving);
        continue;
      }
      const std::string image = list[i].is_string() ? list[i].get<std::string>() : text_of(list[i], "image");
      REGATTA_REQUIRE(!rule.pairs_alone && !image.empty(), ConfigError, path(), ": /", rule.key, "/", i, ": ",
                      rule.pairs_alone ? "fixed and moving" : "an image's path, or fixed and moving", " expected, got ",
                      one_line(dump_line(list[i]), 80));
      Row& row = rows_.emplace(stem_of(image), Row{clean(image), list[i]}).first->second;
      row.training = row.training || rule.split.empty();
      if (rule.split == "val") {
        row.split = rule.split;
      }
    }
  }

  void add_pair(const std::string& split, const std::string& fixed, const std::string& moving) {
    std::string fixed_case;
    std::string moving_case;
    const std::string fixed_digits = four_digits(stem_of(fixed), &fixed_case);
    const std::string moving_digits = four_digits(stem_of(moving), &moving_case);
    names_sides_ = names_sides_ || (fixed_case == moving_case && fixed_digits != moving_digits);
    for (const std::string& image : {fixed, moving}) {  // images of test pairs may be named nowhere else
      Row& row = rows_.emplace(stem_of(image), Row{clean(image), Json::object()}).first->second;
      row.split = split.empty() ? row.split : split;
      row.paired = true;
    }
    const PairEntry pair = {split, id_from(stem_of(moving)), id_from(stem_of(fixed))};
    if (listed_.insert({split, pair.moving, pair.fixed}).second) {
      out_.pairs.push_back(pair);
    }
  }

  /// Other lists of images or pairs: nothing is made of them, and that is said.
  void note_other_lists() {
    for (const auto& item : content_.items()) {
      const Json& list = item.value();
      const bool known =
          std::any_of(kLists.begin(), kLists.end(), [&](const ListRow& row) { return item.key() == row.key; });
      if (known || !list.is_array() || list.empty()) {
        continue;
      }
      const std::string first = list[0].is_string() ? list[0].get<std::string>() : text_of(list[0], "image");
      if (is_volume_name(first) || !text_of(list[0], "fixed").empty()) {
        out_.notes.push_back(str("list `", one_line(item.key(), 60), "` of ", file_, " not understood: ", list.size(),
                                 " rows; known are ", known_lists()));
      }
    }
  }

  static std::string known_lists() {
    std::vector<std::string> keys;
    for (const ListRow& row : kLists) {
      keys.emplace_back(row.key);
    }
    return join(keys, ", ");
  }

  /// A file that the row names under one of the keys; "" with a note for one that is not there.
  std::string file_of(const Json& row, std::initializer_list<const char*> keys) {
    for (const char* key : keys) {
      if (const std::string name = text_of(row, key); !name.empty()) {
        if (tree_.has(clean(name))) {
          return clean(name);
        }
        missing_.push_back(name);
      }
    }
    return "";
  }

  void add_subjects() {
    const bool has_val =
        std::any_of(rows_.begin(), rows_.end(), [](const auto& row) { return row.second.split == "val"; });
    const bool has_pairs = std::any_of(rows_.begin(), rows_.end(),
                                       [](const auto& row) { return row.second.paired && row.second.split.empty(); });
    for (auto& [stem, row] : rows_) {
      const bool trained = has_pairs ? row.paired : row.training;
      if (row.split.empty() && !trained) {
        ++(row.training ? unpaired_training_ : unpaired_tests_);
        out_.known.insert(row.image);
        continue;
      }
      if (row.split.empty() && has_val) {
        row.split = "train";
      }
      add_subject(stem, row.image, row.json, row.split);
    }
  }

  void add_subject(const std::string& stem, const std::string& image, const Json& row, const std::string& split) {
    SubjectEntry subject;
    subject.id = id_from(stem);
    subject.split = split;
    std::string rest;
    four_digits(stem, &rest);
    subject.group = id_from(channels_ || names_sides_ ? rest : case_of(stem));
    if (channels_) {
      if (!cases_.insert(subject.group).second) {
        return;  // another channel of the same case is listed too
      }
      for (std::size_t channel = 0; channel < modality_names_.size(); ++channel) {
        const std::string digits = str("000", channel);
        const std::string file = tree_.find_volume(folder_of(image), str(rest, '_', digits.substr(digits.size() - 4)));
        if (file.empty()) {
          missing_.push_back(str(rest, '_', digits.substr(digits.size() - 4)));
          return;
        }
        subject.images[modality_names_[channel]] = file;
      }
      out_.modalities = modality_names_;
      subject.id = subject.group;
    } else if (tree_.has(image)) {
      subject.image = image;
    } else {
      missing_.push_back(image);
      return;
    }
    subject.labels = file_of(row, {"label", "labels", "segmentation"});
    subject.mask = file_of(row, {"mask", "masks"});
    subject.keypoints = file_of(row, {"keypoints", "keypoint", "landmarks"});
    add_twin_files(tree_, image, channels_ ? rest : stem, subject);
    out_.subjects.push_back(std::move(subject));
  }

  void drop_pairs_of_missing() {
    std::set<std::string> ids;
    for (const SubjectEntry& subject : out_.subjects) {
      ids.insert(subject.id);
    }
    const auto gone = std::remove_if(out_.pairs.begin(), out_.pairs.end(), [&](const PairEntry& pair) {
      return !ids.contains(pair.moving) || !ids.contains(pair.fixed);
    });
    if (gone != out_.pairs.end()) {
      out_.notes.push_back(str("pairs of ", file_, " left out, their images are not there: ", out_.pairs.end() - gone));
      out_.pairs.erase(gone, out_.pairs.end());
    }
  }

  /// Where a scan of several pairs has other key-points in each: keypoints01Tr holds those of _0000 and _0001,
  /// keypoints02Tr those of _0000 and _0002.
  void add_pair_keypoints() {
    std::map<std::string, std::string> image_of;
    for (const SubjectEntry& subject : out_.subjects) {
      image_of[subject.id] = subject.image;
    }
    for (PairEntry& pair : out_.pairs) {
      const std::string& moving = image_of.at(pair.moving);
      const std::string& fixed = image_of.at(pair.fixed);
      const std::string digits =
          side_of(moving) < side_of(fixed) ? side_of(moving) + side_of(fixed) : side_of(fixed) + side_of(moving);
      for (const char* kind : {"keypoints", "landmarks"}) {
        const std::string of_moving = pair_list(moving, kind, digits);
        const std::string of_fixed = pair_list(fixed, kind, digits);
        if (pair.moving_keypoints.empty() && tree_.has(of_moving) && tree_.has(of_fixed)) {
          pair.moving_keypoints = of_moving;
          pair.fixed_keypoints = of_fixed;
        }
      }
    }
  }

  /// "imagesTr/P_0000_0001.nii.gz" -> "1"
  static std::string side_of(const std::string& image) {
    const std::string digits = four_digits(stem_of(image));
    return digits.substr(std::min(digits.find_first_not_of('0'), digits.empty() ? 0 : digits.size() - 1));
  }

  /// "imagesTr/P_0000_0001.nii.gz" -> "keypoints01Tr/P_0000_0001.csv"; "" for an image in another folder
  static std::string pair_list(const std::string& image, const char* kind, const std::string& digits) {
    const std::string folder = folder_of(image);
    const std::size_t at = folder.rfind("images");
    return at == std::string::npos || digits.empty()
               ? ""
               : path_in(str(folder.substr(0, at), kind, digits, folder.substr(at + 6)), stem_of(image) + ".csv");
  }

  struct Row {
    std::string image;
    Json json;
    bool training = false;
    bool paired = false;
    std::string split = "";
  };

  const ScanTree& tree_;
  std::string file_;
  Json content_;
  std::map<std::string, Row> rows_;  // by the image's stem
  std::vector<std::string> modality_names_;
  bool names_sides_ = false;  ///< _0000 and _0001 of one case are moving and fixed somewhere: two scans, not channels
  bool channels_ = false;
  std::set<std::array<std::string, 3>> listed_;  ///< pairs: split, moving, fixed
  std::set<std::string> cases_;                  ///< with channels: those that are subjects already
  std::vector<std::string> missing_;
  int unpaired_training_ = 0;
  int unpaired_tests_ = 0;
  FoundSet out_;
};

}  // namespace

bool claims_learn2reg(const ScanTree& tree) {
  return !release_file(tree).empty();
}

FoundSet find_learn2reg(const ScanTree& tree) {
  return Release(tree).find();
}

}  // namespace regatta
