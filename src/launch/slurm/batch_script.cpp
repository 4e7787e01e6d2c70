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

/// "08" -> 8; -1 if it is no number of at most six digits.
std::int64_t number_in(std::string_view text) {
  constexpr std::size_t kMostDigits = 6;
  if (text.empty() || text.size() > kMostDigits || text.find_first_not_of("0123456789") != std::string_view::npos) {
    return -1;
  }
  return std::stoll(std::string(text));
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

std::int64_t slurm_time_s(const std::string& text, const std::string& what) {
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 3600;
  constexpr std::int64_t kDay = 86400;
  const std::size_t dash = text.find('-');
  const bool has_days = dash != std::string::npos;
  std::vector<std::int64_t> parts;
  for (const std::string& part : split(has_days ? text.substr(dash + 1) : text, ':')) {
    parts.push_back(number_in(part));
  }
  const std::int64_t days = has_days ? number_in(text.substr(0, dash)) : 0;
  const bool fits = days >= 0 && !parts.empty() && parts.size() <= 3 &&
                    std::all_of(parts.begin(), parts.end(), [](std::int64_t part) { return part >= 0; });
  REGATTA_REQUIRE(fits, ConfigError, what, ": '", one_line(text, 40),
                  "': expected MINUTES, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS");
  if (has_days) {
    parts.resize(3, 0);
  } else if (parts.size() < 3) {
    parts.insert(parts.begin(), 0);
    parts.resize(3, 0);
  }
  return days * kDay + parts[0] * kHour + parts[1] * kMinute + parts[2];
}

}  // namespace regatta
