// Finished registrations measured from files.
#include "regatta/train/case_evaluation.hpp"

#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/volume/displacement.hpp"
#include "regatta/volume/nifti.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace regatta::test {
namespace {

constexpr Shape3 kShape = {10, 9, 8};
constexpr Affine kAffine = {2, 0, 0, 5, 0, 1, 0, -3, 0, 0, 3, 0, 0, 0, 0, 1};

/// A block of 4x4x4 voxels that starts at (d, 2, 2).
std::vector<std::uint8_t> block(std::int64_t start) {
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(voxel_count(kShape)), 0);
  for (std::int64_t d = start; d < start + 4; ++d) {
    for (std::int64_t h = 2; h < 6; ++h) {
      for (std::int64_t w = 2; w < 6; ++w) {
        labels[static_cast<std::size_t>((d * kShape[1] + h) * kShape[2] + w)] = 1;
      }
    }
  }
  return labels;
}

/// The moving block lies 2 voxels further along D; the field says so.
class Folder {
 public:
  Folder() {
    const Grid grid = {kShape, kAffine};
    write_nifti(folder_ / "fixed.nii.gz", std::span<const std::uint8_t>(block(2)), grid);
    write_nifti(folder_ / "moving.nii.gz", std::span<const std::uint8_t>(block(4)), grid);
    std::vector<float> field(static_cast<std::size_t>(3 * voxel_count(kShape)), 0.0F);
    std::fill(field.begin(), field.begin() + voxel_count(kShape), 2.0F);
    write_displacement(folder_ / "field.nii.gz", field, grid);
    write_file_atomically(folder_ / "fixed.csv", "3,3,3\n4,4,5\n");
    write_file_atomically(folder_ / "moving.csv", "5,3,3\n6,4,6\n");
  }

  CaseList list(const std::string& text) const {
    write_file_atomically(folder_ / "pairs.json", text);
    return read_case_list(folder_ / "pairs.json");
  }

  CaseMeasures measure(const std::string& text) const {
    const CaseList cases = list(text);
    return measure_case(cases, cases.cases.front(), "cpu");
  }

  const TemporaryFolder& path() const { return folder_; }

 private:
  TemporaryFolder folder_;
};

const std::string kLabels = R"("fixed_labels": "fixed.nii.gz", "moving_labels": "moving.nii.gz")";
const std::string kPoints = R"("fixed_keypoints": "fixed.csv", "moving_keypoints": "moving.csv")";

std::string one_case(const std::string& members, const std::string& metrics) {
  return R"({"metrics": [)" + metrics + R"(], "cases": [{"name": "a", "field": "field.nii.gz")" +
         (members.empty() ? "" : ", " + members) + "}]}";
}

}  // namespace

TEST_CASE("a case is measured from its files, before and after") {
  const Folder folder;
  const CaseMeasures found = folder.measure(
      one_case(kLabels + ", " + kPoints + R"(, "runtime_s": 1.5)", R"("dice", "hd95", "tre", "runtime", "ndv")"));
  CHECK(found.values.at("dice/1") == 1.0);
  CHECK(found.values.at("hd95") == 0.0);
  CHECK(found.initial.at("dice/1") == 0.5);
  CHECK(found.spacing_mm == std::vector<double>{2, 1, 3});
  CHECK(found.values.at("tre/0") == Approx(0.0).margin(1e-5));
  CHECK(found.values.at("tre/1") == Approx(3.0).epsilon(1e-6));  // one voxel along W
  CHECK(found.initial.at("tre/0") == Approx(4.0).epsilon(1e-6));
  CHECK(found.values.at("runtime") == 1.5);
  CHECK(found.values.at("ndv") == 0.0);
  CHECK(!found.initial.contains("hd95"));
}

TEST_CASE("a list of cases names its method, its spacing counts before the files'") {
  const Folder folder;
  CHECK(folder.list(one_case(kLabels, R"("dice")")).method == "pairs");
  const CaseList named = folder.list(R"({"method": "vxm", "metrics": ["tre"], "spacing_mm": [1, 1, 1], "cases": [)"
                                     R"({"name": "a", "field": "field.nii.gz", "moving": "moving.nii.gz", )" +
                                     kPoints + "}]}");
  CHECK(named.method == "vxm");
  CHECK(measure_case(named, named.cases.front(), "cpu").values.at("tre/1") == Approx(1.0).epsilon(1e-6));
}

