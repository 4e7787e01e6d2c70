#include "regatta/volume/volume_file.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "volume/formats/nifti_file.hpp"
#include "volume/formats/npz.hpp"
#include "volume/formats/voxel_decode.hpp"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSlicesAtOnce = 16;  // a cache line of float32 along w

enum class FileKind { kScan, kNpz };

FileKind kind_of(const fs::path& path) {
  if (is_scan_name(path)) {
    return FileKind::kScan;
  }
  REGATTA_REQUIRE(is_volume_name(path), DataError, path.string(), ": unknown kind of file, ", volume_endings(),
                  " expected");
  return FileKind::kNpz;
}

NpzArray read_npz_frame(const fs::path& path, const char* name, int frame, std::vector<float>* image,
                        std::vector<std::int32_t>* labels) {
  frame_number(frame, 1, path.string());
  return read_npz(path, name, image, labels);
}

/// One volume into the sink.
void read_frame(ByteReader& in, const NiftiHeader& header, VoxelSink& sink) {
  const std::int64_t plane = header.shape[0] * header.shape[1];
  const std::int64_t depth = std::min(kSlicesAtOnce, header.shape[2]);
  std::vector<std::byte> raw(static_cast<std::size_t>(depth * plane) * raw_bytes(header.format.type));
  std::vector<double> values;
  for (std::int64_t k = 0; k < header.shape[2]; k += depth) {
    const std::int64_t slices = std::min(depth, header.shape[2] - k);
    const auto count = static_cast<std::size_t>(slices * plane);
    in.read(raw.data(), count * raw_bytes(header.format.type), "voxels");
    sink.put_raw_slices(k, slices, raw.data(), header.format, values);
  }
}

/// @param labels  exactly one of it and `image` is given
NiftiHeader read_scan(const fs::path& path, int frame, std::vector<float>* image, LabelVolume* labels) {
  const std::string source = path.string();
  const NiftiFile file = open_scan(path);
  const NiftiHeader& header = file.header;
  const auto before = static_cast<std::uint64_t>(frame_number(frame, header.frames, source));
  const std::uint64_t after = static_cast<std::uint64_t>(header.frames) - before - 1;
  file.require_whole();
  ByteReader& in = *file.voxels;
  in.skip(before * header.frame_bytes(), "voxels");
  VoxelSink sink(source, header.shape, image, labels == nullptr ? nullptr : &labels->labels);
  read_frame(in, header, sink);
  in.skip(after * header.frame_bytes(), "voxels");
  in.require_end();
  if (labels != nullptr) {
    labels->rounded = sink.tell_rounded();
  }
  return header;
}

VolumeHeader public_header(const NiftiHeader& header) {
  const RawFormat& format = header.format;
  const bool whole = format.type != RawType::kFloat16 && format.type != RawType::kFloat32 &&
                     format.type != RawType::kFloat64 && format.slope == 1.0 && format.offset == 0.0;
  return {{header.shape, header.affine},
          raw_name(format.type),
          header.affine_source,
          header.frames,
          header.space,
          header.frame_step,
          whole};
}

}  // namespace

Volume read_volume(const fs::path& path, const std::string& npz_orientation, int frame) {
  Volume out;
  out.source = path.string();
  if (kind_of(path) == FileKind::kNpz) {
    out.grid = {read_npz_frame(path, "vol", frame, &out.voxels, nullptr).shape, affine_of_orientation(npz_orientation)};
    out.affine_source = "none";
    return out;
  }
  const NiftiHeader header = read_scan(path, frame, &out.voxels, nullptr);
  out.grid = {header.shape, header.affine};
  out.affine_source = header.affine_source;
  out.space = header.space;
  return out;
}

LabelVolume read_label_volume(const fs::path& path, const std::string& npz_orientation, int frame) {
  LabelVolume out;
  out.source = path.string();
  if (kind_of(path) == FileKind::kNpz) {
    const NpzArray array = read_npz_frame(path, "seg", frame, nullptr, &out.labels);
    out.grid = {array.shape, affine_of_orientation(npz_orientation)};
    out.rounded = array.rounded;
    out.affine_source = "none";
    return out;
  }
  const NiftiHeader header = read_scan(path, frame, nullptr, &out);
  out.grid = {header.shape, header.affine};
  out.affine_source = header.affine_source;
  return out;
}

VolumeHeader read_volume_header(const fs::path& path, VolumePart part, const std::string& npz_orientation, int frame) {
  if (kind_of(path) == FileKind::kNpz) {
    const char* name = part == VolumePart::kImage ? "vol" : "seg";
    const NpzArray array = read_npz_frame(path, name, frame, nullptr, nullptr);
    return {{array.shape, affine_of_orientation(npz_orientation)}, array.voxel_type, "none", 1, {}};
  }
  const NiftiHeader header = open_scan(path).header;
  frame_number(frame, header.frames, path.string());
  return public_header(header);
}

/// The file at its next volume.
struct VolumeSeries::File {
  explicit File(const fs::path& path) : scan(open_scan(path)) { scan.require_whole(); }

  NiftiFile scan;
  std::int64_t left = scan.header.frames;

  void read(VoxelSink& sink) {
    REGATTA_REQUIRE(left > 0, BugError, "VolumeSeries: no volume is left");
    read_frame(*scan.voxels, scan.header, sink);
    sink.tell_rounded();
    if (--left == 0) {
      scan.voxels->require_end();
    }
  }
};

VolumeSeries::VolumeSeries(const fs::path& path, const std::string& npz_orientation)
    : path_(path), npz_orientation_(npz_orientation) {
  if (kind_of(path) == FileKind::kNpz) {
    header_ = read_volume_header(path, VolumePart::kImage, npz_orientation);
    return;
  }
  file_ = std::make_unique<File>(path);
  header_ = public_header(file_->scan.header);
}

VolumeSeries::~VolumeSeries() = default;

std::vector<float> VolumeSeries::next_image() {
  if (file_ == nullptr) {
    return read_volume(path_, npz_orientation_).voxels;
  }
  std::vector<float> out;
  VoxelSink sink(path_.string(), header_.grid.shape, &out, nullptr);
  file_->read(sink);
  return out;
}

std::vector<std::int32_t> VolumeSeries::next_labels() {
  if (file_ == nullptr) {
    return read_label_volume(path_, npz_orientation_).labels;
  }
  std::vector<std::int32_t> out;
  VoxelSink sink(path_.string(), header_.grid.shape, nullptr, &out);
  file_->read(sink);
  return out;
}

bool is_volume_name(const fs::path& path) {
  return is_scan_name(path) || path.filename().string().ends_with(".npz");
}

const char* volume_endings() {
  return ".nii, .nii.gz, .hdr with .img or .img.gz, .mgz, .mgh, or .npz";
}

}  // namespace regatta
