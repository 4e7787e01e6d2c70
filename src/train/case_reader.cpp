#include "train/case_reader.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/config/name_table.hpp"
#include "regatta/nn/grid_warp.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/volume/keypoints.hpp"
#include "regatta/volume/volume_file.hpp"
#include "train/voxel_axes.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostLabels = 32767;

constexpr auto kLabelEdges =
    name_table<LabelEdge>({{"centres", LabelEdge::kCentres}, {"half_voxel", LabelEdge::kHalfVoxel}});
constexpr auto kAbsentLabels = name_table<AbsentLabel>(
    {{"protocol", AbsentLabel::kProtocol}, {"left_out", AbsentLabel::kLeftOut}, {"worst", AbsentLabel::kWorst}});

bool measures_images(const CaseList& list) {
  return std::any_of(list.metrics.begin(), list.metrics.end(),
                     [](const std::string& name) { return std::string_view(find_metric(name).needs) == "images"; });
}

/// [1, C, D, H, W] of the voxels' own type, on the device.
template <class T>
at::Tensor volume_tensor(const std::vector<T>& voxels, std::int64_t channels, const Shape3& shape, at::ScalarType type,
                         const at::Device& device) {
  return at::from_blob(const_cast<T*>(voxels.data()), {1, channels, shape[0], shape[1], shape[2]}, type)
      .to(device, type, false, true);
}

/// Values of a label map, each once.
void add_values(const LabelVolume& volume, std::set<std::int64_t>& values) {
  std::int32_t last = -1;
  for (const std::int32_t label : volume.labels) {
    if (label != last) {  // runs are long
      REGATTA_REQUIRE(label >= 0, DataError, volume.source, ": label ", label, ", 0 or more expected");
      values.insert(label);
      last = label;
    }
  }
}

/// [1, 1, D, H, W] of the places that the labels have in `values`.
template <class T>
at::Tensor index_tensor(const LabelVolume& volume, const std::vector<std::int64_t>& values, at::ScalarType type,
                        const at::Device& device) {
  std::vector<T> indices(volume.labels.size());
  std::int32_t last = -1;
  T index = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (volume.labels[i] != last) {
      last = volume.labels[i];
      index = static_cast<T>(std::lower_bound(values.begin(), values.end(), last) - values.begin());
    }
    indices[i] = index;
  }
  return volume_tensor(indices, 1, volume.grid.shape, type, device);
}

/// [K, 3] float64.
at::Tensor point_tensor(const std::vector<Point3>& points, const at::Device& device) {
  std::vector<double> flat;
  for (const Point3& point : points) {
    flat.insert(flat.end(), point.begin(), point.end());
  }
  return at::tensor(flat, at::TensorOptions().dtype(at::kDouble)).view({-1, 3}).to(device);
}

Shape3 doubled(const Shape3& shape) {
  return {2 * shape[0], 2 * shape[1], 2 * shape[2]};
}

}  // namespace

CaseInputs CaseReader::read() {
  const at::NoGradGuard no_grad;
  read_scans();
  read_labels_and_mask();
  read_field();
  for (const GridSource& source : fixed_grids_) {
    require_fixed_grid(source);
  }
  require_moving_grid();
  choose_spacing();
  CaseInputs out;
  out.registered = state();
  std::fill(field_.field.begin(), field_.field.end(), 0.0F);
  out.initial = state();
  out.spacing_mm = spacing_mm_;
  out.facts["field_form"] = in_space() ? "space" : is_doubled_ ? "arrays, half resolution" : "arrays";
  out.facts["spacing_from"] = spacing_from_;
  return out;
}

void CaseReader::read_scans() {
  const bool whole = measures_images(list_);
  const auto read_one = [&](const char* member, const std::string& name, int frame, std::optional<Volume>& image,
                            std::vector<GridSource>& grids) {
    if (name.empty()) {
      return;
    }
    const fs::path path = path_of(name);
    if (whole) {
      image = read_volume(path, list_.npz_orientation, frame);
      grids.push_back({member, path.string(), image->grid, image->affine_source});
    } else {
      const VolumeHeader header = read_volume_header(path, VolumePart::kImage, list_.npz_orientation, frame);
      grids.push_back({member, path.string(), header.grid, header.affine_source});
    }
  };
  read_one("fixed", files_.fixed, files_.fixed_frame, fixed_, fixed_grids_);
  read_one("moving", files_.moving, files_.moving_frame, moving_, moving_grids_);
}

