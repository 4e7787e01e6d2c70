// Any other folder: every volume is a scan, except the twins of another one: NAME_seg, NAME_mask and so on beside it,
// or the same name in a folder labels beside a folder images. A scan named atlas or template is the atlas.
#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string_view>

#include "regatta/base/error.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_flat(const ScanTree& tree);
FoundSet find_flat(const ScanTree& tree);

namespace {

enum class Part { kImage, kLabels, kMask, kKeypoints };

struct EndRow {
  std::string_view end;
  Part part;
};

/// The first that fits: longer ones before their own ends.
constexpr EndRow kEnds[] = {
    {"_seg", Part::kLabels},          {"_label", Part::kLabels},     {"_labels", Part::kLabels},
    {"_segmentation", Part::kLabels}, {"_gt", Part::kLabels},        {"_dseg", Part::kLabels},
    {"_aseg", Part::kLabels},         {"_seg35", Part::kLabels},     {"_brain_mask", Part::kMask},
    {"_brainmask", Part::kMask},      {"_mask", Part::kMask},        {"_keypoints", Part::kKeypoints},
    {"_landmarks", Part::kKeypoints}, {"_points", Part::kKeypoints},
};

constexpr std::array<std::string_view, 2> kImageEnds = {"_image", "_img"};

/// Folders that hold twins of the files of a folder images beside them, by their first word: label, labels, labelsTr.
struct FolderRow {
  std::string_view word;
  Part part;
};

/// masked_t1 or segmented are no masks and segmentations.
bool begins_with_word(const std::string& lower, std::string_view word) {
  const auto is_letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const std::string first(lower.begin(), std::find_if_not(lower.begin(), lower.end(), is_letter));
  return first.starts_with(word) && !first.ends_with("ed");
}

constexpr FolderRow kFolders[] = {
    {"label", Part::kLabels},       {"seg", Part::kLabels},         {"mask", Part::kMask},
    {"keypoint", Part::kKeypoints}, {"landmark", Part::kKeypoints},
};

struct Role {
  Part part = Part::kImage;
  std::string name;  ///< what it is a part of: folder and stem without such an end
};

Role role_of(const std::string& path) {
  Role role;
  std::string folder = folder_of(path);
  std::string stem = stem_of(path);
  std::filesystem::path parts;
  for (const auto& part : std::filesystem::path(folder)) {
    std::string name = part.string();
    const std::string lower = lower_case(name);
    for (const FolderRow& row : kFolders) {
      if (begins_with_word(lower, row.word)) {
        role.part = row.part;
        name = "image";
      }
    }
    parts /= begins_with_word(lower, "image") ? "image" : name;
  }
  for (const EndRow& row : kEnds) {
    if (stem.size() > row.end.size() && lower_case(stem).ends_with(row.end)) {
      role.part = row.part;
      stem.resize(stem.size() - row.end.size());
      break;
    }
  }
  for (const std::string_view end : kImageEnds) {
    if (stem.size() > end.size() && lower_case(stem).ends_with(end)) {
      stem.resize(stem.size() - end.size());
      break;
    }
  }
  role.name = path_in(parts.generic_string(), stem);
  return role;
}

/// Without the visit or the frame: "sub-01_ses-2_T1w" -> "sub-01", "patient001_frame12" -> "patient001".
std::string group_of_flat_id(const std::string& id) {
  const std::size_t frame = id.rfind("_frame");
  const bool is_frame = frame != std::string::npos && frame > 0 && frame + 6 < id.size() &&
                        id.find_first_not_of("0123456789", frame + 6) == std::string::npos;
  return id.starts_with("sub-") ? id.substr(0, id.find('_')) : id.substr(0, is_frame ? frame : std::string::npos);
}

/// Whether an npz file has labels beside the image.
bool has_seg_array(const std::filesystem::path& path) {
  try {
    read_volume_header(path, VolumePart::kLabels);
    return true;
  } catch (const DataError&) {
    return false;
  }
}

bool is_atlas(const std::string& id) {
  const std::string lower = lower_case(id);
  return lower.starts_with("atlas") || lower.starts_with("template");
}

}  // namespace

bool claims_flat(const ScanTree& tree) {
  return !tree.volumes().empty();
}

FoundSet find_flat(const ScanTree& tree) {
  FoundSet out;
  std::map<std::string, SubjectEntry> scans;  // by name
  std::map<std::string, int> stems;
  for (const std::string& path : tree.volumes()) {
    const Role role = role_of(path);
    if (role.part == Part::kImage) {
      SubjectEntry& subject = scans[role.name];
      if (subject.image.empty()) {
        subject.image = path;
        ++stems[std::filesystem::path(role.name).filename().string()];
      }
    }
  }
  for (const TreeFile& file : tree.files()) {
    const Role role = role_of(file.path);
    const auto scan = scans.find(role.name);
    if (scan == scans.end()) {
      continue;
    }
    const bool volume = is_volume_name(file.path);
    SubjectEntry& subject = scan->second;
    std::string* place = nullptr;
    if (volume && role.part == Part::kLabels) {
      place = &subject.labels;
    } else if (volume && role.part == Part::kMask) {
      place = &subject.mask;
    } else if (!volume && file.path.ends_with(".csv")) {
      place = &subject.keypoints;
    }
    if (place != nullptr && place->empty()) {
      *place = file.path;
    }
  }
  std::vector<std::string> atlases;
  for (auto& [name, subject] : scans) {
    const std::string stem = std::filesystem::path(name).filename().string();
    subject.id = id_from(stems[stem] == 1 ? stem : name);
    subject.group = group_of_flat_id(subject.id);
    subject.split.clear();
    if (subject.labels.empty() && subject.image.ends_with(".npz") && has_seg_array(tree.full(subject.image))) {
      subject.labels = subject.image;
    }
    if (is_atlas(stem)) {
      atlases.push_back(subject.id);
    }
    out.subjects.push_back(subject);
  }
  if (atlases.size() == 1) {
    out.atlas = atlases.front();
    for (SubjectEntry& subject : out.subjects) {
      subject.split = subject.id == out.atlas ? "atlas" : "";
    }
  }
  return out;
}

}  // namespace regatta
