#include "volume/formats/mgh_file.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

struct MghType {
  std::int32_t code;
  RawType type;
};

constexpr MghType kMghTypes[] = {
    {0, RawType::kUint8}, {1, RawType::kInt32}, {3, RawType::kFloat32}, {4, RawType::kInt16}, {10, RawType::kUint16}};

// Offsets of what is used; the rest up to byte 284 is unused.
constexpr std::size_t kVersion = 0;
constexpr std::size_t kDims = 4;  // width, height, depth, frames
constexpr std::size_t kType = 20;
constexpr std::size_t kGoodRas = 28;
constexpr std::size_t kDelta = 30;   // spacings
constexpr std::size_t kAxes = 42;    // x_r x_a x_s, y_r y_a y_s, z_r z_a z_s
constexpr std::size_t kCentre = 78;  // RAS of voxel (width / 2, height / 2, depth / 2)

template <class T>
T at(std::span<const std::byte> bytes, std::size_t offset) {
  std::array<std::byte, sizeof(T)> raw;
  std::reverse_copy(bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                    bytes.begin() + static_cast<std::ptrdiff_t>(offset + sizeof(T)), raw.begin());
  T value;
  std::memcpy(&value, raw.data(), sizeof(T));
  return value;
}

void set_mgh_shape(std::span<const std::byte> bytes, const std::string& source, NiftiHeader& out) {
  std::int64_t voxels = 1;
  for (std::size_t i = 0; i < 4; ++i) {
    static constexpr const char* kNames[] = {"width", "height", "depth", "nframes"};
    const std::int64_t n = at<std::int32_t>(bytes, kDims + 4 * i);
    REGATTA_REQUIRE(n >= 1 && n <= kLargestDim, DataError, source, ": header: ", kNames[i], ' ', n, ", 1..",
                    kLargestDim, " allowed");
    REGATTA_REQUIRE(voxels <= kMostVoxels / n, DataError, source, ": header: dimensions overflow: more than ",
                    kMostVoxels, " voxels");
    voxels *= n;
    (i < 3 ? out.shape[i] : out.frames) = n;
  }
}

RawType mgh_type(std::span<const std::byte> bytes, const std::string& source) {
  const auto code = at<std::int32_t>(bytes, kType);
  for (const MghType& row : kMghTypes) {
    if (row.code == code) {
      return row.type;
    }
  }
  throw DataError(str(source, ": header: type ", code,
                      ", allowed: 0 (uint8), 1 (int32), 3 (float32), 4 (int16), 10 "
                      "(uint16)"));
}

void set_mgh_affine(std::span<const std::byte> bytes, const std::string& source, NiftiHeader& out) {
  const bool placed = at<std::int16_t>(bytes, kGoodRas) > 0;
  Affine axes = affine_of_orientation("LIA");
  Point3 centre{};
  if (placed) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double delta = double{at<float>(bytes, kDelta + 4 * axis)};
      for (std::size_t row = 0; row < 3; ++row) {
        axes[row * 4 + axis] = delta * double{at<float>(bytes, kAxes + 4 * (3 * axis + row))};
      }
      centre[axis] = double{at<float>(bytes, kCentre + 4 * axis)};
    }
  }
  const Point3 half = {static_cast<double>(out.shape[0]) / 2.0, static_cast<double>(out.shape[1]) / 2.0,
                       static_cast<double>(out.shape[2]) / 2.0};
  const Point3 offset = map_vector(axes, half);
  for (std::size_t row = 0; row < 3; ++row) {
    axes[row * 4 + 3] = centre[row] - offset[row];
  }
  out.affine = axes;
  out.affine_source = placed ? "vox2ras" : "pixdim";
  out.space.sform_code = placed ? 1 : 0;
  REGATTA_REQUIRE(is_usable(out.affine), DataError, source, ": header: vox2ras ", join(out.affine, " "),
                  ": singular or not finite");
}

}  // namespace

bool is_mgh_name(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".mgz") || name.ends_with(".mgh");
}

NiftiHeader parse_mgh_header(std::span<const std::byte> bytes, const std::string& source) {
  REGATTA_REQUIRE(at<std::int32_t>(bytes, kVersion) == 1, DataError, source, ": not an MGH file: version ",
                  at<std::int32_t>(bytes, kVersion), ", 1 expected");
  NiftiHeader out;
  out.format.type = mgh_type(bytes, source);
  out.format.swap = true;
  set_mgh_shape(bytes, source, out);
  set_mgh_affine(bytes, source, out);
  out.data_offset = kMghBytes;
  out.has_footer = true;  // scan parameters and tags
  return out;
}

NiftiFile open_mgh(const std::filesystem::path& path) {
  const std::string source = path.string();
  auto in = std::make_unique<ByteReader>(path);
  std::vector<std::byte> bytes(kMghBytes);
  in->read(bytes.data(), bytes.size(), "header");
  NiftiFile out;
  out.header = parse_mgh_header(bytes, source);
  out.voxels = std::move(in);
  require_size(out.header, *out.voxels, source);
  return out;
}

}  // namespace regatta
