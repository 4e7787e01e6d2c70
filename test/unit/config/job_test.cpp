#include "regatta/base/error.hpp"
#include "regatta/base/files.hpp"
#include "regatta/config/job.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;
using regatta::test::TemporaryFolder;

namespace {

constexpr const char* kRecipe = R"({"data": {"archive": "a.h5"}, "losses": {"ncc": {}}})";

JobOptions job_from(const std::string& text) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "recipe.json", kRecipe);
  write_file_atomically(folder / "job.json", text);
  return read_job(folder / "job.json");
}

}  // namespace

TEST_CASE("a job may name its recipe's file, and the archive's path becomes absolute") {
  const JobOptions job =
      job_from(R"({"name": "s", "recipe": "recipe.json", "axes": {"/optim/lr": {"log": [1e-5, 1e-2], "points": 4}}})");
  CHECK(find_pointer(job.recipe, "/data/archive")->get<std::string>().starts_with("/"));
  CHECK(job.axes.at("/optim/lr").points == 4);
}

TEST_CASE("wrong axes are refused with their pointer") {
  const auto with_axis = [](const std::string& axis) {
    return job_from(str(R"({"recipe": "recipe.json", "axes": {"/optim/lr": )", axis, "}}"));
  };
  CHECK_THROWS_WITH(with_axis("{}"),
                    Catch::Contains("give exactly one of list, named, linear, log, integer, log_integer; got 0"));
  CHECK_THROWS_WITH(with_axis(R"({"list": [1], "log": [1, 2]})"), Catch::Contains("got 2"));
  CHECK_THROWS_WITH(with_axis(R"({"log": [0, 1]})"), Catch::Contains("low must be above 0"));
  CHECK_THROWS_WITH(with_axis(R"({"linear": [2, 1]})"), Catch::Contains("expected [low, high] with low < high"));
  CHECK_THROWS_WITH(with_axis(R"({"log_integer": [0, 8]})"), Catch::Contains("low must be 1 or more, got 0"));
  CHECK_THROWS_WITH(with_axis(R"({"integer": [1, 9], "step": 1.5})"), Catch::Contains("expected a whole number"));
  CHECK_THROWS_WITH(with_axis(R"({"linear": [0, 1], "step": 2})"), Catch::Contains("but the range is only 1 wide"));
  CHECK_THROWS_WITH(with_axis(R"({"log": [1, 8], "step": 2})"), Catch::Contains("only linear and integer ranges"));
  CHECK_THROWS_WITH(with_axis(R"({"named": [1, 2]})"), Catch::Contains("/named: expected an object, name -> value"));
  CHECK_THROWS_WITH(with_axis(R"({"list": [1], "when": ["a"]})"), Catch::Contains("/when: expected an object"));
  CHECK_THROWS_WITH(with_axis(R"({"values": [1]})"),
                    Catch::Contains("unknown key, have: list, named, linear, log, integer"));
  CHECK_THROWS_WITH(job_from(R"({"recipe": "recipe.json", "axes": {"optim.lr": {"list": [1]}}})"),
                    Catch::Contains("an axis is a JSON pointer"));
}

TEST_CASE("a sweep's name is a plain file name") {
  for (const char* name : {"", "a/b", "../x", "-x", "a b", "$(id)", "x\\n#SBATCH"}) {
    CHECK_THROWS_AS(job_from(str(R"({"recipe": "recipe.json", "name": ")", name, "\"}")), ConfigError);
  }
}

TEST_CASE("weights to start from are found from the recipe's folder, as an axis from the job's") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "recipes");
  write_file_atomically(
      folder / "recipes" / "r.json",
      R"({"data": {"archive": "a.h5"}, "losses": {"ncc": {}}, "model": {"init_from": "../w/best.safetensors"}})");
  write_file_atomically(folder / "job.json", R"({"recipe": "recipes/r.json",
    "axes": {"/model/init_from": {"list": ["", "one.safetensors", "/two.safetensors"]}}})");
  const JobOptions job = read_job(folder / "job.json");
  const auto inside = [&](const char* name) { return std::filesystem::absolute(folder / name).string(); };
  CHECK(find_pointer(job.recipe, "/model/init_from")->get<std::string>() == inside("w/best.safetensors"));
  CHECK(job.axes.at("/model/init_from").list == Json({"", inside("one.safetensors"), "/two.safetensors"}));
}
