// Reading of displacement fields and their arithmetic; they are written by nifti_write.cpp.
#include "regatta/volume/displacement.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "regatta/base/error.hpp"
#include "volume/formats/nifti_file.hpp"
#include "volume/formats/npz.hpp"
#include "volume/grid/spline.hpp"

namespace regatta {
namespace {

constexpr double kSamePlace = 1e-4;  // voxels

/// A value of the file into [3, D, H, W].
class FieldSink {
 public:
  FieldSink(const Shape3& shape, const std::string& source)
      : shape_(shape), source_(source), field_(static_cast<std::size_t>(3 * voxel_count(shape))) {}

  void put(std::int64_t c, std::int64_t i, std::int64_t j, std::int64_t k, double value) {
    REGATTA_REQUIRE(std::isfinite(value), DataError, source_, ": displacement at voxel (", i, ", ", j, ", ", k,
                    "), component ", c, " is ", value);
    field_[static_cast<std::size_t>(((c * shape_[0] + i) * shape_[1] + j) * shape_[2] + k)] = static_cast<float>(value);
  }

  std::vector<float> take() { return std::move(field_); }

 private:
  Shape3 shape_;
  const std::string& source_;
  std::vector<float> field_;
};

/// The file's values as they are. In files of one component after the other a slice is read at a time, else all three
/// components of one.
std::vector<float> read_components(ByteReader& in, const NiftiHeader& header, const std::string& source) {
  const auto [d, h, w] = header.shape;
  const std::int64_t together = header.components_first ? 3 : 1;
  const auto run = static_cast<std::size_t>(together * d * h);
  FieldSink sink(header.shape, source);
  std::vector<std::byte> raw(run * raw_bytes(header.format.type));
  std::vector<double> values(run);
  for (std::int64_t slice = 0; slice < 3 / together * w; ++slice) {
    in.read(raw.data(), raw.size(), "displacements");
    decode_values(raw.data(), header.format, values);
    for (std::int64_t at = 0; at < static_cast<std::int64_t>(run); ++at) {
      const std::int64_t c = header.components_first ? at % 3 : slice / w;
      const std::int64_t voxel = at / together;
      sink.put(c, voxel % d, voxel / d, slice % w, values[static_cast<std::size_t>(at)]);
    }
  }
  in.require_end();
  return sink.take();
}

/// LPS millimetres to voxels of the grid, in place.
void to_voxels(std::vector<float>& field, const Grid& grid) {
  const Affine back = invert(grid.affine);
  const auto voxels = static_cast<std::size_t>(voxel_count(grid.shape));
  for (std::size_t at = 0; at < voxels; ++at) {
    float* u = field.data() + at;
    const Point3 out = map_vector(back, {-double{u[0]}, -double{u[voxels]}, double{u[2 * voxels]}});
    for (std::size_t c = 0; c < 3; ++c) {
      u[c * voxels] = static_cast<float>(out[c]);
    }
  }
}

Displacement read_npz_displacement(const std::filesystem::path& path) {
  Displacement out;
  out.form = FieldForm::kArrays;
  out.affine_source = "none";
  NpzField read = read_npz_field(path);
  out.grid = {read.shape, identity_affine()};
  FieldSink sink(read.shape, path.string());
  const auto [d, h, w] = read.shape;
  std::size_t at = 0;
  for (std::int64_t c = 0; c < 3; ++c) {  // for the check of each value, and its place in the message
    for (std::int64_t i = 0; i < d; ++i) {
      for (std::int64_t j = 0; j < h; ++j) {
        for (std::int64_t k = 0; k < w; ++k) {
          sink.put(c, i, j, k, double{read.values[at++]});
        }
      }
    }
  }
  out.field = sink.take();
  return out;
}

// Quadratic splines, along one line.

/// The spline of these coefficients at 2 n places from the first voxel to the last.
void double_line(const std::vector<double>& line, std::vector<double>& out) {
  const auto size = static_cast<std::int64_t>(line.size());
  const auto coefficient = [&](std::int64_t i) {
    const std::int64_t mirrored = i < 0 ? -i : i >= size ? 2 * size - 2 - i : i;
    return line[static_cast<std::size_t>(std::clamp<std::int64_t>(mirrored, 0, size - 1))];
  };
  for (std::int64_t to = 0; to < 2 * size; ++to) {
    const double x = static_cast<double>(to) * static_cast<double>(size - 1) / static_cast<double>(2 * size - 1);
    const auto base = static_cast<std::int64_t>(std::floor(x + 0.5));
    const double t = x - static_cast<double>(base);
    out[static_cast<std::size_t>(to)] = 0.5 * (0.5 - t) * (0.5 - t) * coefficient(base - 1) +
                                        (0.75 - t * t) * coefficient(base) +
                                        0.5 * (0.5 + t) * (0.5 + t) * coefficient(base + 1);
  }
}

/// Doubles one axis of a volume.
std::vector<double> double_axis(const std::vector<double>& from, Shape3& shape, std::size_t axis) {
  std::int64_t stride = 1;
  for (std::size_t a = axis + 1; a < 3; ++a) {
    stride *= shape[a];
  }
  const std::int64_t size = shape[axis];
  const std::int64_t outer = voxel_count(shape) / (size * stride);
  std::vector<double> to(from.size() * 2);
  std::vector<double> line(static_cast<std::size_t>(size));
  std::vector<double> doubled(line.size() * 2);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t s = 0; s < stride; ++s) {
      const auto place = [&](std::int64_t i, std::int64_t length) {
        return static_cast<std::size_t>((o * length + i) * stride + s);
      };
      for (std::int64_t i = 0; i < size; ++i) {
        line[static_cast<std::size_t>(i)] = from[place(i, size)];
      }
      filter_line(line, quadratic_pole());
      double_line(line, doubled);
      for (std::int64_t i = 0; i < 2 * size; ++i) {
        to[place(i, 2 * size)] = doubled[static_cast<std::size_t>(i)];
      }
    }
  }
  shape[axis] *= 2;
  return to;
}

