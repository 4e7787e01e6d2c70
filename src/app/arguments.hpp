// Options and positionals of one command. The parser behind it (CLI11) costs seconds per source that includes it, so it
// stands in arguments.cpp alone; names and meanings of the members are the parser's own.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace regatta::app {

/// One option or positional, as `Arguments` returns it: each member function returns it again.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  Argument* required();
  /// Help shows the value that the variable has now.
  Argument* capture_default_str();
  /// Each value takes the option's name again: `--set A --set B`, so that positionals may follow.
  Argument* allow_extra_args(bool allowed);
  Argument* range(std::int64_t low, std::int64_t high);
  Argument* range(int low, int high) { return range(std::int64_t{low}, std::int64_t{high}); }
  Argument* range(double low, double high);
  Argument* one_of(std::initializer_list<const char*> values);
  Argument* excludes(const Argument* other);
  /// Read from this environment variable where the command line does not say it.
  Argument* envname(const std::string& name);
  /// Left out of help and docs/cli.md: for tests.
  Argument* hidden();

 private:
  CLI::Option* option_;
};

class Arguments {
 public:
  Arguments(const std::string& summary, const std::string& name);  ///< of a command: `regatta NAME`
  explicit Arguments(CLI::App* subcommand);
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  /// @param name  "--name", "-n,--name", or "name" for a positional
  /// The variable receives the value when the command line is parsed, and must live until then.
  Argument* add_option(const std::string& name, std::string& variable, const std::string& help = "");
  Argument* add_option(const std::string& name, std::filesystem::path& variable, const std::string& help = "");
  Argument* add_option(const std::string& name, int& variable, const std::string& help = "");
  Argument* add_option(const std::string& name, std::int64_t& variable, const std::string& help = "");
  Argument* add_option(const std::string& name, std::uint64_t& variable, const std::string& help = "");
  Argument* add_option(const std::string& name, double& variable, const std::string& help = "");
  Argument* add_option(const std::string& name, std::vector<std::string>& variable, const std::string& help = "");
  Argument* add_flag(const std::string& name, bool& variable, const std::string& help = "");

  /// `regatta COMMAND NAME`
  Arguments* add_subcommand(const std::string& name, const std::string& summary);

  /// True if the subcommand was given.
  bool parsed() const;

  /// Of the subcommand that was given, else of the command.
  std::string help() const;

  /// With the options of every subcommand.
  std::string help_of_all() const;

  /// Fills the variables. @return false if help was asked for (and nothing is to be run)
  /// @throws ConfigError in one line, from "regatta NAME: ..."
  bool parse(int argc, const char* const* argv);

 private:
  Argument* keep(CLI::Option* option);

  std::unique_ptr<CLI::App> owned_;
  CLI::App* app_;
  std::deque<Argument> arguments_;
  std::deque<Arguments> subcommands_;
};

}  // namespace regatta::app
