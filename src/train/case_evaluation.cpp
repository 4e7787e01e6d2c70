#include "regatta/train/case_evaluation.hpp"

#include <algorithm>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/nn/device.hpp"
#include "regatta/nn/metric.hpp"
#include "train/case_reader.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

/// The file: the members of the list, its cases unread.
struct ListFile {
  CaseList list;
  Json cases = Json::array();

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("method", s.list.method, "name of the method; empty: the file's name");
    v("metrics", s.list.metrics, "what is measured");
    v("labels", s.list.labels, "labels that dice, dice_linear and hd95 are measured of; empty: all that occur but 0");
    v("absent_labels", s.list.absent_labels,
      "a label that the fixed or the unwarped moving map lacks: as the metric's protocol says (dice, hd95: left_out; "
      "dice_linear: worst), left out, or Dice 0 and infinite hd95",
      one_of({"protocol", "left_out", "worst"}));
    v("label_edge", s.list.label_edge,
      "where the moving label map ends for dice and hd95: at the centres of its outer voxels, as in Learn2Reg's "
      "evaluation, or half a voxel beyond them, as in ITK's resampling",
      one_of({"centres", "half_voxel"}));
    v("spacing_mm", s.list.spacing_mm, "of the moving scan's voxels, for tre; empty: as the files say");
    v("keypoint_space", s.list.keypoint_space, "of the key-point files: voxels of each scan, or millimetres RAS or LPS",
      one_of({"voxel", "ras", "lps"}));
    v("npz_orientation", s.list.npz_orientation, "axes of .npz label maps and scans, which carry no affine");
    v("cases", s.cases, "the registrations");
  }
};

void require_both(const std::string& one, const std::string& other, const char* names, const std::string& pointer) {
  REGATTA_REQUIRE(one.empty() == other.empty(), ConfigError, pointer, ": one of ", names, " is missing");
}

void check_case(const CaseFiles& files, const std::string& pointer) {
  REGATTA_REQUIRE(!files.name.empty(), ConfigError, pointer, "/name: missing");
  REGATTA_REQUIRE(!files.field.empty(), ConfigError, pointer, "/field: missing");
  require_both(files.fixed_labels, files.moving_labels, "fixed_labels and moving_labels", pointer);
  require_both(files.fixed_keypoints, files.moving_keypoints, "fixed_keypoints and moving_keypoints", pointer);
}

/// True if a metric with these needs gives a number of the case.
bool has_needed(const CaseFiles& files, std::string_view needs) {
  if (needs == "labels") {
    return !files.fixed_labels.empty();
  }
  if (needs == "key-points") {
    return !files.fixed_keypoints.empty();
  }
  return needs != "images" || (!files.fixed.empty() && !files.moving.empty());
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
    REGATTA_REQUIRE(std::any_of(list.cases.begin(), list.cases.end(),
                                [&](const CaseFiles& files) { return has_needed(files, row->needs); }),
                    ConfigError, pointer, ": '", name, "' needs ", row->needs,
                    std::string_view(row->needs) == "images" ? ", 'fixed' and 'moving'" : "", ", no case has them");
  }
}

void check_labels(const CaseList& list, const std::string& source) {
  std::set<int> seen;
  for (std::size_t i = 0; i < list.labels.size(); ++i) {
    const int label = list.labels[i];
    REGATTA_REQUIRE(label >= 0, ConfigError, source, ": /labels/", i, ": ", label, ", 0 or more expected");
    REGATTA_REQUIRE(seen.insert(label).second, ConfigError, source, ": /labels/", i, ": ", label, " is there twice");
  }
}

}  // namespace

CaseList read_case_list(const fs::path& path) {
  const std::string source = path.string();
  ListFile file;
  read_options(read_json(path), file, source + ": ");
  CaseList list = std::move(file.list);
  list.folder = path.parent_path();
  list.method = list.method.empty() ? path.stem().string() : list.method;
  const bool good_spacing =
      list.spacing_mm.empty() ||
      (list.spacing_mm.size() == 3 && *std::min_element(list.spacing_mm.begin(), list.spacing_mm.end()) > 0.0);
  REGATTA_REQUIRE(good_spacing, ConfigError, source, ": /spacing_mm: [", join(list.spacing_mm, ", "),
                  "], three positive numbers expected (mm along D, H, W)");
  REGATTA_REQUIRE(is_orientation(list.npz_orientation), ConfigError, source, ": /npz_orientation: '",
                  one_line(list.npz_orientation, 20), "', three letters such as RAS or LIA expected");
  REGATTA_REQUIRE(file.cases.is_array() && !file.cases.empty(), ConfigError, source,
                  ": /cases: ", file.cases.is_array() ? "empty" : type_name(file.cases),
                  ", a list of registrations expected");
  std::set<std::string> names;
  for (std::size_t i = 0; i < file.cases.size(); ++i) {
    const std::string pointer = str(source, ": /cases/", i);
    CaseFiles files;
    read_options(file.cases[i], files, pointer);
    check_case(files, pointer);
    REGATTA_REQUIRE(names.insert(files.name).second, ConfigError, pointer, "/name: '", one_line(files.name, 60),
                    "' is there twice");
    list.cases.push_back(files);
  }
  check_labels(list, source);
  check_metrics(list, source);
  return list;
}

CaseMeasures measure_case(const CaseList& list, const CaseFiles& files, const std::string& device) {
  const CaseInputs inputs = CaseReader(list, files, choose_device(device)).read();
  CaseMeasures out;
  out.spacing_mm.assign(inputs.spacing_mm.begin(), inputs.spacing_mm.end());
  out.facts = inputs.facts;
  for (const std::string& name : list.metrics) {
    const auto metric = find_metric(name).make();
    for (const auto& [part, value] : metric->measure(inputs.registered)) {
      out.values[part] = value;
    }
    if (metric->ranks_difficulty()) {
      for (const auto& [part, value] : metric->measure(inputs.initial)) {
        out.initial[part] = value;
      }
    }
  }
  return out;
}

}  // namespace regatta
