#include "volume/formats/voxel_decode.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "regatta/base/error.hpp"
#include "regatta/base/remarks.hpp"
#include "regatta/volume/volume.hpp"

namespace regatta {
namespace {

static_assert(std::endian::native == std::endian::little, "byte order of the machine");

template <class T>
void decode_as(const std::byte* raw, bool swap, std::span<double> out) {
  if (!swap) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      T value;
      std::memcpy(&value, raw + i * sizeof(T), sizeof(T));
      out[i] = static_cast<double>(value);
    }
    return;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::byte bytes[sizeof(T)];
    std::memcpy(bytes, raw + i * sizeof(T), sizeof(T));
    std::reverse(bytes, bytes + sizeof(T));
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    out[i] = static_cast<double>(value);
  }
}

double half_to_double(std::uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int mantissa = half & 1023;
  const double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31) {
    return mantissa != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  return exponent == 0 ? sign * std::ldexp(mantissa, -24) : sign * std::ldexp(1024 + mantissa, exponent - 25);
}

void decode_half(const std::byte* raw, bool swap, std::span<double> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto low = std::to_integer<unsigned>(raw[2 * i + (swap ? 1 : 0)]);
    const auto high = std::to_integer<unsigned>(raw[2 * i + (swap ? 0 : 1)]);
    out[i] = half_to_double(static_cast<std::uint16_t>(low | (high << 8)));
  }
}

struct RawRow {
  RawType type;
  std::size_t bytes;
  const char* name;
};

constexpr RawRow kRawRows[] = {
    {RawType::kUint8, 1, "uint8"},     {RawType::kInt8, 1, "int8"},       {RawType::kUint16, 2, "uint16"},
    {RawType::kInt16, 2, "int16"},     {RawType::kUint32, 4, "uint32"},   {RawType::kInt32, 4, "int32"},
    {RawType::kUint64, 8, "uint64"},   {RawType::kInt64, 8, "int64"},     {RawType::kFloat16, 2, "float16"},
    {RawType::kFloat32, 4, "float32"}, {RawType::kFloat64, 8, "float64"},
};

const RawRow& row_of(RawType type) {
  return kRawRows[static_cast<std::size_t>(type)];
}

}  // namespace

std::size_t raw_bytes(RawType type) {
  return row_of(type).bytes;
}

const char* raw_name(RawType type) {
  return row_of(type).name;
}

void decode_values(const std::byte* raw, const RawFormat& format, std::span<double> out) {
  switch (format.type) {
    case RawType::kUint8: decode_as<std::uint8_t>(raw, format.swap, out); break;
    case RawType::kInt8: decode_as<std::int8_t>(raw, format.swap, out); break;
    case RawType::kUint16: decode_as<std::uint16_t>(raw, format.swap, out); break;
    case RawType::kInt16: decode_as<std::int16_t>(raw, format.swap, out); break;
    case RawType::kUint32: decode_as<std::uint32_t>(raw, format.swap, out); break;
    case RawType::kInt32: decode_as<std::int32_t>(raw, format.swap, out); break;
    case RawType::kUint64: decode_as<std::uint64_t>(raw, format.swap, out); break;
    case RawType::kInt64: decode_as<std::int64_t>(raw, format.swap, out); break;
    case RawType::kFloat16: decode_half(raw, format.swap, out); break;
    case RawType::kFloat32: decode_as<float>(raw, format.swap, out); break;
    case RawType::kFloat64: decode_as<double>(raw, format.swap, out); break;
  }
  if (format.slope != 1.0 || format.offset != 0.0) {
    for (double& value : out) {
      value = value * format.slope + format.offset;
    }
  }
}

VoxelSink::VoxelSink(std::string source, const Shape3& shape, std::vector<float>* image,
                     std::vector<std::int32_t>* labels)
    : source_(std::move(source)), shape_(shape), image_(image), labels_(labels) {
  const auto count = static_cast<std::size_t>(voxel_count(shape));
  if (image_ != nullptr) {
    image_->resize(count);
  } else {
    labels_->resize(count);
  }
}

std::string VoxelSink::place_of(std::int64_t index) const {
  return str("voxel [", index / (shape_[1] * shape_[2]), ",", index / shape_[2] % shape_[1], ",", index % shape_[2],
             "]");
}

