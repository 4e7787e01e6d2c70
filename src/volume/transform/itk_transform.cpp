#include "volume/transform/itk_transform.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "regatta/base/error.hpp"

namespace regatta {
namespace {

using Rotation = std::array<double, 9>;  ///< row-major

Rotation product(const Rotation& a, const Rotation& b) {
  Rotation out{};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      out[i * 3 + j] = a[i * 3] * b[j] + a[i * 3 + 1] * b[3 + j] + a[i * 3 + 2] * b[6 + j];
    }
  }
  return out;
}

/// Of a unit quaternion x, y, z, w.
Rotation rotation_of(double x, double y, double z, double w) {
  return {1 - 2 * (y * y + z * z), 2 * (x * y - z * w),     2 * (x * z + y * w),
          2 * (x * y + z * w),     1 - 2 * (x * x + z * z), 2 * (y * z - x * w),
          2 * (x * z - y * w),     2 * (y * z + x * w),     1 - 2 * (x * x + y * y)};
}

/// Of a versor, whose w is implied.
Rotation rotation_of_versor(const std::vector<double>& p) {
  const double square = p[0] * p[0] + p[1] * p[1] + p[2] * p[2];
  return rotation_of(p[0], p[1], p[2], std::sqrt(std::max(0.0, 1.0 - square)));
}

Rotation rotation_of_angles(double x, double y, double z, bool zyx) {
  const Rotation about_x = {1, 0, 0, 0, std::cos(x), -std::sin(x), 0, std::sin(x), std::cos(x)};
  const Rotation about_y = {std::cos(y), 0, std::sin(y), 0, 1, 0, -std::sin(y), 0, std::cos(y)};
  const Rotation about_z = {std::cos(z), -std::sin(z), 0, std::sin(z), std::cos(z), 0, 0, 0, 1};
  return zyx ? product(about_z, product(about_y, about_x)) : product(about_z, product(about_x, about_y));
}

/// x -> M (x - centre) + centre + shift, LPS, as an affine of RAS.
Affine about_centre(const Rotation& m, const Point3& centre, const Point3& shift) {
  Affine lps = identity_affine();
  for (std::size_t i = 0; i < 3; ++i) {
    lps[i * 4 + 3] = centre[i] + shift[i];
    for (std::size_t j = 0; j < 3; ++j) {
      lps[i * 4 + j] = m[i * 3 + j];
      lps[i * 4 + 3] -= m[i * 3 + j] * centre[j];
    }
  }
  return with_turned_axes(lps);
}

void require_count(const ItkTransform& transform, std::size_t numbers, std::size_t least_fixed,
                   const std::string& source) {
  REGATTA_REQUIRE(transform.numbers.size() == numbers, DataError, source, ": ", transform.type, ": ",
                  transform.numbers.size(), " parameters, ", numbers, " expected");
  REGATTA_REQUIRE(transform.fixed.size() >= least_fixed, DataError, source, ": ", transform.type, ": ",
                  transform.fixed.size(), " fixed parameters, ", least_fixed, " expected");
}

Transform field_of(ItkTransform&& transform, const std::string& source) {
  const std::vector<double>& f = transform.fixed;  // size, origin, spacing, direction
  REGATTA_REQUIRE(f.size() == 18, DataError, source, ": ", transform.type, ": ", f.size(),
                  " fixed parameters, 18 expected");
  Grid grid;
  Affine lps = identity_affine();
  for (std::size_t axis = 0; axis < 3; ++axis) {
    REGATTA_REQUIRE(f[axis] >= 1 && f[axis] <= 1e5 && f[axis] == std::floor(f[axis]), DataError, source, ": ",
                    transform.type, ": size ", f[axis], ", a whole number from 1 to 100000 expected");
    grid.shape[axis] = static_cast<std::int64_t>(f[axis]);
    lps[axis * 4 + 3] = f[3 + axis];
    for (std::size_t row = 0; row < 3; ++row) {
      lps[row * 4 + axis] = f[9 + row * 3 + axis] * f[6 + axis];
    }
  }
  for (std::size_t i = 0; i < 8; ++i) {
    grid.affine[i] = -lps[i];
  }
  std::copy(lps.begin() + 8, lps.end(), grid.affine.begin() + 8);
  REGATTA_REQUIRE(is_usable(grid.affine), DataError, source, ": ", transform.type, ": singular or not finite grid");
  const auto voxels = static_cast<std::size_t>(voxel_count(grid.shape));
  REGATTA_REQUIRE(transform.displaced.size() == 3 * voxels, DataError, source, ": ", transform.type, ": ",
                  transform.displaced.size(), " parameters, ", 3 * voxels, " expected for ", shape_text(grid.shape));
  const Affine back = invert(grid.affine);
  std::vector<float> field(3 * voxels);
  const auto [d, h, w] = grid.shape;
  const float* from = transform.displaced.data();
  for (std::int64_t k = 0; k < w; ++k) {
    for (std::int64_t j = 0; j < h; ++j) {
      for (std::int64_t i = 0; i < d; ++i, from += 3) {
        const Point3 u = map_vector(back, {-double{from[0]}, -double{from[1]}, double{from[2]}});
        const auto at = static_cast<std::size_t>((i * h + j) * w + k);
        for (std::size_t c = 0; c < 3; ++c) {
          REGATTA_REQUIRE(std::isfinite(u[c]), DataError, source, ": displacement at voxel (", i, ", ", j, ", ", k,
                          ") is not finite");
          field[c * voxels + at] = static_cast<float>(u[c]);
        }
      }
    }
  }
  transform.displaced = {};
  return Transform::of_field(grid, std::move(field));
}

