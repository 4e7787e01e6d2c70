// Displacement fields in both forms, and lists of key-points.
#include <algorithm>
#include <cmath>
#include <limits>

#include "files.hpp"
#include "regatta/base/error.hpp"
#include "regatta/volume/displacement.hpp"
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

/// npy bytes of a field, C order. @param first  [3, D, H, W], else [D, H, W, 3]
std::string field_npy(const std::vector<float>& field, const Shape3& shape, bool first) {
  std::vector<double> values;
  const std::int64_t voxels = voxel_count(shape);
  for (std::int64_t n = 0; n < 3 * voxels; ++n) {
    const std::int64_t at = first ? n : n % 3 * voxels + n / 3;
    values.push_back(double{field[static_cast<std::size_t>(at)]});
  }
  std::string bytes = npy({shape[0], shape[1], 3 * shape[2]}, values, "<f4");
  const std::string wrong = str("(", shape[0], ", ", shape[1], ", ", 3 * shape[2], ")");
  const std::string right = first ? str("(3, ", join(shape, ", "), ")") : str("(", join(shape, ", "), ", 3)");
  const std::size_t at = bytes.find(wrong);
  REQUIRE(at != std::string::npos);
  bytes.replace(at, wrong.size(), right);
  bytes.erase(bytes.find("  ", at), right.size() - wrong.size());  // the header's length stays
  return bytes;
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

TEST_CASE("a displacement of space becomes one between two arrays where the moving one lies elsewhere") {
  const std::vector<float> field = counting_field();
  CHECK(displacement_between(field, {kShape, kAffine}, {kShape, kAffine}) == field);
  Affine moving = kAffine;
  for (std::size_t row = 0; row < 3; ++row) {
    moving[4 * row + 3] -= 2.0 * kAffine[4 * row];  // two voxels back along D
  }
  const auto voxels = static_cast<std::size_t>(voxel_count(kShape));
  const auto shifted = displacement_between(field, {kShape, kAffine}, {{9, 9, 9}, moving});
  for (std::size_t i = 0; i < voxels; ++i) {
    CHECK(shifted[i] == Approx(field[i] + 2.0).epsilon(1e-5));
    CHECK(shifted[voxels + i] == Approx(field[voxels + i]).epsilon(1e-5));
  }
  Affine coarse = identity_affine();
  coarse[0] = 3.0;  // the last fixed voxel lies on the last moving one: 3 x 0.1 is more than 0.3
  Affine fine = identity_affine();
  fine[0] = 0.1 * 3.0;
  const std::vector<float> none(static_cast<std::size_t>(3 * 31), 0.0F);
  const auto between = displacement_between(none, {{31, 1, 1}, fine}, {{4, 1, 1}, coarse});
  CHECK(30.0 + double{between[30]} == 3.0);
  CHECK(double{between[10]} == Approx(-9.0).epsilon(1e-6));
}

TEST_CASE(
    "a field of voxels is taken as it is, whatever its affine: Learn2Reg's and VoxelMorph's order, NIfTI and npz") {
  const TemporaryFolder folder;
  const std::vector<float> field = counting_field();
  write_bytes(folder / "disp_0001_0002.nii.gz", gzip(learn2reg_bytes(field)));
  NiftiMaker maker;
  maker.shape = {3, kShape[0], kShape[1] * kShape[2]};
  for (std::int64_t n = 0; n < voxel_count(kShape); ++n) {  // components fastest, then i, j, k
    const std::int64_t i = n % kShape[0];
    const std::int64_t j = n / kShape[0] % kShape[1];
    const std::int64_t k = n / (kShape[0] * kShape[1]);
    for (std::int64_t c = 0; c < 3; ++c) {
      maker.values.push_back(
          double{field[static_cast<std::size_t>(((c * kShape[0] + i) * kShape[1] + j) * kShape[2] + k)]});
    }
  }
  std::string first = maker.bytes();
  poke(first, 40, std::int16_t{4});
  poke(first, 46, static_cast<std::int16_t>(kShape[1]));
  poke(first, 48, static_cast<std::int16_t>(kShape[2]));
  write_bytes(folder / "vxm.nii", first);
  write_bytes(folder / "last.npz", zip({{"arr_0.npy", field_npy(field, kShape, false)}}, true));
  write_bytes(folder / "first.npz", zip({{"vol.npy", field_npy(field, kShape, true)}}, false));
  for (const char* name : {"disp_0001_0002.nii.gz", "vxm.nii", "last.npz", "first.npz"}) {
    INFO(name);
    const Displacement read = read_displacement(folder / name);
    CHECK(read.form == FieldForm::kArrays);
    CHECK(read.grid.shape == kShape);
    CHECK(largest_difference(read.field, field) < 1e-6);
  }
  write_bytes(folder / "two.npz",
              zip({{"a.npy", field_npy(field, kShape, true)}, {"b.npy", field_npy(field, kShape, true)}}, true));
  CHECK_THAT(error_text([&] { read_displacement(folder / "two.npz"); }),
             Catch::Contains("no array 'arr_0.npy', it has: a.npy, b.npy"));
  write_bytes(folder / "flat.npz", zip({{"arr_0.npy", npy({4, 3, 2}, std::vector<double>(24))}}, true));
  CHECK_THAT(error_text([&] { read_displacement(folder / "flat.npz"); }),
             Catch::Contains("shape [4,3,2]: no displacement field, [D, H, W, 3] or [3, D, H, W] expected"));
}

TEST_CASE("a field of half the resolution is doubled as SciPy's zoom does it") {
  std::vector<float> field;
  for (int c = 0; c < 3; ++c) {
    for (int i = 0; i < 3; ++i) {
      for (int j = 0; j < 4; ++j) {
        for (int k = 0; k < 2; ++k) {
          field.push_back(static_cast<float>((c + 1) * std::sin(1.3 * i + 0.7 * j * j - 2.1 * k)));
        }
      }
    }
  }
  const std::vector<float> doubled = doubled_displacement(field, {3, 4, 2});
  REQUIRE(doubled.size() == 3 * 6 * 8 * 4);
  const auto value = [&](std::size_t c, std::size_t i, std::size_t j, std::size_t k) {
    return double{doubled[((c * 6 + i) * 8 + j) * 4 + k]};
  };
  // zoom(component, 2, order=2) of SciPy 1.17
  const double first[] = {0.0, -0.191824304, -0.671385063, -0.863209367};
  const double middle[] = {-0.79898779, -0.48070053, 0.31501761, 0.63330486};
  double sum = 0.0;
  double squares = 0.0;
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(value(0, 0, 0, k) == Approx(first[k]).margin(1e-6));
    CHECK(value(2, 3, 5, k) == Approx(3 * middle[k]).epsilon(1e-6));
  }
  for (std::size_t n = 0; n < 6 * 8 * 4; ++n) {
    sum += double{doubled[n]};
    squares += double{doubled[n]} * double{doubled[n]};
  }
  CHECK(sum == Approx(20.16072601).epsilon(1e-6));
  CHECK(squares == Approx(52.39024682).epsilon(1e-6));
  const std::vector<float> flat(3 * 1 * 5 * 2, 0.25F);  // an axis of one voxel
  for (const float held : doubled_displacement(flat, {1, 5, 2})) {
    CHECK(held == Approx(0.25F));
  }
}

