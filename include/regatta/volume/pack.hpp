// Packing: a data set file in, one archive and one picture sheet out. Everything is checked before it is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "regatta/volume/archive.hpp"
#include "regatta/volume/dataset.hpp"

namespace regatta {

struct PackOptions {
  std::filesystem::path output;
  std::filesystem::path qc;  ///< empty: beside the output, NAME_qc.png
  int deflate = 0;           ///< 0: uncompressed, 1..9: zlib level
  int threads = 0;           ///< subjects prepared at the same time; 0: one per core
  bool replace = false;      ///< an archive of that name may be there
  bool update = false;       ///< likewise; its subjects whose files and options are the same are taken over
};

struct PackSummary {
  std::int64_t subjects = 0;
  std::int64_t labelled = 0;
  std::int64_t masked = 0;
  std::int64_t with_keypoints = 0;
  std::int64_t pairs_with_keypoints = 0;  ///< that have their own
  std::int64_t reused = 0;                ///< packed before: by an interrupted pack, or in the archive that was updated
  Shape3 shape{};
  Spacing3 spacing{};
  std::string orientation;
  VoxelType type = VoxelType::kUint8;
  std::vector<std::string> modalities;
  std::size_t labels = 0;  ///< values without the background
  std::map<std::string, std::int64_t> split_subjects;
  std::map<std::string, std::int64_t> split_pairs;
  std::uintmax_t bytes = 0;
  double seconds = 0.0;
  std::string fingerprint;
  std::vector<std::filesystem::path> qc;  ///< pages of the picture sheet
  std::vector<std::string> warnings;      ///< what a person should look at, a line each
};

/// Reads every header and label map first, then packs subject by subject; the archive gets its name at the very end.
/// Shows its progress on stderr. SIGINT, SIGTERM and SIGUSR2 (if caught, see base/signals) end it without an archive.
/// Packed subjects are kept in OUTPUT.part until the archive is there, so that the next call continues where one ended.
/// @throws DataError with one line that names the subject and the file: see read_volume and prepare_image; also labels
///         on another grid than their image, subjects whose shapes or spacings differ where none is given, more than
///         255 label values, an output that is there
PackSummary pack_dataset(const DatasetFile& dataset, const PackOptions& options);

}  // namespace regatta