void VoxelSink::put(std::int64_t index, double value) {
  const auto at = static_cast<std::size_t>(index);
  if (image_ != nullptr) {
    REGATTA_REQUIRE(std::abs(value) <= double{std::numeric_limits<float>::max()}, DataError, source_, ": ",
                    place_of(index), ": ", value, ", finite float32 values allowed");
    (*image_)[at] = static_cast<float>(value);
    return;
  }
  const double whole = std::nearbyint(value);
  REGATTA_REQUIRE(whole >= std::numeric_limits<std::int32_t>::min() &&
                      whole <= std::numeric_limits<std::int32_t>::max() && std::abs(value - whole) <= kLabelRounding,
                  DataError, source_, ": ", place_of(index), ": value ", value,
                  ", whole numbers of 32 bits expected of labels and masks, within ", kLabelRounding);
  (*labels_)[at] = static_cast<std::int32_t>(whole);
  if (value != whole && rounded_++ == 0) {
    first_rounded_ = str(value, " at ", place_of(index));
  }
}

std::int64_t VoxelSink::tell_rounded() const {
  if (rounded_ > 0) {
    remark("label maps with rounded values",
           str(source_, ": ", rounded_, " of ", voxel_count(shape_),
               " values are whole numbers only up to rounding, the first is ", first_rounded_, ": rounded"));
  }
  return rounded_;
}

bool VoxelSink::are_all_allowed(std::span<const double> values) const {
  // Sums of violations, so that the loops have no branches.
  std::size_t bad = 0;
  if (image_ != nullptr) {
    for (const double value : values) {
      bad += std::abs(value) <= double{std::numeric_limits<float>::max()} ? 0 : 1;
    }
    return bad == 0;
  }
  for (const double value : values) {
    bad += value >= double{std::numeric_limits<std::int32_t>::min()} &&
                   value <= double{std::numeric_limits<std::int32_t>::max()} && value == std::floor(value)
               ? 0
               : 1;
  }
  return bad == 0;
}

template <class From, class To>
void VoxelSink::transpose(std::int64_t first_w, std::int64_t slices, const From* values, std::vector<To>& to) const {
  const std::int64_t plane = shape_[0] * shape_[1];
  for (std::int64_t h = 0; h < shape_[1]; ++h) {
    for (std::int64_t d = 0; d < shape_[0]; ++d) {
      To* row = to.data() + (d * shape_[1] + h) * shape_[2] + first_w;
      const From* from = values + h * shape_[0] + d;
      for (std::int64_t w = 0; w < slices; ++w) {
        row[w] = static_cast<To>(from[w * plane]);
      }
    }
  }
}

template <class From>
void VoxelSink::transpose(std::int64_t first_w, std::int64_t slices, const From* values) {
  if (image_ != nullptr) {
    transpose(first_w, slices, values, *image_);
  } else {
    transpose(first_w, slices, values, *labels_);
  }
}

void VoxelSink::put_raw_slices(std::int64_t first_w, std::int64_t slices, const std::byte* raw, const RawFormat& format,
                               std::vector<double>& buffer) {
  if (!format.swap && format.slope == 1.0 && format.offset == 0.0) {  // whole numbers, as most scans have
    switch (format.type) {
      case RawType::kUint8: return transpose(first_w, slices, reinterpret_cast<const std::uint8_t*>(raw));
      case RawType::kInt8: return transpose(first_w, slices, reinterpret_cast<const std::int8_t*>(raw));
      case RawType::kUint16: return transpose(first_w, slices, reinterpret_cast<const std::uint16_t*>(raw));
      case RawType::kInt16: return transpose(first_w, slices, reinterpret_cast<const std::int16_t*>(raw));
      default: break;
    }
  }
  buffer.resize(static_cast<std::size_t>(slices * shape_[0] * shape_[1]));
  decode_values(raw, format, buffer);
  put_slices(first_w, slices, buffer);
}

void VoxelSink::put_slices(std::int64_t first_w, std::int64_t slices, std::span<const double> values) {
  if (are_all_allowed(values)) {
    transpose(first_w, slices, values.data());
    return;
  }
  const std::int64_t plane = shape_[0] * shape_[1];
  for (std::int64_t h = 0; h < shape_[1]; ++h) {
    for (std::int64_t d = 0; d < shape_[0]; ++d) {
      const std::int64_t row = (d * shape_[1] + h) * shape_[2] + first_w;
      for (std::int64_t w = 0; w < slices; ++w) {
        put(row + w, values[static_cast<std::size_t>(w * plane + h * shape_[0] + d)]);
      }
    }
  }
}

void VoxelSink::put_run(std::int64_t first, std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    put(first + static_cast<std::int64_t>(i), values[i]);
  }
}

}  // namespace regatta
