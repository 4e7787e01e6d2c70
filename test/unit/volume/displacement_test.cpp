// Displacement fields in both forms, and lists of key-points.
#include <algorithm>
#include <cmath>
#include <limits>

#include "files.hpp"
#include "regatta/volume/keypoints.hpp"
#include "regatta/volume/nifti.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

constexpr Shape3 kShape = {4, 3, 2};
// Sheared and reflected, unequal spacings: no axis is left to chance.
constexpr Affine kAffine = {-1.5, 0.2, 0, 10, 0.1, 2, 0.3, -20, 0, 0.4, 1.2, 5, 0, 0, 0, 1};

/// 0.1, 0.2 ... in [3, D, H, W].
std::vector<float> counting_field() {
  std::vector<float> field(static_cast<std::size_t>(3 * voxel_count(kShape)));
  float next = 0.0F;
  std::generate(field.begin(), field.end(), [&next] { return next += 0.1F; });
  return field;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]} - double{b[i]}));
  }
  return largest;
}

/// A field as Learn2Reg writes it, [D, H, W, 3] in voxels, first index fastest.
std::string learn2reg_bytes(const std::vector<float>& field) {
  NiftiMaker maker;
  maker.shape = {kShape[0], kShape[1], kShape[2] * 3};
  const auto [d, h, w] = kShape;
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t k = 0; k < w; ++k) {
      for (std::int64_t j = 0; j < h; ++j) {
        for (std::int64_t i = 0; i < d; ++i) {
          maker.values.push_back(double{field[static_cast<std::size_t>(((c * d + i) * h + j) * w + k)]});
        }
      }
    }
  }
  std::string bytes = maker.bytes();
  poke(bytes, 40, std::int16_t{4});
  poke(bytes, 46, static_cast<std::int16_t>(w));
  poke(bytes, 48, std::int16_t{3});
  return bytes;
}

}  // namespace

TEST_CASE("our own displacement field comes back in voxels") {
  const TemporaryFolder folder;
  const std::vector<float> field = counting_field();
  write_displacement(folder / "field.nii.gz", field, {kShape, kAffine});
  const Displacement read = read_displacement(folder / "field.nii.gz");
  CHECK(read.grid.shape == kShape);
  CHECK(largest_difference(read.field, field) < 1e-5);
}

TEST_CASE("a field in millimetres becomes the displacement between the two arrays if the moving one lies elsewhere") {
  const TemporaryFolder folder;
  const std::vector<float> none(static_cast<std::size_t>(3 * voxel_count(kShape)), 0.0F);
  write_displacement(folder / "field.nii", none, {kShape, kAffine});
  Affine moving = kAffine;
  for (std::size_t row = 0; row < 3; ++row) {
    moving[4 * row + 3] -= 2.0 * kAffine[4 * row];  // two voxels back along D
  }
  const Displacement read = read_displacement(folder / "field.nii", moving);
  const auto voxels = static_cast<std::size_t>(voxel_count(kShape));
  for (std::size_t i = 0; i < voxels; ++i) {
    CHECK(read.field[i] == Approx(2.0).epsilon(1e-5));
    CHECK(std::abs(read.field[voxels + i]) < 1e-4F);
    CHECK(std::abs(read.field[2 * voxels + i]) < 1e-4F);
  }
}

TEST_CASE("a field as Learn2Reg gives it is taken as it is, whatever its affine") {
  const TemporaryFolder folder;
  const std::vector<float> field = counting_field();
  write_bytes(folder / "disp_0001_0002.nii.gz", gzip(learn2reg_bytes(field)));
  const Displacement read = read_displacement(folder / "disp_0001_0002.nii.gz", kAffine);
  CHECK(read.grid.shape == kShape);
  CHECK(largest_difference(read.field, field) < 1e-6);
}

TEST_CASE("a file that is no field is refused with its dimensions") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& bytes) {
    write_bytes(folder / "x.nii", bytes);
    return error_text([&] { read_displacement(folder / "x.nii"); });
  };
  CHECK_THAT(refused(NiftiMaker{}.bytes()), Catch::Contains("x.nii: header: dim 3 4 3 2: no displacement field"));
  std::string bytes = learn2reg_bytes(counting_field());
  poke(bytes, 48, std::int16_t{2});
  CHECK_THAT(refused(bytes), Catch::Contains("dim 4 4 3 2 2: no displacement field, '5 X Y Z 1 3' or '4 D H W 3'"));
  bytes = learn2reg_bytes(counting_field());
  CHECK_THAT(refused(bytes.substr(0, bytes.size() - 4)), Catch::Contains("truncated"));
  poke(bytes, 40, std::int16_t{5});
  poke(bytes, 48, std::int16_t{1});
  poke(bytes, 50, std::int16_t{3});
  CHECK_THAT(refused(bytes), Catch::Contains("intent 0, 1007 (vector) expected"));
  bytes = learn2reg_bytes(counting_field());
  poke(bytes, 352 + 4 * 30, std::numeric_limits<float>::quiet_NaN());
  CHECK_THAT(refused(bytes), Catch::Contains("displacement at voxel (2, 1, 0), component 1 is nan"));
  CHECK_THAT(error_text([&] { read_displacement(folder / "x.txt"); }), Catch::Contains("unknown kind"));
}

TEST_CASE("key-points are read line by line, and a bad line is named") {
  const TemporaryFolder folder;
  write_bytes(folder / "p.csv", "1,2.5,3\r\n\n -4 , 5e1,0\n");
  const auto points = read_keypoints(folder / "p.csv");
  CHECK(points == std::vector<Point3>{{1, 2.5, 3}, {-4, 50, 0}});
  write_bytes(folder / "bom.csv",
              "\xEF\xBB\xBF"
              "1,2,3\n");
  CHECK(read_keypoints(folder / "bom.csv") == std::vector<Point3>{{1, 2, 3}});
  const auto refused = [&](const std::string& text) {
    write_bytes(folder / "q.csv", text);
    return error_text([&] { read_keypoints(folder / "q.csv"); });
  };
  CHECK_THAT(refused("1,2,3\n4,5\n"), Catch::Contains("q.csv:2: '4,5', three numbers 'd,h,w' expected"));
  CHECK_THAT(refused("x,y,z\n1,2,3\n"), Catch::Contains("q.csv:1: 'x,y,z'"));
  CHECK_THAT(refused("1,2,nan\n"), Catch::Contains("q.csv:1:"));
  CHECK_THAT(refused("\n"), Catch::Contains("q.csv: no key-points"));
}

}  // namespace regatta::test
