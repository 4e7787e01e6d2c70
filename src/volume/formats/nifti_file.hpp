// A scan on disk: one file (.nii, .nii.gz, .mgz, .mgh) or a pair of header and voxels (.hdr with .img or .img.gz).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "volume/formats/byte_reader.hpp"
#include "volume/formats/nifti_header.hpp"

namespace regatta {

struct NiftiFile {
  NiftiHeader header;
  std::unique_ptr<ByteReader> voxels;  ///< at the first voxel

  /// To be called before memory is taken for the voxels. @throws DataError see ByteReader::require_whole
  void require_whole() const { voxels->require_whole(header.data_offset + header.data_bytes()); }
};

/// The frame's number, 0 where none is named (-1). @throws DataError if the file has no such frame, or several
std::int64_t frame_number(int frame, std::int64_t frames, const std::string& source);

/// Bytes behind the voxels are allowed where they are fewer than 1 MiB or than the voxels themselves: a header that
/// leaves out more than it tells of is wrong. @param in  of the voxels
/// @throws DataError if the file cannot hold what its header asks for, or holds more than is allowed
void require_size(const NiftiHeader& header, ByteReader& in, const std::string& source);

/// True for the five endings of NIfTI.
bool is_nifti_name(const std::filesystem::path& path);

/// The files that hold a volume: itself, or of a pair the header and the voxels. @throws DataError for an ambiguous
/// pair
std::vector<std::filesystem::path> files_of(const std::filesystem::path& path);

/// True for any scan that `open_scan` reads.
bool is_scan_name(const std::filesystem::path& path);

/// Scalar volumes of any of these formats. @throws DataError as `open_nifti`
NiftiFile open_scan(const std::filesystem::path& path);

/// Reads and checks the header. @param path  the file, or either file of a pair
/// @throws DataError, one line: missing, an Analyze file, a wrong header, a size that the header does not imply
NiftiFile open_nifti(const std::filesystem::path& path, NiftiContent content = NiftiContent::kScalar);

}  // namespace regatta