/// Labels and masks of a 4-D scan may be one volume or as many.
LabelVolume CaseReader::read_map(const std::string& name, int frame) const {
  const fs::path path = path_of(name);
  const bool series = frame >= 0 && read_volume_header(path, VolumePart::kLabels, list_.npz_orientation, 0).frames > 1;
  return read_label_volume(path, list_.npz_orientation, series ? frame : -1);
}

void CaseReader::read_labels_and_mask() {
  const auto read_one = [&](const char* member, const std::string& name, int frame, std::optional<LabelVolume>& map,
                            std::vector<GridSource>& grids) {
    if (!name.empty()) {
      map = read_map(name, frame);
      grids.push_back({member, map->source, map->grid, map->affine_source});
    }
  };
  read_one("fixed_labels", files_.fixed_labels, files_.fixed_frame, fixed_labels_, fixed_grids_);
  read_one("fixed_mask", files_.fixed_mask, files_.fixed_frame, fixed_mask_, fixed_grids_);
  read_one("moving_labels", files_.moving_labels, files_.moving_frame, moving_labels_, moving_grids_);
}

void CaseReader::read_field() {
  const fs::path path = path_of(files_.field);
  field_ = read_displacement(path);
  if (in_space()) {
    return;
  }
  REGATTA_REQUIRE(field_.affine_source != "none" || !fixed_grids_.empty(), DataError, path.string(),
                  ": an npz field does not say how large the fixed scan is (it may be of half the resolution): add "
                  "'fixed', the fixed scan, to the case");
  if (!fixed_grids_.empty() && fixed_grids_.front().grid.shape == doubled(field_.grid.shape)) {
    field_.field = doubled_displacement(field_.field, field_.grid.shape);
    field_.grid.shape = doubled(field_.grid.shape);
    is_doubled_ = true;
  }
}

void CaseReader::require_fixed_grid(const GridSource& source) const {
  const Grid& grid = field_.grid;
  REGATTA_REQUIRE(source.grid.shape == grid.shape, DataError, source.path, ": shape ", shape_text(source.grid.shape),
                  ", the field ", path_of(files_.field).string(), " has ", shape_text(grid.shape));
  REGATTA_REQUIRE(!in_space() || !source.is_placed() || same_grid(grid.affine, source.grid.affine, grid.shape),
                  DataError, source.path, ": lies elsewhere in space than the field ", path_of(files_.field).string(),
                  ": affine ", join(source.grid.affine, " "), ", the field's is ", join(grid.affine, " "));
}

/// The files of the moving side agree, and a field of space finds them.
void CaseReader::require_moving_grid() const {
  for (const GridSource& source : moving_grids_) {
    const bool has_place = source.is_placed() || same_grid(field_.grid.affine, source.grid.affine, source.grid.shape);
    REGATTA_REQUIRE(!in_space() || has_place, DataError, source.path,
                    ": does not say where it lies in space, and the field ", path_of(files_.field).string(),
                    " is in millimetres: name the placed scan that register writes beside the field, or measure a "
                    "field between arrays (register --field-format learn2reg)");
  }
  if (moving_grids_.size() < 2) {
    return;
  }
  const GridSource& scan = moving_grids_.front();
  const GridSource& labels = moving_grids_.back();
  const bool same =
      scan.grid.shape == labels.grid.shape &&
      (!scan.is_placed() || !labels.is_placed() || same_grid(scan.grid.affine, labels.grid.affine, scan.grid.shape));
  REGATTA_REQUIRE(same, DataError, labels.path, ": labels ", shape_text(labels.grid.shape),
                  " are not on the grid of the moving scan ", scan.path, " (", shape_text(scan.grid.shape), ")");
}

