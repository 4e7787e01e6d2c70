// The 348 bytes of NIfTI-1 and the 540 bytes of NIfTI-2, both byte orders, checked strictly before anything is
// allocated from what they say. Layout: nifti1.h and nifti2.h of the NIfTI data format working group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "regatta/volume/geometry.hpp"
#include "regatta/volume/volume.hpp"
#include "volume/formats/voxel_decode.hpp"

namespace regatta {

inline constexpr std::int64_t kLargestDim = std::int64_t{1} << 20;
inline constexpr std::int64_t kMostVoxels = std::int64_t{1} << 34;
inline constexpr std::int16_t kIntentVector = 1007;

/// What a caller can use: scalar volumes, one or a series; a displacement field.
enum class NiftiContent { kScalar, kField };

/// Voxels behind the header or in a file of their own.
enum class NiftiLayout { kOneFile, kPair };

struct NiftiHeader {
  Shape3 shape{};
  std::int64_t frames = 1;        ///< volumes of a series, one behind the other
  double frame_step = 0.0;        ///< seconds between them; 0 where the file does not say
  std::int64_t components = 1;    ///< 3 of a field: outermost in the file
  bool is_itk_field = false;      ///< five dimensions, millimetres; else four, voxels
  bool components_first = false;  ///< of four dimensions the first is the components', as VoxelMorph writes them
  RawFormat format;
  Affine affine{};
  std::string affine_source;  ///< sform, qform or pixdim
  FileSpace space;
  std::uint64_t data_offset = 0;  ///< of the first voxel, from the start of the file that holds it
  bool has_footer = false;        ///< bytes behind the voxels belong to the format

  /// Of one volume, with all its components.
  std::uint64_t frame_bytes() const;
  std::uint64_t data_bytes() const { return static_cast<std::uint64_t>(frames) * frame_bytes(); }
};

/// Bytes of the header that begins with these four, 348 or 540. @throws DataError for any other file
std::size_t nifti_header_bytes(std::span<const std::byte, 4> start, const std::string& source);

/// @param bytes  348 or 540
/// @throws DataError naming the field, what it holds and what it may hold
NiftiHeader parse_nifti_header(std::span<const std::byte> bytes, const std::string& source,
                               NiftiContent content = NiftiContent::kScalar,
                               NiftiLayout layout = NiftiLayout::kOneFile);

inline constexpr std::size_t kNifti1Bytes = 348;
inline constexpr std::size_t kNifti2Bytes = 540;

}  // namespace regatta
