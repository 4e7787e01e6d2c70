#include "volume/init/checks.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <string_view>

#include <nlohmann/json.hpp>

#include "regatta/base/checksum.hpp"
#include "regatta/base/error.hpp"
#include "regatta/volume/keypoints.hpp"

namespace regatta {
namespace {

constexpr std::size_t kPiece = 65536;

/// Files that may hold scans or points, in formats that we read or not.
bool looks_like_data(const std::string& path) {
  constexpr std::array<std::string_view, 13> kEnds = {".nii",  ".nii.gz", ".img.gz", ".npz", ".csv", ".mgz", ".mgh",
                                                      ".nrrd", ".mha",    ".mhd",    ".hdr", ".img", ".dcm"};
  return std::any_of(kEnds.begin(), kEnds.end(), [&](std::string_view end) { return lower_case(path).ends_with(end); });
}

std::set<std::string> used_files(const FoundSet& found) {
  std::set<std::string> used = found.known;
  for (const SubjectEntry& subject : found.subjects) {
    used.insert({subject.image, subject.labels, subject.mask, subject.keypoints});
    for (const auto& item : subject.images.items()) {
      used.insert(item.value().get<std::string>());
    }
  }
  for (const PairEntry& pair : found.pairs) {
    used.insert({pair.moving_keypoints, pair.fixed_keypoints});
  }
  return used;
}

void note_unused(const ScanTree& tree, FoundSet& found) {
  const std::set<std::string> used = used_files(found);
  std::vector<std::string> data;
  std::map<std::string, int> others;  // by ending
  for (const TreeFile& file : tree.files()) {
    const std::string header = path_in(folder_of(file.path), stem_of(file.path) + ".hdr");
    if (!used.contains(file.path) && !(file.path.find(".img") != std::string::npos && used.contains(header))) {
      if (looks_like_data(file.path)) {
        data.push_back(file.path);
      } else {
        ++others[std::filesystem::path(file.path).extension().string()];
      }
    }
  }
  note_names(found, data, "files that belong to nothing that was understood");
  std::vector<std::string> parts;
  int count = 0;
  for (const auto& [ending, files] : others) {
    parts.push_back(str(files, ' ', ending.empty() ? "without ending" : ending));
    count += files;
  }
  if (count > 0) {
    found.notes.push_back(str("other files, not looked at: ", count, " (", join(parts, ", "), ")"));
  }
}

void note_missing(FoundSet& found, std::string SubjectEntry::*member, const char* what) {
  std::vector<std::string> without;
  for (const SubjectEntry& subject : found.subjects) {
    if ((subject.*member).empty()) {
      without.push_back(subject.id);
    }
  }
  if (without.size() < found.subjects.size()) {
    note_names(found, without, str("subjects without ", what));
  }
}

void note_label_values(FoundSet& found, const Survey& survey) {
  if (survey.label_values.empty()) {
    return;
  }
  std::set<std::int32_t> all;
  for (const auto& values : survey.label_values) {
    all.insert(values.begin(), values.end());
  }
  std::vector<std::string> unequal;
  for (std::size_t i = 0; i < survey.label_values.size(); ++i) {
    std::vector<std::int32_t> lacks;
    std::set_difference(all.begin(), all.end(), survey.label_values[i].begin(), survey.label_values[i].end(),
                        std::back_inserter(lacks));
    if (!lacks.empty()) {
      lacks.resize(std::min<std::size_t>(lacks.size(), 5));
      unequal.push_back(str(found.subjects[survey.labelled[i]].id, " lacks ", join(lacks, " ")));
    }
  }
  note_names(
      found, unequal,
      str("label maps that lack values which others have, of ", survey.label_values.size(), " that were looked into"));
  if (all.size() > 256) {
    found.notes.push_back(str("label values: ", all.size(), ", 256 allowed in an archive: give `labels/merge`"));
  }
}

/// A piece of the beginning and of the middle of a file.
std::uint64_t pieces_hash(const std::filesystem::path& path, std::uintmax_t bytes) {
  std::ifstream in(path, std::ios::binary);
  std::string text(2 * kPiece, '\0');
  in.read(text.data(), kPiece);
  auto got = static_cast<std::size_t>(in.gcount());
  in.clear();
  in.seekg(static_cast<std::streamoff>(bytes / 2));
  in.read(text.data() + got, kPiece);
  got += static_cast<std::size_t>(in.gcount());
  return xxh3(text.data(), got);
}

/// The file with the voxels: of a pair the other one.
std::string voxel_file(const ScanTree& tree, const std::string& image) {
  const std::string stem = path_in(folder_of(image), stem_of(image));
  for (const char* ending : {".img", ".img.gz"}) {
    if (image.ends_with(".hdr") && tree.has(stem + ending)) {
      return stem + ending;
    }
  }
  return image;
}

void note_duplicates(const ScanTree& tree, FoundSet& found) {
  std::map<std::uintmax_t, std::vector<std::string>> by_size;
  for (const SubjectEntry& subject : found.subjects) {
    if (subject.frame <= 0 && tree.has(subject.image)) {
      const std::string file = voxel_file(tree, subject.image);
      by_size[tree.bytes(file)].push_back(file);
    }
  }
  std::vector<std::string> twice;
  for (const auto& [bytes, paths] : by_size) {
    std::map<std::uint64_t, std::string> seen;
    for (const std::string& path : paths) {
      if (paths.size() > 1) {
        const auto [first, fresh] = seen.emplace(pieces_hash(tree.full(path), bytes), path);
        if (!fresh) {
          twice.push_back(str(path, " as ", first->second));
        }
      }
    }
  }
  note_names(found, twice, "scans that seem to be the same file");
}

/// Rows of the two lists of a pair are the same places, so there must be as many.
void note_keypoints(const ScanTree& tree, FoundSet& found) {
  std::map<std::string, std::size_t> counts;  // by file
  std::map<std::string, std::string> file_of;
  std::vector<std::string> wrong;
  const auto count = [&](const std::string& path) {
    if (!path.empty() && !counts.contains(path)) {
      try {
        counts[path] = read_keypoints(tree.full(path)).size();
      } catch (const DataError& error) {
        wrong.emplace_back(error.what());
      }
    }
  };
  for (const SubjectEntry& subject : found.subjects) {
    file_of[subject.id] = subject.keypoints;
    count(subject.keypoints);
  }
  for (const PairEntry& pair : found.pairs) {
    count(pair.moving_keypoints);
    count(pair.fixed_keypoints);
  }
  note_names(found, wrong, "key-point files that `pack` will refuse");
  std::vector<std::string> unequal;
  for (const PairEntry& pair : found.pairs) {
    const bool own = !pair.moving_keypoints.empty();
    const auto moving = counts.find(own ? pair.moving_keypoints : file_of[pair.moving]);
    const auto fixed = counts.find(own ? pair.fixed_keypoints : file_of[pair.fixed]);
    if (moving != counts.end() && fixed != counts.end() && moving->second != fixed->second) {
      unequal.push_back(str(pair.moving, ' ', moving->second, " and ", pair.fixed, ' ', fixed->second));
    }
  }
  note_names(found, unequal, "pairs whose lists of key-points have different lengths");
}

}  // namespace

void note_oddities(const ScanTree& tree, FoundSet& found, const Survey& survey) {
  note_missing(found, &SubjectEntry::labels, "labels");
  note_missing(found, &SubjectEntry::mask, "a mask");
  note_missing(found, &SubjectEntry::keypoints, "key-points");
  note_label_values(found, survey);
  note_keypoints(tree, found);
  note_duplicates(tree, found);
  note_unused(tree, found);
}

}  // namespace regatta
