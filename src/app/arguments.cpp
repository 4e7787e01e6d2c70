// The command line, by CLI11. The only source that includes it.
#include "app/arguments.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"

namespace regatta::app {
namespace {

/// The parser lists the options that one excludes in the order of their addresses: by name instead, so that help and
/// docs/cli.md do not depend on the build.
std::string with_sorted_exclusions(const std::string& help) {
  const std::string mark = "Excludes: ";
  std::string result;
  for (const std::string& line : split(help, '\n')) {
    const std::size_t at = line.find(mark);
    if (at == std::string::npos) {
      result += line + '\n';
      continue;
    }
    std::vector<std::string> words = split(line.substr(at + mark.size()), ' ');
    std::sort(words.begin(),
              std::find_if(words.begin(), words.end(), [](const auto& w) { return !w.starts_with('-'); }));
    result += line.substr(0, at) + mark + join(words, " ") + '\n';
  }
  result.pop_back();
  return result;
}

}  // namespace

Argument* Argument::required() {
  option_->required();
  return this;
}

Argument* Argument::capture_default_str() {
  option_->capture_default_str();
  return this;
}

Argument* Argument::allow_extra_args(bool allowed) {
  option_->allow_extra_args(allowed);
  return this;
}

Argument* Argument::range(std::int64_t low, std::int64_t high) {
  option_->check(CLI::Range(low, high));
  return this;
}

Argument* Argument::range(double low, double high) {
  option_->check(CLI::Range(low, high));
  return this;
}

Argument* Argument::one_of(std::initializer_list<const char*> values) {
  option_->check(CLI::IsMember(std::vector<std::string>(values.begin(), values.end())));
  return this;
}

Argument* Argument::excludes(const Argument* other) {
  option_->excludes(other->option_);
  return this;
}

Argument* Argument::envname(const std::string& name) {
  option_->envname(name);
  return this;
}

Argument* Argument::hidden() {
  option_->group("");
  return this;
}

Arguments::Arguments(const std::string& summary, const std::string& name)
    : owned_(std::make_unique<CLI::App>(summary, name)), app_(owned_.get()) {}

Arguments::Arguments(CLI::App* subcommand) : app_(subcommand) {}

Arguments::~Arguments() = default;

Argument* Arguments::keep(CLI::Option* option) {
  return &arguments_.emplace_back(option);
}

Argument* Arguments::add_option(const std::string& name, std::string& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_option(const std::string& name, std::filesystem::path& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_option(const std::string& name, int& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_option(const std::string& name, std::int64_t& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_option(const std::string& name, std::uint64_t& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_option(const std::string& name, double& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_option(const std::string& name, std::vector<std::string>& variable, const std::string& help) {
  return keep(app_->add_option(name, variable, help));
}

Argument* Arguments::add_flag(const std::string& name, bool& variable, const std::string& help) {
  return keep(app_->add_flag(name, variable, help));
}

Arguments* Arguments::add_subcommand(const std::string& name, const std::string& summary) {
  return &subcommands_.emplace_back(app_->add_subcommand(name, summary));
}

bool Arguments::parsed() const {
  return app_->parsed();
}

std::string Arguments::help() const {
  return with_sorted_exclusions(app_->help());
}

std::string Arguments::help_of_all() const {
  return with_sorted_exclusions(app_->help("", CLI::AppFormatMode::All));
}

bool Arguments::parse(int argc, const char* const* argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return false;
  } catch (const CLI::ParseError& error) {
    const std::string name = app_->get_name();
    throw ConfigError(str(name, ": ", one_line(error.what()), " (", name, " --help)"));
  }
  return true;
}

}  // namespace regatta::app
