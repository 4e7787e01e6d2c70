// Names and version of everything inside an archive, once for writer and reader. Described in docs/formats.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "regatta/volume/archive.hpp"

namespace regatta::layout {

inline constexpr std::int32_t kSchema = 2;
inline constexpr const char* kFormatName = "regatta-archive";

// Root attributes.
inline constexpr const char* kFormat = "format";
inline constexpr const char* kSchemaName = "schema";
inline constexpr const char* kName = "name";
inline constexpr const char* kMadeBy = "made_by";
inline constexpr const char* kSpacing = "spacing_mm";
inline constexpr const char* kOrientation = "orientation";
inline constexpr const char* kImageScale = "image_scale";
inline constexpr const char* kPreprocessing = "preprocessing";
inline constexpr const char* kFingerprint = "fingerprint";
inline constexpr const char* kTablesChecksum = "tables_xxh3";

// Voxels.
inline constexpr const char* kImages = "images";          // [N, C, D, H, W] uint8 or float32
inline constexpr const char* kModalities = "modalities";  // [C] names
inline constexpr const char* kLabels = "labels";          // [N, D, H, W] uint8, absent without labels
inline constexpr const char* kLabelIds = "label_ids";     // [L] int64, [0] = 0
inline constexpr const char* kMasks = "masks";            // [N, D, H, W] uint8, absent without masks
inline constexpr const char* kKeypoints = "keypoints";    // [K, 3] float64, packed voxels; absent without key-points

// Columns of the group "subjects", one row a volume.
inline constexpr const char* kSubjects = "subjects";
inline constexpr const char* kId = "id";
inline constexpr const char* kSplit = "split";
inline constexpr const char* kGroup = "group";
inline constexpr const char* kFrame = "frame";
inline constexpr const char* kImageSource = "image_source";
inline constexpr const char* kSourceKey = "source_key";
inline constexpr const char* kAffine = "affine";
inline constexpr const char* kOriginalAffine = "original_affine";
inline constexpr const char* kOriginalShape = "original_shape";
inline constexpr const char* kIntensity = "intensity";
inline constexpr const char* kAtlasToSubject = "atlas_to_subject";
inline constexpr const char* kAffineNcc = "affine_ncc";
inline constexpr const char* kKeypointEnds = "keypoint_ends";
inline constexpr const char* kHasLabels = "has_labels";
inline constexpr const char* kHasMask = "has_mask";
inline constexpr const char* kImageChecksum = "image_xxh3";
inline constexpr const char* kLabelChecksum = "labels_xxh3";
inline constexpr const char* kMaskChecksum = "mask_xxh3";

// Columns of the group "pairs", one row a pair.
inline constexpr const char* kPairs = "pairs";
inline constexpr const char* kMoving = "moving";
inline constexpr const char* kFixed = "fixed";
// Key-points of pairs that have their own, all pairs' one after the other; the three are absent if no pair has.
inline constexpr const char* kPairKeypointEnds = "own_keypoint_ends";
inline constexpr const char* kMovingKeypoints = "moving_keypoints";
inline constexpr const char* kFixedKeypoints = "fixed_keypoints";

inline constexpr std::int64_t kMostSubjects = 1000000;
inline constexpr std::size_t kMostModalities = 64;
inline constexpr std::uint64_t kLeastSubjectBytes = 488;  // three affines, five strings' places, a shape
inline constexpr std::uint64_t kPairBytes = 32;           // a string's place and two indices

}  // namespace regatta::layout

namespace regatta {

/// All but the voxels: what both sides hash.
struct ArchiveContents {
  Shape3 shape{};
  Spacing3 spacing{};
  VoxelType type = VoxelType::kUint8;
  std::vector<std::string> modalities;
  std::vector<std::int64_t> label_ids;
  std::vector<ArchiveSubject> subjects;
  std::vector<ArchivePair> pairs;
  std::vector<std::uint64_t> image_checksums;  ///< [N * C]
  std::vector<std::uint64_t> label_checksums;
  std::vector<std::uint64_t> mask_checksums;
  std::string name;
  std::string orientation;
  double image_scale = 1.0;
  Json preprocessing;
};

/// 16 hexadecimal digits; independent of names, paths, compression and the program's version.
std::string fingerprint_of(const ArchiveContents& contents);

/// The same of everything but the voxels themselves: a change of it is damage.
std::string tables_checksum_of(const ArchiveContents& contents);

}  // namespace regatta
