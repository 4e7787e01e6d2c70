#include "volume/pack/shared_space.hpp"

#include <map>
#include <numeric>
#include <string>

#include "regatta/base/error.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/grid/in_order.hpp"
#include "volume/pack/dataset_pairs.hpp"
#include "volume/pack/pack_checks.hpp"

namespace regatta {
namespace {

/// Sets of subjects, joined two at a time.
class Joined {
 public:
  explicit Joined(std::size_t count) : parent_(count) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }

  std::size_t root(std::size_t one) {
    while (parent_[one] != one) {
      parent_[one] = parent_[parent_[one]];
      one = parent_[one];
    }
    return one;
  }

  void join(std::size_t one, std::size_t other) { parent_[root(one)] = root(other); }

 private:
  std::vector<std::size_t> parent_;
};

/// Of a reference its packed grid. @throws DataError if the header does not say where the scan lies
std::optional<Grid> physical_grid(const DatasetFile& dataset, const SubjectEntry& subject,
                                  const PreprocessOptions& options, bool is_reference) {
  const std::string& file = subject.files.front();
  const std::string& orientation = dataset.options.npz_orientation;
  const VolumeHeader header = read_volume_header(file, VolumePart::kImage, orientation, subject.frame);
  REGATTA_REQUIRE(has_space(header.affine_source), DataError, file,
                  ": does not say where the scan lies (npz, or sform and qform code 0), which /preprocess/place "
                  "physical needs: place centre, or affine to_atlas");
  if (!is_reference) {
    return std::nullopt;
  }
  return options.center == "foreground"
             ? map_to_packed_grid(read_volume(file, orientation, subject.frame), options).packed
             : map_to_packed_grid(header.grid, options, [] { return Point3{}; }).packed;
}

}  // namespace

std::vector<std::int64_t> space_references(const std::vector<SubjectEntry>& subjects, const DatasetOptions& options,
                                           const std::vector<ArchivePair>& pairs) {
  Joined joined(subjects.size());
  std::map<std::string, std::size_t> first_of_group;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    joined.join(first_of_group.emplace(subjects[i].group, i).first->second, i);
  }
  for (const ArchivePair& pair : pairs) {
    joined.join(static_cast<std::size_t>(pair.moving), static_cast<std::size_t>(pair.fixed));
  }
  std::vector<std::int64_t> reference(subjects.size(), -1);  // of each root
  const auto settle = [&](std::size_t subject) {
    std::int64_t& of_root = reference[joined.root(subject)];
    of_root = of_root < 0 ? static_cast<std::int64_t>(subject) : of_root;
  };
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    if (is_atlas(subjects[i], options)) {
      settle(i);
    }
  }
  for (const ArchivePair& pair : pairs) {
    settle(static_cast<std::size_t>(pair.fixed));
  }
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    settle(i);
    out.push_back(reference[joined.root(i)]);
  }
  return out;
}

std::vector<std::optional<Grid>> shared_grids(const DatasetFile& dataset, const PreprocessOptions& options,
                                              int threads) {
  const std::vector<SubjectEntry>& subjects = dataset.subjects;
  const std::vector<std::int64_t> references = space_references(subjects, dataset.options, dataset.pairs);
  std::vector<std::optional<Grid>> own(subjects.size());
  in_order(
      subjects.size(), threads,
      [&](std::size_t i) {
        const bool is_reference = references[i] == static_cast<std::int64_t>(i);
        return for_subject(subjects[i], [&] { return physical_grid(dataset, subjects[i], options, is_reference); });
      },
      [&](std::size_t i, const std::optional<Grid>& grid) { own[i] = grid; });
  std::vector<std::optional<Grid>> shared;
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    const auto reference = static_cast<std::size_t>(references[i]);
    shared.push_back(reference == i ? std::nullopt : own[reference]);
  }
  return shared;
}

}  // namespace regatta
