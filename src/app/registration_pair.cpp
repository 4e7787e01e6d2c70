#include "app/registration_pair.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/log.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/transform_file.hpp"
#include "regatta/volume/volume_file.hpp"

namespace regatta::app {
namespace {

constexpr double kCoarseVoxel = 1.5;  ///< of the training's edge
constexpr double kFineVoxel = 1.0 / 3.0;
constexpr double kLargeView = 2.0;
constexpr double kSmallView = 0.5;

bool is_rule(const std::string& initial) {
  return initial.empty() || initial == "physical" || initial == "centre" || initial == "foreground";
}

/// Labels of a 4-D scan may be one volume or as many.
std::optional<LabelVolume> read_moving_labels(const PairFiles& files, const Volume& moving,
                                              const std::string& npz_orientation) {
  if (files.moving_labels.empty()) {
    return std::nullopt;
  }
  const bool series = read_volume_header(files.moving_labels, VolumePart::kLabels, npz_orientation, 0).frames > 1;
  LabelVolume labels = read_label_volume(files.moving_labels, npz_orientation, series ? files.moving_frame : -1);
  REGATTA_REQUIRE(
      labels.grid.shape == moving.grid.shape && same_grid(labels.grid.affine, moving.grid.affine, moving.grid.shape),
      DataError, files.moving_labels, ": labels ", shape_text(labels.grid.shape), " are not on the grid of ",
      files.moving, " (", shape_text(moving.grid.shape), ")");
  return labels;
}

std::optional<PointFile> read_points(const std::string& path) {
  return path.empty() ? std::nullopt : std::optional(read_point_file(path));
}

PointFile table_of(std::span<const Point3> points) {
  PointFile out;
  out.cells_head = {"d", "h", "w"};
  out.points.assign(points.begin(), points.end());
  out.cells.assign(points.size(), std::vector<std::string>(3));
  return out;
}

/// Pairs that lie badly are named.
void warn_of_place(const Registration& found, const PairFiles& files, const RegisterSettings& settings) {
  const Placement& place = found.placement;
  if (!place.common_space) {
    log_warning(files.fixed, " and ", files.moving,
                " have no common space (npz, or sform and qform code 0): the moving scan is ",
                "put about the fixed one's middle");
  } else if (place.rule == "foreground" && settings.initial.empty()) {
    log_warning(files.fixed, " and ", files.moving,
                ": where their headers put them, the foregrounds overlap clearly less than ",
                "about their middles: put by the foregrounds' centres of mass; --initial physical leaves them");
  }
  if (const std::string doubt = placement_doubt(place); !doubt.empty()) {
    log_warning(files.fixed, " and ", files.moving, ": ", doubt);
  }
}

std::size_t modality_index(const Archive& archive, const std::string& modality) {
  const auto& names = archive.modalities();
  const auto found = std::find(names.begin(), names.end(), modality);
  REGATTA_REQUIRE(modality.empty() || found != names.end(), DataError, archive.path().string(), ": no modality '",
                  modality, "', which the network was trained on; have: ", join(names, ", "));
  return modality.empty() ? 0 : static_cast<std::size_t>(found - names.begin());
}

/// Indices of label ids, as metrics take them.
std::vector<std::uint8_t> indices_of(const LabelVolume& labels, const std::vector<std::int64_t>& ids) {
  std::map<std::int64_t, std::uint8_t> index;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    index[ids[i]] = static_cast<std::uint8_t>(i);
  }
  std::vector<std::uint8_t> out(labels.labels.size());
  std::transform(labels.labels.begin(), labels.labels.end(), out.begin(),
                 [&](std::int32_t label) { return index.at(label); });
  return out;
}

}  // namespace

NetworkRun network_run(const RegisterSettings& settings) {
  return {settings.device, settings.refine, settings.inverse};
}

Json identity_of_settings(const RegisterSettings& settings) {
  Json out = {{"affine", settings.affine},
              {"no_affine", settings.no_affine},
              {"initial", settings.initial},
              {"outside", number_to_json(settings.outside)},
              {"field_format", settings.field_format},
              {"npz_orientation", settings.npz_orientation},
              {"points_unit", settings.points_unit},
              {"inverse", settings.inverse},
              {"jacobian", settings.jacobian},
              {"save_affine", settings.save_affine}};
  if (!settings.archive_fingerprint.empty()) {
    out["archive_fingerprint"] = settings.archive_fingerprint;
  }
  if (settings.refine.iterations > 0) {
    out["refine"] = {{"iterations", settings.refine.iterations}, {"rate", settings.refine.rate}};
    for (const auto& [name, term] : settings.refine.losses) {
      out["refine"]["losses"][name] = term.weight;
    }
  }
  return out;
}

