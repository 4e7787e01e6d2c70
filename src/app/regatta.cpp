// The program `regatta`: every light command; runs the others by exec, as git does.
#include "app/command.hpp"

int main(int argc, char** argv) {
  return regatta::app::run_program(regatta::app::Program::kRegatta, argc, argv);
}
