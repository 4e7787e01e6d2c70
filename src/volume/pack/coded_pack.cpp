// From codes to packed bytes: one look-up a voxel where axes are only turned, else one axis after another in float32.
// Voxels are turned in tiles, because neighbours of the file are far apart in the archive.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "regatta/base/error.hpp"
#include "volume/grid/axis_resample.hpp"
#include "volume/grid/middle.hpp"
#include "volume/grid/parallel.hpp"
#include "volume/pack/coded_volume.hpp"

namespace regatta {
namespace {

constexpr std::int64_t kTileRows = 64;      ///< along the run of the file
constexpr std::int64_t kTileColumns = 256;  ///< along the row of the archive
constexpr std::int64_t kAhead = 4;          ///< runs

/// A source that is read through a map: element `origin` belongs to packed voxel [0, 0, 0] (which may lie outside).
struct Turn {
  std::int64_t origin = 0;
  std::array<std::int64_t, 3> stride{};  ///< elements along each packed axis
  std::size_t fast = 2;                  ///< packed axis along which neighbours are neighbours in the source
  Inside inside;
  Shape3 shape{};
};

/// Elements between neighbours along the file's axes.
std::array<std::int64_t, 3> file_strides(const Shape3& file_shape) {
  return {1, file_shape[0], file_shape[0] * file_shape[1]};
}

/// Packed axis that follows the file's axis.
std::size_t packed_axis(const GridMap& map, int file_axis) {
  return static_cast<std::size_t>(std::find(map.axis.begin(), map.axis.end(), file_axis) - map.axis.begin());
}

template <class From, class Convert>
void turn_rows(const From* from, const Turn& turn, std::uint8_t* out, std::int64_t d, const Convert& convert) {
  const auto& [begin, end] = turn.inside;
  for (std::int64_t h = begin[1]; h < end[1]; ++h) {
    const std::int64_t row = turn.origin + d * turn.stride[0] + h * turn.stride[1];
    std::uint8_t* to = out + (d * turn.shape[1] + h) * turn.shape[2];
    for (std::int64_t w = begin[2]; w < end[2]; ++w) {
      to[w] = convert(from[row + w * turn.stride[2]]);
    }
  }
}

using Bytes16 = std::uint8_t __attribute__((vector_size(16)));

/// Rows become columns: four times over, rows i and i + 8 are threaded into one another.
void transpose_16x16(std::array<Bytes16, 16>& rows) {
  for (int round = 0; round < 4; ++round) {
    std::array<Bytes16, 16> mixed;
    for (std::size_t i = 0; i < 8; ++i) {
      const Bytes16 one = rows[i];
      const Bytes16 other = rows[i + 8];
      mixed[2 * i] = __builtin_shufflevector(one, other, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      mixed[2 * i + 1] =
          __builtin_shufflevector(one, other, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    rows = mixed;
  }
}

using Tile = std::array<std::array<std::uint8_t, kTileRows>, kTileColumns>;

/// Columns of the tile become rows of the output. @param to_stride  between output rows
void write_turned(const Tile& tile, std::int64_t columns, std::int64_t rows, std::uint8_t* out,
                  std::int64_t to_stride) {
  constexpr std::int64_t kBlock = 16;
  const std::int64_t whole_columns = columns / kBlock * kBlock;
  const std::int64_t whole_rows = rows / kBlock * kBlock;
  for (std::int64_t row = 0; row < whole_rows; row += kBlock) {
    for (std::int64_t column = 0; column < whole_columns; column += kBlock) {
      std::array<Bytes16, kBlock> block;
      for (std::size_t i = 0; i < kBlock; ++i) {
        std::memcpy(&block[i], &tile[static_cast<std::size_t>(column) + i][static_cast<std::size_t>(row)], kBlock);
      }
      transpose_16x16(block);
      for (std::int64_t i = 0; i < kBlock; ++i) {
        std::memcpy(out + (row + i) * to_stride + column, &block[static_cast<std::size_t>(i)], kBlock);
      }
    }
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = row < whole_rows ? whole_columns : 0; column < columns; ++column) {
      out[row * to_stride + column] = tile[static_cast<std::size_t>(column)][static_cast<std::size_t>(row)];
    }
  }
}

/// Runs lie too far apart for the processor to guess the next. @param length  in elements; negative: towards the front
template <class From>
void prefetch(const From* run, std::int64_t length) {
  constexpr std::int64_t kCacheLine = 64 / static_cast<std::int64_t>(sizeof(From));
  for (std::int64_t at = 0; at < std::abs(length); at += kCacheLine) {
    __builtin_prefetch(run + (length < 0 ? -at : at));
  }
}

/// A run of the file, forwards or (step -1) backwards, as bytes. Eight make a word, which is stored at once.
template <int step, class From, class Convert>
void convert_run(const From* run, std::int64_t length, std::uint8_t* out, const Convert& convert) {
  std::int64_t i = 0;
  for (; i + 8 <= length; i += 8) {
    std::uint64_t word = 0;
    for (int k = 0; k < 8; ++k) {
      word |= std::uint64_t{convert(run[step * (i + k)])} << (8 * k);
    }
    std::memcpy(out + i, &word, sizeof word);
  }
  for (; i < length; ++i) {
    out[i] = convert(run[step * i]);
  }
}

/// The plane of axes `turn.fast` and 2 at index `at` of the remaining axis.
template <class From, class Convert>
void turn_tiles(const From* from, const Turn& turn, std::uint8_t* out, std::int64_t at, const Convert& convert) {
  const std::size_t fast = turn.fast;
  const std::size_t other = 1 - fast;
  const auto& [begin, end] = turn.inside;
  const std::array<std::int64_t, 3> to_stride = {turn.shape[1] * turn.shape[2], turn.shape[2], 1};
  const std::int64_t step = turn.stride[fast];
  Tile tile;
  for (std::int64_t f = begin[fast]; f < end[fast]; f += kTileRows) {
    const std::int64_t rows = std::min(kTileRows, end[fast] - f);
    for (std::int64_t w = begin[2]; w < end[2]; w += kTileColumns) {
      const std::int64_t columns = std::min(kTileColumns, end[2] - w);
      for (std::int64_t column = 0; column < columns; ++column) {
        const From* run = from + (turn.origin + at * turn.stride[other] + f * step + (w + column) * turn.stride[2]);
        if (column + kAhead < columns) {
          prefetch(run + kAhead * turn.stride[2], rows * step);
        }
        std::uint8_t* line = tile[static_cast<std::size_t>(column)].data();
        step == 1 ? convert_run<1>(run, rows, line, convert) : convert_run<-1>(run, rows, line, convert);
      }
      write_turned(tile, columns, rows, out + at * to_stride[other] + f * to_stride[fast] + w, to_stride[fast]);
    }
  }
}

/// Leaves what lies outside as it is.
template <class From, class Convert>
void turn_voxels(const From* from, const Turn& turn, std::uint8_t* out, int threads, const Convert& convert) {
  const std::size_t outer = turn.fast == 2 ? 0 : 1 - turn.fast;
  const std::int64_t first = turn.inside.begin[outer];
  parallel_for(turn.inside.end[outer] - first, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = first + begin; at < first + end; ++at) {
      if (turn.fast == 2) {
        turn_rows(from, turn, out, at, convert);
      } else {
        turn_tiles(from, turn, out, at, convert);
      }
    }
  });
}

void copy_codes(const CodedVolume& volume, const GridMap& map, const IntensityRange& range, std::uint8_t* out,
                int threads) {
  std::array<std::uint8_t, CodedVolume::kCodes> byte_of{};
  const double scale = 1.0 / (range.high - range.low);
  for (std::size_t code = 0; code < byte_of.size(); ++code) {
    if (volume.counts[code] > 0) {
      byte_of[code] = packed_byte(volume.value_of(code), range.low, scale);
    }
  }
  const std::array<std::int64_t, 3> strides = file_strides(map.source.shape);
  Turn turn;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t stride = strides[static_cast<std::size_t>(map.axis[axis])];
    turn.origin += static_cast<std::int64_t>(map.start[axis]) * stride;
    turn.stride[axis] = map.step[axis] > 0 ? stride : -stride;
  }
  turn.fast = packed_axis(map, 0);
  turn.inside = inside_of(map);
  turn.shape = map.packed.shape;
  if (turn.inside.begin != Shape3{} || turn.inside.end != turn.shape) {
    std::fill_n(out, voxel_count(turn.shape), std::uint8_t{0});
  }
  turn_voxels(volume.codes.data(), turn, out, threads, [&byte_of](std::uint16_t code) { return byte_of[code]; });
}

/// The taps of one axis of the file, the same number for each packed index.
struct EqualTaps {
  std::int64_t count = 0;  ///< of packed indices
  std::int64_t begin = 0;  ///< those from here ..
  std::int64_t end = 0;    ///< .. to here lie inside
  std::size_t width = 0;   ///< taps of each
  std::vector<std::int64_t> first;
  std::vector<float> weights;  ///< [width, count]

