// Chains of affines and fields, their inverse, and the files they come from.
#include "regatta/volume/transform.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "regatta/base/files.hpp"
#include "regatta/base/random.hpp"
#include "regatta/volume/nifti.hpp"
#include "regatta/volume/point_file.hpp"
#include "regatta/volume/transform_file.hpp"
#include "regatta/volume/volume_file.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "unit/volume/files.hpp"

using namespace regatta;
using regatta::test::error_text;
using regatta::test::TemporaryFolder;

namespace {

const Grid kOblique = {{14, 11, 9}, {0.69, 0.1, -0.4, -12.5, -0.08, 0.7, 0.9, 30.25, 0.15, -0.2, 2.8, 7, 0, 0, 0, 1}};
const Grid kMoving = {{10, 13, 12}, {-1.1, 0.1, 0.05, 0, 0.1, 0.2, 1.0, 26, 0.02, -1.2, 0.1, 30, 0, 0, 0, 1}};
const Affine kAffine = {1.1, 0.05, -0.1, 3, -0.04, 0.95, 0.07, -2, 0.1, -0.02, 1.02, 1.5, 0, 0, 0, 1};

Point3 voxel_at(const Shape3& shape, std::int64_t index) {
  return {static_cast<double>(index / (shape[1] * shape[2])), static_cast<double>(index / shape[2] % shape[1]),
          static_cast<double>(index % shape[2])};
}

/// Waves of at most `height` voxels, zero at the borders of the grid.
std::vector<float> smooth_field(const Shape3& shape, double height) {
  std::vector<float> out;
  for (int component = 0; component < 3; ++component) {
    for (std::int64_t i = 0; i < voxel_count(shape); ++i) {
      const Point3 x = voxel_at(shape, i);
      double value = height * std::cos(component + 0.2 * (x[0] + x[1]));
      for (std::size_t axis = 0; axis < 3; ++axis) {
        value *= std::sin(3.14159265358979 * x[axis] / static_cast<double>(shape[axis] - 1));
      }
      out.push_back(static_cast<float>(value));
    }
  }
  return out;
}

double distance(const Point3& a, const Point3& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

void require_close(const Point3& a, const Point3& b, double tolerance = 1e-6) {
  INFO(a[0] << ' ' << a[1] << ' ' << a[2] << " and " << b[0] << ' ' << b[1] << ' ' << b[2]);
  CHECK(distance(a, b) < tolerance);
}

const Point3 kPoint = {3.5, -7.25, 20.125};

}  // namespace

TEST_CASE("a chain maps the fixed point by its first part first") {
  Transform chain = Transform::of_affine({1, 0, 0, 5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
  chain.append(Transform::of_affine({2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1}));
  require_close(chain.map({1, 2, 3}).point, {12, 4, 6});
  require_close(chain.inverse().map({12, 4, 6}).point, {1, 2, 3});
  REQUIRE(chain.as_affine().has_value());
  require_close(map_point(*chain.as_affine(), {1, 2, 3}), {12, 4, 6});
  chain.append(Transform::of_field({{2, 2, 2}, identity_affine()}, std::vector<float>(24)));
  CHECK_FALSE(chain.as_affine().has_value());
}

TEST_CASE("a field moves points half a voxel beyond its outer voxels and no further") {
  const Grid grid = {{4, 5, 6}, identity_affine()};
  std::vector<float> field(3 * 120, 0.0F);
  std::fill(field.begin(), field.begin() + 120, 1.5F);  // component D
  const Transform transform = Transform::of_field(grid, field);
  require_close(transform.map({-0.49, 2, 2}).point, {1.01, 2, 2});
  require_close(transform.map({-0.51, 2, 2}).point, {-0.51, 2, 2});
  require_close(transform.map({3.49, 4.49, 5.49}).point, {4.99, 4.49, 5.49});
  require_close(transform.map({3.0, 4.0, 5.51}).point, {3.0, 4.0, 5.51});
}

TEST_CASE("the inverse of a smooth field on an oblique grid composed with it is the identity") {
  Transform chain = Transform::of_field(kOblique, smooth_field(kOblique.shape, 1.5));
  chain.append(Transform::of_affine(kAffine));
  const Transform back = chain.inverse();
  CHECK(back.has_inverted_field());
  for (std::int64_t i = 0; i < voxel_count(kOblique.shape); ++i) {
    const Point3 x = map_point(kOblique.affine, voxel_at(kOblique.shape, i));
    const MappedPoint there = back.map(chain.map(x).point);
    REQUIRE(there.found);
    REQUIRE(distance(there.point, x) < 1e-3);
    REQUIRE(there.residual_mm < 1e-3);
  }
}

TEST_CASE("points that a folding field leaves out are counted, and composed voxels hold the closest") {
  const Grid grid = {{20, 3, 3}, identity_affine()};
  std::vector<float> field(3 * 180, 0.0F);
  for (std::int64_t d = 0; d < 20; ++d) {
    for (std::int64_t i = 0; i < 9; ++i) {
      field[static_cast<std::size_t>(d * 9 + i)] = d < 10 ? 0.0F : 6.0F;  // nothing is mapped to 10 .. 15 but one cell
    }
  }
  const Transform transform = Transform::of_field(grid, field);
  CHECK(compose_field(transform.inverse(), grid).missing == 0);  // 9 .. 16 is stretched, not torn
  std::fill(field.begin(), field.begin() + 180, 4.0F);
  const ComposedField moved = compose_field(Transform::of_field(grid, field).inverse(), grid);
  CHECK(moved.missing == 4 * 9);  // voxels 0 .. 3 come from beyond the field
  CHECK(moved.field[10 * 9] == Approx(-4.0F));
}

TEST_CASE("a composed field equals its chain at every voxel, for any number of threads") {
  Transform chain = Transform::of_field(kOblique, smooth_field(kOblique.shape, 2.0));
  chain.append(Transform::of_affine(kAffine));
  const ComposedField one = compose_field(chain, kMoving, 1);
  CHECK(one.field == compose_field(chain, kMoving, 3).field);
  const auto voxels = static_cast<std::size_t>(voxel_count(kMoving.shape));
  for (std::size_t i = 0; i < voxels; ++i) {
    const Point3 x = voxel_at(kMoving.shape, static_cast<std::int64_t>(i));
    const Point3 end = {x[0] + double{one.field[i]}, x[1] + double{one.field[voxels + i]},
                        x[2] + double{one.field[2 * voxels + i]}};
    REQUIRE(distance(map_point(kMoving.affine, end), chain.map(map_point(kMoving.affine, x)).point) < 1e-4);
  }
}

TEST_CASE("votes equal warping each label's mask linearly and taking the largest") {
  const CounterRng rng(3, RandomPurpose::kSynthetic);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < voxel_count(kMoving.shape); ++i) {
    labels.push_back(static_cast<std::int32_t>(4.0 * rng.uniform(static_cast<std::uint64_t>(i))) * 700000000 / 2);
  }
  const Transform transform = Transform::of_field(kOblique, smooth_field(kOblique.shape, 1.0));
  const WarpedLabels warped = warp_labels(transform, labels, kMoving, kOblique, LabelSampling::kVote);
  std::map<std::int32_t, std::vector<float>> masks;
  for (const std::int32_t label : {0, 350000000, 700000000, 1050000000}) {
    std::vector<float> mask;
    for (const std::int32_t other : labels) {
      mask.push_back(other == label ? 1.0F : 0.0F);
    }
    masks[label] = warp_image(transform, mask, kMoving, kOblique, Interpolation::kLinear).voxels;
  }
  for (std::size_t i = 0; i < warped.labels.size(); ++i) {
    for (const auto& [label, mask] : masks) {
      REQUIRE(masks[warped.labels[i]][i] >= mask[i] - 1e-6F);
    }
  }
  CHECK(warped.outside > 0);
  CHECK(warped.outside < voxel_count(kOblique.shape));
}

TEST_CASE("a cubic spline passes through the voxels and follows a smooth wave closer than linear interpolation") {
  const Grid grid = {{16, 17, 18}, identity_affine()};
  const auto wave = [](const Point3& p) { return std::sin(0.5 * p[0]) * std::cos(0.4 * p[1]) + 0.1 * p[2]; };
  std::vector<float> image;
  for (std::int64_t i = 0; i < voxel_count(grid.shape); ++i) {
    image.push_back(static_cast<float>(wave(voxel_at(grid.shape, i))));
  }
  const auto same = warp_image({}, image, grid, grid, Interpolation::kCubic);
  const Affine shift = {1, 0, 0, 0.5, 0, 1, 0, 0.5, 0, 0, 1, 0.5, 0, 0, 0, 1};
  const Transform moved = Transform::of_affine(shift);
  const auto cubic = warp_image(moved, image, grid, grid, Interpolation::kCubic);
  const auto linear = warp_image(moved, image, grid, grid, Interpolation::kLinear);
  double worst_cubic = 0.0;
  double worst_linear = 0.0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    REQUIRE(std::abs(same.voxels[i] - image[i]) < 1e-5F);
    const Point3 x = voxel_at(grid.shape, static_cast<std::int64_t>(i));
    if (*std::min_element(x.begin(), x.end()) >= 3 && x[0] <= 11 && x[1] <= 12 && x[2] <= 13) {
      const double truth = wave({x[0] + 0.5, x[1] + 0.5, x[2] + 0.5});
      worst_cubic = std::max(worst_cubic, std::abs(truth - double{cubic.voxels[i]}));
      worst_linear = std::max(worst_linear, std::abs(truth - double{linear.voxels[i]}));
    }
  }
  CHECK(worst_cubic < 0.1 * worst_linear);
  CHECK(worst_linear > 0.01);
}

TEST_CASE("an affine written as ITK's text and as ANTs' binary comes back, and [FILE,1] inverts it") {
  const TemporaryFolder folder;
  for (const char* name : {"affine.txt", "affine.tfm", "affine.mat"}) {
    const std::filesystem::path path = folder.path() / name;
    write_itk_affine(path, kAffine);
    require_close(read_transform(path.string()).transform.map(kPoint).point, map_point(kAffine, kPoint), 1e-9);
    for (const std::string& text : {"[" + path.string() + ",1]", "[" + path.string() + ", 1]", path.string() + ",-1"}) {
      const TransformFile inverted = read_transform(text);
      require_close(inverted.transform.map(kPoint).point, map_point(invert(kAffine), kPoint), 1e-9);
      CHECK(inverted.kind.find("inverted") != std::string::npos);
    }
  }
  CHECK(read_transform((folder.path() / "affine.mat").string()).kind == "ANTs affine");
  CHECK(error_text([&] { write_itk_affine(folder.path() / "affine.h5", kAffine); }).find(".mat") != std::string::npos);
}

TEST_CASE("a text of 4 x 4 numbers is RAS, with fsl: FLIRT's scaled voxels from moving to fixed") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "m.mat";
  write_file_atomically(path, "1 0 0 4\n0 1 0 0\n0 0 1 -2\n0 0 0 1 \n");
  require_close(read_transform(path.string()).transform.map({1, 2, 3}).point, {5, 2, 1});
  // Fixed: right-handed, 2 mm, so FSL counts x from the last voxel. Moving: left-handed, 1 mm.
  const Grid fixed = {{5, 6, 7}, {2, 0, 0, 10, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1}};
  const Grid moving = {{8, 9, 10}, {-1, 0, 0, 3, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};
  // Fixed voxel (1, 2, 3): scaled (2 * (4 - 1), 4, 6) = (6, 4, 6); moving scaled = that minus (4, 0, -2) = (2, 4, 8).
  const TransformFile flirt = read_transform("fsl:" + path.string(), {fixed, moving});
  require_close(flirt.transform.map(map_point(fixed.affine, {1, 2, 3})).point, map_point(moving.affine, {2, 4, 8}));
  CHECK(error_text([&] { read_transform("fsl:" + path.string()); }).find("needs the grid of the fixed scan") !=
        std::string::npos);
}

TEST_CASE("ITK's kinds of transforms in text mean what ITK's manual says") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "t.tfm";
  const auto mapped = [&](const std::string& type, const std::string& numbers, const std::string& fixed) {
    write_file_atomically(path, "#Insight Transform File V1.0\n#Transform 0\nTransform: " + type +
                                    "_double_3_3\nParameters: " + numbers + "\nFixedParameters: " + fixed + "\n");
    const Point3 ras = read_transform(path.string()).transform.map({-1, -2, 3}).point;  // LPS (1, 2, 3)
    return Point3{-ras[0], -ras[1], ras[2]};
  };
  require_close(mapped("TranslationTransform", "10 20 30", ""), {11, 22, 33});
  require_close(mapped("AffineTransform", "2 0 0 0 1 0 0 0 1 5 6 7", "1 1 1"), {6, 8, 10});
  const double half = std::sqrt(0.5);  // a quarter turn about z: (x, y) -> (-y, x)
  require_close(mapped("VersorRigid3DTransform", "0 0 " + str(half) + " 0 0 0", "0 0 0"), {-2, 1, 3});
  require_close(mapped("Similarity3DTransform", "0 0 " + str(half) + " 0 0 0 2", "0 0 0"), {-4, 2, 6});
  require_close(mapped("Euler3DTransform", "0 0 " + str(std::acos(0.0)) + " 1 0 0", "0 0 0 0"), {-1, 1, 3});
  require_close(mapped("QuaternionRigidTransform", "0 0 " + str(half) + ' ' + str(half) + " 0 0 0", "0 0 0"),
                {-2, 1, 3});
  const std::string text = error_text([&] { mapped("BSplineTransform", "0", "0"); });
  CHECK(text.find("BSplineTransform_double_3_3: not a transform that is read") != std::string::npos);
  CHECK(error_text([&] { mapped("AffineTransform", "2 0 0", "0 0 0"); }).find("3 parameters, 12 expected") !=
        std::string::npos);
  CHECK(error_text([&] { mapped("AffineTransform", "0 0 0 0 0 0 0 0 0 1 1 1", "0 0 0"); }).find("singular") !=
        std::string::npos);
  write_file_atomically(path,
                        "#Insight Transform File V1.0\nTransform: CompositeTransform_double_3_3\n"
                        "Transform: TranslationTransform_double_3_3\nParameters: 1 0 0\nFixedParameters: \n"
                        "Transform: AffineTransform_double_3_3\nParameters: 2 0 0 0 2 0 0 0 2 0 0 0\n"
                        "FixedParameters: 0 0 0\n");
  const Point3 ras = read_transform(path.string()).transform.map({-1, -2, 3}).point;  // the last is applied first
  require_close(ras, {-3, -4, 6});
}

