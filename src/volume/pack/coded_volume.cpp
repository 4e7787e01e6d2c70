#include "volume/pack/coded_volume.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "regatta/base/error.hpp"
#include "volume/formats/nifti_file.hpp"

namespace regatta {
namespace {

constexpr std::size_t kVoxelsAtOnce = std::size_t{1} << 17;  // stay in the cache until they are counted

/// What a file's voxels are, of those types that codes can hold.
struct Coding {
  std::size_t bytes = 0;  ///< 0: another type
  bool is_signed = false;
};

Coding coding_of(RawType type) {
  switch (type) {
    case RawType::kUint8: return {1, false};
    case RawType::kInt8: return {1, true};
    case RawType::kUint16: return {2, false};
    case RawType::kInt16: return {2, true};
    default: return {};
  }
}

/// Codes from bytes that were read into the second half of their memory.
void widen(std::uint16_t* codes, std::size_t count, bool is_signed) {
  const std::byte* raw = reinterpret_cast<const std::byte*>(codes) + count;
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::to_integer<std::uint8_t>(raw[i]);
    codes[i] = is_signed ? static_cast<std::uint16_t>(static_cast<std::int8_t>(bits)) : bits;
  }
}

void swap_bytes(std::uint16_t* codes, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    codes[i] = static_cast<std::uint16_t>(codes[i] >> 8 | codes[i] << 8);
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
    const std::size_t rank = slope > 0.0 ? i : kCodes - 1 - i;
    const std::size_t code = is_signed ? rank ^ 0x8000U : rank;
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
  if (!is_scan_name(path)) {
    return false;
  }
  const NiftiFile file = open_scan(path);
  const NiftiHeader& header = file.header;
  const Coding coding = coding_of(header.format.type);
  if (coding.bytes == 0) {
    return false;
  }
  const std::int64_t before = frame_number(frame, header.frames, path.string());
  file.require_whole();
  ByteReader& in = *file.voxels;
  in.skip(static_cast<std::uint64_t>(before) * header.frame_bytes(), "voxels");
  const auto voxels = static_cast<std::size_t>(voxel_count(header.shape));
  CodeCounter counter;
  out.codes.resize(voxels);
  for (std::size_t first = 0; first < voxels; first += kVoxelsAtOnce) {
    const std::size_t count = std::min(kVoxelsAtOnce, voxels - first);
    std::uint16_t* codes = out.codes.data() + first;
    if (coding.bytes == 2) {
      in.read(codes, count * 2, "voxels");
    } else {
      in.read(reinterpret_cast<std::byte*>(codes) + count, count, "voxels");
      widen(codes, count, coding.is_signed);
    }
    if (coding.bytes == 2 && header.format.swap) {
      swap_bytes(codes, count);
    }
    counter.add(codes, count);
  }
  in.skip(static_cast<std::uint64_t>(header.frames - before - 1) * header.frame_bytes(), "voxels");
  in.require_end();
  out.grid = {header.shape, header.affine};
  out.source = path.string();
  out.affine_source = header.affine_source;
  out.is_signed = coding.is_signed;
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