TEST_CASE("a field is written as float16 npz, which comes back to half a step of float16") {
  const TemporaryFolder folder;
  std::vector<float> field = counting_field();
  const float exact[] = {0.5F, -3.25F, 65504.0F, -1024.0F, 6.103515625e-05F, 5.9604644775390625e-08F, 0.0F, -0.0F};
  std::copy(std::begin(exact), std::end(exact),
            field.begin());   // the smallest normal and the smallest number among them
  field[8] = 1.00048828125F;  // half a step above 1: to even
  field[9] = 2047.9F;         // rounds up to the next power of two
  write_npz_displacement(folder / "disp.npz", field, kShape);
  const Displacement read = read_displacement(folder / "disp.npz");
  CHECK(read.grid.shape == kShape);
  CHECK(read.form == FieldForm::kArrays);
  for (std::size_t i = 0; i < std::size(exact); ++i) {
    CHECK(read.field[i] == exact[i]);
  }
  CHECK(read.field[8] == 1.0F);
  CHECK(read.field[9] == 2048.0F);
  for (std::size_t i = 10; i < field.size(); ++i) {
    CHECK(std::abs(read.field[i] - field[i]) <= field[i] / 2048.0F);
  }
  field[3] = 70000.0F;
  CHECK_THAT(error_text([&] { write_npz_displacement(folder / "no.npz", field, kShape); }),
             Catch::Contains("a displacement of 70000 voxels does not fit float16"));
  CHECK(!std::filesystem::exists(folder / "no.npz"));
}

