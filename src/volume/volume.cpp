#include "regatta/volume/volume.hpp"

#include <algorithm>

#include "byte_reader.hpp"
#include "nifti_header.hpp"
#include "npz.hpp"
#include "regatta/base/error.hpp"
#include "voxel_decode.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSlicesAtOnce = 16;  // a cache line of float32 along w

enum class FileKind { kNifti, kNpz };

FileKind kind_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.ends_with(".nii") || name.ends_with(".nii.gz")) {
    return FileKind::kNifti;
  }
  REGATTA_REQUIRE(name.ends_with(".npz"), DataError, path.string(),
                  ": unknown kind of file, .nii, .nii.gz or .npz expected");
  return FileKind::kNpz;
}

NiftiHeader read_nifti(const fs::path& path, std::vector<float>* image, std::vector<std::int32_t>* labels) {
  const std::string source = path.string();
  ByteReader in(path);
  const NiftiHeader header = read_nifti_header(in, source);
  const std::int64_t plane = header.shape[0] * header.shape[1];
  const std::int64_t depth = std::min(kSlicesAtOnce, header.shape[2]);
  std::vector<std::byte> raw(static_cast<std::size_t>(depth * plane) * raw_bytes(header.format.type));
  std::vector<double> values;
  VoxelSink sink(source, header.shape, image, labels);
  for (std::int64_t k = 0; k < header.shape[2]; k += depth) {
    const std::int64_t slices = std::min(depth, header.shape[2] - k);
    const auto count = static_cast<std::size_t>(slices * plane);
    in.read(raw.data(), count * raw_bytes(header.format.type), "voxels");
    sink.put_raw_slices(k, slices, raw.data(), header.format, values);
  }
  in.require_end();
  return header;
}

}  // namespace

Volume read_volume(const fs::path& path, const std::string& npz_orientation) {
  Volume out;
  out.source = path.string();
  if (kind_of(path) == FileKind::kNpz) {
    out.grid = {read_npz(path, "vol", &out.voxels, nullptr).shape, affine_of_orientation(npz_orientation)};
    out.affine_source = "none";
    return out;
  }
  const NiftiHeader header = read_nifti(path, &out.voxels, nullptr);
  out.grid = {header.shape, header.affine};
  out.affine_source = header.affine_source;
  return out;
}

LabelVolume read_label_volume(const fs::path& path, const std::string& npz_orientation) {
  LabelVolume out;
  out.source = path.string();
  if (kind_of(path) == FileKind::kNpz) {
    out.grid = {read_npz(path, "seg", nullptr, &out.labels).shape, affine_of_orientation(npz_orientation)};
    out.affine_source = "none";
    return out;
  }
  const NiftiHeader header = read_nifti(path, nullptr, &out.labels);
  out.grid = {header.shape, header.affine};
  out.affine_source = header.affine_source;
  return out;
}

VolumeHeader read_volume_header(const fs::path& path, VolumePart part, const std::string& npz_orientation) {
  if (kind_of(path) == FileKind::kNpz) {
    const NpzArray array = read_npz(path, part == VolumePart::kImage ? "vol" : "seg", nullptr, nullptr);
    return {{array.shape, affine_of_orientation(npz_orientation)}, array.voxel_type, "none"};
  }
  ByteReader in(path);
  const NiftiHeader header = read_nifti_header(in, path.string());
  return {{header.shape, header.affine}, raw_name(header.format.type), header.affine_source};
}

bool is_volume_name(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".nii") || name.ends_with(".nii.gz") || name.ends_with(".npz");
}

}  // namespace regatta
