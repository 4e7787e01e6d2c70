// The archive: one HDF5 file with all packed volumes of a data set. Written once by `regatta pack`, then read-only.
// Names, types and attributes of what is inside stand in src/volume/archive/archive_layout.hpp and docs/formats.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/volume/geometry.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {

enum class VoxelType { kUint8, kFloat32 };

struct ArchiveSubject {
  std::string id;
  std::string split;
  std::string group;                             ///< whose scan it is; empty: the id
  std::int64_t frame = -1;                       ///< of a 4-D file; -1: the file is 3-D
  Affine affine = identity_affine();             ///< packed voxel to RAS millimetres of the file
  Affine original_affine = identity_affine();    ///< of the file
  Shape3 original_shape{};                       ///< of the file
  std::string image_source;                      ///< file name without its folder
  std::vector<IntensityRange> intensity = {{}};  ///< one a modality
  Affine atlas_to_subject = identity_affine();   ///< RAS millimetres; identity where nothing was aligned
  double affine_ncc = std::numeric_limits<double>::quiet_NaN();  ///< correlation with the atlas; NaN: not aligned
  std::string source_key;                                        ///< hash of the files and of what was done to them
  std::vector<Point3> keypoints;                                 ///< voxels of the packed grid
  bool has_labels = false;
  bool has_mask = false;
};

/// The subject's group; its id where it has none.
const std::string& group_of(const ArchiveSubject& subject);

/// Points of a pair alone: row n of both is the same place. A scan of two pairs has other points in each.
struct PairKeypoints {
  std::vector<Point3> moving;  ///< voxels of the packed grid
  std::vector<Point3> fixed;
};

struct ArchivePair {
  std::string split;
  std::int64_t moving = 0;  ///< index into subjects
  std::int64_t fixed = 0;
  std::shared_ptr<const PairKeypoints> keypoints = nullptr;  ///< null: those of its two subjects
};

/// The key-points of a pair, of as many places in both scans; empty if it has none.
struct KeypointLists {
  std::span<const Point3> moving;
  std::span<const Point3> fixed;
};

/// The pair's own, else its subjects', where both have as many.
KeypointLists keypoints_of(const std::vector<ArchiveSubject>& subjects, const ArchivePair& pair);

class Archive {
 public:
  /// Opens read-only, without file locking, and reads everything but the voxels.
  /// @throws DataError naming the file and what is wrong with it
  static Archive open(const std::filesystem::path& path);
  Archive(Archive&&) noexcept;
  ~Archive();

  const std::filesystem::path& path() const;
  const std::string& name() const;

  /// Version and revision of the program that wrote it.
  const std::string& made_by() const;
  const Shape3& shape() const;
  const Spacing3& spacing() const;
  const std::string& orientation() const;
  VoxelType image_type() const;
  const std::vector<ArchiveSubject>& subjects() const;

  /// Pairs of one split in the stored order; empty if the split has none.
  std::vector<ArchivePair> pairs(const std::string& split) const;
  std::vector<std::string> splits() const;

  /// Ids of the original label maps; stored label value v means label_ids()[v]; [0] is 0, the background.
  const std::vector<std::int64_t>& label_ids() const;
  bool has_labels() const;

  bool has_masks() const;
  bool has_keypoints() const;

  /// Names of the images that each subject has; one, "image", where the data set names none.
  const std::vector<std::string>& modalities() const;

  /// What was done to each volume (PreprocessOptions as JSON): `register` does the same to new scans.
  const Json& preprocessing() const;

  /// Hash of all decoded voxels, labels, subjects and pairs: the data's part of an experiment's identity.
  const std::string& fingerprint() const;

  /// Voxels of one subject as stored; value = stored * image_scale() (1 for float32, 1/255 for uint8).
  /// @param out  D*H*W values of image_type(), verified against the stored checksum
  void read_image(std::int64_t subject, std::span<std::byte> out, std::size_t modality = 0) const;
  void read_labels(std::int64_t subject, std::span<std::uint8_t> out) const;

  /// 1 where voxels count, else 0.
  void read_mask(std::int64_t subject, std::span<std::uint8_t> out) const;
  double image_scale() const;

 private:
  struct Impl;
  explicit Archive(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
