// Preprocessing that a data set file states, with and without its scans.
#include "regatta/volume/stated_preprocess.hpp"

#include <nlohmann/json.hpp>

#include "files.hpp"
#include "regatta/base/files.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::error_text;

namespace {

std::filesystem::path write(const test::TemporaryFolder& folder, const std::string& text) {
  write_file_atomically(folder / "dataset.json", text);
  return folder / "dataset.json";
}

}  // namespace

TEST_CASE("preprocessing is stated by a data set file that lists no subject, where shape and spacing are given") {
  const test::TemporaryFolder folder;
  const StatedPreprocess stated = read_stated_preprocess(write(folder, R"({"preprocess": {
      "orientation": "LIA", "spacing_mm": [1, 1, 1.5], "shape": [160, 192, 224], "intensity": {"kind": "none"}},
      "affine": "to_atlas"})"));
  CHECK(stated.preprocess.orientation == "LIA");
  CHECK(stated.preprocess.shape == std::vector<int>{160, 192, 224});
  CHECK(stated.preprocess.spacing_mm == std::vector<double>{1.0, 1.0, 1.5});
  CHECK(stated.preprocess.intensity.kind == "none");
  CHECK(stated.aligned);
}

TEST_CASE("a shape and a spacing that are left to the first subject are read from its header, as packing does") {
  const test::TemporaryFolder folder;
  test::NiftiMaker maker;
  maker.shape = {12, 10, 8};
  maker.affine = {2, 0, 0, 0, 0, 1.5, 0, 0, 0, 0, 3, 0, 0, 0, 0, 1};
  write_file_atomically(folder / "a.nii", maker.bytes());
  const std::string rest = R"(, "schema": 1, "pairs": {"rule": "all"},
      "subjects": [{"id": "a", "image": "a.nii"}, {"id": "b", "image": "not_here.nii"}]})";
  const StatedPreprocess stated = read_stated_preprocess(write(folder, R"({"preprocess": {})" + rest));
  CHECK(stated.preprocess.shape == std::vector<int>{12, 10, 8});
  CHECK(stated.preprocess.spacing_mm == std::vector<double>{2.0, 1.5, 3.0});
  CHECK_FALSE(stated.aligned);
  const StatedPreprocess finer =
      read_stated_preprocess(write(folder, R"({"preprocess": {"spacing_mm": [1, 1.5, 1.5]})" + rest));
  CHECK(finer.preprocess.shape == std::vector<int>{24, 10, 16});
  CHECK(finer.preprocess.spacing_mm == std::vector<double>{1.0, 1.5, 1.5});
}

TEST_CASE("preprocessing that is not stated is asked for by its JSON pointer") {
  const test::TemporaryFolder folder;
  const auto refusal = [&](const std::string& text) {
    return error_text([&] { read_stated_preprocess(write(folder, text)); });
  };
  CHECK_THAT(refusal("{}"), Catch::Contains("dataset.json: /preprocess: missing"));
  CHECK_THAT(refusal(R"({"preprocess": {"spacing_mm": [1, 1, 1]}})"), Catch::Contains("/preprocess/shape: empty"));
  CHECK_THAT(refusal(R"({"preprocess": {"shape": [16, 16, 16]}})"), Catch::Contains("/preprocess/spacing_mm: empty"));
  CHECK_THAT(refusal(R"({"preprocess": {"shape": [16, 16]}})"), Catch::Contains("0 or 3 expected"));
  CHECK_THAT(refusal(R"({"preproces": {}})"), Catch::Contains("preproces: unknown key"));
}
