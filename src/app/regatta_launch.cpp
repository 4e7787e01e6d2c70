// The program `regatta-launch`: whatever needs MPI. An error on one rank ends them all.
#include "app/command.hpp"
#include "regatta/launch/abort_ranks.hpp"

int main(int argc, char** argv) {
  return regatta::app::run_program(regatta::app::Program::kLaunch, argc, argv, regatta::abort_ranks);
}
