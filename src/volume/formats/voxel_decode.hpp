// Raw voxels of a file, of any type and byte order, to float images or integer labels. Shared by NIfTI and npz.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "regatta/volume/geometry.hpp"

namespace regatta {

enum class RawType { kUint8, kInt8, kUint16, kInt16, kUint32, kInt32, kUint64, kInt64, kFloat16, kFloat32, kFloat64 };

std::size_t raw_bytes(RawType type);
const char* raw_name(RawType type);

struct RawFormat {
  RawType type = RawType::kFloat32;
  bool swap = false;   ///< the file's byte order is not the machine's
  double slope = 1.0;  ///< value = stored * slope + offset
  double offset = 0.0;
};

/// @param raw  out.size() values of the format
void decode_values(const std::byte* raw, const RawFormat& format, std::span<double> out);

/// Where decoded values go. Rejects what is no image voxel or no label, naming file and voxel. Labels within
/// `kLabelRounding` of a whole number are rounded.
class VoxelSink {
 public:
  /// Exactly one of `image` and `labels` is given and is filled; both [D, H, W].
  VoxelSink(std::string source, const Shape3& shape, std::vector<float>* image, std::vector<std::int32_t>* labels);

  /// Values of voxels d = 0..D-1, h = 0..H-1 (d fastest) of the slices first_w .. first_w + slices - 1.
  void put_slices(std::int64_t first_w, std::int64_t slices, std::span<const double> values);

  /// The same from the file's own values, decoded on the way.
  void put_raw_slices(std::int64_t first_w, std::int64_t slices, const std::byte* raw, const RawFormat& format,
                      std::vector<double>& buffer);

  /// Values in memory order, from voxel number `first` on.
  void put_run(std::int64_t first, std::span<const double> values);

  /// To be called at the end: remarks on labels that were rounded. @return how many
  std::int64_t tell_rounded() const;

 private:
  bool are_all_allowed(std::span<const double> values) const;
  template <class From, class To>
  void transpose(std::int64_t first_w, std::int64_t slices, const From* values, std::vector<To>& to) const;
  template <class From>
  void transpose(std::int64_t first_w, std::int64_t slices, const From* values);

  std::string place_of(std::int64_t index) const;

  /// Checks one value, and names it where it is not allowed.
  void put(std::int64_t index, double value);

  std::string source_;
  Shape3 shape_;
  std::vector<float>* image_;
  std::vector<std::int32_t>* labels_;
  std::int64_t rounded_ = 0;
  std::string first_rounded_;  ///< value and place
};

}  // namespace regatta
