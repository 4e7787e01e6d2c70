#include "regatta/train/case_evaluation.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "regatta/volume/keypoints.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// The members of the file beside "cases".
struct ListHead {
  std::string method;
  std::vector<std::string> metrics = {"dice", "hd95", "sdlogj"};
  std::vector<double> spacing_mm;
  Json cases = Json::array();

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("method", s.method, "name of the method; empty: the file's name");
    v("metrics", s.metrics, "what is measured");
    v("spacing_mm", s.spacing_mm, "of the voxels, for tre; empty: of the fixed labels, else of the field");
    v("cases", s.cases, "the registrations");
  }
};

/// Metrics that have a difficulty of each item before registration, of which DSC30 and TRE30 are made.
bool ranks_difficulty(const std::string& metric) {
  return metric == "dice" || metric == "dice_linear" || metric == "tre";
}

void check_case(const CaseFiles& files, const std::string& pointer) {
  REGATTA_REQUIRE(!files.name.empty(), ConfigError, pointer, "/name: missing");
  REGATTA_REQUIRE(!files.field.empty(), ConfigError, pointer, "/field: missing");
  REGATTA_REQUIRE(files.fixed_labels.empty() == files.moving_labels.empty(), ConfigError, pointer,
                  ": one of fixed_labels and moving_labels is missing");
  REGATTA_REQUIRE(files.fixed_keypoints.empty() == files.moving_keypoints.empty(), ConfigError, pointer,
                  ": one of fixed_keypoints and moving_keypoints is missing");
}

void check_metrics(const CaseList& list, const std::string& source) {
  REGATTA_REQUIRE(!list.metrics.empty(), ConfigError, source, ": /metrics: empty");
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.metrics.size(); ++i) {
    const std::string pointer = str(source, ": /metrics/", i);
    const std::string& name = list.metrics[i];
    const auto& rows = metric_rows();
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const MetricRow& have) { return name == have.name; });
    std::vector<std::string> names;
    std::transform(rows.begin(), rows.end(), std::back_inserter(names),
                   [](const MetricRow& have) { return have.name; });
    REGATTA_REQUIRE(row != rows.end(), ConfigError, pointer, ": unknown metric '", one_line(name, 60),
                    "', have: ", join(names, ", "));
    REGATTA_REQUIRE(seen.insert(name).second, ConfigError, pointer, ": '", name, "' is named twice");
    const auto any = [&](auto has) { return std::any_of(list.cases.begin(), list.cases.end(), has); };
    REGATTA_REQUIRE(
        std::string_view(row->needs) != "labels" || any([](const CaseFiles& f) { return !f.fixed_labels.empty(); }),
        ConfigError, pointer, ": '", name, "' needs labels, no case has them");
    REGATTA_REQUIRE(name != "tre" || any([](const CaseFiles& f) { return !f.fixed_keypoints.empty(); }), ConfigError,
                    pointer, ": 'tre' needs key-points, no case has them");
  }
}

/// [1, 1, D, H, W] uint8.
at::Tensor label_tensor(const LabelVolume& volume, const at::Device& device) {
  std::vector<std::uint8_t> bytes(volume.labels.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::int32_t label = volume.labels[i];
    REGATTA_REQUIRE(label >= 0 && label <= 255, DataError, volume.source, ": label ", label, ", 0..255 allowed");
    bytes[i] = static_cast<std::uint8_t>(label);
  }
  const Shape3& shape = volume.grid.shape;
  return at::from_blob(bytes.data(), {1, 1, shape[0], shape[1], shape[2]}, at::kByte)
      .to(device, at::kByte, false, true);
}

/// [K, 3] float64.
at::Tensor point_tensor(const std::vector<Point3>& points, const at::Device& device) {
  std::vector<double> flat;
  for (const Point3& point : points) {
    flat.insert(flat.end(), point.begin(), point.end());
  }
  return at::tensor(flat, at::TensorOptions().dtype(at::kDouble)).view({-1, 3}).to(device);
}

/// Reads the files of one case in the order in which they depend on each other.
class CaseReader {
 public:
  CaseReader(const CaseList& list, const CaseFiles& files, const at::Device& device)
      : list_(list), files_(files), device_(device) {}