/// "AffineTransform" of "AffineTransform_double_3_3"
std::string family_of(const std::string& type) {
  return type.substr(0, type.find('_'));
}

Affine itk_affine_of(const ItkTransform& transform, const std::string& source) {
  const std::string family = family_of(transform.type);
  const std::vector<double>& p = transform.numbers;
  const auto centre = [&] { return Point3{transform.fixed[0], transform.fixed[1], transform.fixed[2]}; };
  const auto shift = [&p](std::size_t from) { return Point3{p[from], p[from + 1], p[from + 2]}; };
  if (family == "AffineTransform" || family == "MatrixOffsetTransformBase") {
    require_count(transform, 12, 3, source);
    return about_centre({p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8]}, centre(), shift(9));
  }
  if (family == "Euler3DTransform") {
    require_count(transform, 6, 3, source);
    const bool zyx = transform.fixed.size() > 3 && transform.fixed[3] != 0.0;
    return about_centre(rotation_of_angles(p[0], p[1], p[2], zyx), centre(), shift(3));
  }
  if (family == "VersorRigid3DTransform") {
    require_count(transform, 6, 3, source);
    return about_centre(rotation_of_versor(p), centre(), shift(3));
  }
  if (family == "Similarity3DTransform") {
    require_count(transform, 7, 3, source);
    Rotation m = rotation_of_versor(p);
    for (double& value : m) {
      value *= p[6];
    }
    return about_centre(m, centre(), shift(3));
  }
  if (family == "QuaternionRigidTransform") {
    require_count(transform, 7, 3, source);
    return about_centre(rotation_of(p[0], p[1], p[2], p[3]), centre(), shift(4));
  }
  if (family == "TranslationTransform") {
    require_count(transform, 3, 0, source);
    return about_centre({1, 0, 0, 0, 1, 0, 0, 0, 1}, {}, shift(0));
  }
  REGATTA_REQUIRE(family == "IdentityTransform", DataError, source, ": ", one_line(transform.type, 60),
                  ": not a transform that is read: affine, rigid, similarity, translation, displacement field or a "
                  "composite of them expected; resample others to a displacement field");
  return identity_affine();
}

}  // namespace

Affine with_turned_axes(const Affine& affine) {
  Affine out = affine;
  for (const std::size_t i : {2U, 3U, 6U, 7U, 8U, 9U}) {
    out[i] = -out[i];
  }
  return out;
}

bool is_composite(const ItkTransform& transform) {
  return family_of(transform.type) == "CompositeTransform";
}

bool is_itk_field(const std::string& type) {
  return family_of(type).ends_with("DisplacementFieldTransform");
}

Transform meaning_of(ItkTransform&& transform, const std::string& source) {
  REGATTA_REQUIRE(transform.type.ends_with("_3_3"), DataError, source, ": ", one_line(transform.type, 60),
                  ": a transform of three dimensions (..._3_3) expected");
  if (is_itk_field(transform.type)) {
    return field_of(std::move(transform), source);
  }
  const Affine affine = itk_affine_of(transform, source);
  REGATTA_REQUIRE(is_usable(affine), DataError, source, ": ", transform.type, ": matrix ", join(affine, " "),
                  ": singular or not finite");
  return Transform::of_affine(affine);
}

Transform meaning_of(std::vector<ItkTransform>&& transforms, const std::string& source) {
  REGATTA_REQUIRE(!transforms.empty(), DataError, source, ": no transform in it");
  if (!is_composite(transforms.front())) {
    REGATTA_REQUIRE(transforms.size() == 1, DataError, source, ": ", transforms.size(),
                    " transforms that no composite joins, one expected");
    return meaning_of(std::move(transforms.front()), source);
  }
  Transform out;
  for (std::size_t i = transforms.size(); i-- > 1;) {
    REGATTA_REQUIRE(!is_composite(transforms[i]), DataError, source, ": a composite within a composite");
    out.append(meaning_of(std::move(transforms[i]), source));
  }
  return out;
}

std::string kind_of(const std::vector<ItkTransform>& transforms) {
  if (is_composite(transforms.front())) {
    return str("ITK composite of ", transforms.size() - 1);
  }
  const std::string family = family_of(transforms.front().type);
  return family == "AffineTransform" || family == "MatrixOffsetTransformBase" ? "ITK affine" : "ITK " + family;
}

}  // namespace regatta