namespace {

/// Two scans of one place: the fixed one of 1 mm, the moving one of 2 mm along D and further left, of another shape.
/// The field is of zeros. Key-points of the moving scan: where they are in truth, and 3 mm away.
class TwoGrids {
 public:
  TwoGrids() {
    write_map("fixed.nii", kFixed, [](const Point3& mm) { return box(mm); });
    write_map("moving.nii", kMoving, [](const Point3& mm) { return box(mm); });
    const std::vector<float> none(static_cast<std::size_t>(3 * voxel_count(kFixed.shape)), 0.0F);
    write_displacement(folder_ / "field.nii", none, kFixed);
    write_learn2reg_displacement(folder_ / "arrays.nii", none, {kFixed.shape, identity_affine()});
    write_file_atomically(folder_ / "fixed.csv", "5,5,5\n7,8,9\n");
    write_file_atomically(folder_ / "same.csv", "5,5,5\n6,8,9\n");
    write_file_atomically(folder_ / "away.csv", "6.5,5,5\n7.5,8,9\n");
    write_file_atomically(folder_ / "array_away.csv", "8,5,5\n10,8,9\n");
    write_file_atomically(folder_ / "lps.csv", "-5,-5,5\n-7,-8,9\n");
    write_file_atomically(folder_ / "lps_away.csv", "-8,-5,5\n-10,-8,9\n");
  }

  CaseMeasures measure(const std::string& metric, const std::string& members, const std::string& head = "") const {
    write_file_atomically(folder_ / "pairs.json", R"({"metrics": [")" + metric + R"("], )" + head +
                                                      R"("cases": [{"name": "a", )" + members + "}]}");
    const CaseList list = read_case_list(folder_ / "pairs.json");
    return measure_case(list, list.cases.front(), "cpu");
  }

  double tre(const std::string& field, const std::string& moving, const std::string& members,
             const std::string& head = "") const {
    const std::string points =
        R"("field": ")" + field + R"(", "fixed_keypoints": "fixed.csv", "moving_keypoints": ")" + moving + R"(")";
    return measure("tre", points + members, head).values.at("tre");
  }

  static std::uint8_t box(const Point3& mm) {
    return mm[0] >= 3.9 && mm[0] < 12.1 && mm[1] >= 4 && mm[1] < 9 && mm[2] >= 4 && mm[2] < 9 ? 1 : 0;
  }

  template <class Value>
  void write_map(const char* name, const Grid& grid, Value value) const {
    using T = decltype(value(Point3{}));
    std::vector<T> voxels;
    for (std::int64_t d = 0; d < grid.shape[0]; ++d) {
      for (std::int64_t h = 0; h < grid.shape[1]; ++h) {
        for (std::int64_t w = 0; w < grid.shape[2]; ++w) {
          voxels.push_back(
              value(map_point(grid.affine, {static_cast<double>(d), static_cast<double>(h), static_cast<double>(w)})));
        }
      }
    }
    write_nifti(folder_ / name, std::span<const T>(voxels), grid);
  }

  const TemporaryFolder& path() const { return folder_; }

