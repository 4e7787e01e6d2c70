#include "volume/formats/nifti_header.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>
#include <vector>

#include "regatta/base/error.hpp"
#include "regatta/base/remarks.hpp"

namespace regatta {
namespace {

constexpr int kLargestCode = 32767;

/// Reads fields by offset in the file's byte order.
class Fields {
 public:
  Fields(std::span<const std::byte> bytes, bool swap) : bytes_(bytes), swap_(swap) {}

  template <class T>
  T at(std::size_t offset) const {
    std::byte raw[sizeof(T)];
    std::memcpy(raw, bytes_.data() + offset, sizeof(T));
    if (swap_) {
      std::reverse(raw, raw + sizeof(T));
    }
    T value;
    std::memcpy(&value, raw, sizeof(T));
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  bool swap_;
};

/// What we need of either version, before any check.
struct RawHeader {
  std::int64_t dim[8];
  double pixdim[8];
  double vox_offset;
  double slope;
  double inter;
  int intent;
  int datatype;
  int bitpix;
  int qform_code;
  int sform_code;
  double quaternion[3];
  double offset[3];
  double srow[12];
  int units;
};

RawHeader raw_nifti1(const Fields& in) {
  RawHeader h{};
  for (std::size_t i = 0; i < 8; ++i) {
    h.dim[i] = in.at<std::int16_t>(40 + 2 * i);
    h.pixdim[i] = double{in.at<float>(76 + 4 * i)};
  }
  h.intent = in.at<std::int16_t>(68);
  h.datatype = in.at<std::int16_t>(70);
  h.bitpix = in.at<std::int16_t>(72);
  h.vox_offset = double{in.at<float>(108)};
  h.slope = double{in.at<float>(112)};
  h.inter = double{in.at<float>(116)};
  h.units = in.at<std::uint8_t>(123);
  h.qform_code = in.at<std::int16_t>(252);
  h.sform_code = in.at<std::int16_t>(254);
  for (std::size_t i = 0; i < 3; ++i) {
    h.quaternion[i] = double{in.at<float>(256 + 4 * i)};
    h.offset[i] = double{in.at<float>(268 + 4 * i)};
  }
  for (std::size_t i = 0; i < 12; ++i) {
    h.srow[i] = double{in.at<float>(280 + 4 * i)};
  }
  return h;
}

RawHeader raw_nifti2(const Fields& in) {
  RawHeader h{};
  for (std::size_t i = 0; i < 8; ++i) {
    h.dim[i] = in.at<std::int64_t>(16 + 8 * i);
    h.pixdim[i] = in.at<double>(104 + 8 * i);
  }
  h.datatype = in.at<std::int16_t>(12);
  h.bitpix = in.at<std::int16_t>(14);
  h.vox_offset = static_cast<double>(in.at<std::int64_t>(168));
  h.slope = in.at<double>(176);
  h.inter = in.at<double>(184);
  h.qform_code = in.at<std::int32_t>(344);
  h.sform_code = in.at<std::int32_t>(348);
  for (std::size_t i = 0; i < 3; ++i) {
    h.quaternion[i] = in.at<double>(352 + 8 * i);
    h.offset[i] = in.at<double>(376 + 8 * i);
  }
  for (std::size_t i = 0; i < 12; ++i) {
    h.srow[i] = in.at<double>(400 + 8 * i);
  }
  h.units = in.at<std::int32_t>(500);
  h.intent = in.at<std::int32_t>(504);
  return h;
}

struct TypeRow {
  int code;
  RawType type;
};

constexpr TypeRow kTypes[] = {
    {2, RawType::kUint8},    {4, RawType::kInt16},     {8, RawType::kInt32},    {16, RawType::kFloat32},
    {64, RawType::kFloat64}, {256, RawType::kInt8},    {512, RawType::kUint16}, {768, RawType::kUint32},
    {1024, RawType::kInt64}, {1280, RawType::kUint64},
};

RawType type_of(const RawHeader& h, const std::string& source) {
  for (const TypeRow& row : kTypes) {
    if (row.code == h.datatype) {
      if (h.bitpix != static_cast<int>(8 * raw_bytes(row.type))) {
        remark("files whose bitpix contradicts their datatype",
               str(source, ": header: bitpix ", h.bitpix, ", ", 8 * raw_bytes(row.type), " expected for datatype ",
                   row.code, ": read as ", raw_name(row.type)));
      }
      return row.type;
    }
  }
  throw DataError(str(source, ": header: datatype ", h.datatype,
                      ", allowed: integers of 8 to 64 bits, float32, float64 (no complex, RGB or binary)"));
}

/// Dimensions of one of the forms of a field, see `read_displacement`.
void require_field(const RawHeader& h, const std::string& source) {
  const bool itk = h.dim[0] == 5 && h.dim[4] == 1 && h.dim[5] == 3;
  REGATTA_REQUIRE(itk || (h.dim[0] == 4 && (h.dim[4] == 3 || h.dim[1] == 3)), DataError, source, ": header: dim ",
                  join(std::vector<std::int64_t>(h.dim, h.dim + 1 + std::clamp<std::int64_t>(h.dim[0], 0, 7)), " "),
                  ": no displacement field, '5 X Y Z 1 3', '4 D H W 3' or '4 3 D H W' expected");
  REGATTA_REQUIRE(!itk || h.intent == kIntentVector, DataError, source, ": header: intent ", h.intent, ", ",
                  kIntentVector, " (vector) expected of a field of five dimensions");
}

/// Shape and number of frames.
void set_shape(const RawHeader& h, NiftiContent content, const std::string& source, NiftiHeader& out) {
  REGATTA_REQUIRE(h.dim[0] >= 1 && h.dim[0] <= 7, DataError, source, ": header: dim[0] ", h.dim[0], ", 1..7 allowed");
  out.shape = {1, 1, 1};
  std::int64_t voxels = 1;
  for (std::int64_t i = 1; i <= h.dim[0]; ++i) {
    const std::int64_t n = h.dim[i];
    REGATTA_REQUIRE(n >= 1 && n <= kLargestDim, DataError, source, ": header: dim[", i, "] ", n, ", 1..", kLargestDim,
                    " allowed");
    REGATTA_REQUIRE(i <= 4 || n == 1 || content == NiftiContent::kField, DataError, source, ": header: dim[", i, "] ",
                    n, ": a vector image, scalar volumes expected");
    REGATTA_REQUIRE(voxels <= kMostVoxels / n, DataError, source, ": header: dimensions overflow: more than ",
                    kMostVoxels, " voxels");
    voxels *= n;
    if (i <= 3) {
      out.shape[static_cast<std::size_t>(i - 1)] = n;
    } else if (i == 4 && content == NiftiContent::kScalar) {
      out.frames = n;
    }
  }
  const int unit = h.units & 0x38;
  if (out.frames > 1 && std::isfinite(h.pixdim[4]) && h.pixdim[4] > 0.0) {
    out.frame_step = h.pixdim[4] * (unit == 16 ? 1e-3 : unit == 24 ? 1e-6 : 1.0);  // milliseconds, microseconds
  }
  REGATTA_REQUIRE(out.frames == 1 || h.intent != kIntentVector, DataError, source, ": header: intent ", h.intent,
                  ": a vector image, scalar volumes expected");
}

void require_magic(std::span<const std::byte> bytes, NiftiLayout layout, const std::string& source) {
  const bool second = bytes.size() == kNifti2Bytes;
  const bool pair = layout == NiftiLayout::kPair;
  const std::string_view magic(reinterpret_cast<const char*>(bytes.data()) + (second ? 4 : 344), 4);
  const std::string_view kind = magic.substr(0, 2);
  REGATTA_REQUIRE(pair || kind != "ni", DataError, source,
                  ": the header of a two-file NIfTI (.hdr with .img), one .nii or .nii.gz file expected");
  REGATTA_REQUIRE(!pair || kind != "n+", DataError, source,
                  ": the header of a one-file NIfTI (.nii), that of a pair (.hdr with .img) expected");
  REGATTA_REQUIRE(!pair || second || kind == "ni", DataError, source,
                  ": an Analyze 7.5 file, which does not say how the scan lies in space: convert it to NIfTI");
  const std::string wanted = str(pair ? "ni" : "n+", second ? '2' : '1');
  REGATTA_REQUIRE(magic == std::string_view(wanted.c_str(), 4), DataError, source, ": not a NIfTI file: magic '",
                  one_line(magic), "', '", wanted, "' expected");
}

/// Quaternion form, method 2 of nifti1.h.
Affine affine_of_qform(const RawHeader& h) {
  double b = h.quaternion[0];
  double c = h.quaternion[1];
  double d = h.quaternion[2];
  double a = 1.0 - (b * b + c * c + d * d);
  if (a < 1e-7) {  // a rotation by 180 degrees, give or take the rounding of float32
    const double scale = 1.0 / std::sqrt(b * b + c * c + d * d);
    b *= scale;
    c *= scale;
    d *= scale;
    a = 0.0;
  } else {
    a = std::sqrt(a);
  }
  const double x = h.pixdim[1];
  const double y = h.pixdim[2];
  const double z = h.pixdim[0] < 0.0 ? -h.pixdim[3] : h.pixdim[3];
  return {(a * a + b * b - c * c - d * d) * x,
          2.0 * (b * c - a * d) * y,
          2.0 * (b * d + a * c) * z,
          h.offset[0],
          2.0 * (b * c + a * d) * x,
          (a * a + c * c - b * b - d * d) * y,
          2.0 * (c * d - a * b) * z,
          h.offset[1],
          2.0 * (b * d - a * c) * x,
          2.0 * (c * d + a * b) * y,
          (a * a + d * d - c * c - b * b) * z,
          h.offset[2],
          0,
          0,
          0,
          1};
}

/// sform before qform before pixdim (methods 3, 2, 1), in millimetres.
void set_affine(const RawHeader& h, const std::string& source, NiftiHeader& out) {
  const int unit = h.units & 7;
  const double scale = unit == 1 ? 1e3 : unit == 3 ? 1e-3 : 1.0;  // metres, micrometres
  const auto in_mm = [scale](Affine affine) {
    std::transform(affine.begin(), affine.begin() + 12, affine.begin(),
                   [scale](double value) { return value * scale; });
    return affine;
  };
  out.space.sform_code = std::clamp(h.sform_code, 0, kLargestCode);
  if (h.qform_code > 0) {
    if (const Affine qform = in_mm(affine_of_qform(h)); is_usable(qform)) {
      out.space.qform_code = std::min(h.qform_code, kLargestCode);
      out.space.qform = qform;
    }
  }
  if (h.sform_code > 0) {
    std::copy(std::begin(h.srow), std::end(h.srow), out.affine.begin());
    out.affine[15] = 1.0;
    out.affine_source = "sform";
  } else if (h.qform_code > 0) {
    out.affine = affine_of_qform(h);
    out.affine_source = "qform";
  } else {
    out.affine = {h.pixdim[1], 0, 0, 0, 0, h.pixdim[2], 0, 0, 0, 0, h.pixdim[3], 0, 0, 0, 0, 1};
    out.affine_source = "pixdim";
  }
  out.affine = in_mm(out.affine);
  REGATTA_REQUIRE(is_usable(out.affine), DataError, source, ": header: ", out.affine_source, " affine ",
                  join(out.affine, " "), ": singular or not finite");
}

}  // namespace

std::uint64_t NiftiHeader::frame_bytes() const {
  return static_cast<std::uint64_t>(voxel_count(shape) * components) * raw_bytes(format.type);
}

std::size_t nifti_header_bytes(std::span<const std::byte, 4> start, const std::string& source) {
  for (const bool swap : {false, true}) {
    const auto size = Fields(start, swap).at<std::int32_t>(0);
    if (size == static_cast<std::int32_t>(kNifti1Bytes) || size == static_cast<std::int32_t>(kNifti2Bytes)) {
      return static_cast<std::size_t>(size);
    }
  }
  throw DataError(str(source, ": not a NIfTI file: header size ", Fields(start, false).at<std::int32_t>(0),
                      ", 348 or 540 expected"));
}

NiftiHeader parse_nifti_header(std::span<const std::byte> bytes, const std::string& source, NiftiContent content,
                               NiftiLayout layout) {
  require_magic(bytes, layout, source);
  const bool second = bytes.size() == kNifti2Bytes;
  const bool swap = Fields(bytes, false).at<std::int32_t>(0) != static_cast<std::int32_t>(bytes.size());
  const Fields fields(bytes, swap);
  const RawHeader raw = second ? raw_nifti2(fields) : raw_nifti1(fields);

  NiftiHeader out;
  out.format.type = type_of(raw, source);
  out.format.swap = swap;
  if (content == NiftiContent::kField) {
    require_field(raw, source);
    out.components = 3;
    out.is_itk_field = raw.dim[0] == 5;
    out.components_first = raw.dim[0] == 4 && raw.dim[4] != 3;
  }
  set_shape(raw, content, source, out);
  if (out.components_first) {
    out.shape = {raw.dim[2], raw.dim[3], raw.dim[4]};
  }
  const double least = layout == NiftiLayout::kPair ? 0.0 : static_cast<double>(bytes.size() + 4);
  const double offset = raw.vox_offset == 0.0 ? least : raw.vox_offset;  // some writers leave 0
  REGATTA_REQUIRE(offset >= least && offset <= 1e9 && offset == std::floor(offset), DataError, source,
                  ": header: vox_offset ", raw.vox_offset, ", ", least, "..1e9 allowed");
  out.data_offset = static_cast<std::uint64_t>(offset);
  if (std::isfinite(raw.slope) && raw.slope != 0.0) {
    out.format.slope = raw.slope;
    out.format.offset = std::isfinite(raw.inter) ? raw.inter : 0.0;
  }
  set_affine(raw, source, out);
  return out;
}

}  // namespace regatta