/// "0003" and "0000" of NAME_0003_0000.nii.gz; two empty texts for other names.
std::array<std::string, 2> subject_and_modality(const std::filesystem::path& path) {
  constexpr std::string_view kEnding = ".nii.gz";
  const std::string name = path.filename().string();
  const auto four_digits = [&name](std::size_t at) {
    return name[at] == '_' &&
           std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                       name.begin() + static_cast<std::ptrdiff_t>(at) + 5, [](char c) { return c >= '0' && c <= '9'; });
  };
  const std::size_t tail = 10 + kEnding.size();
  if (!name.ends_with(kEnding) || name.size() < tail || !four_digits(name.size() - tail) ||
      !four_digits(name.size() - tail + 5)) {
    return {};
  }
  return {name.substr(name.size() - tail + 1, 4), name.substr(name.size() - tail + 6, 4)};
}

}  // namespace

Displacement read_displacement(const std::filesystem::path& path) {
  const std::string source = path.string();
  if (path.extension() == ".npz") {
    return read_npz_displacement(path);
  }
  REGATTA_REQUIRE(is_nifti_name(path), DataError, source,
                  ": unknown kind of displacement field, .nii, .nii.gz or .npz expected");
  const NiftiFile file = open_nifti(path, NiftiContent::kField);
  file.require_whole();
  const NiftiHeader& header = file.header;
  Displacement out;
  out.grid = {header.shape, header.affine};
  out.affine_source = header.affine_source;
  out.field = read_components(*file.voxels, header, source);
  if (header.is_itk_field) {
    to_voxels(out.field, out.grid);
  } else {
    out.form = FieldForm::kArrays;
  }
  return out;
}

std::vector<float> doubled_displacement(std::span<const float> field, const Shape3& shape) {
  const auto voxels = static_cast<std::size_t>(voxel_count(shape));
  REGATTA_REQUIRE(field.size() == 3 * voxels, BugError, "doubled_displacement: ", field.size(), " values on ",
                  shape_text(shape));
  std::vector<float> out;
  out.reserve(8 * field.size());
  for (std::size_t c = 0; c < 3; ++c) {
    std::vector<double> component(field.begin() + static_cast<std::ptrdiff_t>(c * voxels),
                                  field.begin() + static_cast<std::ptrdiff_t>((c + 1) * voxels));
    Shape3 now = shape;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      component = double_axis(component, now, axis);
    }
    std::transform(component.begin(), component.end(), std::back_inserter(out),
                   [](double value) { return static_cast<float>(value); });
  }
  return out;
}

std::vector<float> displacement_between(std::span<const float> field, const Grid& fixed, const Grid& moving) {
  const auto voxels = static_cast<std::size_t>(voxel_count(fixed.shape));
  REGATTA_REQUIRE(field.size() == 3 * voxels, BugError, "displacement_between: ", field.size(), " values on ",
                  shape_text(fixed.shape));
  std::vector<float> out(field.begin(), field.end());
  if (same_grid(fixed.affine, moving.affine, fixed.shape, kSamePlace)) {
    return out;
  }
  const Affine across = multiply(invert(moving.affine), fixed.affine);
  std::size_t at = 0;
  for (std::int64_t i = 0; i < fixed.shape[0]; ++i) {
    for (std::int64_t j = 0; j < fixed.shape[1]; ++j) {
      for (std::int64_t k = 0; k < fixed.shape[2]; ++k, ++at) {
        const Point3 x = {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
        const Point3 end = map_point(across, {x[0] + double{field[at]}, x[1] + double{field[voxels + at]},
                                              x[2] + double{field[2 * voxels + at]}});
        for (std::size_t c = 0; c < 3; ++c) {
          const double inside = std::clamp(end[c], 0.0, static_cast<double>(moving.shape[c] - 1));
          const double place = std::abs(end[c] - inside) <= kSamePlace ? inside : end[c];
          out[c * voxels + at] = static_cast<float>(place - x[c]);
        }
      }
    }
  }
  return out;
}

std::string learn2reg_name(const std::filesystem::path& fixed, const std::filesystem::path& moving) {
  const auto [fixed_subject, fixed_modality] = subject_and_modality(fixed);
  const auto [moving_subject, moving_modality] = subject_and_modality(moving);
  if (fixed_subject.empty() || moving_subject.empty()) {
    return "";
  }
  const bool brief = fixed_modality == moving_modality || (fixed_modality == "0000" && moving_modality == "0001");
  return brief ? str("disp_", fixed_subject, '_', moving_subject, ".nii.gz")
               : str("disp_", fixed_subject, '_', fixed_modality, '_', moving_subject, '_', moving_modality, ".nii.gz");
}

}  // namespace regatta
