// A folder for each subject with FreeSurfer-like names: norm.nii.gz and seg35.nii.gz, as the OASIS release of neurite
// gives them. Scans aligned to a common space go before those that are not.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "regatta/base/error.hpp"
#include "volume/layouts/layout.hpp"

namespace regatta {

bool claims_oasis(const ScanTree& tree);
FoundSet find_oasis(const ScanTree& tree);

namespace {

struct NameRow {
  const char* image;
  std::array<const char*, 6> labels;  ///< the first that is there
};

/// In the order in which they are taken.
constexpr NameRow kNames[] = {
    {"aligned_norm", {"aligned_seg35", "aligned_aseg", "aligned_seg24", "aligned_seg4", "", ""}},
    {"norm", {"seg35", "aseg", "aparc+aseg", "aparc.DKTatlas+aseg", "seg24", "seg4"}},
    {"brain", {"seg35", "aseg", "aparc+aseg", "aparc.DKTatlas+aseg", "seg24", "seg4"}},
};

/// Folders with an image of this row.
std::vector<std::string> folders_with(const ScanTree& tree, const NameRow& row) {
  std::vector<std::string> folders;
  for (const std::string& path : tree.volumes()) {
    if (stem_of(path) == row.image && !folder_of(path).empty()) {
      folders.push_back(folder_of(path));
    }
  }
  return folders;
}

/// The row whose image most folders have, the first of equals.
const NameRow* name_row_of(const ScanTree& tree) {
  const NameRow* best = nullptr;
  std::size_t most = 0;
  for (const NameRow& row : kNames) {
    if (const std::size_t count = folders_with(tree, row).size(); count > most) {
      best = &row;
      most = count;
    }
  }
  return best;
}

/// The subject's folder: "OASIS_OAS1_0001_MR1/mri" -> "OASIS_OAS1_0001_MR1".
std::string subject_folder(const std::string& folder) {
  const std::filesystem::path path(folder);
  return (path.filename() == "mri" ? path.parent_path() : path).filename().string();
}

/// Without the visit: "OASIS_OAS1_0001_MR1" -> "OASIS_OAS1_0001".
std::string group_of_oasis_id(const std::string& id) {
  const std::size_t at = id.rfind("_MR");
  const bool visit = at != std::string::npos && at > 0 && at + 3 < id.size() &&
                     id.find_first_not_of("0123456789", at + 3) == std::string::npos;
  return visit ? id.substr(0, at) : id;
}

}  // namespace

bool claims_oasis(const ScanTree& tree) {
  const NameRow* row = name_row_of(tree);
  if (row == nullptr) {
    return false;
  }
  std::set<std::string> subjects;  // with a '/' at their end
  for (const std::string& folder : folders_with(tree, *row)) {
    const std::filesystem::path path(folder);
    subjects.insert((path.filename() == "mri" ? path.parent_path() : path) / "");
  }
  std::set<std::string> others;  // folders with volumes that are no subject's
  for (const std::string& path : tree.volumes()) {
    if (std::none_of(subjects.begin(), subjects.end(),
                     [&](const auto& subject) { return path.starts_with(subject); })) {
      others.insert(folder_of(path));
    }
  }
  return subjects.size() > others.size();
}

FoundSet find_oasis(const ScanTree& tree) {
  FoundSet out;
  out.anatomy = Anatomy::kBrain;
  const NameRow* row = name_row_of(tree);
  if (row == nullptr) {
    return out;
  }
  std::map<std::string, std::string> seen;
  for (const std::string& folder : folders_with(tree, *row)) {
    SubjectEntry subject;
    subject.id = id_from(subject_folder(folder));
    const auto [first, fresh] = seen.emplace(subject.id, folder);
    REGATTA_REQUIRE(fresh, DataError, tree.full(folder).string(), ": a subject of that name also lies in ",
                    tree.full(first->second).string());
    subject.image = tree.find_volume(folder, row->image);
    subject.split.clear();
    for (const char* labels : row->labels) {
      if (subject.labels.empty() && *labels != '\0') {
        subject.labels = tree.find_volume(folder, labels);
      }
    }
    subject.group = group_of_oasis_id(subject.id);
    for (const std::string& path : tree.volumes()) {  // other images and parcellations of the same scan
      if (folder_of(path) == folder) {
        out.known.insert(path);
      }
    }
    out.subjects.push_back(std::move(subject));
  }
  if (std::string_view(row->image) != "aligned_norm") {
    out.notes.emplace_back(
        "networks expect scans that are affinely aligned; where these are not: \"affine\": \"to_atlas\" in the data "
        "set "
        "file, and one subject as split atlas");
  }
  return out;
}

}  // namespace regatta
