// Asking a describing program, and reading its answers.
#include <filesystem>
#include <fstream>

#include "fakes.hpp"
#include "regatta/base/error.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;

namespace {

/// A script that stands for regatta-engine.
std::filesystem::path write_program(const test::TemporaryFolder& folder, const std::string& body) {
  const auto path = folder / "engine";
  std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

Json answer() {
  Description description;
  description.resolved = {{"a", 1}};
  description.hash = "00ff";
  description.parameters = 327331;
  description.backend = "fast, all 16 parts";
  description.steps = 200000;
  description.metrics = {{"dice", "maximise"}};
  description.data = {{"fingerprint", "x"}};
  return to_json(description);
}

}  // namespace

TEST_CASE("answers are read whole, a refused recipe is an error text with its code") {
  const test::TemporaryFolder folder;
  const Json answers = {{"recipes", {answer(), {{"error", "no such archive"}, {"code", 3}}}}};
  std::ofstream(folder / "answers.json") << dump_line(answers);
  ProgramDescriber describer(write_program(
      folder, "[ \"$1\" = describe ] || exit 2; cat >/dev/null; cat " + (folder / "answers.json").string()));
  const auto got = describer.describe({Json::object(), Json::object()});
  REQUIRE(got.size() == 2);
  CHECK(got[0].parameters == 327331);
  CHECK(got[0].metrics.at("dice") == "maximise");
  CHECK(got[0].backend == "fast, all 16 parts");
  CHECK(to_json(got[0]) == answer());
  CHECK(got[1].error == "no such archive");
  CHECK(got[1].error_code == 3);
  CHECK_THROWS_WITH(describer.describe({Json::object()}), Catch::Contains("expected {\"recipes\": [1 answers]}"));
}

TEST_CASE("an answer without a member or with a foreign direction names it") {
  Json broken = answer();
  broken.erase("hash");
  CHECK_THROWS_WITH(description_from_json(broken, "engine"), "engine: 'hash' is missing or of another type");
  broken = answer();
  broken["metrics"]["dice"] = "up";
  CHECK_THROWS_WITH(description_from_json(broken, "engine"), "engine: metrics: 'dice': expected maximise or minimise");
}
