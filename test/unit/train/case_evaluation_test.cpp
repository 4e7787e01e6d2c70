// Finished registrations measured from files.
#include "regatta/train/case_evaluation.hpp"

#include <cmath>

#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
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
                                     R"({"name": "a", "field": "field.nii.gz", )" +
                                     kPoints + "}]}");
  CHECK(named.method == "vxm");
  CHECK(measure_case(named, named.cases.front(), "cpu").values.at("tre/1") == Approx(1.0).epsilon(1e-6));
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
  CHECK_THROWS_WITH(
      folder.measure(one_case(R"("fixed_keypoints": "fixed.csv", "moving_keypoints": "one.csv")", R"("tre")")),
      Catch::Contains("one.csv: 1 key-points") && Catch::Contains("fixed.csv has 2"));
  const std::vector<std::int16_t> many(static_cast<std::size_t>(voxel_count(kShape)), 300);
  write_nifti(folder.path() / "many.nii", std::span<const std::int16_t>(many), {kShape, kAffine});
  CHECK_THROWS_WITH(folder.measure(one_case(R"("fixed_mask": "many.nii")", R"("ndv")")),
                    Catch::Contains("many.nii: label 300, 0..255 allowed"));
}

}  // namespace regatta::test