  static constexpr Grid kFixed = {{16, 15, 14}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};
  static constexpr Grid kMoving = {{12, 18, 17}, {2, 0, 0, -5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};

 private:
  TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("tre is measured in the moving grid, in millimetres, from any file that says how it lies") {
  const TwoGrids scans;
  const std::string labels = R"(, "fixed_labels": "fixed.nii", "moving_labels": "moving.nii")";
  CHECK(scans.tre("field.nii", "same.csv", R"(, "moving": "moving.nii")") == Approx(0.0).margin(1e-6));
  CHECK(scans.tre("field.nii", "same.csv", labels) == Approx(0.0).margin(1e-6));
  CHECK(scans.tre("field.nii", "away.csv", labels) == Approx(3.0).epsilon(1e-6));
  CHECK(scans.tre("field.nii", "away.csv", R"(, "moving": "moving.nii")") == Approx(3.0).epsilon(1e-6));
  // Fields between arrays end in the moving array.
  scans.write_map("mask.nii", {TwoGrids::kFixed.shape, {1.75, 0, 0, 0, 0, 1.25, 0, 0, 0, 0, 1.75, 0, 0, 0, 0, 1}},
                  [](const Point3&) { return std::uint8_t{1}; });
  CHECK(scans.tre("arrays.nii", "array_away.csv", R"(, "fixed_mask": "mask.nii")") == Approx(5.25).epsilon(1e-6));
  CHECK(scans.tre("arrays.nii", "array_away.csv", R"(, "fixed_mask": "mask.nii", "moving": "moving.nii")") ==
        Approx(6.0).epsilon(1e-6));
  CHECK(scans.tre("arrays.nii", "array_away.csv", "", R"("spacing_mm": [0.5, 1, 1], )") == Approx(1.5).epsilon(1e-6));
}

TEST_CASE("tre is not guessed where no file says how the moving scan lies") {
  const TwoGrids scans;
  CHECK_THROWS_WITH(
      scans.tre("field.nii", "same.csv", ""),
      Catch::Contains("case 'a': the key-points are voxels of the moving scan") && Catch::Contains("add 'moving'"));
  CHECK_THROWS_WITH(scans.tre("arrays.nii", "array_away.csv", ""),
                    Catch::Contains("how large the moving scan's voxels are") && Catch::Contains("/spacing_mm"));
}

TEST_CASE("key-points in millimetres need no moving grid") {
  const TwoGrids scans;
  const std::string points =
      R"("field": "field.nii", "fixed_keypoints": "lps.csv", "moving_keypoints": "lps_away.csv")";
  CHECK(scans.measure("tre", points, R"("keypoint_space": "lps", )").values.at("tre") == Approx(3.0).epsilon(1e-6));
  write_file_atomically(scans.path() / "ras.csv", "5,5,5\n7,8,9\n");
  const std::string arrays = R"("field": "arrays.nii", "fixed_keypoints": "ras.csv", "moving_keypoints": "ras.csv")";
  const double voxels =
      scans.measure("tre", arrays + R"(, "fixed": "fixed.nii", "moving": "moving.nii")", R"("keypoint_space": "ras", )")
          .values.at("tre");
  CHECK(voxels == Approx(0.5 * (0.0 + 2.0)).epsilon(1e-6));  // moving voxels (5, ..) and (6, ..): the field leads to 7
  CHECK_THROWS_WITH(scans.measure("tre", arrays, R"("spacing_mm": [1, 1, 1], "keypoint_space": "ras", )"),
                    Catch::Contains("add 'fixed', the fixed scan"));
}

TEST_CASE("moving labels and scans on another grid are measured through space") {
  const TwoGrids scans;
  const std::string labels = R"("field": "field.nii", "fixed_labels": "fixed.nii", "moving_labels": "moving.nii")";
  const CaseMeasures dice = scans.measure("dice", labels);
  CHECK(dice.values.at("dice/1") > 0.9);  // nearest neighbour, at most a voxel off along D
  CHECK(dice.initial.at("dice/1") == dice.values.at("dice/1"));
  CHECK(dice.facts.at("field_form") == "space");
  const auto ramp = [](const Point3& mm) { return static_cast<float>(-1000.0 + 3.0 * mm[0] + 2.0 * mm[1] - mm[2]); };
  scans.write_map("fixed_scan.nii", TwoGrids::kFixed, ramp);
  scans.write_map("moving_scan.nii", TwoGrids::kMoving, ramp);
  const std::string images = R"("field": "field.nii", "fixed": "fixed_scan.nii", "moving": "moving_scan.nii")";
  CHECK(scans.measure("mse", images).values.at("mse") == Approx(0.0).margin(1e-4));
  CHECK(scans.measure("ncc", images).values.at("ncc") == Approx(1.0).epsilon(1e-3));
  CHECK_THROWS_WITH(scans.measure("mse", labels), Catch::Contains("'mse' needs images, 'fixed' and 'moving'"));
  CHECK_THROWS_WITH(scans.measure("dice", labels + R"(, "moving": "fixed.nii")"),
                    Catch::Contains("are not on the grid of the moving scan"));
}

TEST_CASE("a moving scan without a place in space is not guessed a place") {
  const TwoGrids scans;
  Affine scale = TwoGrids::kMoving.affine;
  scale[3] = 0.0;
  scans.write_map("nowhere.nii", {TwoGrids::kMoving.shape, scale}, [](const Point3& mm) { return TwoGrids::box(mm); });
  std::string bytes = read_file(scans.path() / "nowhere.nii");
  bytes.replace(252, 4, 4, '\0');  // both codes 0: its spacing alone is known
  write_file_atomically(scans.path() / "nowhere.nii", bytes);
  CHECK_THROWS_WITH(
      scans.measure("dice", R"("field": "field.nii", "fixed_labels": "fixed.nii", "moving_labels": "nowhere.nii")"),
      Catch::Contains("nowhere.nii: does not say where it lies in space") && Catch::Contains("learn2reg"));
  CHECK(scans
            .measure("tre", R"("field": "arrays.nii", "moving": "nowhere.nii", "fixed_keypoints": "fixed.csv", )"
                            R"("moving_keypoints": "array_away.csv")")
            .values.at("tre") == Approx(6.0).epsilon(1e-6));
}

TEST_CASE("folding is the field's own, whatever the moving grid's axes are") {
  const TwoGrids scans;
  const Grid mirrored = {TwoGrids::kFixed.shape, {-1, 0, 0, 15, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};
  scans.write_map("mirrored.nii", mirrored, [](const Point3& mm) { return TwoGrids::box(mm); });
  const CaseMeasures found =
      scans.measure("folding", R"("field": "field.nii", "fixed_labels": "fixed.nii", "moving_labels": "mirrored.nii")");
  CHECK(found.values.at("folding") == 0.0);
  CHECK(scans.measure("dice", R"("field": "field.nii", "fixed_labels": "fixed.nii", "moving_labels": "mirrored.nii")")
            .values.at("dice") == 1.0);
}

TEST_CASE("labels of any value are measured, and the list says which") {
  const TwoGrids scans;
  const auto atlas = [](const Point3& mm) {
    return static_cast<std::int32_t>(TwoGrids::box(mm) == 0 ? 0 : mm[0] < 8.5 ? 2035 : 70000);
  };
  scans.write_map("fixed_atlas.nii", TwoGrids::kFixed, atlas);
  scans.write_map("moving_atlas.nii", TwoGrids::kFixed, atlas);
  const std::string labels =
      R"("field": "field.nii", "fixed_labels": "fixed_atlas.nii", "moving_labels": "moving_atlas.nii")";
  const CaseMeasures all = scans.measure("dice", labels);
  CHECK(all.values == std::map<std::string, double>{{"dice", 1.0}, {"dice/2035", 1.0}, {"dice/70000", 1.0}});
  const CaseMeasures some = scans.measure("dice", labels, R"("labels": [0, 2035, 4], )");
  CHECK(some.values.size() == 4);
  CHECK(some.values.at("dice/0") == 1.0);
  CHECK(std::isnan(some.values.at("dice/4")));
  CHECK(scans.measure("dice_linear", labels, R"("labels": [2035, 4], )").values.at("dice_linear") ==
        Approx(0.5).epsilon(1e-6));
  CHECK(scans.measure("dice_linear", labels, R"("labels": [2035, 4], "absent_labels": "left_out", )")
            .values.at("dice_linear") == Approx(1.0).epsilon(1e-6));
  CHECK_THROWS_WITH(scans.measure("dice", labels, R"("labels": [3, 3], )"),
                    Catch::Contains("/labels/1: 3 is there twice"));
  CHECK_THROWS_WITH(scans.measure("dice", labels, R"("label_edge": "far", )"), Catch::Contains("half_voxel"));
  // Many values: every voxel its own.
  const auto parcels = [](const Point3& mm) { return static_cast<std::int32_t>(mm[0] * 15 * 14 + mm[1] * 14 + mm[2]); };
  scans.write_map("parcels.nii", TwoGrids::kFixed, parcels);
  const CaseMeasures many =
      scans.measure("dice", R"("field": "field.nii", "fixed_labels": "parcels.nii", "moving_labels": "parcels.nii")");
  CHECK(many.values.size() == 16 * 15 * 14);
  CHECK(many.values.at("dice") == 1.0);
}

TEST_CASE("a voxel field of half the resolution is doubled where the fixed scan says that it must be") {
  const TwoGrids scans;
  const Shape3 half = {8, 15, 7};
  const std::vector<float> none(static_cast<std::size_t>(3 * voxel_count(half)), 0.0F);
  write_learn2reg_displacement(scans.path() / "wrong.nii", none, {half, identity_affine()});
  const std::string labels = R"(, "fixed_labels": "fixed.nii", "moving_labels": "moving.nii")";
  CHECK_THROWS_WITH(scans.measure("dice", R"("field": "wrong.nii")" + labels), Catch::Contains("has 8x15x7"));
  const Grid even = {{16, 8, 14}, TwoGrids::kFixed.affine};
  scans.write_map("even.nii", even, [](const Point3& mm) { return TwoGrids::box(mm); });
  const std::vector<float> shifted(static_cast<std::size_t>(3 * 8 * 4 * 7), 1.0F);
  write_learn2reg_displacement(scans.path() / "half.nii", shifted, {{8, 4, 7}, identity_affine()});
  const CaseMeasures found =
      scans.measure("folding", R"("field": "half.nii", "fixed_labels": "even.nii", "moving_labels": "even.nii")");
  CHECK(found.values.at("folding") == 0.0);
  CHECK(found.facts.at("field_form") == "arrays, half resolution");
}

TEST_CASE("a list that is wrong is refused with the place in the file") {
  const Folder folder;
  const auto refused = [&](const std::string& text, const std::string& wanted) {
    CHECK_THROWS_WITH(folder.list(text), Catch::Contains(wanted));
    CHECK_THROWS_AS(folder.list(text), ConfigError);
  };
  refused(R"({"cases": []})", "pairs.json: /cases: empty");
  refused(R"({"cases": {}})", "/cases: an object, a list of registrations expected");
  refused(R"({"case": []})", "case");
  refused(R"({"cases": [{"field": "f.nii"}]})", "/cases/0/name: missing");
  refused(R"({"cases": [{"name": "a"}]})", "/cases/0/field: missing");
  refused(R"({"cases": [{"name": "a", "field": "f.nii", "labels": "x"}]})", "/cases/0/labels");
  refused(R"({"cases": [{"name": "a", "field": "f", "fixed_labels": "x"}]})", "one of fixed_labels and moving_labels");
  refused(one_case(kLabels, R"("dise")"), "/metrics/0: unknown metric 'dise', have: dice, dice_linear");
  refused(one_case(kLabels, R"("dice", "dice")"), "/metrics/1: 'dice' is named twice");
  refused(one_case("", R"("dice")"), "'dice' needs labels, no case has them");
  refused(one_case(kLabels, R"("tre")"), "'tre' needs key-points");
  refused(R"({"spacing_mm": [1, 0, 1], "cases": [{"name": "a", "field": "f"}]})", "/spacing_mm: [1, 0, 1]");
  refused(R"({"metrics": ["ndv"], "cases": [{"name": "a", "field": "f"}, {"name": "a", "field": "g"}]})",
          "/cases/1/name: 'a' is there twice");
}

TEST_CASE("files that do not fit the field are refused by name") {
  const Folder folder;
  const Grid small = {{5, 9, 8}, kAffine};
  write_nifti(folder.path() / "small.nii", std::span<const std::uint8_t>(std::vector<std::uint8_t>(360, 1)), small);
  CHECK_THROWS_WITH(
      folder.measure(one_case(R"("fixed_labels": "small.nii", "moving_labels": "moving.nii.gz")", R"("dice")")),
      Catch::Contains("small.nii: shape 5x9x8, the field") && Catch::Contains("has 10x9x8"));
  CHECK_THROWS_WITH(folder.measure(one_case(R"("fixed_mask": "small.nii")", R"("ndv")")), Catch::Contains("small.nii"));
  write_file_atomically(folder.path() / "one.csv", "1,2,3\n");
  CHECK_THROWS_WITH(folder.measure(one_case(
                        kLabels + R"(, "fixed_keypoints": "fixed.csv", "moving_keypoints": "one.csv")", R"("tre")")),
                    Catch::Contains("one.csv: 1 key-points") && Catch::Contains("fixed.csv has 2"));
  const std::vector<std::int16_t> negative(static_cast<std::size_t>(voxel_count(kShape)), -3);
  write_nifti(folder.path() / "negative.nii", std::span<const std::int16_t>(negative), {kShape, kAffine});
  CHECK_THROWS_WITH(
      folder.measure(one_case(R"("fixed_labels": "negative.nii", "moving_labels": "moving.nii.gz")", R"("dice")")),
      Catch::Contains("negative.nii: label -3, 0 or more expected"));
  Affine elsewhere = kAffine;
  elsewhere[3] += 1.0;
  write_nifti(folder.path() / "elsewhere.nii", std::span<const std::uint8_t>(block(2)), {kShape, elsewhere});
  CHECK_THROWS_WITH(
      folder.measure(one_case(R"("fixed_labels": "elsewhere.nii", "moving_labels": "moving.nii.gz")", R"("dice")")),
      Catch::Contains("elsewhere.nii: lies elsewhere in space than the field"));
}

}  // namespace regatta::test