  float weight(std::size_t tap, std::int64_t index) const {
    return weights[tap * static_cast<std::size_t>(count) + static_cast<std::size_t>(index)];
  }
};

EqualTaps equal_taps(const GridMap& map, int file_axis) {
  const std::vector<Taps> taps = linear_taps(map, packed_axis(map, file_axis));
  EqualTaps out;
  out.count = static_cast<std::int64_t>(taps.size());
  const auto is_inside = [](const Taps& each) { return !each.weights.empty(); };
  out.begin = std::find_if(taps.begin(), taps.end(), is_inside) - taps.begin();
  out.end = std::find_if(taps.rbegin(), taps.rend(), is_inside).base() - taps.begin();
  for (const Taps& each : taps) {
    out.width = std::max(out.width, each.weights.size());
  }
  out.first.assign(taps.size(), 0);
  out.weights.assign(out.width * taps.size(), 0.0F);
  const std::int64_t length = map.source.shape[static_cast<std::size_t>(file_axis)];
  for (std::size_t i = 0; i < taps.size(); ++i) {
    // Where fewer are needed the others weigh nothing, and must lie inside all the same.
    out.first[i] = std::min(taps[i].first, length - static_cast<std::int64_t>(out.width));
    const auto skipped = static_cast<std::size_t>(taps[i].first - out.first[i]);
    for (std::size_t tap = 0; tap < taps[i].weights.size(); ++tap) {
      out.weights[(skipped + tap) * taps.size() + i] = taps[i].weights[tap];
    }
  }
  return out;
}

/// Sum over the taps of one index of an axis: whole rows or planes at once.
template <class From, class Convert>
void weigh(const From* from, std::int64_t stride, const EqualTaps& taps, std::int64_t index, std::int64_t length,
           float* out, const Convert& convert) {
  from += taps.first[static_cast<std::size_t>(index)] * stride;
  const float first = taps.weight(0, index);
  for (std::int64_t i = 0; i < length; ++i) {
    out[i] = first * convert(from[i]);
  }
  for (std::size_t tap = 1; tap < taps.width; ++tap) {
    from += stride;
    const float weight = taps.weight(tap, index);
    if (weight == 0.0F) {
      continue;
    }
    for (std::int64_t i = 0; i < length; ++i) {
      out[i] += weight * convert(from[i]);
    }
  }
}

/// Along the fastest axis, and to bytes.
struct RowToBytes {
  EqualTaps taps;
  float factor = 1.0F;
  float summand = 0.0F;

