// Runs the tests on every rank; one rank's failure is everybody's. Lists tests without MPI.
#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"

#include <algorithm>
#include <memory>

#include "mpi/world.hpp"

namespace {

std::unique_ptr<regatta::Ranks> ranks;

}  // namespace

regatta::Ranks& regatta::test::world() {
  return *ranks;
}

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int code = session.applyCommandLine(argc, argv); code != 0) {
    return code;
  }
  if (std::any_of(argv, argv + argc, [](const char* word) { return std::string(word).starts_with("--list"); })) {
    return session.run();
  }
  ranks = regatta::connect_ranks();
  int failures = session.run();
  for (const std::string& others : ranks->gather(std::to_string(failures))) {
    failures = std::max(failures, std::stoi(others));
  }
  ranks->leave(30.0);
  return std::min(failures, 1);
}