  PairState read() {
    std::optional<LabelVolume> fixed;
    std::optional<LabelVolume> moving;
    if (!files_.fixed_labels.empty()) {
      fixed = read_label_volume(path_of(files_.fixed_labels));
      moving = read_label_volume(path_of(files_.moving_labels));
    }
    const Displacement field =
        read_displacement(path_of(files_.field), moving ? std::optional(moving->grid.affine) : std::nullopt);
    PairState pair;
    const Shape3& shape = field.grid.shape;
    std::vector<float> values = field.field;
    pair.flow = at::from_blob(values.data(), {1, 3, shape[0], shape[1], shape[2]}, at::kFloat)
                    .to(device_, at::kFloat, false, true);
    Spacing3 spacing = spacing_of(field.grid.affine);
    if (fixed) {
      require_shape(*fixed, shape);
      require_shape(*moving, shape);
      pair.fixed_labels = label_tensor(*fixed, device_);
      pair.moving_labels = label_tensor(*moving, device_);
      spacing = spacing_of(fixed->grid.affine);
    }
    if (!files_.fixed_mask.empty()) {
      const LabelVolume mask = read_label_volume(path_of(files_.fixed_mask));
      require_shape(mask, shape);
      pair.fixed_mask = label_tensor(mask, device_);
    }
    if (!files_.fixed_keypoints.empty()) {
      read_points(pair);
    }
    if (files_.runtime_s >= 0.0) {
      pair.network_s = files_.runtime_s;
    }
    if (!list_.spacing_mm.empty()) {
      std::copy(list_.spacing_mm.begin(), list_.spacing_mm.end(), spacing.begin());
    }
    pair.spacing_mm = spacing;
    return pair;
  }

 private:
  fs::path path_of(const std::string& name) const { return list_.folder / name; }

  void require_shape(const LabelVolume& volume, const Shape3& shape) const {
    REGATTA_REQUIRE(volume.grid.shape == shape, DataError, volume.source, ": shape ", shape_text(volume.grid.shape),
                    ", the field ", path_of(files_.field).string(), " has ", shape_text(shape));
  }

  void read_points(PairState& pair) const {
    const auto fixed = read_keypoints(path_of(files_.fixed_keypoints));
    const auto moving = read_keypoints(path_of(files_.moving_keypoints));
    REGATTA_REQUIRE(fixed.size() == moving.size(), DataError, path_of(files_.moving_keypoints).string(), ": ",
                    moving.size(), " key-points, ", path_of(files_.fixed_keypoints).string(), " has ", fixed.size());
    pair.fixed_keypoints = point_tensor(fixed, device_);
    pair.moving_keypoints = point_tensor(moving, device_);
  }

  const CaseList& list_;
  const CaseFiles& files_;
  at::Device device_;
};

}  // namespace

CaseList read_case_list(const fs::path& path) {
  const std::string source = path.string();
  const Json json = read_json(path);
  ListHead head;
  read_options(json, head, source + ": ");
  CaseList list;
  list.folder = path.parent_path();
  list.method = head.method.empty() ? path.stem().string() : head.method;
  list.metrics = head.metrics;
  list.spacing_mm = head.spacing_mm;
  const bool good_spacing =
      list.spacing_mm.empty() ||
      (list.spacing_mm.size() == 3 && *std::min_element(list.spacing_mm.begin(), list.spacing_mm.end()) > 0.0);
  REGATTA_REQUIRE(good_spacing, ConfigError, source, ": /spacing_mm: [", join(list.spacing_mm, ", "),
                  "], three positive numbers expected (mm along D, H, W)");
  REGATTA_REQUIRE(head.cases.is_array() && !head.cases.empty(), ConfigError, source,
                  ": /cases: ", head.cases.is_array() ? "empty" : type_name(head.cases),
                  ", a list of registrations expected");
  std::set<std::string> names;
  for (std::size_t i = 0; i < head.cases.size(); ++i) {
    const std::string pointer = str(source, ": /cases/", i);
    CaseFiles files;
    read_options(head.cases[i], files, pointer);
    check_case(files, pointer);
    REGATTA_REQUIRE(names.insert(files.name).second, ConfigError, pointer, "/name: '", one_line(files.name, 60),
                    "' is there twice");
    list.cases.push_back(files);
  }
  check_metrics(list, source);
  return list;
}

CaseMeasures measure_case(const CaseList& list, const CaseFiles& files, const std::string& device) {
  PairState pair = CaseReader(list, files, choose_device(device)).read();
  CaseMeasures out;
  out.spacing_mm.assign(pair.spacing_mm.begin(), pair.spacing_mm.end());
  for (const std::string& name : list.metrics) {
    for (const auto& [part, value] : find_metric(name).make()->measure(pair)) {
      out.values[part] = value;
    }
  }
  pair.flow = at::zeros_like(pair.flow);
  for (const std::string& name : list.metrics) {
    if (ranks_difficulty(name)) {
      for (const auto& [part, value] : find_metric(name).make()->measure(pair)) {
        out.initial[part] = value;
      }
    }
  }
  return out;
}

}  // namespace regatta
