#include "volume/pack/packed_subject.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/volume/affine_registration.hpp"
#include "regatta/volume/keypoints.hpp"
#include "regatta/volume/resample.hpp"
#include "regatta/volume/volume_file.hpp"
#include "volume/pack/coded_volume.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// Where a subject's packed voxels come from.
struct Placement {
  Grid source;
  Grid packed;                 ///< its affine leads to the subject's own millimetres
  std::optional<GridMap> map;  ///< along the axes; none: through space
};

/// An image as the fast way or the general one takes it.
struct Image {
  std::optional<CodedVolume> coded;
  Volume volume;  ///< where there are no codes

  const Grid& grid() const { return coded ? coded->grid : volume.grid; }
};

/// As codes where they are enough: alignment and unscaled or float32 voxels need floats.
Image read_image(const PackJob& job, const SubjectEntry& subject, std::size_t modality) {
  const std::string& path = subject.files[modality];
  const std::string kind = intensity_of(job.preprocess, job.modalities()[modality]).kind;
  Image image;
  if (!job.atlas && job.preprocess.type == "uint8" && kind != "none") {
    CodedVolume coded = job.spare->volumes.take();
    if (read_coded_volume(path, subject.frame, coded)) {
      image.coded = std::move(coded);
      return image;
    }
    job.spare->volumes.give(std::move(coded));
  }
  image.volume = read_volume(path, job.dataset->options.npz_orientation, subject.frame);
  return image;
}

/// A label map or mask on the grid of the subject's first image.
LabelVolume read_companion(const PackJob& job, const SubjectEntry& subject, const std::string& path,
                           const Grid& image) {
  const std::string& orientation = job.dataset->options.npz_orientation;
  LabelVolume labels = read_label_volume(path, orientation, companion_frame(subject, path, orientation));
  require_image_grid(labels.grid, image, path);
  job.rounded->add(labels);
  return labels;
}

Placement place(const PackJob& job, std::size_t index, const Image& image, ArchiveSubject& row, int threads) {
  if (const Grid* shared = job.shared_grid(index)) {
    return {image.grid(), *shared, map_along_axes(image.grid(), *shared)};
  }
  if (!job.atlas || job.atlas->subject == static_cast<std::int64_t>(index)) {
    const GridMap map = image.coded ? map_to_packed_grid(*image.coded, job.preprocess)
                                    : map_to_packed_grid(image.volume, job.preprocess);
    return {map.source, map.packed, map};
  }
  const AffineRegistration found = register_affine(job.atlas->volume, image.volume, threads);
  row.atlas_to_subject = found.fixed_to_moving;
  row.affine_ncc = found.ncc_after;
  const Affine affine = multiply(found.fixed_to_moving, job.atlas->packed.affine);
  REGATTA_REQUIRE(is_usable(affine), DataError, image.volume.source,
                  ": the alignment to the atlas failed: its matrix is degenerate (affine: none leaves it out)");
  return {image.grid(), {job.atlas->packed.shape, affine}, std::nullopt};
}

/// @param memory  for the packed voxels; used where the image has codes
PackedVoxels pack_image(const PackJob& job, Image image, const IntensityOptions& intensity, const Placement& placement,
                        LargeVector<std::byte> memory, int threads) {
  const bool along_axes = placement.map && image.grid().shape == placement.source.shape &&
                          same_grid(placement.source.affine, image.grid().affine, image.grid().shape);
  if (image.coded && along_axes) {
    PackedVoxels packed =
        prepare_packed(*image.coded, *placement.map, job.preprocess, intensity, threads, std::move(memory));
    job.spare->volumes.give(std::move(*image.coded));
    return packed;
  }
  const Volume volume = image.coded ? to_volume(*image.coded) : std::move(image.volume);
  return along_axes ? prepare_packed(volume, *placement.map, job.preprocess, intensity, threads)
                    : packed_voxels(prepare_image_on(placement.packed, volume, job.preprocess, intensity, threads),
                                    job.preprocess);
}

/// @param first  the first modality's image, which exists already
void add_images(const PackJob& job, const SubjectEntry& subject, Image first, const Placement& placement,
                PackedSubject& out, int threads) {
  const std::vector<std::string> modalities = job.modalities();
  out.row.intensity.clear();
  for (std::size_t i = 0; i < modalities.size(); ++i) {
    Image image = i == 0 ? std::move(first) : read_image(job, subject, i);
    PackedVoxels packed = pack_image(job, std::move(image), intensity_of(job.preprocess, modalities[i]), placement,
                                     i == 0 ? job.spare->images.take() : LargeVector<std::byte>(), threads);
    out.row.intensity.push_back(packed.range);
    if (out.images.empty()) {
      out.images = std::move(packed.bytes);
    } else {
      out.images.insert(out.images.end(), packed.bytes.begin(), packed.bytes.end());
    }
  }
}

std::vector<std::int32_t> placed(const LabelVolume& labels, const Placement& placement, int threads) {
  return placement.map ? prepare_labels(labels, *placement.map, threads)
                       : resample_labels_to_grid(labels.labels, labels.grid, placement.packed, threads);
}