TEST_CASE("a file cut short anywhere is refused in one line that names it") {
  const TemporaryFolder folder;
  const std::filesystem::path whole = folder.path() / "whole.mat";
  write_itk_affine(whole, kAffine);
  const std::string bytes = read_file(whole);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::filesystem::path path = folder.path() / "cut.mat";
    write_file_atomically(path, bytes.substr(0, size));
    const std::string text = error_text([&] { read_transform(path.string()); });
    INFO("cut to " << size << " bytes: " << text);
    REQUIRE(text.find("cut.mat") != std::string::npos);
    REQUIRE(text.find('\n') == std::string::npos);
  }
  CHECK(error_text([&] { read_transform((folder.path() / "no.h5").string()); }).find("no such file") !=
        std::string::npos);
  CHECK(error_text([&] { read_transform("[x.mat,2]"); }).find("[FILE,1] for the inverse") != std::string::npos);
  write_file_atomically(folder.path() / "bad.h5", "\x89HDF\r\n\x1a\n and nothing more");
  CHECK(error_text([&] { read_transform((folder.path() / "bad.h5").string()); }).find("cannot open") !=
        std::string::npos);
}

TEST_CASE("a table of points keeps its other columns, and its units lead into space and back") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "p.csv";
  write_file_atomically(path, "name,X,Y,Z,t\r\nnose,1,2.5,3,0\r\n\r\near,-4,5e-1,6,0\r\n");
  const PointFile file = read_point_file(path);
  REQUIRE(file.points.size() == 2);
  require_close(file.points[1], {-4, 0.5, 6});
  write_point_file(folder.path() / "out.csv", file, {{7, 8, 9}, {0.25, 0, 0}});
  CHECK(read_file(folder.path() / "out.csv") == "name,X,Y,Z,t\nnose,7,8,9,0\near,0.25,0,0,0\n");
  for (const char* unit : {"voxel", "ras", "lps"}) {
    require_close(from_space(to_space(kPoint, point_unit(unit), kOblique), point_unit(unit), kOblique), kPoint);
  }
  require_close(to_space({1, 2, 3}, PointUnit::kLps, kOblique), {-1, -2, 3});
  require_close(to_space({1, 2, 3}, PointUnit::kVoxel, kOblique), map_point(kOblique.affine, {1, 2, 3}));
  write_file_atomically(path, "1,2,3\n4,5\n");
  CHECK(error_text([&] { read_point_file(path); }).find("p.csv:2: '4,5'") != std::string::npos);
  write_file_atomically(path, "a,b,c\n1,2,3\n");
  CHECK(error_text([&] { read_point_file(path); }).find("columns x,y,z") != std::string::npos);
}

TEST_CASE("a series is read and written one volume at a time, with its time step") {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "series.nii.gz";
  std::vector<float> first(static_cast<std::size_t>(voxel_count(kMoving.shape)), 1.5F);
  first[7] = -2.0F;
  const std::vector<float> second(first.size(), 4.25F);
  {
    NiftiSeriesWriter writer(path, kMoving, NiftiSeriesWriter::Type::kFloat32, 2, 2.5);
    writer.add(std::span<const float>(first));
    CHECK_FALSE(std::filesystem::exists(path));
    writer.add(std::span<const float>(second));
    writer.commit();
  }
  VolumeSeries series(path);
  CHECK(series.header().frames == 2);
  CHECK(series.header().frame_step == 2.5);
  CHECK(series.next_image() == first);
  CHECK(series.next_image() == second);
}
