// The rows of commands.def for one program: compiled once per program, which holds its own commands and knows the
// names and summaries of all others.
#include "app/command.hpp"

#if defined(REGATTA_PROGRAM_LAUNCH)
#define REGATTA_MAKER_kLaunch(name) &make_##name
#else
#define REGATTA_MAKER_kLaunch(name) nullptr
#endif
#if defined(REGATTA_PROGRAM_ENGINE)
#define REGATTA_MAKER_kEngine(name) &make_##name
#else
#define REGATTA_MAKER_kEngine(name) nullptr
#endif
#if defined(REGATTA_PROGRAM_LIGHT)
#define REGATTA_MAKER_kRegatta(name) &make_##name
#else
#define REGATTA_MAKER_kRegatta(name) nullptr
#endif

namespace regatta::app {

#define REGATTA_COMMAND(name, program, summary) std::unique_ptr<Command> make_##name();
#include "app/commands.def"
#undef REGATTA_COMMAND

const std::vector<CommandRow>& command_rows() {
  static const std::vector<CommandRow> rows = {
#define REGATTA_COMMAND(name, program, summary) {#name, Program::program, REGATTA_MAKER_##program(name), summary},
#include "app/commands.def"
#undef REGATTA_COMMAND
  };
  return rows;
}

}  // namespace regatta::app