std::vector<std::string> files_of(const PairFiles& pair) {
  std::vector<std::string> out;
  for (const std::string* file :
       {&pair.fixed, &pair.moving, &pair.fixed_labels, &pair.moving_labels, &pair.fixed_points, &pair.moving_points}) {
    if (!file->empty()) {
      out.push_back(*file);
    }
  }
  return out;
}

bool aligns_automatically(const TrainedModel& trained, const RegisterSettings& settings) {
  if (!trained.data_aligned || settings.affine || settings.no_affine || !settings.initial.empty()) {
    return false;
  }
  return trained.recipe.data.moving_modality == trained.recipe.data.fixed_modality;
}

std::string scan_doubt(const Volume& scan, const PreprocessOptions& trained) {
  const GridMap map = map_to_packed_grid(scan, trained);
  const Spacing3 source = spacing_of(map.source.affine);
  const Spacing3 packed = spacing_of(map.packed.affine);
  std::vector<std::string> spacing;
  std::vector<std::string> view;
  bool is_spacing_far = false;
  bool is_view_far = false;
  for (std::size_t a = 0; a < 3; ++a) {
    const auto from = static_cast<std::size_t>(map.axis[a]);
    const double ratio = source[from] / packed[a];
    const double seen = source[from] * static_cast<double>(map.source.shape[from]);
    const double expected = packed[a] * static_cast<double>(map.packed.shape[a]);
    is_spacing_far = is_spacing_far || ratio > kCoarseVoxel || ratio < kFineVoxel;
    is_view_far = is_view_far || seen > kLargeView * expected || seen < kSmallView * expected;
    spacing.push_back(str(fixed_text(source[from], 2), " (", fixed_text(packed[a], 2), ')'));
    view.push_back(str(fixed_text(seen, 0), " (", fixed_text(expected, 0), ')'));
  }
  std::vector<std::string> doubts;
  if (is_spacing_far) {
    doubts.push_back(str("voxels of ", join(spacing, " x "), " mm"));
  }
  if (is_view_far) {
    doubts.push_back(str("a view of ", join(view, " x "), " mm"));
  }
  return doubts.empty() ? "" : str(join(doubts, " and "), ": far from what the network was trained on, in brackets");
}

bool was_given_space(const Registration& found, const Volume& moving) {
  return !same_grid(moving.grid.affine, found.moving_grid.affine, moving.grid.shape);
}

LoadedPair PairReader::read(const PairFiles& files) const {
  if (!files.archived) {
    return read_files(files);
  }
  const std::lock_guard lock(reading_);  // HDF5 is not made for several threads
  return read_archived(files);
}

LoadedPair PairReader::read_files(const PairFiles& files) const {
  LoadedPair out;
  out.fixed = read_volume(files.fixed, settings_.npz_orientation, files.fixed_frame);
  out.moving = read_volume(files.moving, settings_.npz_orientation, files.moving_frame);
  out.moving_labels = read_moving_labels(files, out.moving, settings_.npz_orientation);
  out.fixed_points = read_points(files.fixed_points);
  out.moving_points = read_points(files.moving_points);
  if (out.fixed_points || out.moving_points) {
    out.unit = point_unit(settings_.points_unit);
    const bool both = has_space(out.fixed.affine_source) && has_space(out.moving.affine_source);
    REGATTA_REQUIRE(both || out.unit == PointUnit::kVoxel, DataError, files.fixed, " and ", files.moving,
                    ": points in millimetres of a scan that does not say where it lies: --points-unit voxel expected");
  }
  if (const std::string doubt = space_doubt(out.moving.grid, out.moving.space);
      out.moving.space.qform && !doubt.empty()) {
    log_warning(files.moving, ": ", doubt);
  }
  return out;
}

