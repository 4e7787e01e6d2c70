#include "coded_volume.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "nifti_file.hpp"
#include "regatta/base/error.hpp"

namespace regatta {
namespace {

constexpr std::size_t kBytesAtOnce = std::size_t{1} << 17;  // stay in the cache until they are counted

/// Values become codes that rise with them. @tparam Bits  unsigned, as wide as the type @param flip  its sign bit, if
/// any
template <class Bits, Bits flip>
void encode(const std::byte* raw, bool swap, std::uint16_t* codes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, raw + i * sizeof(Bits), sizeof(Bits));
    if (sizeof(Bits) == 2 && swap) {
      bits = static_cast<Bits>(bits >> 8 | bits << 8);
    }
    codes[i] = static_cast<Bits>(bits ^ flip);
  }
}

struct Coding {
  void (*encode)(const std::byte*, bool, std::uint16_t*, std::size_t) = nullptr;
  int lowest = 0;
};

Coding coding_of(RawType type) {
  switch (type) {
    case RawType::kUint8: return {encode<std::uint8_t, 0>, 0};
    case RawType::kInt8: return {encode<std::uint8_t, 0x80>, -128};
    case RawType::kUint16: return {encode<std::uint16_t, 0>, 0};
    case RawType::kInt16: return {encode<std::uint16_t, 0x8000>, -32768};
    default: return {};
  }
}

/// Neighbours are often equal: four tables, so that one addition need not wait for the one before.
class CodeCounter {
 public:
  void add(const std::uint16_t* codes, std::size_t count) {
    std::size_t i = 0;
    for (; i + 4 <= count; i += 4) {
      std::uint64_t four = 0;
      std::memcpy(&four, codes + i, sizeof four);
      ++tables_[0][four & 0xFFFF];
      ++tables_[1][four >> 16 & 0xFFFF];
      ++tables_[2][four >> 32 & 0xFFFF];
      ++tables_[3][four >> 48];
    }
    for (; i < count; ++i) {
      ++tables_[0][codes[i]];
    }
  }

  void sum(std::vector<std::uint64_t>& counts) const {
    counts.assign(CodedVolume::kCodes, 0);
    for (const auto& table : tables_) {
      std::transform(table.begin(), table.end(), counts.begin(), counts.begin(), std::plus<std::uint64_t>());
    }
  }

 private:
  std::array<std::vector<std::uint32_t>, 4> tables_ = {
      std::vector<std::uint32_t>(CodedVolume::kCodes), std::vector<std::uint32_t>(CodedVolume::kCodes),
      std::vector<std::uint32_t>(CodedVolume::kCodes), std::vector<std::uint32_t>(CodedVolume::kCodes)};
};

bool are_finite(const CodedVolume& volume) {
  for (std::size_t code = 0; code < CodedVolume::kCodes; ++code) {
    if (volume.counts[code] > 0 && !std::isfinite(volume.value_of(code))) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::vector<ValueCount> CodedVolume::values() const {
  std::vector<ValueCount> out;
  for (std::size_t i = 0; i < kCodes; ++i) {
    const std::size_t code = slope > 0.0 ? i : kCodes - 1 - i;
    if (counts[code] == 0) {
      continue;
    }
    const float value = value_of(code);
    if (!out.empty() && out.back().value == value) {  // a small slope beside a large offset
      out.back().count += counts[code];
    } else {
      out.push_back({value, counts[code]});
    }
  }
  return out;
}

bool read_coded_volume(const std::filesystem::path& path, int frame, CodedVolume& out) {
  if (!is_nifti_name(path)) {
    return false;
  }
  const NiftiFile file = open_nifti(path);
  const NiftiHeader& header = file.header;
  const Coding coding = coding_of(header.format.type);
  if (coding.encode == nullptr) {
    return false;
  }
  const std::int64_t before = frame_number(frame, header.frames, path.string());
  file.require_whole();
  ByteReader& in = *file.voxels;
  in.skip(static_cast<std::uint64_t>(before) * header.frame_bytes(), "voxels");
  const auto voxels = static_cast<std::size_t>(voxel_count(header.shape));
  const std::size_t voxel_bytes = raw_bytes(header.format.type);
  const std::size_t at_once = std::min(voxels, kBytesAtOnce / voxel_bytes);
  std::vector<std::byte> raw(at_once * voxel_bytes);
  CodeCounter counter;
  out.codes.resize(voxels);
  for (std::size_t first = 0; first < voxels; first += at_once) {
    const std::size_t count = std::min(at_once, voxels - first);
    in.read(raw.data(), count * voxel_bytes, "voxels");
    coding.encode(raw.data(), header.format.swap, out.codes.data() + first, count);
    counter.add(out.codes.data() + first, count);
  }
  in.skip(static_cast<std::uint64_t>(header.frames - before - 1) * header.frame_bytes(), "voxels");
  in.require_end();
  out.grid = {header.shape, header.affine};
  out.source = path.string();
  out.affine_source = header.affine_source;
  out.lowest = coding.lowest;
  out.slope = header.format.slope;
  out.offset = header.format.offset;
  counter.sum(out.counts);
  return are_finite(out);
}

Volume to_volume(const CodedVolume& volume) {
  const Shape3& shape = volume.grid.shape;
  Volume out;
  out.grid = volume.grid;
  out.source = volume.source;
  out.affine_source = volume.affine_source;
  out.voxels.resize(volume.codes.size());
  const std::uint16_t* code = volume.codes.data();
  for (std::int64_t w = 0; w < shape[2]; ++w) {
    for (std::int64_t h = 0; h < shape[1]; ++h) {
      for (std::int64_t d = 0; d < shape[0]; ++d, ++code) {
        out.voxels[static_cast<std::size_t>((d * shape[1] + h) * shape[2] + w)] = volume.value_of(*code);
      }
    }
  }
  return out;
}

}  // namespace regatta
