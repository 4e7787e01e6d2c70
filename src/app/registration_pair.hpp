// One pair of scans for `regatta register`: its files or its place in an archive, read and prepared for the network.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/train/registration.hpp"
#include "regatta/volume/archive.hpp"
#include "regatta/volume/point_file.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta::app {

/// What holds for all pairs of a call.
struct RegisterSettings {
  std::vector<std::filesystem::path> models;  ///< several: an ensemble
  bool affine = false;
  bool no_affine = false;
  std::string initial;                                        ///< a rule or a file
  double outside = std::numeric_limits<double>::quiet_NaN();  ///< NaN: not given
  std::string field_format = "itk";
  std::string device = "auto";
  std::string backend = "auto";
  std::string npz_orientation = "RAS";
  std::string points_unit;          ///< voxel, ras or lps
  std::string archive_fingerprint;  ///< of the archive that the pairs are from; empty: files
  bool inverse = false;
  bool jacobian = false;
  bool save_affine = false;
  RefineOptions refine;
};

/// What of the settings the network is asked for.
NetworkRun network_run(const RegisterSettings& settings);

/// What of the settings decides the results: part of the record, compared before a pair is left out as done.
Json identity_of_settings(const RegisterSettings& settings);

/// One pair, and where its results go. Scans of an archive have the text ARCHIVE.h5:ID.
struct PairFiles {
  std::string name;
  std::string fixed;
  std::string moving;
  std::string fixed_labels = {};
  std::string moving_labels = {};
  std::string fixed_points = {};
  std::string moving_points = {};
  int fixed_frame = -1;
  int moving_frame = -1;
  std::filesystem::path output = {};
  std::string source = {};  ///< where the pair is listed: "pairs.csv: line 3"; empty: the command line
  std::optional<ArchivePair> archived = std::nullopt;
};

/// All files of the pair that are read, as they are written in the list.
std::vector<std::string> files_of(const PairFiles& pair);

struct LoadedPair {
  Volume fixed;
  Volume moving;
  std::optional<LabelVolume> moving_labels;
  std::optional<LabelVolume> fixed_labels;  ///< of an archive's pairs alone: others are read by `measure_case`
  std::optional<PointFile> fixed_points;
  std::optional<PointFile> moving_points;
  PointUnit unit = PointUnit::kVoxel;
};

/// Reads pairs. Any thread may call it: one at a time reads from the archive.
class PairReader {
 public:
  /// @param archive  of pairs that have a place in one; null: none has
  PairReader(const RegisterSettings& settings, const TrainedModel& trained, const Archive* archive)
      : settings_(settings), trained_(trained), archive_(archive) {}

  /// @throws DataError naming the file, also for labels that are not on their scan's grid
  LoadedPair read(const PairFiles& files) const;

  /// What comes before the network: alignment, place and preparation. Warnings name the pair.
  Registration prepare(const PairFiles& files, const LoadedPair& loaded) const;

 private:
  LoadedPair read_files(const PairFiles& files) const;
  LoadedPair read_archived(const PairFiles& files) const;
  Volume archived_image(std::int64_t subject, const std::string& modality) const;
  LabelVolume archived_labels(std::int64_t subject) const;
  Registration prepare_archived(const LoadedPair& loaded) const;

  const RegisterSettings& settings_;
  const TrainedModel& trained_;
  const Archive* archive_;
  mutable std::mutex reading_;
};

/// True if the scans are aligned without being asked to: the training data were, and both are of one modality (the
/// alignment maximises a correlation, which scans of two modalities do not have).
bool aligns_automatically(const TrainedModel& trained, const RegisterSettings& settings);

/// What a network that was trained on scans of this spacing and view may make little of: one line, "" for nothing.
/// Voxels more than 1.5 times as long as those of the training along an axis (or a third as long), fields of view below
/// half or above twice the training's.
std::string scan_doubt(const Volume& scan, const PreprocessOptions& trained);

/// A scan without a place in space was given one.
bool was_given_space(const Registration& found, const Volume& moving);

}  // namespace regatta::app