/// The millimetres of an error. A field of space has them itself; one between arrays ends in the moving array's voxels.
void CaseReader::choose_spacing() {
  if (!list_.spacing_mm.empty()) {
    std::copy(list_.spacing_mm.begin(), list_.spacing_mm.end(), spacing_mm_.begin());
    axes_mm_ = axes_of_spacing(spacing_mm_);
    spacing_from_ = "/spacing_mm";
    return;
  }
  GridSource from = {"field", "", field_.grid, field_.affine_source};
  const auto has_spacing = [](const GridSource& source) { return source.affine_source != "none"; };
  if (!in_space()) {
    std::vector<GridSource> candidates = moving_grids_;
    candidates.insert(candidates.end(), fixed_grids_.begin(), fixed_grids_.end());
    const auto found = std::find_if(candidates.begin(), candidates.end(), has_spacing);
    if (found != candidates.end()) {
      from = *found;
    }
    // Fields of arrays are often written with the unit matrix, which says nothing.
    const bool is_known = found != candidates.end() || (has_spacing(from) && from.grid.affine != identity_affine());
    const auto metric = std::find_if(list_.metrics.begin(), list_.metrics.end(), [](const std::string& name) {
      return find_metric(name).make()->in_millimetres();
    });
    const bool is_wanted = metric != list_.metrics.end() && !files_.moving_keypoints.empty();
    REGATTA_REQUIRE(is_known || !is_wanted, ConfigError, case_text(), "'", *metric,
                    "' needs millimetres, and no file of the case says how large the moving scan's voxels are: "
                    "add 'moving', the moving scan, or /spacing_mm to the list");
  }
  spacing_mm_ = spacing_of(from.grid.affine);
  axes_mm_ = voxel_axes(from.grid.affine);
  spacing_from_ = from.member;
}

/// What the metrics look at, with the field as it is now.
PairState CaseReader::state() const {
  PairState pair;
  pair.flow = volume_tensor(field_.field, 3, field_.grid.shape, at::kFloat, device_);
  if (in_space() && !moving_grids_.empty()) {
    const Grid& moving = moving_grids_.front().grid;
    if (!same_grid(field_.grid.affine, moving.affine, field_.grid.shape, 1e-4)) {
      pair.moving_flow = volume_tensor(displacement_between(field_.field, field_.grid, moving), 3, field_.grid.shape,
                                       at::kFloat, device_);
    }
  }
  pair.moving_axes_mm = axes_mm_;
  if (fixed_labels_) {
    put_labels(pair);
  }
  if (fixed_mask_) {
    std::vector<std::uint8_t> inside;
    std::transform(fixed_mask_->labels.begin(), fixed_mask_->labels.end(), std::back_inserter(inside),
                   [](std::int32_t value) { return static_cast<std::uint8_t>(value != 0 ? 1 : 0); });
    pair.fixed_mask = volume_tensor(inside, 1, field_.grid.shape, at::kByte, device_);
  }
  if (!files_.fixed_keypoints.empty()) {
    put_keypoints(pair);
  }
  if (fixed_ && moving_) {
    put_images(pair);
  }
  if (files_.runtime_s >= 0.0) {
    pair.network_s = files_.runtime_s;
  }
  return pair;
}

/// Metrics take small numbers: each value is told by its place among all that occur.
void CaseReader::put_labels(PairState& pair) const {
  std::set<std::int64_t> found = {0};  // outside the moving map
  add_values(*fixed_labels_, found);
  add_values(*moving_labels_, found);
  found.insert(list_.labels.begin(), list_.labels.end());
  REGATTA_REQUIRE(found.size() <= kMostLabels, DataError, fixed_labels_->source, ": ", found.size(),
                  " label values in it and in ", moving_labels_->source, ", at most ", kMostLabels, " allowed");
  const std::vector<std::int64_t> values(found.begin(), found.end());
  if (values.size() <= 256) {
    pair.fixed_labels = index_tensor<std::uint8_t>(*fixed_labels_, values, at::kByte, device_);
    pair.moving_labels = index_tensor<std::uint8_t>(*moving_labels_, values, at::kByte, device_);
  } else {
    pair.fixed_labels = index_tensor<std::int16_t>(*fixed_labels_, values, at::kShort, device_);
    pair.moving_labels = index_tensor<std::int16_t>(*moving_labels_, values, at::kShort, device_);
  }
  for (const int label : list_.labels) {
    pair.reading.measured.push_back(std::lower_bound(values.begin(), values.end(), label) - values.begin());
  }
  pair.reading.values = values;
  pair.reading.edge = kLabelEdges.at(list_.label_edge, "/label_edge");
  pair.reading.absent = kAbsentLabels.at(list_.absent_labels, "/absent_labels");
}

