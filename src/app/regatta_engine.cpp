// The program `regatta-engine`: whatever needs LibTorch.
#include "app/command.hpp"

int main(int argc, char** argv) {
  return regatta::app::run_program(regatta::app::Program::kEngine, argc, argv);
}
