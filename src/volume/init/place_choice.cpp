#include "volume/init/place_choice.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "volume/pack/dataset_pairs.hpp"
#include "volume/pack/shared_space.hpp"

namespace regatta {
namespace {

constexpr int kTalairach = 3;
constexpr int kMni152 = 4;

/// What the headers of all images agree on; none if they do not. Of files without a space it is 0.
std::optional<int> common_code(const ScanTree& tree, const FoundSet& found) {
  std::optional<int> code;
  for (const SubjectEntry& subject : found.subjects) {
    std::vector<std::string> images = {subject.image};
    if (subject.image.empty()) {
      images.clear();
      for (const auto& item : subject.images.items()) {
        images.push_back(item.value().get<std::string>());
      }
    }
    for (const std::string& path : images) {
      const ScanHeader* header = tree.header(path);
      const int here = header != nullptr && header->has_space ? header->space_code : 0;
      if (here == 0) {
        return 0;
      }
      if (code && *code != here) {
        code = -1;
      }
      code = code.value_or(here);
    }
  }
  return code == -1 ? std::nullopt : code;
}

bool are_within_groups(const std::vector<SubjectEntry>& subjects, const std::vector<ArchivePair>& pairs) {
  return std::all_of(pairs.begin(), pairs.end(), [&](const ArchivePair& pair) {
    return subjects[static_cast<std::size_t>(pair.moving)].group ==
           subjects[static_cast<std::size_t>(pair.fixed)].group;
  });
}

bool grids_coincide(const Survey& survey, const std::vector<std::size_t>& references) {
  for (std::size_t i = 0; i < references.size(); ++i) {
    const Grid& own = survey.scans[i].grid;
    const Grid& shared = survey.scans[references[i]].grid;
    if (own.shape != shared.shape || !same_grid(shared.affine, own.affine, own.shape)) {
      return false;
    }
  }
  return true;
}

}  // namespace

PlaceChoice choose_place(const ScanTree& tree, const FoundSet& found, const Survey& survey, const PairRule& rule) {
  DatasetOptions options;
  options.pairs = rule;
  const std::vector<ArchivePair> pairs = make_pairs(found.subjects, options);
  const std::vector<std::int64_t> references = space_references(found.subjects, options, pairs);
  PlaceChoice physical = {"physical", "", {references.begin(), references.end()}};
  PlaceChoice centre;
  centre.references.resize(found.subjects.size());
  std::iota(centre.references.begin(), centre.references.end(), std::size_t{0});
  const std::optional<int> code = common_code(tree, found);
  if (code == 0) {
    centre.reason = "not all files say where the scans lie (npz, or sform and qform code 0)";
    return centre;
  }
  if (found.one_session && are_within_groups(found.subjects, pairs)) {
    physical.reason = "pairs are within groups of one scanning session";
    return physical;
  }
  if (code && *code >= kTalairach) {
    physical.reason = str("all headers have code ", *code,
                          *code == kTalairach ? " (Talairach)"
                          : *code == kMni152  ? " (MNI 152)"
                                              : " (a template)");
    return physical;
  }
  if (grids_coincide(survey, physical.references)) {
    physical.reason = "the grids that pairs join coincide";
    return physical;
  }
  centre.reason = "scans of different persons or sessions: scanner coordinates do not say what belongs together";
  return centre;
}

}  // namespace regatta
