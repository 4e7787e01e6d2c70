// Writes an archive: under a temporary name until `finish`, so that a partial archive is never seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "regatta/config/json.hpp"
#include "regatta/volume/archive.hpp"

namespace regatta {

struct ArchiveHeader {
  std::string name;
  Shape3 shape{};
  Spacing3 spacing = {1.0, 1.0, 1.0};
  std::string orientation = "RAS";
  VoxelType type = VoxelType::kUint8;
  std::int64_t subjects = 0;  ///< how many `add` calls will follow
  std::vector<std::string> modalities = {"image"};
  std::vector<std::int64_t> label_ids;  ///< empty: no labels; else [0] is 0 and at most 256 in all
  bool masks = false;                   ///< some subject has one
  std::string preprocessing = "{}";     ///< PreprocessOptions as JSON text
  int deflate = 0;                      ///< 0: uncompressed, 1..9: zlib level
  int threads = 1;                      ///< that deflate; 0: one a core
};

class ArchiveWriter {
 public:
  /// @throws DataError if the file cannot be made or the header asks for more than an archive can hold
  ArchiveWriter(const std::filesystem::path& path, ArchiveHeader header);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  /// Appends one subject. `subject.has_labels` and `has_mask` are set from what is given.
  /// @param images  C*D*H*W values of the header's type, C modalities; 0..1 as float32, 0..255 as uint8
  /// @param labels  D*H*W indices into label_ids, or empty
  /// @param mask    D*H*W values 0 or 1, or empty
  /// @return XXH3 of each modality's voxels
  std::vector<std::uint64_t> add(ArchiveSubject subject, std::span<const std::byte> images,
                                 std::span<const std::uint8_t> labels = {}, std::span<const std::uint8_t> mask = {});

  /// A pair's own key-points, where it has any, are as many in both scans.
  /// @throws DataError if a pair names a subject that is not there
  void set_pairs(std::vector<ArchivePair> pairs);

  /// Reads back what was added, also while another thread adds. @param mask  empty: not wanted
  void read(std::size_t subject, std::span<std::byte> images, std::span<std::uint8_t> mask = {}) const;

  /// Writes the tables and makes all of it durable, still under the temporary name. Nothing can be added any more.
  void sync();

  /// `sync`, unless that is done, then renames into place. @return the fingerprint
  std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace regatta
