// A look at a packed data set before anybody trains on it: what each subject is like, and which ones look wrong.
// The rules are explained, with their thresholds, in docs/inspect.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

/// Intensities of one modality of one subject.
struct IntensityMeasure {
  double low = 0.0;   ///< in the file's units: what became 0 ...
  double high = 1.0;  ///< ... and what became 1
  double mean = 0.0;  ///< of the packed foreground, as are the percentiles
  double p1 = 0.0;
  double p50 = 0.0;
  double p99 = 0.0;
};

struct Finding {
  std::string rule;   ///< "duplicate", "mirrored" ...: docs/inspect.md lists them
  std::string brief;  ///< for a picture
  std::string text;   ///< one line with the figures
};

struct SubjectInspection {
  std::string id;
  std::string split;
  std::string group;        ///< its id where it has none
  std::int64_t frame = -1;  ///< of a 4-D file; -1: the file is 3-D
  Spacing3 original_spacing{};
  Shape3 original_shape{};
  std::vector<IntensityMeasure> intensities;  ///< one a modality
  double foreground = 0.0;                    ///< share of voxels above half of Otsu's threshold, first modality
  std::array<double, 6> border{};             ///< share of each outer face that is foreground: D first, last, H, W
  bool has_labels = false;
  std::vector<double> label_ml;  ///< one a label id, in the subject's own space; the background's is 0
  bool has_mask = false;
  double mask_share = 0.0;     ///< of voxels
  std::int64_t keypoints = 0;  ///< those of its pairs included
  std::int64_t keypoints_outside = 0;
  double affine_ncc = 0.0;  ///< NaN: not aligned
  // Where the scan lies; NaN where it was not judged.
  double fit_as_is = 0.0;
  double fit_mirrored = 0.0;
  double fit_other_axes = 0.0;
  std::string other_axes;
  double asymmetry = 0.0;
  std::vector<Finding> findings;
};

struct Inspection {
  std::vector<SubjectInspection> subjects;
  bool labels_judged = false;                ///< whether the places of labels say which side is left
  bool sides_told = false;                   ///< whether left and right can be told apart from the images
  double common_asymmetry = 0.0;             ///< median of the subjects' asymmetry
  std::vector<std::int64_t> label_subjects;  ///< one a label id: subjects that have it
};

/// Reads each volume once, one a thread in memory, and about 0.2 MB of thumbnails a subject. Shows its progress on
/// stderr.
/// @param threads  0: all cores that the process may use
/// @throws DataError naming the volume for one that is damaged
Inspection inspect_archive(const Archive& archive, int threads = 0);

/// Everything that `regatta inspect` shows; the keys are listed in docs/inspect.md.
Json to_json(const Archive& archive, const Inspection& inspection);

/// The image of one subject as numbers: 0..1, or as stored where intensities were left alone.
std::vector<float> read_values(const Archive& archive, std::int64_t subject, std::size_t modality = 0);

/// Subjects of each split.
std::map<std::string, std::int64_t> subjects_of_splits(const Archive& archive);

struct Verification {
  std::int64_t volumes = 0;
  double bytes = 0.0;  ///< decoded
  double seconds = 0.0;
  std::vector<std::string> damaged;  ///< one line a volume
};

/// Reads every volume and compares it with its checksum. Shows its progress on stderr.
Verification verify_archive(const Archive& archive);

}  // namespace regatta
