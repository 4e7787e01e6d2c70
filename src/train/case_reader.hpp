// The files of one case of `regatta evaluate`, read and put on grids that fit together.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "regatta/nn/loss.hpp"
#include "regatta/train/case_evaluation.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {

/// What the metrics look at, with the case's field and with a field of zeros.
struct CaseInputs {
  PairState registered;
  PairState initial;
  Spacing3 spacing_mm{};
  Json facts = Json::object();
};

class CaseReader {
 public:
  CaseReader(const CaseList& list, const CaseFiles& files, const at::Device& device)
      : list_(list), files_(files), device_(device) {}

  /// @throws DataError naming the file, ConfigError naming the member that would help
  CaseInputs read();

 private:
  /// A file that says how one side's voxels lie.
  struct GridSource {
    std::string member;  ///< "fixed_labels"
    std::string path;
    Grid grid;
    std::string affine_source;

    /// True if the file itself says where it lies; others have a spacing at most.
    bool is_placed() const { return affine_source != "none" && affine_source != "pixdim"; }
  };

  void read_scans();
  void read_labels_and_mask();
  LabelVolume read_map(const std::string& name, int frame) const;
  void read_field();
  void require_fixed_grid(const GridSource& source) const;
  void require_moving_grid() const;
  void put_labels(PairState& pair) const;
  void put_keypoints(PairState& pair) const;
  Point3 fixed_point(const Point3& point) const;
  Point3 moving_point(const Point3& point) const;
  void choose_spacing();
  void put_images(PairState& pair) const;
  PairState state() const;

  bool in_space() const { return field_.form == FieldForm::kSpace; }
  std::filesystem::path path_of(const std::string& name) const { return list_.folder / name; }
  std::string case_text() const { return "case '" + files_.name + "': "; }

  const CaseList& list_;
  const CaseFiles& files_;
  at::Device device_;
  std::optional<Volume> fixed_;
  std::optional<Volume> moving_;
  std::optional<LabelVolume> fixed_labels_;
  std::optional<LabelVolume> moving_labels_;
  std::optional<LabelVolume> fixed_mask_;
  std::vector<GridSource> fixed_grids_;
  std::vector<GridSource> moving_grids_;
  Displacement field_;
  VoxelAxes axes_mm_{};
  Spacing3 spacing_mm_{};
  std::string spacing_from_;
  bool is_doubled_ = false;
};

}  // namespace regatta
