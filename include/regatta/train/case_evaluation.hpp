// Measures finished registrations from files: a displacement field, label maps, a mask, key-points. Needs no network;
// any program's fields can be measured (docs/evaluation.md).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "regatta/config/options.hpp"

namespace regatta {

/// One registration. Relative paths count from the folder of the list. Empty: not there.
struct CaseFiles {
  std::string name;
  std::string field;
  std::string fixed_labels;
  std::string moving_labels;
  std::string fixed_mask;
  std::string fixed_keypoints;
  std::string moving_keypoints;
  double runtime_s = -1.0;

  template <class Self, class V>
  static void visit(Self& s, V&& v) {
    v("name", s.name, "of the case, unique");
    v("field", s.field, "displacement: ours or ITK's, 5-D in mm; or Learn2Reg's [D, H, W, 3] in voxels");
    v("fixed_labels", s.fixed_labels, "label map on the field's grid, at most 255");
    v("moving_labels", s.moving_labels, "label map of the same shape");
    v("fixed_mask", s.fixed_mask, "voxels that count for sdlogj and ndv");
    v("fixed_keypoints", s.fixed_keypoints, "text file, one 'd,h,w' in voxels a line");
    v("moving_keypoints", s.moving_keypoints, "the same points in the moving scan");
    v("runtime_s", s.runtime_s, "seconds that the registration took; -1: not known", between(-1.0, 1e9));
  }
};

/// The list of cases that `regatta evaluate` reads.
struct CaseList {
  std::string method;
  std::vector<std::string> metrics;
  std::vector<double> spacing_mm;
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
  std::vector<double> spacing_mm;         ///< as used
};

/// @param device           "auto", "cpu" or "cuda:N"
/// @throws DataError naming the file: unreadable, or not on the field's grid
CaseMeasures measure_case(const CaseList& list, const CaseFiles& files, const std::string& device);

}  // namespace regatta
