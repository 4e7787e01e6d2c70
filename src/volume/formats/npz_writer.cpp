// A displacement field as an npz file: a zip archive of one npy array, stored without compression.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include <zlib.h>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/base/text.hpp"
#include "regatta/volume/displacement.hpp"

namespace regatta {
namespace {

constexpr double kLargestHalf = 65504.0;
constexpr double kSmallestNormalHalf = 6.103515625e-05;  // 2^-14
constexpr const char* kEntry = "arr_0.npy";

/// The nearest float16, ties to even. @param value  at most `kLargestHalf`
std::uint16_t half_of(float value) {
  const std::uint16_t sign = std::signbit(value) ? 0x8000U : 0U;
  const double size = std::abs(double{value});
  if (size < kSmallestNormalHalf) {  // steps of 2^-24; 1024 of them are the smallest normal number's bits
    return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(std::nearbyint(std::ldexp(size, 24))));
  }
  int exponent = 0;
  const double mantissa = std::frexp(size, &exponent);                     // [0.5, 1)
  const auto steps = static_cast<int>(std::nearbyint(mantissa * 2048.0));  // 1024..2048; 2048 carries over
  return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(((exponent + 13) << 10) + steps));
}

template <class T>
void append(std::string& out, T value) {
  for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
    out += static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * byte)) & 0xFFU);
  }
}

/// The header of format 1.0, padded so that the values begin at a multiple of 64.
std::string npy_header(const Shape3& shape) {
  std::string text =
      str("{'descr': '<f2', 'fortran_order': False, 'shape': (3, ", shape[0], ", ", shape[1], ", ", shape[2], "), }");
  constexpr std::size_t kPrefix = 10;
  text.append(64 - (kPrefix + text.size() + 1) % 64, ' ');
  text += '\n';
  std::string out = "\x93NUMPY";
  append<std::uint8_t>(out, 1);
  append<std::uint8_t>(out, 0);
  append<std::uint16_t>(out, static_cast<std::uint16_t>(text.size()));
  return out + text;
}

/// What the local header and the directory's entry share, from "version needed" on.
std::string zip_fields(const std::string& content) {
  const auto crc = crc32(0L, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
  std::string out;
  append<std::uint16_t>(out, 20);      // version needed
  append<std::uint16_t>(out, 0);       // flags
  append<std::uint16_t>(out, 0);       // stored
  append<std::uint16_t>(out, 0);       // time
  append<std::uint16_t>(out, 0x0021);  // 1 January 1980: the same field gives the same file
  append<std::uint32_t>(out, static_cast<std::uint32_t>(crc));
  append<std::uint32_t>(out, static_cast<std::uint32_t>(content.size()));
  append<std::uint32_t>(out, static_cast<std::uint32_t>(content.size()));
  append<std::uint16_t>(out, static_cast<std::uint16_t>(std::string(kEntry).size()));
  append<std::uint16_t>(out, 0);  // no extra field
  return out;
}

std::string zip_of(const std::string& content) {
  const std::string fields = zip_fields(content);
  std::string out = "PK\x03\x04" + fields + kEntry + content;
  const std::size_t directory = out.size();
  out += "PK\x01\x02";
  append<std::uint16_t>(out, 20);  // made by
  out += fields;
  append<std::uint16_t>(out, 0);  // comment
  append<std::uint16_t>(out, 0);  // disk
  append<std::uint16_t>(out, 0);  // attributes
  append<std::uint32_t>(out, 0);
  append<std::uint32_t>(out, 0);  // where the local header is
  out += kEntry;
  const std::size_t bytes = out.size() - directory;
  out += std::string("PK\x05\x06\0\0\0\0", 8);
  append<std::uint16_t>(out, 1);
  append<std::uint16_t>(out, 1);
  append<std::uint32_t>(out, static_cast<std::uint32_t>(bytes));
  append<std::uint32_t>(out, static_cast<std::uint32_t>(directory));
  append<std::uint16_t>(out, 0);
  return out;
}

}  // namespace

std::vector<float> halved_displacement(std::span<const float> field, const Shape3& shape) {
  Shape3 half{};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    REGATTA_REQUIRE(shape[axis] % 2 == 0 && shape[axis] > 2, DataError, "a field ", shape_text(shape),
                    " has no half: even sizes above 2 expected");
    half[axis] = shape[axis] / 2;
  }
  // Of one axis, the voxel below a half one and the weight of the next.
  const auto place = [&](std::size_t axis, std::int64_t index) {
    const double at =
        static_cast<double>(index) * static_cast<double>(shape[axis] - 1) / static_cast<double>(half[axis] - 1);
    const auto below = std::min(static_cast<std::int64_t>(at), shape[axis] - 2);
    return std::pair(below, at - static_cast<double>(below));
  };
  std::vector<float> out(3 * static_cast<std::size_t>(voxel_count(half)));
  std::size_t next = 0;
  for (std::int64_t c = 0; c < 3; ++c) {
    const float* component = field.data() + c * voxel_count(shape);
    for (std::int64_t d = 0; d < half[0]; ++d) {
      const auto [d0, dw] = place(0, d);
      for (std::int64_t h = 0; h < half[1]; ++h) {
        const auto [h0, hw] = place(1, h);
        for (std::int64_t w = 0; w < half[2]; ++w) {
          const auto [w0, ww] = place(2, w);
          double sum = 0.0;
          for (std::int64_t corner = 0; corner < 8; ++corner) {
            const std::int64_t i = corner & 1;
            const std::int64_t j = (corner >> 1) & 1;
            const std::int64_t k = corner >> 2;
            const double weight = (k != 0 ? dw : 1.0 - dw) * (j != 0 ? hw : 1.0 - hw) * (i != 0 ? ww : 1.0 - ww);
            sum += weight * double{component[((d0 + k) * shape[1] + h0 + j) * shape[2] + w0 + i]};
          }
          out[next++] = static_cast<float>(sum);
        }
      }
    }
  }
  return out;
}

void write_npz_displacement(const std::filesystem::path& path, std::span<const float> field, const Shape3& shape) {
  std::string content = npy_header(shape);
  content.reserve(content.size() + 2 * field.size());
  for (const float value : field) {
    REGATTA_REQUIRE(std::abs(double{value}) <= kLargestHalf, DataError, path.string(), ": a displacement of ",
                    to_text(double{value}), " voxels does not fit float16");
    append<std::uint16_t>(content, half_of(value));
  }
  write_file_atomically(path, zip_of(content));
}

}  // namespace regatta