Volume PairReader::archived_image(std::int64_t subject, const std::string& modality) const {
  const ArchiveSubject& about = archive_->subjects()[static_cast<std::size_t>(subject)];
  Volume out;
  out.grid = {archive_->shape(), about.affine};
  out.affine_source = "sform";
  out.source = str(archive_->path().string(), ":", about.id);
  const auto count = static_cast<std::size_t>(voxel_count(archive_->shape()));
  out.voxels.resize(count);
  const std::size_t channel = modality_index(*archive_, modality);
  if (archive_->image_type() == VoxelType::kFloat32) {
    archive_->read_image(subject, std::as_writable_bytes(std::span<float>(out.voxels)), channel);
    return out;
  }
  std::vector<std::uint8_t> stored(count);
  archive_->read_image(subject, std::as_writable_bytes(std::span<std::uint8_t>(stored)), channel);
  const auto scale = static_cast<float>(archive_->image_scale());
  std::transform(stored.begin(), stored.end(), out.voxels.begin(),
                 [&](std::uint8_t value) { return static_cast<float>(value) * scale; });
  return out;
}

LabelVolume PairReader::archived_labels(std::int64_t subject) const {
  const ArchiveSubject& about = archive_->subjects()[static_cast<std::size_t>(subject)];
  LabelVolume out;
  out.grid = {archive_->shape(), about.affine};
  out.affine_source = "sform";
  std::vector<std::uint8_t> stored(static_cast<std::size_t>(voxel_count(archive_->shape())));
  archive_->read_labels(subject, stored);
  out.labels.resize(stored.size());
  const std::vector<std::int64_t>& ids = archive_->label_ids();
  std::transform(stored.begin(), stored.end(), out.labels.begin(),
                 [&](std::uint8_t value) { return static_cast<std::int32_t>(ids.at(value)); });
  return out;
}

LoadedPair PairReader::read_archived(const PairFiles& files) const {
  const ArchivePair& pair = *files.archived;
  const auto& subjects = archive_->subjects();
  LoadedPair out;
  out.fixed = archived_image(pair.fixed, trained_.recipe.data.fixed_modality);
  out.moving = archived_image(pair.moving, trained_.recipe.data.moving_modality);
  if (subjects[static_cast<std::size_t>(pair.moving)].has_labels) {
    out.moving_labels = archived_labels(pair.moving);
  }
  if (subjects[static_cast<std::size_t>(pair.fixed)].has_labels) {
    out.fixed_labels = archived_labels(pair.fixed);
  }
  if (const KeypointLists lists = keypoints_of(subjects, pair); !lists.fixed.empty()) {
    out.fixed_points = table_of(lists.fixed);
    out.moving_points = table_of(lists.moving);
  }
  return out;
}

Registration PairReader::prepare(const PairFiles& files, const LoadedPair& loaded) const {
  if (files.archived) {
    return prepare_archived(loaded);
  }
  RegistrationStart start;
  start.affine = settings_.affine || aligns_automatically(trained_, settings_);
  if (is_rule(settings_.initial)) {
    start.rule = settings_.initial;
  } else {
    const TransformFile file = read_transform(settings_.initial, {loaded.fixed.grid, loaded.moving.grid});
    start.given = file.transform.as_affine();
    REGATTA_REQUIRE(start.given.has_value(), DataError, settings_.initial, ": ", file.kind,
                    ": --initial takes affines only; apply fields with regatta warp first");
  }
  Registration out = prepare_registration(trained_, loaded.fixed, loaded.moving, start);
  for (const auto& [file, scan] : {std::pair(&files.fixed, &loaded.fixed), std::pair(&files.moving, &loaded.moving)}) {
    if (const std::string doubt = scan_doubt(*scan, trained_.preprocess); !doubt.empty()) {
      log_warning(*file, ": ", doubt);
      out.doubts.push_back(str(*file, ": ", doubt));
    }
  }
  warn_of_place(out, files, settings_);
  return out;
}

Registration PairReader::prepare_archived(const LoadedPair& loaded) const {
  Registration out = packed_registration(loaded.fixed, loaded.moving);
  if (loaded.fixed_labels && loaded.moving_labels) {
    const std::vector<std::int64_t>& ids = archive_->label_ids();
    out.labels = {indices_of(*loaded.fixed_labels, ids), indices_of(*loaded.moving_labels, ids), ids};
  }
  return out;
}

}  // namespace regatta::app