TEST_CASE("a field that is halved and doubled again stays what it was, and odd sizes are refused") {
  const Shape3 shape = {16, 20, 12};
  std::vector<float> field;
  const auto wave = [&](std::int64_t index, std::size_t axis) {  // level at the borders, as the spline wants it
    return std::cos(3.14159265 * static_cast<double>(index) / static_cast<double>(shape[axis] - 1));
  };
  for (int c = 0; c < 3; ++c) {
    for (std::int64_t i = 0; i < shape[0]; ++i) {
      for (std::int64_t j = 0; j < shape[1]; ++j) {
        for (std::int64_t k = 0; k < shape[2]; ++k) {
          field.push_back(static_cast<float>(c + 2.0 * wave(i, 0) + wave(j, 1) - 3.0 * wave(k, 2)));
        }
      }
    }
  }
  const std::vector<float> half = halved_displacement(field, shape);
  REQUIRE(half.size() == 3 * 8 * 10 * 6);
  CHECK(half.front() == field.front());
  CHECK(half.back() == field.back());
  CHECK(largest_difference(doubled_displacement(half, {8, 10, 6}), field) < 0.05);
  CHECK_THAT(error_text([&] { halved_displacement(field, {16, 20, 11}); }), Catch::Contains("16x20x11 has no half"));
}

TEST_CASE("a field that we write for Learn2Reg is 4-D, float32, in voxels, and comes back") {
  const TemporaryFolder folder;
  const std::vector<float> field = counting_field();
  write_learn2reg_displacement(folder / "disp.nii", field, {kShape, kAffine});
  const std::string bytes = read_bytes(folder / "disp.nii");
  for (const auto& [offset, wanted] : std::vector<std::pair<std::size_t, int>>{
           {40, 4}, {42, 4}, {44, 3}, {46, 2}, {48, 3}, {50, 1}, {68, 0}, {70, 16}, {72, 32}}) {
    INFO("header field at " << offset);
    CHECK(peek<std::int16_t>(bytes, offset) == wanted);
  }
  CHECK(bytes.size() == 352 + 4 * field.size());
  const Displacement read = read_displacement(folder / "disp.nii");
  CHECK(read.form == FieldForm::kArrays);
  CHECK(read.field == field);
}

TEST_CASE("a field for Learn2Reg has the name that its evaluation looks for") {
  CHECK(learn2reg_name("x/LungCT_0003_0000.nii.gz", "y/LungCT_0003_0001.nii.gz") == "disp_0003_0003.nii.gz");
  CHECK(learn2reg_name("LUMIRMRI_3454_0000.nii.gz", "LUMIRMRI_3455_0000.nii.gz") == "disp_3454_3455.nii.gz");
  CHECK(learn2reg_name("A_0007_0001.nii.gz", "A_0009_0000.nii.gz") == "disp_0007_0001_0009_0000.nii.gz");
  CHECK(learn2reg_name("brain.nii.gz", "A_0009_0000.nii.gz").empty());
  CHECK(learn2reg_name("A_0007_0000.nii", "A_0009_0000.nii.gz").empty());
  CHECK(learn2reg_name("A_007_0000.nii.gz", "A_0009_0000.nii.gz").empty());
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
  CHECK_THAT(refused(bytes),
             Catch::Contains("dim 4 4 3 2 2: no displacement field, '5 X Y Z 1 3', '4 D H W 3' or '4 3 D H W'"));
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