/// A point of the file as a voxel of the fixed grid.
Point3 CaseReader::fixed_point(const Point3& point) const {
  const KeypointSpace space = kKeypointSpaces.at(list_.keypoint_space, "/keypoint_space");
  if (space == KeypointSpace::kVoxel) {
    return point;
  }
  const Point3 ras = ras_of(point, space);
  if (in_space()) {
    return map_point(invert(field_.grid.affine), ras);
  }
  const auto placed = std::find_if(fixed_grids_.begin(), fixed_grids_.end(),
                                   [](const GridSource& source) { return source.is_placed(); });
  REGATTA_REQUIRE(placed != fixed_grids_.end(), ConfigError, case_text(), "/keypoint_space is '", list_.keypoint_space,
                  "', and no file says where the fixed scan lies in space: add 'fixed', the fixed scan");
  return map_point(invert(placed->grid.affine), ras);
}

/// A point of the file as a voxel where the field ends: of the fixed grid if the field is one of space, else of the
/// moving array.
Point3 CaseReader::moving_point(const Point3& point) const {
  const KeypointSpace space = kKeypointSpaces.at(list_.keypoint_space, "/keypoint_space");
  if (space != KeypointSpace::kVoxel) {
    if (in_space()) {
      return fixed_point(point);
    }
    const auto placed = std::find_if(moving_grids_.begin(), moving_grids_.end(),
                                     [](const GridSource& source) { return source.is_placed(); });
    REGATTA_REQUIRE(placed != moving_grids_.end(), ConfigError, case_text(), "/keypoint_space is '",
                    list_.keypoint_space,
                    "', and no file says where the moving scan lies in space: add 'moving', the moving scan");
    const Point3 ras = ras_of(point, space);
    return map_point(invert(placed->grid.affine), ras);
  }
  if (!in_space()) {
    return point;
  }
  REGATTA_REQUIRE(!moving_grids_.empty(), ConfigError, case_text(),
                  "the key-points are voxels of the moving scan, the field is in millimetres, and no file says how the "
                  "moving scan lies in space: add 'moving', the moving scan or any file on its grid, to the case");
  return map_point(multiply(invert(field_.grid.affine), moving_grids_.front().grid.affine), point);
}

void CaseReader::put_keypoints(PairState& pair) const {
  std::vector<Point3> fixed = read_keypoints(path_of(files_.fixed_keypoints));
  std::vector<Point3> moving = read_keypoints(path_of(files_.moving_keypoints));
  REGATTA_REQUIRE(fixed.size() == moving.size(), DataError, path_of(files_.moving_keypoints).string(), ": ",
                  moving.size(), " key-points, ", path_of(files_.fixed_keypoints).string(), " has ", fixed.size());
  std::transform(fixed.begin(), fixed.end(), fixed.begin(), [this](const Point3& p) { return fixed_point(p); });
  std::transform(moving.begin(), moving.end(), moving.begin(), [this](const Point3& p) { return moving_point(p); });
  pair.fixed_keypoints = point_tensor(fixed, device_);
  pair.moving_keypoints = point_tensor(moving, device_);
}

/// In the files' own units, hence in double precision; outside the moving scan its lowest value, as air is that of a CT
/// and 0 that of a brain.
void CaseReader::put_images(PairState& pair) const {
  pair.fixed = volume_tensor(fixed_->voxels, 1, fixed_->grid.shape, at::kFloat, device_).to(at::kDouble);
  pair.moving = volume_tensor(moving_->voxels, 1, moving_->grid.shape, at::kFloat, device_).to(at::kDouble);
  const at::Tensor lowest = pair.moving.min();
  pair.warped = warp_between(pair.moving - lowest, pair.to_moving().to(at::kDouble)).add_(lowest);
}

}  // namespace regatta
