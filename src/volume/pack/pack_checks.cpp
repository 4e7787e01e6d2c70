#include "volume/pack/pack_checks.hpp"

#include <algorithm>
#include <limits>

#include "regatta/base/error.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/keypoints.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/pack/dataset_pairs.hpp"
#include "volume/pack/packed_subject.hpp"
#include "volume/pack/shared_space.hpp"

namespace regatta {

SubjectCheck check_subject(const DatasetFile& dataset, const SubjectEntry& subject) {
  const std::string& orientation = dataset.options.npz_orientation;
  const VolumeHeader image = read_volume_header(subject.files.front(), VolumePart::kImage, orientation, subject.frame);
  for (std::size_t modality = 1; modality < subject.files.size(); ++modality) {
    read_volume_header(subject.files[modality], VolumePart::kImage, orientation, subject.frame);
  }
  if (!subject.mask.empty()) {
    const VolumeHeader mask = read_volume_header(subject.mask, VolumePart::kLabels, orientation,
                                                 companion_frame(subject, subject.mask, orientation));
    require_image_grid(mask.grid, image.grid, subject.mask);
  }
  SubjectCheck found;
  found.is_placed = image.affine_source != "pixdim";
  if (subject.labels.empty()) {
    return found;
  }
  const LabelVolume labels =
      read_label_volume(subject.labels, orientation, companion_frame(subject, subject.labels, orientation));
  require_image_grid(labels.grid, image.grid, subject.labels);
  std::int32_t last = std::numeric_limits<std::int32_t>::min();
  for (const std::int32_t value : labels.labels) {
    if (value != last) {  // runs are long, the set is slow
      found.label_values.insert(dataset.label(value));
      last = value;
    }
  }
  return found;
}

void require_keypoint_pairs(const DatasetFile& dataset) {
  for (const auto& [pair, files] : dataset.pair_keypoints) {
    const std::size_t moving = read_keypoints(files.moving).size();
    const std::size_t fixed = read_keypoints(files.fixed).size();
    REGATTA_REQUIRE(moving == fixed, DataError, files.moving, ": ", moving, " key-points, and ", fixed, " in ",
                    files.fixed, ": row n of both files must be the same place");
  }
  std::vector<std::size_t> counts;
  for (const SubjectEntry& subject : dataset.subjects) {
    counts.push_back(subject.keypoints.empty() ? 0 : read_keypoints(subject.keypoints).size());
  }
  for (const ArchivePair& pair : dataset.pairs) {
    if (dataset.keypoint_files(pair)) {
      continue;
    }
    const auto moving = static_cast<std::size_t>(pair.moving);
    const auto fixed = static_cast<std::size_t>(pair.fixed);
    REGATTA_REQUIRE(counts[moving] == 0 || counts[fixed] == 0 || counts[moving] == counts[fixed], DataError,
                    dataset.subjects[moving].keypoints, ": ", counts[moving], " key-points, and ", counts[fixed],
                    " in ", dataset.subjects[fixed].keypoints, ": the two scans are a pair of split ", pair.split,
                    ", so row n of both files must be the same place");
  }
}

std::string TwinScans::twins(std::size_t first, std::size_t second, const char* what) const {
  if (is_atlas_(first) || is_atlas_(second)) {
    return "";
  }
  const SubjectEntry& one = subjects_[first];
  const SubjectEntry& other = subjects_[second];
  std::string text = str("subjects '", one.id, "' (", one.split, ", ", one.files.front(), ") and '", other.id, "' (",
                         other.split, ", ", other.files.front(), ") have the same ", what);
  REGATTA_REQUIRE(one.split == other.split, DataError, text, ": what is trained on must not be tested with");
  return text;
}

std::string TwinScans::add_files(std::size_t index, const std::string& hash) {
  files_[index] = hash;
  const auto [first, fresh] = first_with_files_.emplace(hash, index);
  return fresh ? "" : twins(first->second, index, "image");
}

std::string TwinScans::add_voxels(std::size_t index, std::uint64_t checksum) {
  const auto [first, fresh] = first_with_voxels_.emplace(checksum, index);
  return fresh || files_[first->second] == files_[index] ? "" : twins(first->second, index, "voxels, packed");
}

void require_few_labels(std::set<std::int32_t>& values) {
  values.erase(0);
  REGATTA_REQUIRE(values.size() <= 255, DataError, "labels: ", values.size(),
                  " values without the background, at most 255 allowed: merge some (/labels/merge) or leave others out "
                  "(/labels/others: background)");
}

std::string centred_groups(const DatasetFile& dataset, const std::vector<ArchiveSubject>& rows, const Shape3& shape) {
  constexpr double kFar = 1.0;  // voxels
  std::set<std::pair<std::int64_t, std::int64_t>> moved;
  double most_mm = 0.0;
  for (const ArchivePair& pair : dataset.pairs) {
    const auto moving = static_cast<std::size_t>(pair.moving);
    const auto fixed = static_cast<std::size_t>(pair.fixed);
    if (rows[moving].group != rows[fixed].group || same_grid(rows[fixed].affine, rows[moving].affine, shape, kFar) ||
        moved.contains(std::minmax({pair.moving, pair.fixed}))) {
      continue;
    }
    const auto is_placed = [&](std::size_t i) {
      const SubjectEntry& subject = dataset.subjects[i];
      return has_space(
          read_volume_header(subject.files.front(), VolumePart::kImage, dataset.options.npz_orientation, subject.frame)
              .affine_source);
    };
    if (is_placed(moving) && is_placed(fixed)) {
      moved.insert(std::minmax({pair.moving, pair.fixed}));
      most_mm = std::max(most_mm, mean_distance(rows[fixed].affine, rows[moving].affine, {shape, identity_affine()}));
    }
  }
  return moved.empty()
             ? ""
             : str("scans of a group are put about their middles, up to ", fixed_text(most_mm, 1),
                   " mm from where their headers put them, in ", moved.size(), moved.size() == 1 ? " pair" : " pairs",
                   "; if they are of one session, /preprocess/place physical keeps them there");
}

std::string help_for_place(const PreprocessOptions& options) {
  if (options.place == "affine") {
    return "look at their alignment";
  }
  if (options.place == "physical") {
    return "do their headers tell the truth? /preprocess/place centre does without them";
  }
  return options.center == "volume" ? "/preprocess/center foreground, or /affine to_atlas, may help"
                                    : "/affine to_atlas may help";
}

Grid first_packed_grid(const DatasetFile& dataset) {
  std::int64_t index = 0;
  if (dataset.options.affine == "to_atlas") {
    index = affine_atlas_of(dataset.subjects, dataset.options);
  } else if (dataset.options.preprocess.place == "physical") {
    index = space_references(dataset.subjects, dataset.options, dataset.pairs).front();
  }
  const SubjectEntry& first = dataset.subjects[static_cast<std::size_t>(index)];
  const VolumeHeader header =
      read_volume_header(first.files.front(), VolumePart::kImage, dataset.options.npz_orientation, first.frame);
  Volume blank;  // the shape and spacing of the packed grid do not depend on the voxels
  blank.grid = header.grid;
  PreprocessOptions plain = dataset.options.preprocess;
  plain.center = "volume";
  return map_to_packed_grid(blank, plain).packed;
}

PreprocessOptions settle_options(const DatasetFile& dataset) {
  PreprocessOptions options = dataset.options.preprocess;
  if (dataset.options.affine == "to_atlas") {
    options.place = "affine";
  }
  if (options.shape.empty()) {
    for (const std::int64_t size : first_packed_grid(dataset).shape) {
      options.shape.push_back(static_cast<int>(size));
    }
  }
  return options;
}

}  // namespace regatta
