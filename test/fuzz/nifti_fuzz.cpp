// libFuzzer target over scan files: the first byte of the input chooses the kind of file, the rest are its bytes, a
// pair's header first. Whatever they are, the readers return voxels of the header's shape, all of them finite, both
// the same, or throw a DataError of one line. Built by the preset `fuzz`; test/fuzz/run.sh makes the corpus and runs
// it.
#include <algorithm>
#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/volume_file.hpp"
#include "temporary_input.hpp"
#include "volume/pack/coded_volume.hpp"

namespace {

using regatta::fuzz::require;

constexpr std::int64_t kMostVoxels = std::int64_t{1} << 22;  // larger ones are right, and slow
constexpr std::size_t kPairHeader = 352;

std::filesystem::path write_scan(const std::uint8_t* bytes, std::size_t size) {
  static const regatta::fuzz::TemporaryInput input;
  const std::uint8_t kind = size > 0 ? bytes[0] % 6 : 0;
  bytes += size > 0 ? 1 : 0;
  size -= size > 0 ? 1 : 0;
  if (kind < 2) {
    return input.write(kind == 0 ? "scan.nii" : "scan.nii.gz", bytes, size);
  }
  if (kind == 2) {
    return input.write("scan.npz", bytes, size);
  }
  if (kind > 3) {
    return input.write(kind == 4 ? "scan.mgh" : "scan.mgz", bytes, size);
  }
  const std::size_t header = std::min(size, kPairHeader);
  input.write("pair.img", bytes + header, size - header);
  return input.write("pair.hdr", bytes, header);
}

template <class Body>
void one_line_or_none(Body body) {
  try {
    body();
  } catch (const regatta::DataError& error) {
    const std::string text = error.what();
    require(!text.empty() && text.find('\n') == std::string::npos && text.find("regatta-fuzz-") != std::string::npos);
  }
}

/// The reader that packing uses where it can gives the same voxels, and they can be packed or are refused.
void check_codes(const std::filesystem::path& path, int frame, const regatta::Volume& volume) {
  regatta::CodedVolume coded;
  if (!regatta::read_coded_volume(path, frame, coded)) {
    return;
  }
  require(regatta::to_volume(coded).voxels == volume.voxels);
  one_line_or_none([&coded] {
    const regatta::PreprocessOptions options;
    const regatta::GridMap map = regatta::map_to_packed_grid(coded, options);
    if (regatta::voxel_count(map.packed.shape) <= kMostVoxels) {
      regatta::prepare_packed(coded, map, options, options.intensity, 1);
    }
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::filesystem::path path = write_scan(bytes, size);
  one_line_or_none([&] {
    const regatta::VolumeHeader header = regatta::read_volume_header(path, regatta::VolumePart::kImage, "RAS", 0);
    require(header.frames >= 1 && regatta::is_usable(header.grid.affine));
    if (regatta::voxel_count(header.grid.shape) > kMostVoxels) {
      return;
    }
    const int last = static_cast<int>(header.frames - 1);
    one_line_or_none([&] {
      const regatta::Volume volume = regatta::read_volume(path, "RAS", last);
      require(volume.grid.shape == header.grid.shape);
      require(volume.voxels.size() == static_cast<std::size_t>(regatta::voxel_count(header.grid.shape)));
      require(std::all_of(volume.voxels.begin(), volume.voxels.end(), [](float v) { return std::isfinite(v); }));
      check_codes(path, last, volume);
    });
    one_line_or_none([&] { regatta::read_label_volume(path, "RAS", 0); });
    if (path.extension() == ".nii" || path.extension() == ".gz") {
      one_line_or_none([&] { regatta::read_displacement(path); });
    }
  });
  return 0;
}
