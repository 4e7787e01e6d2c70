// Writes the tests' tiny data set for the end-to-end scripts: make_scene FOLDER.
#include <iostream>

#include "regatta/base/run_main.hpp"
#include "unit/train/scene.hpp"

namespace regatta {
namespace {

ExitCode make_scene(int argc, char** argv) {
  REGATTA_REQUIRE(argc == 2, ConfigError, "usage: make_scene FOLDER");
  std::cout << test::write_scene(argv[1]).string() << '\n';
  return ExitCode::kOk;
}

}  // namespace
}  // namespace regatta

int main(int argc, char** argv) {
  return regatta::run_main([&] { return regatta::make_scene(argc, argv); });
}
