#include "report/pair_values.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"

namespace regatta {
namespace {

struct PairLine {
  std::int64_t step = 0;
  PairValues pair;
};

std::optional<PairLine> parse_line(const std::string& text) {
  try {
    const Json value = parse_json(text, "pairs.jsonl");
    PairLine line;
    line.step = value.at("step").get<std::int64_t>();
    line.pair.moving = value.at("moving").get<std::string>();
    line.pair.fixed = value.at("fixed").get<std::string>();
    for (const auto& member : value.at("values").items()) {
      line.pair.values[member.key()] = number_from_json(member.value(), member.key());
    }
    return line;
  } catch (const Error&) {
    return std::nullopt;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

/// Whether a line may be of one of the steps; spares the parsing of all others.
bool may_be_of(const std::string& text, const std::set<std::int64_t>& steps) {
  return std::any_of(steps.begin(), steps.end(),
                     [&](std::int64_t step) { return text.find(str("\"step\":", step, ",")) != std::string::npos; });
}

/// Means over the pairs in which a detail is a number, as the means of the metrics themselves are made.
void add_details(const std::vector<PairValues>& pairs, std::map<std::string, double>& means) {
  std::map<std::string, std::pair<double, int>> sums;
  for (const PairValues& pair : pairs) {
    for (const auto& [name, value] : pair.values) {
      if (name.find('/') == std::string::npos) {
        continue;
      }
      auto& [sum, count] = sums[name];
      sum += std::isnan(value) ? 0.0 : value;
      count += std::isnan(value) ? 0 : 1;
    }
  }
  for (const auto& [name, sum] : sums) {
    means.try_emplace(name, sum.second > 0 ? sum.first / sum.second : std::numeric_limits<double>::quiet_NaN());
  }
}

std::size_t values_in(const ReportTrial& trial) {
  std::size_t count = 0;
  for (const PairValues& pair : trial.pairs) {
    count += pair.values.size();
  }
  return count;
}

}  // namespace

std::map<std::int64_t, std::vector<PairValues>> read_pair_values(const TrialFiles& files,
                                                                 const std::set<std::int64_t>& steps) {
  std::map<std::int64_t, std::vector<PairValues>> found;
  for (const int attempt : files.attempts()) {
    std::ifstream in(files.pairs(attempt), std::ios::binary);
    for (std::string text; std::getline(in, text);) {
      auto line = may_be_of(text, steps) ? parse_line(text) : std::nullopt;
      if (!line || !steps.contains(line->step)) {
        continue;
      }
      std::vector<PairValues>& pairs = found[line->step];
      std::erase_if(pairs, [&](const PairValues& pair) {
        return pair.moving == line->pair.moving && pair.fixed == line->pair.fixed;
      });
      pairs.push_back(std::move(line->pair));
    }
  }
  return found;
}

void add_pair_values(const TrialFiles& files, ReportTrial& trial) {
  if (!trial.result) {
    return;
  }
  TrialResult& result = *trial.result;
  auto pairs = read_pair_values(files, {0, result.best_step, result.steps});
  add_details(pairs[result.best_step], result.best);
  add_details(pairs[0], result.initial);
  add_details(pairs[result.steps], result.last);
  trial.initial_pairs = pairs[0];
  trial.pairs = std::move(pairs[result.best_step]);
}

void limit_pair_values(Report& report, std::size_t most_values) {
  std::size_t values = 0;
  std::size_t kept = 0;
  std::size_t dropped = 0;
  for (const ReportPoint& point : report.ranking) {
    for (const std::size_t index : point.trials) {
      ReportTrial& trial = report.trials[index];
      const std::size_t more = values_in(trial);
      values += more;
      if (values > most_values) {
        trial.pairs.clear();
      }
      kept += more > 0 && values <= most_values ? 1 : 0;
      dropped += more > 0 && values > most_values ? 1 : 0;
    }
  }
  if (dropped > 0) {
    report.notes.push_back(str("values of single pairs: of the best ", kept, " trials only; those of the other ",
                               dropped, " are in their folders, trials/tNNNNN/aN/pairs.jsonl"));
  }
}

}  // namespace regatta
