#include "regatta/report/compare.hpp"

#include <cmath>
#include <map>
#include <set>

#include "regatta/base/error.hpp"
#include "regatta/base/text.hpp"
#include "regatta/base/text_table.hpp"
#include "regatta/config/value_text.hpp"
#include "regatta/report/report.hpp"
#include "regatta/report/statistics.hpp"
#include "report/format.hpp"
#include "report/point_statistics.hpp"
#include "report/rows.hpp"

namespace regatta {
namespace {

/// What is needed of a report's point.
struct ReadPoint {
  Json axes;
  std::string setting;
  std::optional<double> mean;
  int n = 0;
  std::map<PairKey, double> pairs;
};

struct ReadReport {
  std::string metric;
  std::string direction;
  std::set<std::string> fingerprints;
  std::vector<ReadPoint> points;  ///< ranked ones, best first
};

const Json& required(const Json& value, const char* pointer, const std::string& name) {
  const Json* found = find_pointer(value, pointer);
  REGATTA_REQUIRE(found != nullptr, DataError, name, ": ", pointer, ": missing; not a report.json");
  return *found;
}

/// Values of the objective's metric of each pair, over the trials of a point.
std::map<PairKey, double> pairs_of_trials(const std::vector<const Json*>& trials, const std::string& metric) {
  std::map<PairKey, std::vector<double>> values;
  for (const Json* trial : trials) {
    const Json* pairs = find_pointer(*trial, "/pairs");
    if (pairs == nullptr || !pairs->is_array()) {
      continue;
    }
    for (const Json& pair : *pairs) {
      const auto& measured = pair.at("values");
      if (const auto value = measured.find(metric); value != measured.end()) {
        values[{pair.at("moving").get<std::string>(), pair.at("fixed").get<std::string>()}].push_back(
            number_from_json(*value, metric));
      }
    }
  }
  std::map<PairKey, double> means;
  for (const auto& [key, all] : values) {
    if (const Summary summary = summarise(all); summary.mean) {
      means[key] = *summary.mean;
    }
  }
  return means;
}

std::string setting_of(const Json& axes, const std::map<std::string, std::string>& labels) {
  std::vector<std::string> parts;
  for (const auto& axis : axes.items()) {
    const auto label = labels.find(axis.key());
    parts.push_back(str(label == labels.end() ? axis.key() : label->second, " ", axis_text(axis.value())));
  }
  return parts.empty() ? "(no axes)" : join(parts, ", ");
}

ReadPoint read_point(const Json& point, const std::map<std::string, const Json*>& trials, const std::string& metric,
                     const std::map<std::string, std::string>& labels) {
  ReadPoint read;
  read.axes = point.at("axes");
  read.setting = setting_of(read.axes, labels);
  read.mean = number_from_json(point.at("objective").at("mean"), "mean");
  read.n = point.at("objective").at("n").get<int>();
  std::vector<const Json*> own;
  for (const Json& name : point.at("trials")) {
    if (const auto trial = trials.find(name.get<std::string>()); trial != trials.end()) {
      own.push_back(trial->second);
      continue;
    }
  }
  read.pairs = pairs_of_trials(own, metric);
  return read;
}

ReadReport read_document(const Json& report, const std::string& name) {
  const Json& schema = required(report, "/schema", name);
  REGATTA_REQUIRE(schema.is_number_integer() && schema >= kOldestReportSchema && schema <= kReportSchema, DataError,
                  name, ": schema ", one_line(dump_line(schema), 40), ", this build reads ", kOldestReportSchema,
                  " to ", kReportSchema);
  ReadReport read;
  try {
    read.metric = required(report, "/objective/metric", name).get<std::string>();
    read.direction = required(report, "/objective/direction", name).get<std::string>();
    std::map<std::string, std::string> labels;
    for (const Json& axis : required(report, "/axes", name)) {
      labels[axis.at("pointer").get<std::string>()] = axis.at("label").get<std::string>();
    }
    std::map<std::string, const Json*> trials;
    for (const Json& trial : required(report, "/trials", name)) {
      trials[trial.at("name").get<std::string>()] = &trial;
      const Json* fingerprint = find_pointer(trial, "/provenance/data_fingerprint");
      if (fingerprint != nullptr && fingerprint->is_string()) {
        read.fingerprints.insert(fingerprint->get<std::string>());
      }
    }
    for (const Json& point : required(report, "/ranking", name)) {
      if (!point.at("rank").is_null() && point.at("objective").at("mean").is_number()) {
        read.points.push_back(read_point(point, trials, read.metric, labels));
      }
    }
  } catch (const Json::exception& error) {
    throw DataError(str(name, ": not a report.json: ", one_line(error.what())));
  }
  return read;
}

ComparedPoint compare_points(const ReadPoint& a, const ReadPoint& b) {
  ComparedPoint out;
  out.setting = a.axes == b.axes ? a.setting : str("A: ", a.setting, " / B: ", b.setting);
  out.a = a.mean;
  out.b = b.mean;
  out.n_a = a.n;
  out.n_b = b.n;
  const PairedTest test = paired_test(b.pairs, a.pairs);
  out.pairs = test.pairs;
  if (test.pairs > 0) {
    out.difference = test.difference;
    out.p = test.p;
    out.p_holm = test.p;
  }
  return out;
}

std::string p_text(const std::optional<double>& p) {
  if (!p) {
    return "-";
  }
  return *p >= kSignificance ? str("tied (p ", number_text(*p, 2), ")") : str("p ", number_text(*p, 2));
}

std::string n_text(int n) {
  return n == 1 ? "" : str(" (", n, ")");
}

Json compared_json(const ComparedPoint& point) {
  return {{"setting", point.setting},
          {"a", number_or_null(point.a)},
          {"b", number_or_null(point.b)},
          {"n_a", point.n_a},
          {"n_b", point.n_b},
          {"difference", number_or_null(point.difference)},
          {"p", number_or_null(point.p)},
          {"p_holm", number_or_null(point.p_holm)},
          {"pairs", point.pairs}};
}

void add_common(const ReadReport& a, const ReadReport& b, ReportComparison& out) {
  std::map<std::string, const ReadPoint*> of_b;
  for (const ReadPoint& point : b.points) {
    of_b.emplace(dump_canonical(point.axes), &point);
  }
  std::vector<double> p;
  for (const ReadPoint& point : a.points) {
    const auto other = of_b.find(dump_canonical(point.axes));
    if (other == of_b.end()) {
      ++out.only_a;
      continue;
    }
    out.common.push_back(compare_points(point, *other->second));
    if (out.common.back().p) {
      p.push_back(*out.common.back().p);
    }
  }
  out.only_b = static_cast<int>(b.points.size() - out.common.size());
  const std::vector<double> corrected = holm(p);
  std::size_t next = 0;
  for (ComparedPoint& point : out.common) {
    if (point.p) {
      point.p_holm = corrected.at(next++);
    }
  }
}

}  // namespace

ReportComparison compare_reports(const Json& a, const Json& b, const std::string& name_a, const std::string& name_b) {
  const ReadReport first = read_document(a, name_a);
  const ReadReport second = read_document(b, name_b);
  REGATTA_REQUIRE(first.metric == second.metric && first.direction == second.direction, ConfigError, name_a, ": ",
                  first.direction, "s ", first.metric, ", ", name_b, ": ", second.direction, "s ", second.metric,
                  "; reports with different objectives cannot be compared");
  for (const auto& [report, name] : {std::pair(&first, &name_a), std::pair(&second, &name_b)}) {
    REGATTA_REQUIRE(!report->points.empty(), DataError, *name, ": no ranked point: nothing to compare");
  }
  ReportComparison out;
  out.metric = first.metric;
  out.maximise = first.direction == "maximise";
  if (first.fingerprints != second.fingerprints) {
    out.notes.push_back(str("different data: A has ", join(first.fingerprints, ", "), ", B has ",
                            join(second.fingerprints, ", "),
                            "; pairs of equal names are compared, whether or not they are the same scans"));
  }
  out.best = compare_points(first.points.front(), second.points.front());
  add_common(first, second, out);
  if (out.best.pairs == 0) {
    out.notes.push_back("no validation pair is in both reports: the means are shown without a test");
  }
  return out;
}

std::string comparison_text(const ReportComparison& comparison) {
  TextTable table;
  table.column("setting", TextTable::Align::kLeft);
  table.column(str("A ", one_line(metric_title(comparison.metric), 40)), TextTable::Align::kRight);
  table.column("B", TextTable::Align::kRight);
  table.column("B - A", TextTable::Align::kRight);
  table.column("pairs", TextTable::Align::kRight);
  table.column("signed-rank test", TextTable::Align::kLeft);
  const auto add = [&](const std::string& setting, const ComparedPoint& point) {
    table.row({setting, number_text(point.a) + n_text(point.n_a), number_text(point.b) + n_text(point.n_b),
               number_text(point.difference, 2), str(point.pairs), p_text(point.p_holm)});
  };
  add(str("best of each: ", one_line(comparison.best.setting, 100)), comparison.best);
  for (const ComparedPoint& point : comparison.common) {
    add(one_line(point.setting, 100), point);
  }
  std::string text = table.text();
  text += str(comparison.common.size(), comparison.common.size() == 1 ? " setting" : " settings", " in both, ",
              comparison.only_a, " in A only, ", comparison.only_b, " in B only; ",
              comparison.maximise ? "higher" : "lower", " ", one_line(comparison.metric, 40),
              " is better. B - A and the test are over the validation pairs that both have");
  text += comparison.common.size() > 1 ? ", p of the settings by Holm\n" : "\n";
  for (const std::string& note : comparison.notes) {
    text += str("note: ", note, '\n');
  }
  return text;
}

Json to_json(const ReportComparison& comparison) {
  Json value;
  value["schema"] = kReportSchema;
  value["kind"] = "comparison";
  value["objective"] = {{"metric", comparison.metric}, {"direction", comparison.maximise ? "maximise" : "minimise"}};
  value["best"] = compared_json(comparison.best);
  value["common"] = Json::array();
  for (const ComparedPoint& point : comparison.common) {
    value["common"].push_back(compared_json(point));
  }
  value["only_a"] = comparison.only_a;
  value["only_b"] = comparison.only_b;
  value["notes"] = comparison.notes;
  return value;
}

}  // namespace regatta