void add_labels(const PackJob& job, const SubjectEntry& subject, const Placement& placement, PackedSubject& out,
                int threads) {
  const LabelVolume file = read_companion(job, subject, subject.labels, placement.source);
  const std::vector<std::int32_t> labels = placed(file, placement, threads);
  std::map<std::int32_t, std::int32_t> merged;  // of the values that occur
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (i == 0 || labels[i] != labels[i - 1]) {
      merged.emplace(labels[i], job.dataset->label(labels[i]));
    }
  }
  for (const auto& [old, value] : merged) {
    out.label_values.push_back(value);
  }
  std::sort(out.label_values.begin(), out.label_values.end());
  out.label_values.erase(std::unique(out.label_values.begin(), out.label_values.end()), out.label_values.end());
  REGATTA_REQUIRE(out.label_values.size() <= 256, DataError, subject.labels, ": ", out.label_values.size(),
                  " label values, at most 256 allowed: merge some (/labels/merge)");
  std::map<std::int32_t, std::uint8_t> index_of;
  for (const auto& [old, value] : merged) {
    const auto at = std::lower_bound(out.label_values.begin(), out.label_values.end(), value);
    index_of[old] = static_cast<std::uint8_t>(at - out.label_values.begin());
  }
  out.labels.reserve(labels.size());
  auto last = index_of.begin();
  for (const std::int32_t label : labels) {
    if (label != last->first) {  // runs are long
      last = index_of.find(label);
    }
    out.labels.push_back(last->second);
  }
}

void add_mask(const PackJob& job, const SubjectEntry& subject, const Placement& placement, PackedSubject& out,
              int threads) {
  const LabelVolume file = read_companion(job, subject, subject.mask, placement.source);
  bool any = false;
  for (const std::int32_t value : placed(file, placement, threads)) {
    out.mask.push_back(value != 0 ? 1 : 0);
    any = any || value != 0;
  }
  REGATTA_REQUIRE(any, DataError, subject.mask, ": the mask is empty on the packed grid");
}

}  // namespace

std::vector<Point3> packed_keypoints(const DatasetFile& dataset, const std::string& path, const ArchiveSubject& row) {
  const KeypointSpace space = kKeypointSpaces.at(dataset.options.keypoint_space, "/keypoint_space");
  const Affine to_packed = invert(row.affine);
  std::vector<Point3> points;
  for (Point3 point : read_keypoints(path)) {
    const bool in_voxels = space == KeypointSpace::kVoxel;
    point = in_voxels ? map_point(row.original_affine, point) : ras_of(point, space);
    points.push_back(map_point(to_packed, point));
  }
  return points;
}

int companion_frame(const SubjectEntry& subject, const std::string& path, const std::string& npz_orientation) {
  const bool series =
      subject.frame >= 0 && read_volume_header(path, VolumePart::kLabels, npz_orientation, 0).frames > 1;
  return series ? subject.frame : -1;
}

void require_image_grid(const Grid& grid, const Grid& image, const std::string& path) {
  REGATTA_REQUIRE(grid.shape == image.shape, DataError, path, ": shape ", shape_text(grid.shape), ", its image has ",
                  shape_text(image.shape));
  REGATTA_REQUIRE(same_grid(image.affine, grid.affine, image.shape), DataError, path,
                  ": lies elsewhere in space than its image: affine ", join(grid.affine, " "), ", the image's is ",
                  join(image.affine, " "));
}

const Grid* PackJob::shared_grid(std::size_t index) const {
  return index < shared_grids.size() && shared_grids[index] ? &*shared_grids[index] : nullptr;
}

std::string RoundedValues::text() const {
  const std::lock_guard lock(mutex_);
  return values_ == 0 ? ""
                      : str("label maps and masks: ", values_, " values of ", files_, files_ == 1 ? " file" : " files",
                            " were whole numbers only up to rounding, and were rounded");
}

std::vector<std::string> PackJob::modalities() const {
  const auto& named = dataset->options.modalities;
  return named.empty() ? std::vector<std::string>{"image"} : named;
}

std::shared_ptr<PackedSubject> prepare_subject(const PackJob& job, std::size_t index, int threads) {
  const SubjectEntry& subject = job.dataset->subjects[index];
  Image image = read_image(job, subject, 0);
  const std::shared_ptr<PackedSubject> made(new PackedSubject, [spare = job.spare](PackedSubject* done) {
    spare->images.give(std::move(done->images));
    delete done;
  });
  PackedSubject& out = *made;
  const Placement placement = place(job, index, image, out.row, threads);
  out.shape = placement.packed.shape;
  out.row.affine = placement.packed.affine;
  out.row.original_affine = image.grid().affine;
  out.row.original_shape = image.grid().shape;
  out.row.image_source = fs::path(subject.files.front()).filename().string();
  add_images(job, subject, std::move(image), placement, out, threads);
  if (!subject.labels.empty()) {
    add_labels(job, subject, placement, out, threads);
  }
  if (!subject.mask.empty()) {
    add_mask(job, subject, placement, out, threads);
  }
  if (!subject.keypoints.empty()) {
    out.row.keypoints = packed_keypoints(*job.dataset, subject.keypoints, out.row);
  }
  return made;
}

}  // namespace regatta
