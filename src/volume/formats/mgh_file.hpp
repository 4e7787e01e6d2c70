// FreeSurfer's scans: .mgz and .mgh (the same, not compressed). One file, big-endian, voxels in NIfTI's order.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "volume/formats/nifti_file.hpp"

namespace regatta {

inline constexpr std::size_t kMghBytes = 284;

/// True for the two endings.
bool is_mgh_name(const std::filesystem::path& path);

/// A header in the terms of NIfTI's. The affine is FreeSurfer's vox2ras (scanner RAS, not surface RAS); a file without
/// one ("goodRASflag" 0) gets FreeSurfer's own default, 1 mm and axes LIA, and counts as not placed ("pixdim").
/// Source: the MGH format as FreeSurfer documents it.
/// @param bytes  kMghBytes of them
/// @throws DataError naming the field, what it holds and what it may hold
NiftiHeader parse_mgh_header(std::span<const std::byte> bytes, const std::string& source);

/// Reads and checks the header. @throws DataError as `open_nifti`
NiftiFile open_mgh(const std::filesystem::path& path);

}  // namespace regatta