  void operator()(const float* row, std::uint8_t* out, float* sums) const {
    const auto begin = static_cast<std::size_t>(taps.begin);
    const auto end = static_cast<std::size_t>(taps.end);
    const auto count = static_cast<std::size_t>(taps.count);
    std::fill(sums + begin, sums + end, 0.0F);
    for (std::size_t tap = 0; tap < taps.width; ++tap) {
      const float* weights = taps.weights.data() + tap * count;
      const float* from = row + tap;
      for (std::size_t i = begin; i < end; ++i) {
        sums[i] += weights[i] * from[taps.first[i]];
      }
    }
    for (std::size_t i = begin; i < end; ++i) {
      out[i] = static_cast<std::uint8_t>(std::clamp(sums[i] * factor + summand, 0.5F, 255.5F));
    }
  }
};

void resample_codes(CodedVolume& volume, const GridMap& map, const IntensityRange& range, std::uint8_t* out,
                    int threads) {
  // Numbers count from the one at `low`, so that float32 has enough digits.
  const double at_low = std::round((range.low - volume.offset) / volume.slope);
  const double lowest = volume.is_signed ? -32768.0 : 0.0;
  const auto pivot = static_cast<int>(std::clamp(at_low, lowest, lowest + 65535.0));
  const double per_unit = 255.0 / (range.high - range.low);
  const EqualTaps slow = equal_taps(map, 2);
  const EqualTaps middle = equal_taps(map, 1);
  RowToBytes to_bytes{equal_taps(map, 0)};
  to_bytes.factor = static_cast<float>(volume.slope * per_unit);
  to_bytes.summand =
      static_cast<float>((static_cast<double>(pivot) * volume.slope + volume.offset - range.low) * per_unit + 0.5);
  const Shape3& shape = map.source.shape;
  const std::int64_t plane = shape[0] * shape[1];
  const Shape3 counts = {to_bytes.taps.count, middle.count, slow.count};
  LargeVector<std::uint8_t>& turned = volume.scratch;
  turned.assign(static_cast<std::size_t>(voxel_count(counts)), std::uint8_t{0});
  const auto from_pivot = [pivot](auto number) { return static_cast<float>(int{number} - pivot); };
  parallel_for(slow.end - slow.begin, threads, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> slice(static_cast<std::size_t>(plane));
    std::vector<float> row(static_cast<std::size_t>(shape[0]));
    std::vector<float> sums(static_cast<std::size_t>(counts[0]));
    for (std::int64_t k = slow.begin + first; k < slow.begin + last; ++k) {
      if (volume.is_signed) {
        const auto* numbers = reinterpret_cast<const std::int16_t*>(volume.codes.data());
        weigh(numbers, plane, slow, k, plane, slice.data(), from_pivot);
      } else {
        weigh(volume.codes.data(), plane, slow, k, plane, slice.data(), from_pivot);
      }
      for (std::int64_t j = middle.begin; j < middle.end; ++j) {
        weigh(slice.data(), shape[0], middle, j, shape[0], row.data(), [](float value) { return value; });
        to_bytes(row.data(), turned.data() + (k * counts[1] + j) * counts[0], sums.data());
      }
    }
  });
  const std::array<std::int64_t, 3> strides = file_strides(counts);
  Turn turn;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    turn.stride[axis] = strides[static_cast<std::size_t>(map.axis[axis])];
  }
  turn.fast = packed_axis(map, 0);
  turn.inside = {{0, 0, 0}, map.packed.shape};
  turn.shape = map.packed.shape;
  turn_voxels(turned.data(), turn, out, threads, [](std::uint8_t byte) { return byte; });
}

}  // namespace

