// One command of one of our programs: declares its options, then runs. commands.def lists them all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/arguments.hpp"
#include "regatta/base/error.hpp"

namespace regatta::app {

class Command {
 public:
  virtual ~Command() = default;

  /// Adds options and positionals; the description comes from commands.def.
  virtual void declare(Arguments& app) = 0;

  /// Called after parsing. Errors are thrown; the code returned is the process's.
  virtual ExitCode run() = 0;
};

enum class Program { kRegatta, kLaunch, kEngine };

struct CommandRow {
  const char* name;
  Program program;                     ///< the program that holds the command; `regatta` runs it by exec
  std::unique_ptr<Command> (*make)();  ///< null in the programs that do not hold it
  const char* summary;
};

/// All commands of all programs, in the order in which help and docs/cli.md list them.
const std::vector<CommandRow>& command_rows();

/// The main function of every program of ours.
/// @param on_error  see run_main
int run_program(Program self, int argc, char** argv, const std::function<void(ExitCode)>& on_error = {});

/// Path of a program of ours: beside the running one.
std::string program_path(Program program);

}  // namespace regatta::app
