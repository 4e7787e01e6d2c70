#include "volume/inspect/inspection_measure.hpp"

#include <algorithm>
#include <cmath>

#include "regatta/base/checksum.hpp"
#include "regatta/volume/keypoints.hpp"
#include "volume/grid/box_average.hpp"
#include "volume/grid/otsu.hpp"
#include "volume/inspect/orientation_check.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kThumbnailEdge = 16;

std::vector<float> thumbnail_of(std::span<const float> image, const Shape3& shape) {
  Shape3 coarse{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    coarse[axis] = std::min(kThumbnailEdge, shape[axis]);
  }
  std::vector<float> out = box_average(image, shape, coarse);
  double sum = 0.0;
  for (const float value : out) {
    sum += double{value};
  }
  const double mean = sum / static_cast<double>(out.size());
  double square = 0.0;
  for (const float value : out) {
    square += (double{value} - mean) * (double{value} - mean);
  }
  if (square < 1e-12 * static_cast<double>(out.size())) {
    return {};
  }
  for (float& value : out) {
    value = static_cast<float>((double{value} - mean) / std::sqrt(square));
  }
  return out;
}

/// Mean and percentiles of the values above a threshold. Percentiles to 1/4096 of the range.
void measure_intensity(std::span<const float> image, float threshold, IntensityMeasure& out) {
  constexpr std::size_t kBins = 4096;
  const float high = *std::max_element(image.begin(), image.end());
  std::vector<std::int64_t> counts(kBins, 0);
  const double width = (double{high} - double{threshold}) / (kBins - 1);
  double sum = 0.0;
  std::int64_t count = 0;
  for (const float value : image) {
    if (value > threshold) {
      sum += double{value};
      ++count;
      ++counts[static_cast<std::size_t>((double{value} - double{threshold}) / width)];
    }
  }
  if (count == 0) {
    return;
  }
  out.mean = sum / static_cast<double>(count);
  const auto percentile = [&](double share) {
    std::int64_t below = 0;
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      below += counts[bin];
      if (static_cast<double>(below) >= share * static_cast<double>(count)) {
        return double{threshold} + width * static_cast<double>(bin);
      }
    }
    return double{high};
  };
  out.p1 = percentile(0.01);
  out.p50 = percentile(0.5);
  out.p99 = percentile(0.99);
}

/// Half of Otsu's threshold over the lowest value: keeps dark tissue, leaves out the noise of air.
float foreground_threshold(std::span<const float> image) {
  const float low = *std::min_element(image.begin(), image.end());
  return low + 0.5F * (otsu_threshold(image) - low);
}

void measure_foreground(std::span<const float> image, const Shape3& shape, float threshold, SubjectInspection& out) {
  std::array<std::int64_t, 6> faces{};
  std::int64_t all = 0;
  std::size_t index = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
        if (image[index] > threshold) {
          ++all;
          faces[0] += d == 0 ? 1 : 0;
          faces[1] += d == shape[0] - 1 ? 1 : 0;
          faces[2] += h == 0 ? 1 : 0;
          faces[3] += h == shape[1] - 1 ? 1 : 0;
          faces[4] += w == 0 ? 1 : 0;
          faces[5] += w == shape[2] - 1 ? 1 : 0;
        }
      }
    }
  }
  out.foreground = static_cast<double>(all) / static_cast<double>(voxel_count(shape));
  for (std::size_t face = 0; face < 6; ++face) {
    const double area = static_cast<double>(voxel_count(shape)) / static_cast<double>(shape[face / 2]);
    out.border[face] = static_cast<double>(faces[face]) / area;
  }
}

/// Of a packed voxel in the subject's own space: after affine alignment not that of the packed grid.
double own_voxel_ml(const ArchiveSubject& subject) {
  const Affine& a = subject.affine;
  const double box =
      a[0] * (a[5] * a[10] - a[6] * a[9]) - a[1] * (a[4] * a[10] - a[6] * a[8]) + a[2] * (a[4] * a[9] - a[5] * a[8]);
  return std::abs(box) / 1000.0;
}