GridMap map_to_packed_grid(const CodedVolume& volume, const PreprocessOptions& options) {
  return map_to_packed_grid(volume.grid, options, [&] {
    std::vector<std::uint8_t> is_foreground(CodedVolume::kCodes);
    for (std::size_t code = 0; code < CodedVolume::kCodes; ++code) {
      is_foreground[code] = double{volume.value_of(code)} > options.foreground_above ? 1 : 0;
    }
    const Shape3& shape = volume.grid.shape;
    BoundingBox box;
    const std::uint16_t* row = volume.codes.data();
    for (std::int64_t w = 0; w < shape[2]; ++w) {
      for (std::int64_t h = 0; h < shape[1]; ++h, row += shape[0]) {
        for (std::int64_t d = 0; d < shape[0]; ++d) {
          if (is_foreground[row[d]] != 0) {
            box.add({d, h, w});
          }
        }
      }
    }
    return box.middle(volume.source, options.foreground_above);
  });
}

PackedVoxels prepare_packed(CodedVolume& volume, const GridMap& map, const PreprocessOptions& options,
                            const IntensityOptions& intensity, int threads, LargeVector<std::byte> memory) {
  REGATTA_REQUIRE(options.type == "uint8" && intensity.kind != "none", BugError, volume.source,
                  ": codes are packed as scaled bytes only");
  const IntensityRange range = intensity_range(volume.values(), volume.source, intensity, options.foreground_above);
  PackedVoxels packed;
  packed.range = range;
  packed.bytes = std::move(memory);
  packed.bytes.resize(static_cast<std::size_t>(voxel_count(map.packed.shape)));
  auto* bytes = reinterpret_cast<std::uint8_t*>(packed.bytes.data());
  if (copies_voxels(map)) {
    copy_codes(volume, map, range, bytes, threads);
  } else {
    resample_codes(volume, map, range, bytes, threads);
  }
  require_varied(packed.bytes, volume.source);
  return packed;
}

}  // namespace regatta
