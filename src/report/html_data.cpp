#include "report/html_data.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "regatta/base/text.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

constexpr std::size_t kMostCurvePoints = 240;   // of a curve
constexpr std::size_t kMostPairValues = 60000;  // of all trials whose pairs are shown
constexpr std::size_t kMostPairTrials = 10;

/// Six digits are more than a chart shows, and make the page a third as large.
Json short_number(const Json& value) {
  if (!value.is_number_float()) {
    return value;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value.get<double>());
  return std::strtod(text, nullptr);
}

void shorten_numbers(Json& value) {
  if (value.is_structured()) {
    for (auto& member : value) {
      shorten_numbers(member);
    }
  } else {
    value = short_number(value);
  }
}

/// Every n-th value, and the last.
void thin(Json& curve) {
  const std::size_t size = curve["step"].size();
  const std::size_t stride = (size + kMostCurvePoints - 1) / kMostCurvePoints;
  if (stride < 2) {
    return;
  }
  for (const char* list : {"step", "value"}) {
    Json kept = Json::array();
    for (std::size_t i = 0; i < size; ++i) {
      if (i % stride == 0 || i + 1 == size) {
        kept.push_back(std::move(curve[list][i]));
      }
    }
    curve[list] = std::move(kept);
  }
}

/// Values that are not numbers as the tables show them.
void write_axes(const Report& report, const ReportTrial& trial, Json& axes) {
  for (const ReportAxis& axis : report.axes) {
    if (const auto value = axes.find(axis.pointer); value != axes.end() && !value->is_number() && !value->is_null()) {
      *value = axis_text(trial, axis);
    }
  }
}

/// Details such as "dice/17" are in the pairs.
void drop_details(Json& metrics) {
  if (!metrics.is_object()) {
    return;
  }
  for (auto member = metrics.begin(); member != metrics.end();) {
    member = member.key().find('/') == std::string::npos ? std::next(member) : metrics.erase(member);
  }
}

/// By columns, so that names stand there once.
Json pair_columns(const std::vector<PairValues>& pairs) {
  Json names = Json::array();
  Json columns = Json::object();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    names.push_back({pairs[i].moving, pairs[i].fixed});
    for (const auto& [name, value] : pairs[i].values) {
      Json& column = columns[name];
      while (column.size() < i) {
        column.push_back(nullptr);
      }
      column.push_back(short_number(number_to_json(value)));
    }
  }
  for (auto& column : columns) {
    while (column.size() < pairs.size()) {
      column.push_back(nullptr);
    }
  }
  return {{"pairs", std::move(names)}, {"values", std::move(columns)}};
}

/// Pairs of the best trials of the best points, as long as there is room.
void add_pairs(const Report& report, Json& trials) {
  for (auto& trial : trials) {
    trial["pairs"] = nullptr;
  }
  std::size_t values = 0;
  std::size_t count = 0;
  for (const ReportPoint& point : report.ranking) {
    const std::size_t index = shown_trial(point);
    const std::vector<PairValues>& pairs = report.trials[index].pairs;
    if (pairs.empty()) {
      continue;
    }
    values += pairs.size() * (pairs.front().values.size() + 2);
    if (count == kMostPairTrials || (count > 0 && values > kMostPairValues)) {
      break;
    }
    trials[index]["pairs"] = pair_columns(pairs);
    ++count;
  }
}

}  // namespace

Json page_data(const Report& report) {
  Json data = to_json(report);
  for (const char* name : {"volatile", "notes", "difficulty"}) {
    data.erase(name);
  }
  for (auto& sweep : data["sweeps"]) {
    sweep.erase("job");
  }
  for (std::size_t i = 0; i < report.ranking.size(); ++i) {
    Json& point = data["ranking"][i];
    write_axes(report, report.trials[report.ranking[i].trials.front()], point["axes"]);
    drop_details(point["best"]);
  }
  for (std::size_t i = 0; i < report.trials.size(); ++i) {
    Json& trial = data["trials"][i];
    write_axes(report, report.trials[i], trial["axes"]);
    for (const char* name : {"recipe_hash", "initial", "last", "weights", "provenance", "log_tail", "reproduce"}) {
      trial.erase(name);
    }
    drop_details(trial["best"]);
    for (auto& curve : trial["curves"]) {
      thin(curve);
    }
  }
  add_pairs(report, data["trials"]);
  shorten_numbers(data);
  return data;
}

std::string script_json(const Json& data) {
  std::string text;
  for (const char c : dump_line(data)) {
    if (c == '<') {
      text += "\\u003c";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace regatta