void measure_labels(const Archive& archive, std::int64_t subject, SubjectMeasure& out) {
  const Shape3& shape = archive.shape();
  const Spacing3& spacing = archive.spacing();
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(voxel_count(shape)));
  archive.read_labels(subject, labels);
  out.labels_hash = xxh3(labels.data(), labels.size());
  struct Sum {
    std::int64_t n = 0, d = 0, h = 0, w = 0;
  };
  std::vector<Sum> sums(256);
  std::size_t index = 0;
  for (std::int64_t d = 0; d < shape[0]; ++d) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t w = 0; w < shape[2]; ++w, ++index) {
        if (labels[index] != 0) {
          Sum& sum = sums[labels[index]];
          ++sum.n;
          sum.d += d;
          sum.h += h;
          sum.w += w;
        }
      }
    }
  }
  const double voxel_ml = own_voxel_ml(archive.subjects()[static_cast<std::size_t>(subject)]);
  const std::size_t ids = archive.label_ids().size();
  out.label_voxels.resize(ids, 0);
  out.label_centres.resize(ids);
  out.shown.label_ml.resize(ids, 0.0);
  for (std::size_t i = 1; i < ids; ++i) {
    const auto n = static_cast<double>(std::max<std::int64_t>(1, sums[i].n));
    out.label_voxels[i] = sums[i].n;
    out.shown.label_ml[i] = static_cast<double>(sums[i].n) * voxel_ml;
    out.label_centres[i] = {static_cast<double>(sums[i].d) / n * spacing[0],
                            static_cast<double>(sums[i].h) / n * spacing[1],
                            static_cast<double>(sums[i].w) / n * spacing[2]};
  }
}

}  // namespace

std::vector<float> read_values(const Archive& archive, std::int64_t subject, std::size_t modality) {
  const auto voxels = static_cast<std::size_t>(voxel_count(archive.shape()));
  std::vector<float> out(voxels);
  if (archive.image_type() == VoxelType::kFloat32) {
    archive.read_image(subject, std::as_writable_bytes(std::span(out)), modality);
    return out;
  }
  std::vector<std::uint8_t> bytes(voxels);
  archive.read_image(subject, std::as_writable_bytes(std::span(bytes)), modality);
  const auto scale = static_cast<float>(archive.image_scale());
  std::transform(bytes.begin(), bytes.end(), out.begin(),
                 [scale](std::uint8_t v) { return scale * static_cast<float>(v); });
  return out;
}

SubjectMeasure measure_subject(const Archive& archive, std::int64_t subject) {
  const ArchiveSubject& row = archive.subjects()[static_cast<std::size_t>(subject)];
  SubjectMeasure out;
  SubjectInspection& s = out.shown;
  s.id = row.id;
  s.split = row.split;
  s.group = group_of(row);
  s.frame = row.frame;
  s.original_spacing = spacing_of(row.original_affine);
  s.original_shape = row.original_shape;
  s.affine_ncc = row.affine_ncc;
  std::vector<std::uint64_t> hashes;
  for (std::size_t modality = 0; modality < archive.modalities().size(); ++modality) {
    const std::vector<float> image = read_values(archive, subject, modality);
    hashes.push_back(xxh3(image.data(), image.size() * sizeof(float)));
    const float threshold = foreground_threshold(image);
    IntensityMeasure intensity;
    intensity.low = row.intensity[modality].low;
    intensity.high = row.intensity[modality].high;
    measure_intensity(image, threshold, intensity);
    s.intensities.push_back(intensity);
    if (modality == 0) {
      measure_foreground(image, archive.shape(), threshold, s);
      out.thumbnail = thumbnail_of(image, archive.shape());
      out.scan = make_coarse_scan(image, archive.shape(), archive.spacing());
    }
  }
  out.image_hash = xxh3(hashes.data(), hashes.size() * sizeof(hashes[0]));
  s.has_labels = row.has_labels;
  if (s.has_labels) {
    measure_labels(archive, subject, out);
  }
  s.has_mask = row.has_mask;
  if (s.has_mask) {
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(voxel_count(archive.shape())));
    archive.read_mask(subject, mask);
    const auto set = std::count_if(mask.begin(), mask.end(), [](std::uint8_t value) { return value != 0; });
    s.mask_share = static_cast<double>(set) / static_cast<double>(mask.size());
  }
  s.keypoints = static_cast<std::int64_t>(row.keypoints.size());
  s.keypoints_outside = count_outside(row.keypoints, archive.shape());
  return out;
}

}  // namespace regatta
