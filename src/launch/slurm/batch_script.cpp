#include "launch/slurm/batch_script.hpp"

#include <algorithm>

#include "regatta/base/error.hpp"
#include "regatta/launch/site_profile.hpp"

namespace regatta {
namespace {

constexpr std::string_view kMark = "#SBATCH ";

auto find_option(auto& options, const std::string& option) {
  return std::find_if(options.begin(), options.end(), [&option](const auto& line) { return line.first == option; });
}

}  // namespace

BatchScript::BatchScript(std::string_view text) {
  for (std::string& line : split(text, '\n')) {
    if (line.starts_with(kMark)) {
      const std::string option = line.substr(kMark.size());
      const std::size_t equals = option.find('=');
      options_.emplace_back(option.substr(0, equals), equals == std::string::npos ? "" : option.substr(equals + 1));
    } else {
      (options_.empty() ? before_ : after_) += line + "\n";
    }
  }
  REGATTA_REQUIRE(!after_.empty(), BugError, "a batch script without #SBATCH lines");
  after_.pop_back();  // the last line has its own newline
}

void BatchScript::set(const std::string& option, const std::string& value) {
  REGATTA_REQUIRE(value.empty() || is_plain_value(value), ConfigError, option, ": '", one_line(value, 60),
                  "': use letters, digits and . _ = + : , @ -; --sbatch='", option, "=...' passes on anything else");
  const auto line = find_option(options_, option);
  if (line == options_.end()) {
    options_.emplace_back(option, value);
  } else {
    line->second = value;
  }
}

void BatchScript::remove(const std::string& option) {
  const auto line = find_option(options_, option);
  if (line != options_.end()) {
    options_.erase(line);
  }
}

std::string BatchScript::value(const std::string& option) const {
  const auto line = find_option(options_, option);
  return line == options_.end() ? "" : line->second;
}

std::string BatchScript::text() const {
  std::string text = before_;
  for (const auto& [option, value] : options_) {
    text += str(kMark, option, value.empty() ? "" : "=", value, "\n");
  }
  return text + after_;
}

}  // namespace regatta
