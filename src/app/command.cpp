// Dispatch, help, version and the Markdown of docs/cli.md, all from the one table.
#include "app/command.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>

#include <unistd.h>

#include "regatta/base/run_main.hpp"
#include "regatta/base/version.hpp"

namespace regatta::app {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> kProgramNames = {"regatta", "regatta-launch", "regatta-engine"};

const char* program_name(Program program) {
  return kProgramNames.at(static_cast<std::size_t>(program));
}

const CommandRow* find_row(const std::string& name) {
  for (const CommandRow& row : command_rows()) {
    if (name == row.name) {
      return &row;
    }
  }
  return nullptr;
}

std::unique_ptr<Arguments> make_arguments(const CommandRow& row, Command& command) {
  auto arguments = std::make_unique<Arguments>(row.summary, str("regatta ", row.name));
  command.declare(*arguments);
  return arguments;
}

void print_version() {
  std::cout << "regatta " << version_text() << " (" << git_revision() << ")\n" << REGATTA_LIBRARY_VERSIONS << '\n';
}

void print_help() {
  std::cout << "Regatta trains and tunes 3-D image-registration networks on Slurm GPU clusters.\n\n"
               "usage: regatta COMMAND [OPTIONS]     regatta COMMAND --help     regatta --version\n\ncommands:\n";
  for (const CommandRow& row : command_rows()) {
    std::cout << "  " << row.name << std::string(12 - std::strlen(row.name), ' ') << row.summary << '\n';
  }
  std::cout << "\nexit codes:\n";
  for (const ExitCodeRow& row : exit_code_rows()) {
    const std::string code = to_text(static_cast<std::int64_t>(row.code));
    std::cout << "  " << code << std::string(4 - code.size(), ' ') << row.name << ": " << row.meaning << '\n';
  }
}

/// docs/cli.md: the light program writes the head and its own commands, each other program its own commands.
void print_markdown(Program self) {
  if (self == Program::kRegatta) {
    std::cout << "# Commands\n\nWritten by `tools/dev/make_docs.sh` from `src/app/commands.def`; do not edit.\n\n"
                 "| command | program | |\n| --- | --- | --- |\n";
    for (const CommandRow& row : command_rows()) {
      std::cout << "| `regatta " << row.name << "` | `" << program_name(row.program) << "` | " << row.summary << " |\n";
    }
    std::cout << "\n| exit code | | |\n| --- | --- | --- |\n";
    for (const ExitCodeRow& row : exit_code_rows()) {
      std::cout << "| " << static_cast<int>(row.code) << " | " << row.name << " | " << row.meaning << " |\n";
    }
  }
  for (const CommandRow& row : command_rows()) {
    if (row.program == self) {
      const auto command = row.make();
      std::cout << "\n## regatta " << row.name << "\n\n```\n"
                << make_arguments(row, *command)->help_of_all() << "```\n";
    }
  }
}

[[noreturn]] void exec_sibling(Program program, int argc, char** argv) {
  const std::string path = program_path(program);
  std::vector<char*> arguments(argv, argv + argc);
  arguments.push_back(nullptr);
  ::execv(path.c_str(), arguments.data());
  throw NotBuilt(str(path, ": cannot run it: ", std::strerror(errno), "; this build may leave it out"));
}

ExitCode run_command(const CommandRow& row, int argc, char** argv) {
  const auto command = row.make();
  const auto arguments = make_arguments(row, *command);
  if (!arguments->parse(argc - 1, argv + 1)) {
    std::cout << arguments->help();
    return ExitCode::kOk;
  }
  return command->run();
}

ExitCode dispatch(Program self, int argc, char** argv) {
  const std::string word = argc > 1 ? argv[1] : "--help";
  if (word == "--version") {
    print_version();
    return ExitCode::kOk;
  }
  if (word == "--markdown") {
    print_markdown(self);
    return ExitCode::kOk;
  }
  if (word == "--help" || word == "-h" || (word == "help" && argc < 3)) {
    print_help();
    return ExitCode::kOk;
  }
  if (word == "help") {
    std::string help = "--help";
    std::array<char*, 3> arguments = {argv[0], argv[2], help.data()};
    return dispatch(self, 3, arguments.data());
  }
  const CommandRow* row = find_row(word);
  if (row == nullptr) {
    std::vector<std::string> names;
    for (const CommandRow& known : command_rows()) {
      names.emplace_back(known.name);
    }
    throw ConfigError(str("unknown command '", one_line(word, 60), "', have: ", join(names, ", ")));
  }
  if (row->make == nullptr) {
    exec_sibling(row->program, argc, argv);
  }
  return run_command(*row, argc, argv);
}

}  // namespace

std::string program_path(Program program) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  REGATTA_REQUIRE(!error, BugError, "/proc/self/exe: ", error.message());
  return (self.parent_path() / program_name(program)).string();
}

int run_program(Program self, int argc, char** argv, const std::function<void(ExitCode)>& on_error) {
  return run_main([&] { return dispatch(self, argc, argv); }, on_error);
}

}  // namespace regatta::app
