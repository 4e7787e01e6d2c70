// Finding and running other programs.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "regatta/base/error.hpp"
#include "regatta/base/run_program.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

using namespace regatta;

namespace {

std::filesystem::path write_program(const test::TemporaryFolder& folder, const std::string& body) {
  const auto path = folder / "program";
  std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  return path;
}

}  // namespace

TEST_CASE("large text goes through a program both ways at once") {
  const std::string input(3 << 20, 'x');
  CHECK(run_program_for_text({"/bin/cat"}, input) == input);
  CHECK(run_program_for_text({"/bin/echo", "a b", "$HOME"}, "") == "a b $HOME\n");
}

TEST_CASE("a program that reads nothing, fails, or is not there gives one clear error") {
  CHECK(run_program_for_text({"/bin/true"}, std::string(3 << 20, 'x')).empty());
  CHECK_THROWS_AS(run_program_for_text({"/no/such/engine"}, ""), NotBuilt);
  const test::TemporaryFolder folder;
  try {
    run_program_for_text({write_program(folder, "exit 3").string()}, "");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::kData);
    CHECK(std::string(error.what()).find("ended with exit code 3") != std::string::npos);
  }
  CHECK_THROWS_WITH(run_program_for_text({write_program(folder, "kill -9 $$").string()}, ""),
                    Catch::Contains("ended by signal 9"));
}

TEST_CASE("a program is found by PATH if it is an executable file") {
  const test::TemporaryFolder folder;
  write_program(folder, "true");
  std::ofstream(folder / "text") << "no program";
  std::filesystem::create_directory(folder / "directory");
  const std::string before = std::getenv("PATH");
  ::setenv("PATH", (":/no/such/folder:" + folder.path().string()).c_str(), 1);
  CHECK(find_program("program") == (folder / "program").string());
  CHECK_FALSE(find_program("text").has_value());
  CHECK_FALSE(find_program("directory").has_value());
  CHECK_FALSE(find_program("absent").has_value());
  ::setenv("PATH", before.c_str(), 1);
}
