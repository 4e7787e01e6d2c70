// Measures finished registrations from files: a displacement field, label maps, scans, a mask, key-points. Needs no
// network; any program's fields can be measured (docs/evaluation.md).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "regatta/config/baseline.hpp"
#include "regatta/config/options.hpp"

namespace regatta {

/// One registration. Relative paths count from the folder of the list. Empty: not there.
struct CaseFiles {
  std::string name;
  std::string field;
  std::string fixed;
  std::string moving;
  int fixed_frame = -1;
  int moving_frame = -1;
  std::string fixed_labels;
  std::string moving_labels;
  std::string fixed_mask;
  std::string fixed_keypoints;
  std::string moving_keypoints;
  double runtime_s = -1.0;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("name", s.name, "of the case, unique");
    v("field", s.field,
      "displacement: ours or ITK's, 5-D in mm; or in voxels, [D, H, W, 3] or [3, D, H, W], NIfTI or npz");
    v("fixed", s.fixed, "fixed scan, on the field's grid");
    v("moving", s.moving, "moving scan, or any file on its grid");
    v("fixed_frame", s.fixed_frame, "which volume of a 4-D fixed scan and its labels, from 0; -1: it has one",
      between(-1, 1e6));
    v("moving_frame", s.moving_frame, "which volume of a 4-D moving scan and its labels", between(-1, 1e6));
    v("fixed_labels", s.fixed_labels, "label map on the field's grid");
    v("moving_labels", s.moving_labels, "label map on the moving scan's grid");
    v("fixed_mask", s.fixed_mask, "voxels that count for sdlogj and ndv");
    v("fixed_keypoints", s.fixed_keypoints, "text file, one 'd,h,w' per line, in /keypoint_space");
    v("moving_keypoints", s.moving_keypoints, "the same points in the moving scan");
    v("runtime_s", s.runtime_s, "seconds that the registration took; -1: not known", between(-1.0, 1e9));
  }
};

/// The list of cases that `regatta evaluate` reads.
struct CaseList {
  std::string method;
  std::vector<std::string> metrics = {kCaseMetrics.begin(), kCaseMetrics.end()};
  std::vector<int> labels;
  std::string absent_labels = "protocol";
  std::string label_edge = "centres";
  std::vector<double> spacing_mm;
  std::string keypoint_space = "voxel";
  std::string npz_orientation = "RAS";
  std::vector<CaseFiles> cases;
  std::filesystem::path folder;
};

/// @throws ConfigError with file and JSON pointer: unknown keys, no cases, names that are not unique, unknown metrics,
///         metrics whose inputs no case has
CaseList read_case_list(const std::filesystem::path& path);

/// What was measured of one case.
struct CaseMeasures {
  std::map<std::string, double> values;   ///< "dice", "dice/17" ...
  std::map<std::string, double> initial;  ///< Dice and TRE with a field of zeros
  std::vector<double> spacing_mm;         ///< of the voxels that TRE was measured in
  Json facts = Json::object();            ///< how the files were taken: "field_form", "spacing_from"
};

/// @param device           "auto", "cpu" or "cuda:N"
/// @throws DataError naming the file: unreadable, or not on the field's grid
CaseMeasures measure_case(const CaseList& list, const CaseFiles& files, const std::string& device);

}  // namespace regatta
